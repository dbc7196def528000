// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"html"

	"github.com/lifetrace/lifetrace/internal/server"
)

// Error is an error with the status that answers it.
type Error struct {
	Status int
	Err    error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the error within.
func (e *Error) Unwrap() error { return e.Err }

// NewError returns an error with a status of 400 to 599 and a text that the
// client may see.
func NewError(status int, text string) error { return &Error{status, errors.New(text)} }

// statusOf returns the status that answers an error; 500 if it does not say.
func statusOf(err error) int {
	var e *Error
	if errors.As(err, &e) && e.Status >= 400 && e.Status <= 599 {
		return e.Status
	}
	return 500
}

// finish answers what no layer has answered: 404, or the error. The text of an
// error that is the server's own is not the client's business.
func (w *walk) finish(err error) {
	status, text := 404, "Cannot "+w.req.Method()+" "+w.req.Path()
	if err != nil {
		status = statusOf(err)
		if text = server.StatusText(status); status < 500 {
			text = err.Error()
		}
	}
	if status >= 500 && w.app.onError != nil {
		w.app.onError(err)
	}
	if w.done {
		return // answered already: a layer has failed after its next
	}
	w.done = true
	switch {
	case w.res.Ended():
	case w.res.HeadersSent():
		w.res.Abort(status)
	default:
		w.answer(status, text)
	}
}

func (w *walk) answer(status int, text string) {
	r := &w.res
	r.ClearHeaders()
	r.SetStatus(status)
	r.SetHeader("Content-Security-Policy", "default-src 'none'")
	r.SetHeader("X-Content-Type-Options", "nosniff")
	r.send("text/html; charset=utf-8", []byte("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Error</title>\n</head>\n<body>\n<pre>"+
		html.EscapeString(text)+"</pre>\n</body>\n</html>\n"))
}
