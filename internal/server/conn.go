// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/lifetrace/lifetrace/internal/clock"
	"github.com/lifetrace/lifetrace/internal/server/http1"
	"github.com/lifetrace/lifetrace/internal/server/loop"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// conn is one connection.
//
// Its exchanges are in a queue in the order of their requests. The first
// one whose response is not complete in the send stream is the head of line:
// it alone writes to the stream, those behind it into memory of their own.
// An exchange leaves the queue when its request is complete and its response
// was sent.
//
// Whatever changes a connection calls touch; what follows from the change
// (sending, closing, waiting) is done once, after the callback, in Run.
type conn struct {
	w           *worker
	watch       loop.Watch
	cookie      uint64
	peer, local netip.AddrPort
	parser      http1.Parser

	// Receiving.
	received uint64 // receive off: bytes that recv returned
	recvAt   int64  // when the last recv returned, if a request begins with it
	rest     []byte // received, and not parsed yet because of MaxPipelined
	cur      *exchange
	nextNo   uint32 // of the next exchange
	batch    bool   // received bytes are being parsed
	tunnel   Tunnel // what takes the connection after an upgrade; nil: HTTP goes on

	// Sending.
	out    []byte // unsent bytes of the send stream are out[outPos:]
	outPos int
	sent   uint64 // send off: bytes that send accepted
	full   bool   // the send buffer is full: EPOLLOUT is awaited

	queue []*exchange
	line  int // index in queue of the head of line

	interest              uint32 // what epoll is asked for
	timer                 loop.Timer
	sendPace, receivePace pace
	wait                  wait
	waitFor               uint32 // the exchange that wait is about

	touched   bool              // Run is going to be called
	peerFIN   bool              // the client sends no more
	noMore    bool              // no further request will be answered
	refused   stamp.CloseReason // because the last one was refused
	mustWait  bool              // the client may still be sending: linger
	broken    stamp.CloseReason // the socket is of no use any more
	lingering bool              // closing: what comes in is thrown away
	lingered  int               // how much that was
	closed    bool
	endReason stamp.CloseReason // while lingering: why
	discarded int               // content thrown away after its exchange's response

	drainFn      func()
	drainPending bool
}

func newConn(w *worker, fd int, cookie uint64) *conn {
	c := &conn{w: w, cookie: cookie}
	c.watch = loop.Watch{FD: fd, Conn: cookie, Handler: c}
	c.timer = loop.Timer{F: c.timeout, Conn: cookie}
	c.drainFn = c.drained
	c.parser.Init(w.server.opts.Limits)
	return c
}

// Ready is the poll phase's callback.
func (c *conn) Ready(events uint32) {
	if events&unix.EPOLLOUT != 0 {
		c.full = false
	}
	switch {
	case events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) == 0:
	case c.interest&unix.EPOLLIN != 0:
		c.read()
	case events&(unix.EPOLLHUP|unix.EPOLLERR) != 0:
		// Nothing is read at present, so that no recv can tell which it was.
		c.fail(stamp.ClosePeerReset)
	}
	c.touch()
}

// touch has Run called after the present callback.
func (c *conn) touch() {
	if !c.touched && !c.closed {
		c.touched = true
		c.w.loop.After(c)
	}
}

// fail says that the socket is broken. The first reason counts.
func (c *conn) fail(reason stamp.CloseReason) {
	if c.broken == stamp.CloseNone {
		c.broken = reason
	}
	c.touch()
}

// Run does what follows from a callback.
func (c *conn) Run() {
	c.touched = false
	for !c.closed {
		c.release(0)
		c.flush()
		if c.broken == stamp.CloseNone && c.line < len(c.queue) && c.queue[c.line].res.broken && c.unsent() == 0 {
			c.broken = stamp.CloseError
		}
		if c.broken != stamp.CloseNone {
			c.destroy(c.broken)
			return
		}
		c.settle()
		if c.left() {
			c.destroy(stamp.ClosePeerFIN)
			return
		}
		if !c.mayParse() {
			break
		}
		c.parseRest()
	}
	if c.closed {
		return
	}
	if reason, over := c.over(); over {
		c.end(reason)
		if c.closed {
			return
		}
	}
	c.updateInterest()
	c.updateTimer()
	c.updatePace()
}

