// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"

	"github.com/lifetrace/lifetrace/internal/stamp"
)

// paramHandler is called for a parameter's value; see Router.Param.
type paramHandler func(req *Request, res *Response, next Next, value string)

// paramCalled is what the handlers of a parameter have made of a value, so that
// they are not called again for it.
type paramCalled struct {
	name, value string // decoded, as the client sent it
	set         *string
	err         error // what the handler has failed with; it does so once
}

// callParams calls what is left of the handlers of the parameters that a path
// has: the fn-th of the i-th, and those after it. Then the entry is entered.
func (w *walk) callParams(e *entry, err error, i, fn int) {
	// No frame comes or goes while handlers run, however late they call next: the
	// router of the parameters stays on top.
	f := &w.frames[len(w.frames)-1]
	for ; f.params+i < len(w.params); i, fn = i+1, 0 {
		p := &w.params[f.params+i]
		handlers := f.table.params[p.name]
		if len(handlers) == 0 {
			continue
		}
		if fn == 0 {
			value := p.decoded()
			// The same value again, or an error before: it is not handled
			// twice, and what came of it stands.
			c := f.handled(p.name)
			if c != nil && (c.value == value || c.err != nil && !errors.Is(c.err, ErrSkipRoute)) {
				p.set = c.set
				if c.err == nil {
					continue
				}
				w.afterParams(err, c.err)
				return
			}
			if c == nil {
				f.called = append(f.called, paramCalled{})
				c = &f.called[len(f.called)-1]
			}
			*c = paramCalled{name: p.name, value: value}
		}
		c := f.handled(p.name)
		c.set = p.set // by the handler before
		if fn == len(handlers) {
			continue
		}
		s := w.push(f.table.names[p.name])
		s.resumed = func(failed error) {
			if failed == nil {
				w.callParams(e, err, i, fn+1)
				return
			}
			f := &w.frames[len(w.frames)-1]
			f.handled(p.name).err = failed
			w.afterParams(err, failed)
		}
		handler := Layer{kind: stamp.Middleware, fn: func(req *Request, res *Response, next Next) {
			handlers[fn](req, res, next, c.value)
		}}
		// While an error is pending the handlers of an error layer's path run
		// all the same; they do not get to see the error.
		if err != nil {
			handler.onError = func(_ error, req *Request, res *Response, next Next) { handler.fn(req, res, next) }
		}
		w.enter(s, &handler, err)
		return
	}
	if !w.into(e, err) {
		w.advance(err)
	}
}

// afterParams goes on after a handler has failed: the first error counts.
// The walk goes on behind the entry, which is not entered.
func (w *walk) afterParams(err, failed error) {
	if err == nil {
		err = failed
	}
	w.advance(err)
}

func (f *frame) handled(name string) *paramCalled {
	for i := range f.called {
		if f.called[i].name == name {
			return &f.called[i]
		}
	}
	return nil
}
