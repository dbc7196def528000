// SPDX-License-Identifier: Apache-2.0

package server

import (
	"strconv"

	"github.com/lifetrace/lifetrace/internal/server/http1"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// Tunnel takes a connection from HTTP, as a listener of Node's 'upgrade' and
// 'connect' events does: nothing that follows the request is parsed. Head is
// what of it has come already; it is valid during the call only.
//
// For the stamps the request's exchange goes on until the connection ends, and
// all that is sent is its response.
type Tunnel func(req *Request, sock *Socket, head []byte)

// Socket is a connection that HTTP has left. What is written to it waits until
// the responses to earlier requests are sent.
type Socket struct {
	ex    *exchange
	begun bool // something was written
}

// Read hands over what the client sends, and calls onEnd at its FIN. The
// bytes are valid during the call only. Until Read is called, about
// Options.HighWaterMark bytes are kept.
func (s *Socket) Read(onData func(b []byte), onEnd func()) { s.ex.req.Read(onData, onEnd) }

// Write sends b, which it copies. False is as in Response.Write.
func (s *Socket) Write(b []byte) bool {
	s.begin(b)
	return s.ex.res.Write(b)
}

// End sends the last bytes, if any, and then closes the connection.
func (s *Socket) End(b []byte) {
	s.begin(b)
	if !s.begun {
		s.Destroy()
		return
	}
	s.ex.res.End(b)
}

// OnDrain is as in Response.
func (s *Socket) OnDrain(f func()) { s.ex.res.OnDrain(f) }

// OnClose is as in Response.
func (s *Socket) OnClose(f func()) { s.ex.res.OnClose(f) }

// Destroy closes the connection at once.
func (s *Socket) Destroy() { s.ex.res.Destroy() }

// begin stamps the first bytes as the head of the response.
func (s *Socket) begin(b []byte) {
	if s.begun || len(b) == 0 || s.ex.res.ended || s.ex.over {
		return
	}
	s.begun = true
	status := uint64(101)
	if len(b) > len("HTTP/1.1 200") && string(b[:len("HTTP/1.")]) == "HTTP/1." {
		if n, err := strconv.ParseUint(string(b[9:12]), 10, 16); err == nil {
			status = n
		}
	}
	s.ex.stamp(stamp.ComposeBegin, 0, 0, 0)
	s.ex.stamp(stamp.HeadComposed, 0, status, 0)
}

// tunnelFor returns what takes the connection because of a request; nil: HTTP
// goes on. A request with content stays with HTTP, so that nobody has to guess
// which protocol its content belongs to.
func (c *conn) tunnelFor(ex *exchange) Tunnel {
	switch o := &c.w.server.opts; {
	case ex.req.content:
	case ex.req.method == http1.CONNECT:
		return o.Connect
	case ex.req.minor == 1 && c.parser.Upgrade() && ex.req.HasHeader("upgrade"):
		return o.Upgrade
	}
	return nil
}

// openTunnel is the 'upgrade' or 'connect' event.
func (c *conn) openTunnel(head []byte) {
	ex := c.cur
	ex.async = true
	ex.req.content = true // in the way that Request.Read works
	// The response is bytes as they are, until the connection ends.
	ex.res.headSent, ex.res.hasBody, ex.res.left, ex.res.last = true, true, -1, true
	ex.stamp(stamp.Request, 0, 0, 0)
	ex.guard(func() { c.tunnel(&ex.req, &Socket{ex: ex}, head) })
}