// idle reports whether the connection is between exchanges.
func (c *conn) idle() bool {
	return len(c.queue) == 0 && c.unsent() == 0 && c.parser.Idle() && len(c.rest) == 0 && !c.lingering
}

// left reports whether the client has gone before its answer: what was written
// for it is sent, and more is not to come.
func (c *conn) left() bool {
	return c.peerFIN && !c.w.server.opts.AllowHalfOpen && !c.lingering && c.tunnel == nil &&
		c.line < len(c.queue) && c.unsent() == 0 && len(c.rest) == 0
}

// over reports whether the connection has nothing left to do, and why.
func (c *conn) over() (stamp.CloseReason, bool) {
	switch {
	case c.lingering || len(c.queue) > 0 || c.unsent() > 0 || len(c.rest) > 0:
		return 0, false
	case c.refused != stamp.CloseNone:
		return c.refused, true
	case c.noMore:
		return stamp.CloseByServer, true
	case c.peerFIN:
		return stamp.ClosePeerFIN, true
	case c.w.draining && c.parser.Idle():
		return stamp.CloseShutdown, true
	}
	return 0, false
}

// end closes a connection whose exchanges are over. A socket that is closed
// with unread bytes resets the connection, and the client may lose the
// response: then the connection lingers first.
func (c *conn) end(reason stamp.CloseReason) {
	if c.peerFIN {
		c.destroy(reason)
		return
	}
	if !c.mustWait {
		if n, err := unix.IoctlGetInt(c.watch.FD, unix.TIOCINQ); err != nil || n == 0 {
			c.destroy(reason)
			return
		}
	}
	c.endReason, c.lingering = reason, true
	if err := unix.Shutdown(c.watch.FD, unix.SHUT_WR); err != nil {
		c.destroy(reason) // the client has reset it meanwhile
	}
}

// destroy closes the socket at once. Exchanges that are not over are aborted.
func (c *conn) destroy(reason stamp.CloseReason) {
	if c.closed {
		return
	}
	c.closed = true
	c.w.loop.Disarm(&c.timer)
	c.w.loop.Disarm(&c.sendPace.timer)
	c.w.loop.Disarm(&c.receivePace.timer)
	at := c.w.stampNow()
	for _, ex := range c.queue {
		if !ex.finished || ex.t1 > c.sent {
			c.w.ring.Put(at, stamp.Aborted, c.cookie, ex.no, uint16(reason), 0, 0)
		}
		ex.over = true
	}
	c.w.ring.Put(at, stamp.Closed, c.cookie, 0, uint16(reason), c.received, c.sent)
	c.w.loop.Forget(&c.watch)
	_ = unix.Close(c.watch.FD)
	delete(c.w.conns, c)
	c.w.server.open.Add(^uint64(0))
	c.putOut()
	c.rest = nil
	if len(c.queue) > 0 {
		c.w.loop.Closing(c.closeEvents)
	}
	c.w.stopIfDone()
}

// closeEvents emits 'close' for the exchanges that the connection took along.
func (c *conn) closeEvents() {
	for _, ex := range c.queue {
		ex.emitClose()
	}
	c.queue = nil
}

// updateInterest asks epoll for what is awaited, if that has changed.
func (c *conn) updateInterest() {
	var want uint32
	if c.mayRead() {
		want |= unix.EPOLLIN
	}
	if c.full {
		want |= unix.EPOLLOUT
	}
	if want == c.interest {
		return
	}
	if err := c.w.loop.Modify(&c.watch, want); err != nil {
		c.w.server.opts.ErrorLog(err)
		c.destroy(stamp.CloseError)
		return
	}
	c.interest = want
}

// stampNow reads the clock for stamps: 0 when nobody wants them.
func (w *worker) stampNow() int64 {
	if w.ring == nil {
		return 0
	}
	return clock.Now()
}
