// SPDX-License-Identifier: Apache-2.0

package server

import (
	"github.com/lifetrace/lifetrace/internal/server/http1"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// These methods are the parser's callbacks. c.cur is nil when what is parsed
// does not matter any more.

// OnMessageBegin implements http1.Handler.
func (c *conn) OnMessageBegin() {
	if c.noMore {
		return
	}
	at := c.recvAt // the first request of a batch begins where recv returned
	if at == 0 {
		at = c.w.stampNow()
	}
	c.recvAt = 0
	c.begin(at, c.parser.Offset())
}

// begin makes an exchange whose request begins at a receive off.
func (c *conn) begin(at int64, off uint64) *exchange {
	ex := c.w.newExchange(c, c.nextNo)
	c.nextNo++
	c.cur = ex
	c.queue = append(c.queue, ex)
	ex.stampAt(at, stamp.MessageBegin, 0, off, 0)
	return ex
}

// OnMethod implements http1.Handler.
func (c *conn) OnMethod(m http1.Method) {
	if c.cur != nil {
		c.cur.req.method = m
	}
}

// OnURL implements http1.Handler.
func (c *conn) OnURL(b []byte, end bool) {
	if c.cur != nil {
		c.cur.req.addTarget(b, end)
	}
}

// OnVersion implements http1.Handler.
func (c *conn) OnVersion(major, minor uint8) {
	if c.cur != nil {
		c.cur.req.major, c.cur.req.minor = major, minor
	}
}

// OnHeaderField implements http1.Handler.
func (c *conn) OnHeaderField(b []byte, _ bool) {
	if c.cur != nil {
		c.cur.req.addName(c.section(), b)
	}
}

// OnHeaderValue implements http1.Handler.
func (c *conn) OnHeaderValue(b []byte, end bool) {
	if c.cur != nil {
		c.cur.req.addValue(*c.section(), b, end)
	}
}

// section is the field section that is being parsed.
func (c *conn) section() *[]fieldSpan {
	if c.parser.Trailer() {
		return &c.cur.req.trailers
	}
	return &c.cur.req.fields
}

// OnHeadersComplete implements http1.Handler.
func (c *conn) OnHeadersComplete() {
	ex := c.cur
	if ex == nil {
		return
	}
	p := &c.parser
	ex.headDone = true
	ex.req.keepAlive = p.KeepAlive()
	if ex.req.HasHeader("proxy-connection") {
		// From before HTTP/1.1, and still taken for Connection, as in llhttp.
		ex.req.keepAlive = !ex.req.hasOption("proxy-connection", "close") && (ex.req.keepAlive ||
			ex.req.hasOption("proxy-connection", "keep-alive") && !ex.req.hasOption("connection", "close"))
	}
	ex.req.content = p.HasContent()
	ex.req.length = int64(p.ContentLength())
	if p.Chunked() {
		ex.req.length = -1
	}
	ex.complete = !ex.req.content
	if c.w.ring != nil {
		ex.stampLine()
		follows := uint16(0)
		if ex.req.content {
			follows = 1
		}
		at := ex.stamp(stamp.HeadersComplete, follows, p.Offset(), uint64(ex.req.major)<<8|uint64(ex.req.minor))
		if ex.complete {
			ex.stampAt(at, stamp.BodyComplete, 0, p.Offset(), 0)
		}
	}
	if f := c.tunnelFor(ex); f != nil {
		c.tunnel = f // begins when the parser has stopped
		return
	}
	if ex.req.method == http1.CONNECT {
		// What follows may be a tunnel's bytes.
		c.refuse(501, stamp.CloseByServer)
		return
	}
	if ex.req.minor == 1 && ex.req.HasHeader("expect") {
		if !ex.req.hasOption("expect", "100-continue") {
			ex.res.WriteHead(417)
			ex.res.End(nil)
			return
		}
		ex.res.interim("100 Continue", nil)
	}
	ex.dispatch()
}

// stampLine stamps what the request line said.
func (ex *exchange) stampLine() {
	w := ex.c.w
	if ex.req.method == 0 {
		return
	}
	w.ring.PutText(stamp.Method, ex.c.cookie, ex.no, ex.req.Method())
	if ex.req.targetDone {
		w.target = appendTarget(w.target[:0], ex.req.PathBytes(), ex.req.QueryBytes(), w.server.opts.KeepQuery)
		w.ring.PutText(stamp.Target, ex.c.cookie, ex.no, text(w.target))
	}
}

// OnBody implements http1.Handler.
func (c *conn) OnBody(b []byte) {
	ex := c.cur
	if ex == nil {
		return
	}
	if ex.req.data(b) {
		return
	}
	// Nobody will read it.
	if c.discarded += len(b); c.discarded > maxDiscard && ex.finished {
		ex.res.last = true
		c.lastResponse(ex)
	}
}

// OnChunkHeader implements http1.Handler.
func (c *conn) OnChunkHeader(uint64) {}

// OnChunkComplete implements http1.Handler.
func (c *conn) OnChunkComplete() {}

// OnMessageComplete implements http1.Handler.
func (c *conn) OnMessageComplete() {
	ex := c.cur
	if ex == nil {
		if c.noMore {
			c.parser.Pause()
		}
		return
	}
	c.cur = nil
	c.discarded = 0
	if c.tunnel != nil {
		c.cur = ex
		c.parser.Pause()
		return
	}
	if !ex.complete {
		ex.complete = true
		ex.stamp(stamp.BodyComplete, 0, c.parser.Offset(), 0)
		ex.req.end()
		c.release(0)
	}
	if len(c.queue) >= c.w.server.opts.MaxPipelined || c.noMore {
		c.parser.Pause()
	}
}
