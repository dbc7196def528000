// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/lifetrace/lifetrace/internal/timeline"
	"github.com/lifetrace/lifetrace/internal/window"
)

// DefaultLast is how many timelines a request that names no number gets. One
// that wants all says last=all.
const DefaultLast = 100

// timelines answers with an array. It encodes one timeline at a time: all of a
// window at once would take many times the memory that the window is held to.
func (e *endpoint) timelines(w http.ResponseWriter, r *http.Request) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		fail(w, http.StatusBadRequest, "query: "+err.Error())
		return
	}
	f, err := window.ParseFilter(q, e.Now())
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	if f.Slowest == 0 && !q.Has("last") {
		f.Last = DefaultLast
	}
	w.Header().Set("Content-Type", "application/json")
	sep, enc := "[", json.NewEncoder(w)
	for _, t := range e.Window.Query(f) {
		_, _ = io.WriteString(w, sep) // what it could say, Encode says
		if err := enc.Encode(t); err != nil {
			return // the client is gone; the array it has is visibly cut
		}
		sep = ","
	}
	if sep == "[" {
		_, _ = io.WriteString(w, sep)
	}
	_, _ = io.WriteString(w, "]\n")
}

func (e *endpoint) timeline(w http.ResponseWriter, r *http.Request) {
	id, err := timeline.ParseID(r.PathValue("id"))
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	t := e.Window.Get(id)
	if t == nil {
		fail(w, http.StatusNotFound, fmt.Sprintf("no timeline %s: it was never here, or newer ones have pushed it out", id))
		return
	}
	writeJSON(w, http.StatusOK, t)
}
