// SPDX-License-Identifier: Apache-2.0

package server

import (
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// refuse answers what cannot be a request, or did not come in time, with a bare
// status as Node does, and takes nothing further from the connection. When a
// response has begun there is nothing left to say, and the connection just
// ends.
func (c *conn) refuse(status int, reason stamp.CloseReason) {
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
	case ex.released && ex.res.headSent:
		c.fail(reason)
		return
	}
	// A handler may have answered, but nothing of it has left.
	ex.held = ex.held[:0]
	ex.res.ended = false
	ex.async = true
	ex.stamp(stamp.ComposeBegin, 0, 0, 0)
	b := ex.sink()
	*b = appendBare(*b, status)
	at := ex.stamp(stamp.HeadComposed, 0, uint64(status), 0)
	ex.stampAt(at, stamp.ResponseEnd, 0, 0, 0)
	ex.res.headSent, ex.res.ended, ex.res.last = true, true, true
	c.release(at)
}

func appendBare(b []byte, status int) []byte {
	b = appendStatusLine(b, status)
	return append(b, "Connection: close\r\n\r\n"...)
}
