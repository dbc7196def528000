// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/lifetrace/lifetrace/internal/server/loop"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// What methods of Response panic with, as Node throws. A panic in a handler is
// answered with 500.
var (
	ErrHeadersSent   = errors.New("the response head has been composed already")
	ErrInvalidHeader = errors.New("invalid field name or value")
	ErrInvalidStatus = errors.New("invalid status")
)

// Response is the answer: a writable stream. Without WriteHead the first Write
// or End composes the head.
type Response struct {
	ex *exchange

	status   int // 0 means 200
	fields   []outField
	headSent bool
	ended    bool
	closed   bool

	hasBody bool  // content may be sent
	chunked bool  // in chunks
	left    int64 // of a declared Content-Length; -1 if there is none
	last    bool  // the connection ends after it
	broken  bool  // it will never be complete

	needDrain         bool
	onDrain           func()
	onFinish, onClose []func()
	onPanic           func(v any)
}

type outField struct{ name, value string }

// SetStatus sets the status that an implicit head will have.
func (r *Response) SetStatus(status int) {
	r.checkHead()
	checkStatus(status)
	r.status = status
}

// Status returns the status.
func (r *Response) Status() int {
	if r.status == 0 {
		return 200
	}
	return r.status
}

// SetHeader sets a field in place of those with the same name.
func (r *Response) SetHeader(name, value string) {
	r.checkHead()
	checkField(name, value)
	kept := r.fields[:0]
	set := false
	for _, f := range r.fields {
		if !strings.EqualFold(f.name, name) {
			kept = append(kept, f)
		} else if !set {
			kept, set = append(kept, outField{name, value}), true
		}
	}
	if !set {
		kept = append(kept, outField{name, value})
	}
	r.fields = kept
}

// AddHeader adds a field, whether or not there is one with the same name.
func (r *Response) AddHeader(name, value string) {
	r.checkHead()
	checkField(name, value)
	r.fields = append(r.fields, outField{name, value})
}

// DelHeader removes the fields with a name.
func (r *Response) DelHeader(name string) {
	r.checkHead()
	kept := r.fields[:0]
	for _, f := range r.fields {
		if !strings.EqualFold(f.name, name) {
			kept = append(kept, f)
		}
	}
	r.fields = kept
}

// ClearHeaders removes all fields.
func (r *Response) ClearHeaders() {
	r.checkHead()
	r.fields = r.fields[:0]
}

// Header returns the value of the first field with a name that was set.
func (r *Response) Header(name string) (value string, ok bool) {
	for _, f := range r.fields {
		if strings.EqualFold(f.name, name) {
			return f.value, true
		}
	}
	return "", false
}

// HeadersSent reports whether the head is composed.
func (r *Response) HeadersSent() bool { return r.headSent }

// Ended reports whether End was called.
func (r *Response) Ended() bool { return r.ended }

// Closed reports whether the exchange is over: sent, or aborted.
func (r *Response) Closed() bool { return r.closed || r.ex.over }

// WriteHead composes the head. As in Node, content without a Content-Length
// field is chunked then.
func (r *Response) WriteHead(status int) {
	r.checkHead()
	checkStatus(status)
	if r.ex.over {
		return
	}
	r.status = status
	r.compose(-1)
}

// Write adds content, which it copies. False means that more than the
// high-water mark is unsent: the rest had better wait for 'drain'.
func (r *Response) Write(b []byte) bool {
	ex := r.ex
	if r.ended || ex.over {
		return false
	}
	if !r.headSent {
		r.compose(-1)
	}
	r.content(b)
	ex.c.touch()
	if n := ex.unsent(); n > corkLimit && ex.released {
		ex.c.flush()
	}
	if ex.unsent() < ex.c.w.server.opts.HighWaterMark {
		return true
	}
	if !r.needDrain {
		r.needDrain = true
		ex.async = true
		ex.stamp(stamp.BackpressureBegin, 0, 0, 0)
	}
	return false
}

