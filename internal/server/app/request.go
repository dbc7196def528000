// SPDX-License-Identifier: Apache-2.0

package app

import (
	"net/url"

	"github.com/lifetrace/lifetrace/internal/server"
)

// Request is a request on its walk.
type Request struct {
	*server.Request

	// Raw is the content that a body layer has read, JSON what the JSON layer
	// has found in it; nil if none has.
	Raw  []byte
	JSON any

	w *walk
}

// Param returns the decoded value of a parameter of the present route's path,
// "" if it has none of that name. An escape that is none panics with an Error of
// status 400.
func (r *Request) Param(name string) string {
	for _, p := range r.w.params {
		if p.name == name {
			v, err := url.PathUnescape(string(p.value))
			if err != nil {
				panic(NewError(400, "cannot decode parameter "+name))
			}
			return v
		}
	}
	return ""
}
