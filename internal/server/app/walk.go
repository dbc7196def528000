// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/lifetrace/lifetrace/internal/server"
	"github.com/lifetrace/lifetrace/internal/server/http1"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// What next takes to leave without an error; Express's 'route' and 'router'. They
// are errors so that a layer can also return them.
var (
	// ErrSkipRoute leaves the route, for what comes after it: next('route').
	ErrSkipRoute = errors.New("skip the rest of the route")
	// ErrSkipRouter leaves the router: next('router').
	ErrSkipRouter = errors.New("skip the rest of the router")
)

// rootPath is what is left of a path that ends where a router is mounted.
var rootPath = []byte("/")

// walk is one request's way through the stack. It stays with the request's
// memory and is used again with it, so that a walk allocates nothing.
type walk struct {
	app *App
	req Request
	res Response

	path  []byte // of the request, whole
	query []byte
	// rewritten says that path and query are not the client's any more, bareMark
	// that there is a question mark all the same if there is no query.
	rewritten, bareMark bool

	lower   []byte // what paths are looked up with
	frames  []frame
	params  []param
	lists   [][]int32 // of the frames
	encoded encoded
	base    int // where the path begins for the present layer
	shown   int // params from here on are the present layer's

	// steps are the layers entered so far. Each has a next of its own, so
	// that it is known who calls.
	steps    []*step
	depth    int  // of steps in use
	done     bool // the end of the stack was reached
	panicked func(any)
}

// frame is a router that the walk is in, and its route if it is in one.
type frame struct {
	table *table
	next  int32  // the entry to look at next
	route *entry // nil between routes
	layer int    // of the route, to look at next
	base  int    // where paths begin for the router
	// The frame's parts of walk.params and walk.lists begin here; parent is
	// where the parameters of what it is mounted at begin.
	params, parent, lists int
	allow                 uint64        // methods of the routes passed over by OPTIONS
	called                []paramCalled // parameter handlers
}

// step is a layer that was entered.
type step struct {
	w       *walk
	nameID  uint16
	called  bool // next was
	next    Next
	resumed func(error) // of a parameter handler: what its next does
}

func newWalk(a *App) *walk {
	w := &walk{app: a}
	w.req.w = w
	w.res.req = &w.req
	w.panicked = w.onPanic
	return w
}

// begin is called for each request.
func (w *walk) begin(req *server.Request, res *server.Response) {
	w.req = Request{Request: req, w: w}
	w.res = Response{Response: res, req: &w.req}
	w.path, w.query = req.PathBytes(), req.QueryBytes()
	w.depth, w.done, w.rewritten, w.bareMark = 0, false, false, false
	w.frames, w.params, w.lists = w.frames[:0], w.params[:0], w.lists[:0]
	res.OnPanic(w.panicked)
	w.mount(w.app.root, 0)
}

// mount begins the walk of a router whose paths begin at a place in the path.
// The parameters of what it is mounted at lie from shown on.
func (w *walk) mount(t *table, base int) {
	f := frame{table: t, base: base, params: len(w.params), lists: len(w.lists), parent: len(w.params)}
	if t.opts.MergeParams {
		f.parent = w.shown
	}
	w.frames = append(w.frames, f)
	w.look()
}

// look finds the candidates of the frame on top.
func (w *walk) look() {
	f := &w.frames[len(w.frames)-1]
	w.lists, w.lower = f.table.candidates(w.from(f.base), w.lower, w.lists[:f.lists])
}

// from returns the path as it is seen by what is mounted at a place in it.
func (w *walk) from(base int) []byte {
	if base >= len(w.path) {
		return rootPath
	}
	return w.path[base:]
}

// advance goes on to the next layer that matches.
func (w *walk) advance(err error) {
	for len(w.frames) > 0 {
		f := &w.frames[len(w.frames)-1]
		// Within a route its own layers come first, until one skips the route
		// or there is none left.
		if f.route != nil {
			if l := f.nextLayer(w.req.MethodCode(), err); l >= 0 {
				w.enter(w.push(f.route.ids[l]), &f.route.route.layers[l].Layer, err)
				return
			}
			f.route = nil
		}
		if errors.Is(err, ErrSkipRoute) {
			err = nil
		}
		if errors.Is(err, ErrSkipRouter) {
			err, f.next = nil, int32(len(f.table.entries))
		}
		// The next that matches; at the end of a router its parent goes on.
		var e *entry
		var end int
		e, end, err = w.nextEntry(f, err)
		if e == nil {
			if w.leave(f, err) {
				return
			}
			continue
		}
		// What a layer sees is set before it is called, and stays for what it
		// does later: next sets it for the layer that follows.
		w.base, w.shown = f.base+end, f.parent
		if len(f.table.params) > 0 && len(w.params) > f.params {
			w.callParams(e, err, 0, 0)
			return
		}
		if w.into(e, err) {
			return
		}
	}
	w.finish(err)
}