// End adds the last content, if any, and completes the response.
func (r *Response) End(b []byte) {
	ex := r.ex
	if r.ended || ex.over {
		return
	}
	if !r.headSent {
		r.compose(int64(len(b)))
	}
	r.content(b)
	if r.chunked {
		s := ex.sink()
		*s = append(*s, "0\r\n\r\n"...)
	}
	if r.hasBody && r.left > 0 {
		r.last = true // it is shorter than declared: only closing tells the client
	}
	r.ended = true
	at := ex.stamp(stamp.ResponseEnd, 0, 0, 0)
	if r.last && !ex.complete {
		ex.c.mustWait = true
	}
	ex.c.release(at)
	ex.c.touch()
	if ex.c.unsent() > corkLimit {
		ex.c.flush()
	}
}

// Abort answers with a bare status if no head was composed; otherwise the
// connection ends, so that the client learns that the response is not complete.
func (r *Response) Abort(status int) {
	switch {
	case r.ended || r.ex.over:
	case r.headSent:
		// What was written is still sent, and earlier responses are completed.
		c := r.ex.c
		r.ended, r.broken = true, true
		c.noMore, c.cur, c.rest = true, nil, nil
		c.parser.Pause()
		c.touch()
	default:
		r.fields = r.fields[:0]
		r.status = status
		r.SetHeader("Connection", "close")
		r.End(nil)
	}
}

// content appends content in its coding.
func (r *Response) content(b []byte) {
	if !r.hasBody || len(b) == 0 {
		return
	}
	if r.left >= 0 {
		// More than declared would be taken for the next response.
		b = b[:min(int64(len(b)), r.left)]
		r.left -= int64(len(b))
	}
	s := r.ex.sink()
	if !r.chunked {
		*s = append(*s, b...)
		return
	}
	*s = strconv.AppendUint(*s, uint64(len(b)), 16)
	*s = append(*s, "\r\n"...)
	*s = append(*s, b...)
	*s = append(*s, "\r\n"...)
}

// OnDrain sets what is called each time the unsent bytes are gone after Write
// returned false.
func (r *Response) OnDrain(f func()) { r.ex.async, r.onDrain = true, f }

// OnFinish adds what is called when the kernel has taken the whole response.
func (r *Response) OnFinish(f func()) { r.ex.async, r.onFinish = true, append(r.onFinish, f) }

// OnClose adds what is called when the exchange is over: after 'finish', or
// because the connection has ended before.
func (r *Response) OnClose(f func()) { r.ex.async, r.onClose = true, append(r.onClose, f) }

// OnPanic sets what is called, once, with the value of a panic in user code of
// this exchange. Without it the answer is 500.
func (r *Response) OnPanic(f func(v any)) { r.onPanic = f }

// Loop returns the loop that the response belongs to.
func (r *Response) Loop() *loop.Loop { return r.ex.c.w.loop }

// SetTimeout calls f after d, unless the exchange is over by then. It does not
// block the loop.
func (r *Response) SetTimeout(d time.Duration, f func()) *loop.Timer {
	ex := r.ex
	ex.async = true
	ex.stamp(stamp.AsyncBegin, 0, 0, 0)
	// The timer may outlive the connection, so it is not the connection's: the
	// stamp of its resumption is.
	t := &loop.Timer{F: func() { ex.resume(f) }}
	ex.c.w.loop.Arm(t, d)
	return t
}

func (r *Response) emitDrain() {
	r.needDrain = false
	r.ex.stamp(stamp.Drain, 0, 0, 0)
	if r.onDrain != nil && !r.ended {
		r.ex.guard(r.onDrain)
	}
}

func (r *Response) checkHead() {
	if r.headSent {
		panic(ErrHeadersSent)
	}
}

func checkStatus(status int) {
	// An interim response is not a response.
	if status < 200 || status > 999 {
		panic(ErrInvalidStatus)
	}
}

// checkField refuses what would let a value become a field of its own.
func checkField(name, value string) {
	if name == "" {
		panic(ErrInvalidHeader)
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("()<>@,;:\\\"/[]?={}", c) >= 0 {
			panic(ErrInvalidHeader)
		}
	}
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			panic(ErrInvalidHeader)
		}
	}
}
