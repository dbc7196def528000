// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"slices"
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

	status   int    // 0 means 200
	reason   string // "" means the status's own
	fields   []outField
	removed  removed
	trailers []outField
	corks    int
	corked   []byte
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

// SetReason sets the reason phrase that stands in for the status's own.
func (r *Response) SetReason(phrase string) {
	r.checkHead()
	if !isValue(phrase) {
		panic(ErrInvalidStatus)
	}
	r.reason = phrase
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

// SetHeaderLines sets a field line for each value, in place of those with the
// same name. Set-Cookie needs it: its values cannot share a line.
func (r *Response) SetHeaderLines(name string, values ...string) {
	r.checkHead()
	lines := make([]outField, len(values))
	for i, v := range values {
		checkField(name, v)
		lines[i] = outField{name, v}
	}
	at := slices.IndexFunc(r.fields, func(f outField) bool { return strings.EqualFold(f.name, name) })
	if at < 0 {
		at = len(r.fields)
	}
	r.drop(name)
	r.fields = slices.Insert(r.fields, at, lines...)
}

// AddHeader adds a field, whether or not there is one with the same name.
func (r *Response) AddHeader(name, value string) {
	r.checkHead()
	checkField(name, value)
	r.fields = append(r.fields, outField{name, value})
}

// DelHeader removes the fields with a name. As in Node, one that the server
// would add by itself stays away too: Date, Connection (with Keep-Alive),
// Content-Length, Transfer-Encoding. Content without either of the last two
// ends with the connection.
func (r *Response) DelHeader(name string) {
	r.checkHead()
	switch {
	case strings.EqualFold(name, "date"):
		r.removed.date = true
	case strings.EqualFold(name, "connection"):
		r.removed.connection = true
	case strings.EqualFold(name, "content-length"):
		r.removed.length = true
	case strings.EqualFold(name, "transfer-encoding"):
		r.removed.coding = true
	}
	r.drop(name)
}

// drop removes the fields with a name.
func (r *Response) drop(name string) {
	kept := r.fields[:0]
	for _, f := range r.fields {
		if !strings.EqualFold(f.name, name) {
			kept = append(kept, f)
		}
	}
	r.fields = kept
}

// ClearHeaders removes all fields that were set.
func (r *Response) ClearHeaders() {
	r.checkHead()
	r.fields = r.fields[:0]
}

// SendDate says whether the response has a Date; by default it does.
func (r *Response) SendDate(yes bool) {
	r.checkHead()
	r.removed.date = !yes
}

// AddTrailer adds a field to the trailer section, which only content in chunks
// has; without chunks it is not sent.
func (r *Response) AddTrailer(name, value string) {
	checkField(name, value)
	if !r.ended {
		r.trailers = append(r.trailers, outField{name, value})
	}
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

// WriteHead composes the head. The fields given here are added to those that
// were set, in place of those with the same names. As in Node, content without
// a Content-Length field is chunked then, and the head is not sent before
// content, End or FlushHeaders: until then a request whose content turns out
// to be malformed can still be refused.
func (r *Response) WriteHead(status int, fields ...Field) {
	r.checkHead()
	checkStatus(status)
	for _, f := range fields {
		checkField(f.Name, f.Value)
	}
	if r.ex.over {
		return
	}
	for _, f := range fields {
		r.drop(f.Name)
	}
	for _, f := range fields {
		r.fields = append(r.fields, outField{f.Name, f.Value})
	}
	r.status = status
	r.ex.headHeld = true
	r.compose(&r.ex.held, -1)
}

// FlushHeaders sends the head without waiting for content.
func (r *Response) FlushHeaders() {
	if r.ended || r.ex.over {
		return
	}
	s := r.ex.sink()
	if !r.headSent {
		r.compose(s, -1)
	}
	r.ex.c.touch()
}

// Write adds content, which it copies. False means that more than the
// high-water mark is unsent: the rest had better wait for 'drain'.
func (r *Response) Write(b []byte) bool {
	ex := r.ex
	if r.ended || ex.over || ex.flooded() {
		return false
	}
	if r.corks > 0 && r.chunked && !ex.headHeld {
		r.corked = append(r.corked, b...)
		if len(r.corked) < ex.c.w.server.opts.HighWaterMark {
			return true
		}
		b, r.corked = r.corked, nil
	}
	s := ex.sink()
	if !r.headSent {
		r.compose(s, -1)
	}
	r.content(s, b)
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
	if r.ended || ex.over || ex.flooded() {
		return
	}
	s := ex.sink()
	if !r.headSent {
		r.compose(s, int64(len(b)))
	}
	r.content(s, r.uncorked())
	r.content(s, b)
	if r.chunked {
		*s = append(*s, "0\r\n"...)
		for _, f := range r.trailers {
			*s = appendField(*s, f.name, f.value)
		}
		*s = append(*s, "\r\n"...)
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

// Destroy ends the connection at once. What was written is sent as far as the
// send buffer has room for it.
func (r *Response) Destroy() { r.destroy(stamp.CloseByServer) }

func (r *Response) destroy(reason stamp.CloseReason) {
	if r.ex.over {
		return
	}
	c := r.ex.c
	c.batch = false // so that what waits for the end of the batch goes too
	c.release(0)
	c.flush()
	r.ended, r.broken = true, true
	c.noMore, c.cur, c.rest = true, nil, nil
	c.parser.Pause()
	c.fail(reason)
}

// content appends content in its coding to s.
func (r *Response) content(s *[]byte, b []byte) {
	if !r.hasBody || len(b) == 0 {
		return
	}
	if r.left >= 0 {
		// More than declared would be taken for the next response.
		b = b[:min(int64(len(b)), r.left)]
		r.left -= int64(len(b))
	}
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
	if !isValue(value) {
		panic(ErrInvalidHeader)
	}
}

func isValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
