// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"runtime/debug"

	"github.com/lifetrace/lifetrace/internal/server"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// walk is one request's way down the stack. It stays with the request's memory
// and is used again with it, so that a walk allocates nothing.
type walk struct {
	app    *App
	req    Request
	res    Response
	index  int // of the next entry to look at
	params []param
	// steps are the layers entered so far. Each has a next of its own, so
	// that it is known who calls.
	steps    []*step
	depth    int  // of steps in use
	group    int  // of the layer entered last
	done     bool // the end of the stack was reached
	panicked func(any)
}

// step is a layer that was entered.
type step struct {
	w      *walk
	entry  *entry
	called bool // next was
	next   Next
}

func newWalk(a *App) *walk {
	w := &walk{app: a, params: make([]param, 0, maxParams)}
	w.req.w = w
	w.res.req = &w.req
	w.panicked = w.onPanic
	return w
}

// begin is called for each request.
func (w *walk) begin(req *server.Request, res *server.Response) {
	w.req = Request{Request: req, w: w}
	w.res = Response{Response: res, req: &w.req}
	w.index, w.depth, w.group, w.done = 0, 0, 0, false
	w.params = w.params[:0]
	res.OnPanic(w.panicked)
}

// push returns the next step.
func (w *walk) push(e *entry) *step {
	if w.depth == len(w.steps) {
		s := &step{w: w}
		s.next = s.onNext
		w.steps = append(w.steps, s)
	}
	s := w.steps[w.depth]
	w.depth++
	s.entry, s.called = e, false
	return s
}

// onNext is the next of a step.
func (s *step) onNext(errs ...error) {
	if s.called {
		return
	}
	s.called = true
	var err error
	if len(errs) > 0 {
		err = errs[0]
	}
	passed := uint64(0)
	if err != nil {
		passed = 1
	}
	s.w.req.Stamp(stamp.LayerNext, s.entry.nameID, passed, 0)
	s.w.advance(err)
}

// advance goes on to the next layer that matches.
func (w *walk) advance(err error) {
	for w.index < len(w.app.entries) {
		e := &w.app.entries[w.index]
		w.index++
		// Error layers are passed over while there is no error, and all others
		// while there is one; a route's error layers are for its own errors.
		if (e.onError != nil) != (err != nil) || err != nil && e.route && e.group != w.group || !e.matches(w) {
			continue
		}
		if e.route && e.group != w.group {
			w.req.Stamp(stamp.Route, e.routeID, 0, 0)
		}
		w.group = e.group
		w.enter(w.push(e), err)
		return
	}
	w.finish(err)
}

// enter calls a layer.
func (w *walk) enter(s *step, err error) {
	e := s.entry
	w.req.Stamp(stamp.LayerEnter, e.nameID, uint64(e.kind), 0)
	w.call(s, err)
	w.req.Stamp(stamp.LayerReturn, e.nameID, 0, 0)
}

// call turns a panic of the layer into an error.
func (w *walk) call(s *step, err error) {
	defer s.recovered()
	if err != nil {
		s.entry.onError(err, &w.req, &w.res, s.next)
		return
	}
	s.entry.fn(&w.req, &w.res, s.next)
}

func (s *step) recovered() {
	if v := recover(); v != nil {
		s.w.fail(s, asError(v))
	}
}

// onPanic takes a panic in a callback of the request: it belongs to the layer
// that was entered last.
func (w *walk) onPanic(v any) {
	w.res.OnPanic(w.panicked) // the layer that handles it may panic too
	if w.depth == 0 {
		w.finish(asError(v))
		return
	}
	w.fail(w.steps[w.depth-1], asError(v))
}

// fail is next(err) for a layer that may have called next already: then the
// error goes on from where the walk is.
func (w *walk) fail(s *step, err error) {
	if !s.called {
		s.onNext(err)
		return
	}
	w.advance(err)
}

// PanicError is the error that a panic becomes.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// asError makes a panic an error. One that carries its status was thrown on
// purpose.
func asError(v any) error {
	if e, ok := v.(*Error); ok {
		return e
	}
	return &PanicError{Value: v, Stack: debug.Stack()}
}
