// SPDX-License-Identifier: Apache-2.0

package server

// WriteProcessing sends 102, which tells the client that the answer takes time.
func (r *Response) WriteProcessing() { r.interim("102 Processing", nil) }

// WriteEarlyHints sends 103 with fields that the client may use before the
// answer, Link above all.
func (r *Response) WriteEarlyHints(fields ...Field) {
	for _, f := range fields {
		checkField(f.Name, f.Value)
	}
	r.interim("103 Early Hints", fields)
}

// interim sends a response that another one follows. A client that speaks
// HTTP/1.0 does not know of such and is spared it (RFC 9110, 15.2).
func (r *Response) interim(status string, fields []Field) {
	r.checkHead()
	if r.ended || r.ex.over || r.ex.req.minor == 0 {
		return
	}
	s := r.ex.sink()
	*s = append(*s, "HTTP/1.1 "...)
	*s = append(*s, status...)
	*s = append(*s, "\r\n"...)
	for _, f := range fields {
		*s = appendField(*s, f.Name, f.Value)
	}
	*s = append(*s, "\r\n"...)
	r.ex.c.touch()
}
