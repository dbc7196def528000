// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/lifetrace/lifetrace/internal/server"
	"github.com/lifetrace/lifetrace/internal/server/http1"
)

// Error is an error with the status that answers it.
type Error struct {
	Status int
	Err    error
	// Type says what went wrong in a body layer, in Express's words, such as
	// entity.too.large.
	Type string
	// Header are fields of the answer, as pairs of name and value.
	Header [][2]string
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the error within.
func (e *Error) Unwrap() error { return e.Err }

// NewError returns an error with a status of 400 to 599 and a text that the
// client may see.
func NewError(status int, text string) error { return typed(status, "", text) }

func typed(status int, kind, text string) *Error {
	return &Error{Status: status, Err: errors.New(text), Type: kind}
}

// ownStatus returns the status that an error says by itself, 0 if none.
func ownStatus(err error) (status int, header [][2]string) {
	var e *Error
	if errors.As(err, &e) && e.Status >= 400 && e.Status <= 599 {
		return e.Status, e.Header
	}
	return 0, nil
}

// finish answers what no layer has answered: 404, or the error. The text of an
// error that is the server's own is not the client's business.
func (w *walk) finish(err error) {
	status, text := 404, ""
	var header [][2]string
	if err != nil {
		status, header = ownStatus(err)
		if (status == 0 || status >= 500) && w.app.onError != nil {
			w.app.onError(err)
		}
		if status == 0 {
			// A layer may have set the status before it failed.
			if status = w.res.Response.Status(); status < 400 || status > 599 {
				status = 500
			}
		}
		if text = server.StatusText(status); status < 500 && !w.app.settings.Production {
			text = err.Error()
		}
	}
	// Told above all the same: an error that answers nothing is still one.
	if w.done {
		return // answered already: a layer has failed after its next
	}
	w.done = true
	switch {
	case w.res.Ended():
	case w.res.HeadersSent():
		// What has begun cannot become an error page. Without an error it is
		// the layer's to complete; with one the client must not take it for
		// complete.
		if err != nil {
			w.res.Abort(status)
		}
	default:
		if err == nil {
			path := w.req.Request.PathBytes() // as the client sent it
			if len(path) == 0 {
				path = rootPath
			}
			text = "Cannot " + w.req.Method() + " " + encodeURL(string(path))
		}
		w.answer(status, text, header)
	}
}

// answer is the page of an error. What layers have set stays, but for what
// described their content.
func (w *walk) answer(status int, text string, header [][2]string) {
	r := w.res.Response
	r.SetStatus(status)
	// A page in plain UTF-8 that says gzip could not be read.
	for _, name := range []string{"Content-Encoding", "Content-Language", "Content-Range"} {
		r.DelHeader(name)
	}
	for _, f := range header {
		r.SetHeader(f[0], f[1])
	}
	text = strings.ReplaceAll(escapeHTML(text), "\n", "<br>")
	page := document("Error", strings.ReplaceAll(text, "  ", " &nbsp;"))
	r.SetHeader("Content-Security-Policy", "default-src 'none'") // it loads nothing
	r.SetHeader("X-Content-Type-Options", "nosniff")
	r.SetHeader("Content-Type", "text/html; charset=utf-8")
	r.SetHeader("Content-Length", strconv.Itoa(len(page)))
	r.End(page)
}

// document is a page with a text.
func document(title, escaped string) []byte {
	return []byte("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>" + title +
		"</title>\n</head>\n<body>\n<pre>" + escaped + "</pre>\n</body>\n</html>\n")
}

// tellAllowed is the answer to OPTIONS where routes have only other methods.
// Sorted by name, each once, whatever number of routes they come from.
func (w *walk) tellAllowed(methods uint64) {
	var names []string
	for m := http1.Method(1); m < 64; m++ {
		if methods&(1<<m) != 0 {
			names = append(names, m.String())
		}
	}
	slices.Sort(names)
	allow := strings.Join(names, ", ")
	r := w.res.Response
	r.SetHeader("Allow", allow)
	r.SetHeader("Content-Length", strconv.Itoa(len(allow)))
	r.SetHeader("Content-Type", "text/plain")
	r.SetHeader("X-Content-Type-Options", "nosniff")
	r.End([]byte(allow))
}
