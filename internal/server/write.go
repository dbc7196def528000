// SPDX-License-Identifier: Apache-2.0

package server

import (
	"golang.org/x/sys/unix"

	"github.com/lifetrace/lifetrace/internal/stamp"
)

const (
	// corkLimit is how many unsent bytes are not held back until the end of
	// the callback.
	corkLimit = 64 << 10
	// maxKeptOut is the largest buffer that is kept for use again.
	maxKeptOut = 128 << 10
)

// unsent returns how many bytes of the send stream were not sent.
func (c *conn) unsent() int { return len(c.out) - c.outPos }

// streamEnd is the send off after the last byte in the send stream.
func (c *conn) streamEnd() uint64 { return c.sent + uint64(c.unsent()) }

// flush sends what is in the send stream, as much as the socket takes.
func (c *conn) flush() {
	n := c.unsent()
	if n == 0 || c.full || c.broken != stamp.CloseNone {
		return
	}
	no := c.firstUnsent()
	ring := c.w.ring
	ring.Now(stamp.SendBegin, c.cookie, no, 0, c.sent, uint64(n))
	k, errno := send(c.watch.FD, c.out[c.outPos:])
	c.sent += uint64(k)
	c.outPos += k
	ring.Now(stamp.SendReturn, c.cookie, no, 0, c.sent, uint64(k))
	switch {
	case errno == unix.EAGAIN:
		c.full = true
	case errno == unix.EPIPE || errno == unix.ECONNRESET:
		c.fail(stamp.ClosePeerReset)
	case errno != 0:
		c.fail(stamp.CloseError)
	case k < n:
		c.full = true
	}
	switch {
	case c.unsent() == 0:
		c.putOut()
	case c.outPos > corkLimit:
		// Sent bytes must not pile up before the unsent ones.
		c.out = c.out[:copy(c.out, c.out[c.outPos:])]
		c.outPos = 0
	}
}

// firstUnsent is the number of the first exchange with unsent bytes.
func (c *conn) firstUnsent() uint32 {
	for _, ex := range c.queue {
		if !ex.finished || ex.t1 > c.sent {
			return ex.no
		}
	}
	return c.nextNo
}

// release moves the head of line's bytes into the send stream, and those of the
// exchanges behind it as far as responses are complete. The response to a
// request whose content is still being parsed waits until the end of the batch:
// if that content turns out to be malformed, 400 is the answer, not whatever a
// handler said before it could know.
//
// At is the present time if the caller has read it, 0 otherwise.
func (c *conn) release(at int64) {
	for c.line < len(c.queue) {
		ex := c.queue[c.line]
		if c.batch && !ex.complete {
			return
		}
		if !ex.released {
			ex.released = true
			ex.t0 = c.streamEnd()
			if !ex.headHeld {
				ex.unhold()
			}
		}
		if !ex.res.ended || ex.res.broken {
			return
		}
		ex.finished, ex.t1 = true, c.streamEnd()
		if at == 0 {
			at = c.w.stampNow()
		}
		c.w.ring.Put(at, stamp.Finish, c.cookie, ex.no, 0, ex.t0, ex.t1)
		c.line++
		if ex.res.last {
			c.lastResponse(ex)
			return
		}
	}
}

// lastResponse is called when the connection's last response is complete:
// whatever has come after its request is aborted.
func (c *conn) lastResponse(ex *exchange) {
	c.noMore, c.cur, c.rest = true, nil, nil
	c.parser.Pause()
	if !ex.complete {
		c.mustWait = true
	}
	tail := c.queue[c.line:]
	if len(tail) == 0 {
		return
	}
	at := c.w.stampNow()
	for i, ex := range tail {
		ex.stampAt(at, stamp.Aborted, uint16(stamp.CloseByServer), 0, 0)
		ex.over, ex.async = true, true
		ex.req.abandon()
		c.w.loop.Closing(ex.emitClose)
		tail[i] = nil
	}
	c.queue = c.queue[:c.line]
}

// settle ends the exchanges that are over.
func (c *conn) settle() {
	n := 0
	var at int64
	for n < c.line {
		ex := c.queue[n]
		if ex.t1 > c.sent || ex.depth > 0 || !ex.complete && !ex.res.last {
			break
		}
		// Without a next request to expect, Closed ends the last one.
		if !ex.res.last && !(c.peerFIN && n == len(c.queue)-1 && len(c.rest) == 0) {
			if at == 0 {
				at = c.w.stampNow()
			}
			c.w.ring.Put(at, stamp.KeepAliveReset, c.cookie, ex.no, 0, 0, 0)
		}
		n++
	}
	if n > 0 {
		gone := c.queue[:n]
		for _, ex := range gone {
			ex.settled()
		}
		k := copy(c.queue, c.queue[n:])
		clear(c.queue[k:])
		c.queue = c.queue[:k]
		c.line -= n
	}
	if c.unsent() == 0 && !c.drainPending && c.line < len(c.queue) && c.queue[c.line].res.needDrain {
		// In the next iteration, so that a stream whose client reads as fast
		// as it is written leaves the others their turn.
		c.drainPending = true
		c.w.loop.Pending(&c.watch, c.drainFn)
	}
}

// drained emits 'drain' for the head of line.
func (c *conn) drained() {
	c.drainPending = false
	if c.closed || c.unsent() > 0 || c.line >= len(c.queue) {
		return
	}
	c.queue[c.line].res.emitDrain()
	c.touch()
}

// takeOut returns c.out with memory to append to. Only connections that are
// sending have any.
func (c *conn) takeOut() []byte {
	if c.out == nil {
		if n := len(c.w.outs); n > 0 {
			c.out = c.w.outs[n-1]
			c.w.outs = c.w.outs[:n-1]
		} else {
			c.out = make([]byte, 0, 4<<10)
		}
	}
	return c.out
}

// putOut gives the memory of c.out back.
func (c *conn) putOut() {
	if c.out != nil && cap(c.out) <= maxKeptOut && len(c.w.outs) < maxSpareOut {
		c.w.outs = append(c.w.outs, c.out[:0])
	}
	c.out, c.outPos = nil, 0
}
