// SPDX-License-Identifier: Apache-2.0

package server

import "errors"

// ErrTooLarge is what Collect reports for content above its limit.
var ErrTooLarge = errors.New("content too large")

// content is the readable stream of a request.
type content struct {
	onData  func(b []byte)
	onEnd   func()
	kept    []byte // came before anybody read
	ended   bool
	reading bool
	gone    bool // the rest will never come
}

// Read hands the content to onData as it comes, and calls onEnd after all of
// it. The bytes are valid during the call only. What came before Read is handed
// over at once. If the request is aborted neither is called again; see
// Response.OnClose.
func (r *Request) Read(onData func(b []byte), onEnd func()) {
	s := &r.body
	if s.reading || s.gone {
		return
	}
	s.reading, s.onData, s.onEnd = true, onData, onEnd
	r.ex.async = true
	kept := s.kept
	s.kept = nil
	if len(kept) > 0 {
		onData(kept)
		r.ex.c.touch() // reading may have been paused
	}
	if !r.content || s.ended {
		s.ended = true
		onEnd()
	}
}

// Collect reads all of the content and calls done with it. With more than limit
// bytes done is called with ErrTooLarge, as soon as that is known, and the
// rest is thrown away.
func (r *Request) Collect(limit int, done func(b []byte, err error)) {
	if r.length > int64(limit) {
		done(nil, ErrTooLarge)
		return
	}
	var b []byte
	if r.length > 0 {
		// What the client announces is not believed beyond a point.
		b = make([]byte, 0, min(r.length, 64<<10))
	}
	over := false
	r.Read(func(part []byte) {
		if over {
			return
		}
		if over = len(b)+len(part) > limit; over {
			b = nil
			done(nil, ErrTooLarge)
			return
		}
		b = append(b, part...)
	}, func() {
		if !over {
			done(b, nil)
		}
	})
}

// data takes content from the parser; false means that nobody wants it.
func (r *Request) data(b []byte) bool {
	s := &r.body
	switch {
	case r.ex.res.ended:
		s.kept = nil
		return false
	case s.reading:
		r.ex.guardData(s.onData, b)
	default:
		s.kept = append(s.kept, b...)
	}
	return true
}

func (ex *exchange) guardData(f func([]byte), b []byte) {
	ex.depth++
	func() {
		defer ex.recovered()
		f(b)
	}()
	ex.depth--
}

// end is called when the content is complete.
func (r *Request) end() {
	s := &r.body
	s.ended = true
	if s.reading && !s.gone && !r.ex.res.ended {
		r.ex.guard(s.onEnd)
	}
}

// abandon makes sure that no callback follows.
func (r *Request) abandon() {
	r.body = content{gone: true}
}

// full reports whether reading has to pause because nobody takes the content.
func (r *Request) full() bool {
	return !r.body.reading && !r.ex.res.ended && len(r.body.kept) >= r.ex.c.w.server.opts.HighWaterMark
}
