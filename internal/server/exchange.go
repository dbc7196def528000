// SPDX-License-Identifier: Apache-2.0

package server

import (
	"fmt"
	"runtime/debug"

	"github.com/lifetrace/lifetrace/internal/stamp"
)

// exchange is a request and its response on a connection.
type exchange struct {
	c   *conn
	no  uint32
	req Request
	res Response

	began    int64 // loop time of the first byte
	headDone bool
	complete bool // the request is

	// The response in the send stream: [t0, t1). Until it is released, its
	// bytes are held.
	held     []byte
	headHeld bool // a head is in held that waits for content
	t0, t1   uint64
	released bool
	finished bool

	depth int  // callbacks of user code under way
	async bool // user code may hold on to it: not to be used again
	over  bool // no stamp and no byte of it may follow
}

// newExchange returns a fresh or used exchange.
func (w *worker) newExchange(c *conn, no uint32) *exchange {
	var ex *exchange
	if n := len(w.exchanges); n > 0 {
		ex = w.exchanges[n-1]
		w.exchanges = w.exchanges[:n-1]
	} else {
		ex = &exchange{}
		ex.req.ex, ex.res.ex = ex, ex
	}
	ex.c, ex.no, ex.began = c, no, w.loop.Now()
	return ex
}

// reuse makes the exchange ready for another request; memory and the attachment
// stay.
func (ex *exchange) reuse() {
	w := ex.c.w
	if ex.async || len(w.exchanges) >= maxSpareExchange || cap(ex.held) > maxKeptOut {
		return
	}
	req, res, held := ex.req, ex.res, ex.held[:0]
	*ex = exchange{held: held}
	ex.req = Request{ex: ex, buf: req.buf[:0], fields: req.fields[:0], trailers: req.trailers[:0], attachment: req.attachment}
	clear(res.fields) // its strings must not stay reachable
	ex.res = Response{ex: ex, fields: res.fields[:0]}
	w.exchanges = append(w.exchanges, ex)
}

// stamp stores a stamp of the exchange with the present time, which it returns.
func (ex *exchange) stamp(code stamp.Code, aux uint16, a, b uint64) int64 {
	if ex.over || ex.c.w.ring == nil {
		return 0
	}
	return ex.c.w.ring.Now(code, ex.c.cookie, ex.no, aux, a, b)
}

// stampAt is stamp for a time that has been read already.
func (ex *exchange) stampAt(at int64, code stamp.Code, aux uint16, a, b uint64) {
	if !ex.over {
		ex.c.w.ring.Put(at, code, ex.c.cookie, ex.no, aux, a, b)
	}
}

// sink returns where the response's bytes are appended to: the send stream if
// it is its turn, its own memory otherwise. A head that was held back goes
// first.
func (ex *exchange) sink() *[]byte {
	c := ex.c
	ex.headHeld = false
	if !ex.released {
		c.release(0)
	}
	if ex.released {
		ex.unhold()
		c.takeOut()
		return &c.out
	}
	return &ex.held
}

// unhold moves the held bytes into the send stream.
func (ex *exchange) unhold() {
	if len(ex.held) > 0 {
		ex.c.out = append(ex.c.takeOut(), ex.held...)
		ex.held = ex.held[:0]
	}
}

// unsent is how many bytes a new one of this response has before it.
func (ex *exchange) unsent() int { return len(ex.held) + ex.c.unsent() }

// dispatch is the 'request' event.
func (ex *exchange) dispatch() {
	ex.stamp(stamp.Request, 0, 0, 0)
	ex.depth++
	ex.handle()
	ex.depth--
	if !ex.res.ended {
		ex.async = true
	}
}

func (ex *exchange) handle() {
	defer ex.recovered()
	ex.c.w.server.opts.Handler.Handle(&ex.req, &ex.res)
}

// guard runs user code that is not part of Handle: the callbacks of streams,
// timers and jobs.
func (ex *exchange) guard(f func()) {
	ex.depth++
	ex.guarded(f)
	ex.depth--
	ex.c.touch()
}

func (ex *exchange) guarded(f func()) {
	defer ex.recovered()
	f()
}

// recovered is deferred around user code. A panic costs the exchange, not the
// server: the handler's own OnPanic decides, or else the answer is 500, or the
// connection ends if an answer has begun.
func (ex *exchange) recovered() {
	v := recover()
	if v == nil {
		return
	}
	if f := ex.res.onPanic; f != nil {
		ex.res.onPanic = nil // once: a handler of panics may panic itself
		ex.guarded(func() { f(v) })
		return
	}
	ex.c.w.server.opts.ErrorLog(fmt.Errorf("handler: panic: %v\n%s", v, debug.Stack()))
	ex.res.Abort(500)
}

// settled is called when the exchange has left the queue.
func (ex *exchange) settled() {
	ex.over = true // the last stamp was KeepAliveReset, or will be Closed
	ex.emitFinish()
	ex.emitClose()
	ex.reuse()
}

func (ex *exchange) emitFinish() {
	for _, f := range ex.res.onFinish {
		ex.guard(f)
	}
	ex.res.onFinish = nil
}

func (ex *exchange) emitClose() {
	fs := ex.res.onClose
	ex.res.onClose = nil
	ex.res.closed = true
	for _, f := range fs {
		ex.guard(f)
	}
}