// nextLayer returns the number of the route's next layer for a method, -1 if
// there is none: those that handle errors for an error, all others for none.
func (f *frame) nextLayer(m http1.Method, err error) int {
	if errors.Is(err, ErrSkipRoute) || errors.Is(err, ErrSkipRouter) {
		return -1
	}
	r := f.route.route
	m = r.method(m)
	for f.layer < len(r.layers) {
		l := &r.layers[f.layer]
		f.layer++
		if (l.method == 0 || l.method == m) && (l.onError != nil) == (err != nil) {
			return f.layer - 1
		}
	}
	return -1
}

// nextEntry returns the next entry of a router that matches, and how much of the
// path a layer's or router's mount path takes. While there is an error only
// error layers match. A parameter that cannot be decoded becomes the error.
func (w *walk) nextEntry(f *frame, err error) (*entry, int, error) {
	path := w.from(f.base)
	for {
		i := first(w.lists[f.lists:], f.next)
		if i < 0 {
			return nil, 0, err
		}
		f.next = i + 1
		e := &f.table.entries[i]
		if (e.layer.onError != nil) != (err != nil) {
			continue
		}
		w.params = w.params[:f.params]
		end := 0
		if e.pattern != nil {
			var ok bool
			if w.params, end, ok = e.pattern.match(path, w.params); !ok {
				continue
			}
			// Values are decoded when they are asked for, but that they can
			// be is settled here: no layer sees a parameter that is none.
			if bad := w.undecodable(f.params); bad != nil {
				if err == nil {
					err = NewError(400, "cannot decode parameter "+bad.name)
				}
				continue
			}
		}
		if e.route == nil {
			return e, end, err
		}
		// A path without the method is no match, not a 405, as in Express.
		if m := w.req.MethodCode(); !e.route.handles(m) {
			if m == http1.OPTIONS {
				f.allow |= e.route.allowed()
			}
			continue
		}
		return e, 0, err
	}
}

// undecodable returns the first of the parameters from a number on whose
// escapes are none.
func (w *walk) undecodable(from int) *param {
	for i := range w.params[from:] {
		if p := &w.params[from+i]; !decodable(p.value) {
			return p
		}
	}
	return nil
}

// into enters an entry: false means that there is nothing yet that could call
// next, so that the walk goes on.
func (w *walk) into(e *entry, err error) bool {
	f := &w.frames[len(w.frames)-1]
	switch {
	case e.route != nil:
		w.req.Stamp(stamp.Route, e.routeID, 0, 0)
		f.route, f.layer = e, 0
		return false
	case e.below != nil:
		w.mount(e.below, w.base)
		return false
	}
	w.enter(w.push(e.nameID), &e.layer, err)
	return true
}

// leave ends the router on top; true if that was the answer to OPTIONS.
func (w *walk) leave(f *frame, err error) bool {
	// The frame is gone after this, and with it what f points at.
	allow := f.allow
	w.params, w.lists = w.params[:f.params], w.lists[:f.lists]
	w.frames = w.frames[:len(w.frames)-1]
	if err != nil || allow == 0 || w.res.HeadersSent() {
		return false
	}
	w.tellAllowed(allow)
	return true
}

// push returns the next step.
func (w *walk) push(nameID uint16) *step {
	// A next may be called long after, so that a step is not used again before
	// the request is over.
	if w.depth == len(w.steps) {
		s := &step{w: w}
		s.next = s.onNext
		w.steps = append(w.steps, s)
	}
	s := w.steps[w.depth]
	w.depth++
	s.nameID, s.called, s.resumed = nameID, false, nil
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
	if err != nil && !errors.Is(err, ErrSkipRoute) && !errors.Is(err, ErrSkipRouter) {
		passed = 1
	}
	s.w.req.Stamp(stamp.LayerNext, s.nameID, passed, 0)
	if s.resumed != nil {
		s.resumed(err)
		return
	}
	s.w.advance(err)
}

// enter calls a layer.
func (w *walk) enter(s *step, l *Layer, err error) {
	// When the layer returns the request may be over, and the step another's.
	nameID := s.nameID
	w.req.Stamp(stamp.LayerEnter, nameID, uint64(l.kind), 0)
	w.call(s, l, err)
	w.req.Stamp(stamp.LayerReturn, nameID, 0, 0)
}

// call turns a panic of the layer into an error.
func (w *walk) call(s *step, l *Layer, err error) {
	defer s.recovered()
	if err != nil {
		l.onError(err, &w.req, &w.res, s.next)
		return
	}
	l.fn(&w.req, &w.res, s.next)
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
