// SPDX-License-Identifier: Apache-2.0

package server

import (
	"golang.org/x/sys/unix"

	"github.com/lifetrace/lifetrace/internal/server/http1"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// maxDiscard bounds the content that is thrown away for the sake of keeping a
// connection, and what a lingering one takes.
const maxDiscard = 256 << 10

// mayRead says whether bytes are wanted.
func (c *conn) mayRead() bool {
	switch {
	case c.peerFIN:
		return false // level-triggered, the FIN would be reported for ever
	case c.lingering:
		return true
	case c.noMore || len(c.rest) > 0 || c.unsent() >= c.w.server.opts.HighWaterMark:
		return false
	}
	return c.cur == nil || !c.cur.req.full()
}

// mayParse says whether put-off bytes can be parsed now.
func (c *conn) mayParse() bool {
	return len(c.rest) > 0 && (len(c.queue) < c.w.server.opts.MaxPipelined || c.noMore) &&
		c.unsent() < c.w.server.opts.HighWaterMark
}

// read takes what has arrived. One recv per readiness is enough: the descriptor
// is level-triggered, and others want their turn.
func (c *conn) read() {
	n, errno := recv(c.watch.FD, c.w.recvBuf, 0)
	switch {
	case errno == unix.EAGAIN:
		return
	case errno == unix.ECONNRESET || errno == unix.EPIPE:
		c.fail(stamp.ClosePeerReset)
		return
	case errno != 0: // ETIMEDOUT, EHOSTUNREACH and the like
		c.fail(stamp.CloseError)
		return
	}
	c.received += uint64(n)
	if c.w.ring != nil {
		no := c.nextNo
		if c.cur != nil {
			no = c.cur.no
		} else if c.lingering && no > 0 {
			no--
		}
		at := c.w.ring.Now(stamp.RecvReturn, c.cookie, no, 0, c.received, uint64(n))
		if c.cur == nil {
			c.recvAt = at
		}
	}
	switch {
	case n == 0:
		c.fin()
	case c.lingering:
		if c.lingered += n; c.lingered > maxDiscard {
			c.destroy(c.endReason)
		}
	default:
		c.parse(c.w.recvBuf[:n])
	}
}

// fin is the client's FIN: it sends no more, and has most likely gone. See
// Options.AllowHalfOpen.
func (c *conn) fin() {
	c.peerFIN = true
	if c.lingering {
		c.destroy(c.endReason)
		return
	}
	if c.noMore {
		return
	}
	if c.tunnel != nil {
		c.cur.req.end()
		return
	}
	if err := c.parser.Finish(); err != nil {
		c.malformed(err)
	}
}

// parse feeds received bytes to the parser. When the limit of exchanges in
// flight is reached, the rest is put off.
func (c *conn) parse(b []byte) {
	if c.noMore {
		return // what follows the last request is nobody's
	}
	if c.tunnel != nil {
		c.cur.req.data(b)
		return
	}
	c.batch = true
	n, err := c.parser.Execute(b, c)
	c.batch = false
	c.recvAt = 0
	switch {
	case c.closed || c.noMore:
	case err != nil && err.Code == http1.ClosedConnection:
		// The client said that its last request was the last. What it
		// sends all the same is not answered.
		c.noMore = true
	case err != nil:
		c.malformed(err)
	case c.tunnel != nil:
		c.openTunnel(b[n:])
	case n < len(b):
		c.rest = append(c.rest, b[n:]...)
	}
}

// parseRest feeds what was put off.
func (c *conn) parseRest() {
	b := c.rest
	c.rest = nil
	c.parse(b)
}
