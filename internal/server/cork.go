// SPDX-License-Identifier: Apache-2.0

package server

// Cork makes what is written in chunks from now on one chunk, until Uncork was
// called as often as Cork, or End was. As in Node, what is written before the
// head is sent is a chunk of its own. What reaches the high-water mark goes out
// all the same.
func (r *Response) Cork() { r.corks++ }

// Uncork undoes one Cork.
func (r *Response) Uncork() {
	if r.corks == 0 || r.ended || r.ex.over {
		return
	}
	if r.corks--; r.corks == 0 && len(r.corked) > 0 {
		r.content(r.ex.sink(), r.uncorked())
		r.ex.c.touch()
	}
}

// uncorked takes the bytes that were held back.
func (r *Response) uncorked() []byte {
	b := r.corked
	r.corks, r.corked = 0, nil
	return b
}
