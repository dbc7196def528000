// SPDX-License-Identifier: Apache-2.0

package server

import (
	"time"

	"github.com/lifetrace/lifetrace/internal/stamp"
)

// wait is what a connection's timer is for.
type wait uint8

const (
	waitNone    wait = iota
	waitHead         // a complete head
	waitRequest      // a complete request
	waitIdle         // the next request
	waitHandler      // a response for a client that sends no more
	waitLinger       // the client's FIN
)

// keepAliveBuffer is how much longer than announced an idle connection lives,
// so that a client that uses it at the last moment is served.
const keepAliveBuffer = time.Second

// waiting says what the connection waits for, for which exchange, and how long
// from now on.
func (c *conn) waiting() (wait, uint32, time.Duration) {
	o := &c.w.server.opts
	switch {
	case c.lingering:
		return waitLinger, 0, o.LingerTimeout
	case c.cur != nil && !c.cur.headDone:
		return waitHead, c.cur.no, o.HeadTimeout
	case c.cur != nil && c.tunnel == nil:
		return waitRequest, c.cur.no, o.RequestTimeout - time.Duration(c.w.loop.Now()-c.cur.began)
	case len(c.queue) > 0 && c.peerFIN:
		// There is no telling a client that has gone from one that waits.
		return waitHandler, 0, o.RequestTimeout
	case len(c.queue) > 0 || c.unsent() > 0:
		return waitNone, 0, 0
	case c.nextNo == 0:
		return waitHead, 0, o.HeadTimeout // from the connection on
	}
	return waitIdle, c.nextNo, o.KeepAliveTimeout + keepAliveBuffer
}

// updateTimer arms the timer if what is waited for has changed.
func (c *conn) updateTimer() {
	w, no, d := c.waiting()
	if w == c.wait && no == c.waitFor {
		return
	}
	c.wait, c.waitFor = w, no
	if w == waitNone {
		c.w.loop.Disarm(&c.timer)
		return
	}
	c.w.loop.Arm(&c.timer, d)
}

// timeout is the timer's callback.
func (c *conn) timeout() {
	w := c.wait
	c.wait = waitNone
	switch w {
	case waitNone:
	case waitHead, waitRequest:
		if c.cur == nil {
			// It never began: there is nothing to answer.
			c.destroy(stamp.CloseTimeout)
			return
		}
		c.refuse(408, stamp.CloseTimeout)
	case waitIdle:
		c.destroy(stamp.CloseIdleTimeout)
	case waitHandler:
		c.destroy(stamp.ClosePeerFIN)
	case waitLinger:
		c.destroy(c.endReason)
	}
	c.touch()
}
