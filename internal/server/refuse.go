// SPDX-License-Identifier: Apache-2.0

package server

import (
	"github.com/lifetrace/lifetrace/internal/server/http1"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// malformed refuses what the parser does not take.
func (c *conn) malformed(err *http1.Error) {
	status := err.Status
	if f := c.w.server.opts.ClientError; f != nil {
		if s := f(err); s >= 400 && s <= 599 {
			status = s
		}
	}
	// A request without Host is a request all the same, and so it gets a whole
	// answer, as in Node.
	if err.Code == http1.InvalidHost && c.cur != nil && !c.cur.req.HasHeader("host") {
		c.refuseWith(status, stamp.CloseParseError, c.appendHostless(c.w.answer[:0], status))
		return
	}
	c.refuse(status, stamp.CloseParseError)
}

func (c *conn) appendHostless(b []byte, status int) []byte {
	b = appendStatusLine(b, status)
	b = append(b, "Connection: close\r\nDate: "...)
	b = c.w.date.append(b, c.w.loop.Now())
	if c.cur.req.method == http1.HEAD {
		return append(b, "\r\n\r\n"...)
	}
	return append(b, "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"...)
}

// refuse answers what cannot be a request, or did not come in time, with a bare
// status as Node does, and takes nothing further from the connection. When a
// response has begun there is nothing left to say, and the connection just
// ends.
func (c *conn) refuse(status int, reason stamp.CloseReason) {
	b := appendStatusLine(c.w.answer[:0], status)
	c.refuseWith(status, reason, append(b, "Connection: close\r\n\r\n"...))
}

// refuseWith is refuse with another answer, which is in the worker's scratch
// memory.
func (c *conn) refuseWith(status int, reason stamp.CloseReason, answer []byte) {
	c.w.answer = answer
	c.refused, c.mustWait, c.noMore = reason, true, true
	c.rest = nil
	c.touch()
	ex := c.cur
	if ex == nil {
		// What is refused did not even begin like a request.
		ex = c.begin(c.w.stampNow(), c.parser.Offset())
	}
	c.cur = nil
	if !ex.headDone && c.w.ring != nil {
		ex.stampLine()
	}
	ex.complete = true
	ex.req.abandon()
	switch {
	case ex.released && ex.res.ended:
		ex.res.last = true // all of it is on its way; it was the last
		return
	case ex.released && ex.res.headSent && !ex.headHeld:
		c.fail(reason)
		return
	}
	// A handler may have answered, but nothing of it has left.
	ex.held, ex.headHeld = ex.held[:0], false
	ex.res.ended = false
	ex.async = true
	ex.stamp(stamp.ComposeBegin, 0, 0, 0)
	b := ex.sink()
	*b = append(*b, answer...)
	at := ex.stamp(stamp.HeadComposed, 0, uint64(status), 0)
	ex.stampAt(at, stamp.ResponseEnd, 0, 0, 0)
	ex.res.headSent, ex.res.ended, ex.res.last = true, true, true
	c.release(at)
}
