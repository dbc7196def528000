// SPDX-License-Identifier: Apache-2.0

package server

import (
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifetrace/lifetrace/internal/server/loop"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// defaultRateWindow is long enough for a client that reads a few thousand bytes a
// second where segments are of the largest kind.
const defaultRateWindow = 30 * time.Second

// pace watches one direction of a connection on which bytes are awaited: in
// each window some of them have to move.
//
// A window must be long enough for a peer that is just fast enough to show it:
// a receiver tells of the room it has in steps of some segments.
type pace struct {
	timer loop.Timer
	from  uint64 // the direction's off when the window began
}

// updatePace begins and ends windows.
func (c *conn) updatePace() {
	o := &c.w.server.opts
	if o.MinSendRate > 0 {
		if c.sendPace.timer.F == nil { // made once: it costs an allocation
			c.sendPace.timer = loop.Timer{F: c.slowSend, Conn: c.cookie}
		}
		c.watchPace(&c.sendPace, c.full, c.sent)
	}
	if o.MinReceiveRate > 0 {
		if c.receivePace.timer.F == nil {
			c.receivePace.timer = loop.Timer{F: c.slowReceive, Conn: c.cookie}
		}
		// Not while it is us who do not read.
		awaited := c.cur != nil && c.tunnel == nil && c.mayRead()
		c.watchPace(&c.receivePace, awaited, c.received)
	}
}

func (c *conn) watchPace(p *pace, awaited bool, off uint64) {
	switch {
	case !awaited:
		c.w.loop.Disarm(&p.timer)
	case !p.timer.Armed():
		p.from = off
		c.w.loop.Arm(&p.timer, c.w.server.opts.RateWindow)
	}
}

// moved reports whether enough bytes have moved in a window.
func (c *conn) moved(p *pace, off uint64, rate int) bool {
	least := uint64(float64(rate) * c.w.server.opts.RateWindow.Seconds())
	return off-p.from >= max(least, 1)
}

// slowSend is the end of a window in which the client should have read.
func (c *conn) slowSend() {
	if !c.moved(&c.sendPace, c.sent, c.w.server.opts.MinSendRate) {
		c.destroy(stamp.CloseTimeout) // there is no telling it anything
	}
	c.touch() // begins the next window
}

// slowReceive is the end of a window in which the client should have sent.
func (c *conn) slowReceive() {
	if !c.moved(&c.receivePace, c.received, c.w.server.opts.MinReceiveRate) {
		c.refuse(408, stamp.CloseTimeout)
	}
	c.touch()
}

// flooded ends the connection of a handler that goes on writing without regard
// to 'drain', before the memory of all others is used up.
func (ex *exchange) flooded() bool {
	c := ex.c
	most := c.w.server.opts.MaxUnsent
	if c.unsent()+len(ex.held) <= most && len(c.queue) == 1 {
		return false
	}
	n := c.unsent()
	for _, ex := range c.queue {
		n += len(ex.held)
	}
	if n <= most {
		return false
	}
	c.w.server.opts.ErrorLog(fmt.Errorf("response: %d bytes are unsent, and more was written", n))
	ex.res.destroy(stamp.CloseError)
	return true
}

// SetNoDelay switches Nagle's algorithm of the request's connection off, which
// it is by default, or on.
func (r *Request) SetNoDelay(off bool) error {
	if r.ex.over {
		return fmt.Errorf("set TCP_NODELAY: %w", net.ErrClosed)
	}
	v := 0
	if off {
		v = 1
	}
	if err := unix.SetsockoptInt(r.ex.c.watch.FD, unix.IPPROTO_TCP, unix.TCP_NODELAY, v); err != nil {
		return fmt.Errorf("set TCP_NODELAY: %w", err)
	}
	return nil
}
