// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"strconv"

	"github.com/lifetrace/lifetrace/internal/server"
)

// Response is a response on its walk.
type Response struct {
	*server.Response
	req *Request
}

// Status sets the status and returns the response, so that an answer can be
// one expression.
func (r *Response) Status(status int) *Response {
	r.SetStatus(status)
	return r
}

// Send answers with text; Content-Type is text/html unless it is set.
func (r *Response) Send(text string) {
	r.send("text/html; charset=utf-8", []byte(text))
}

// Text answers with plain text.
func (r *Response) Text(text string) {
	r.send("text/plain; charset=utf-8", []byte(text))
}

// JSON answers with a value's JSON. One that has none panics.
func (r *Response) JSON(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	r.send("application/json; charset=utf-8", b)
}

// send answers with content of a type, unless another type is set. The length
// is a field of its own, as in Express, so that HEAD has it too.
func (r *Response) send(kind string, b []byte) {
	if _, ok := r.Header("Content-Type"); !ok {
		r.SetHeader("Content-Type", kind)
	}
	r.SetHeader("Content-Length", strconv.Itoa(len(b)))
	r.End(b)
}
