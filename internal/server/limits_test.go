// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/lifetrace/lifetrace/internal/server"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// The last request that a connection may carry ends it, and what is pipelined
// behind it is not answered.
func TestMaxRequests(t *testing.T) {
	h := serve(t, func(o *server.Options) {
		o.MaxRequests = 2
		o.Handler = server.HandlerFunc(func(_ *server.Request, res *server.Response) { res.End([]byte("x")) })
	})
	const ok = "HTTP/1.1 200 OK\r\nDate: D\r\nConnection: "
	want := ok + "keep-alive\r\nKeep-Alive: timeout=5, max=2\r\nContent-Length: 1\r\n\r\nx" + ok + "close\r\nContent-Length: 1\r\n\r\nx"
	if got := h.answer(strings.Repeat(get("/"), 3)); got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	h.awaitCount(stamp.Closed, 1)
}

// A connection beyond the limit is closed at once; one that ends makes room.
func TestMaxConnections(t *testing.T) {
	h := serve(t, func(o *server.Options) { o.MaxConnections = 2 })
	first, second := h.dial(), h.dial()
	for i, c := range []*client{first, second} {
		c.send(get("/users/1"))
		c.want(200, userJSON(1))
		h.awaitCount(stamp.Accepted, i+1)
	}
	if _, err := h.dial().r.ReadByte(); err == nil {
		t.Error("a third connection is served")
	}
	if s := h.server.Stats(); s.Accepted != 2 || s.Open != 2 || s.Refused != 1 {
		t.Errorf("%+v", s)
	}
	_ = first.Close()
	h.awaitCount(stamp.Closed, 1)
	third := h.dial()
	third.send(get("/users/3"))
	third.want(200, userJSON(3))
}

// A handler that does not wait for 'drain' loses its connection when too much
// is unsent, also if it is spread over pipelined responses.
func TestMaxUnsent(t *testing.T) {
	for _, in := range []string{get("/"), get("/wait") + strings.Repeat(get("/"), 3)} {
		wrote := make(chan int, 3)
		h := serve(t, func(o *server.Options) {
			o.MaxUnsent = 1 << 20
			o.Handler = server.HandlerFunc(func(req *server.Request, res *server.Response) {
				if req.Path() == "/wait" {
					res.OnClose(func() {})
					return
				}
				n := 0
				for piece := make([]byte, 64<<10); n < 64<<20 && !res.Ended(); n += len(piece) {
					res.Write(piece)
				}
				res.End(nil)
				wrote <- n
			})
		})
		c := h.dial()
		c.send(in)
		if n := <-wrote; n >= 64<<20 {
			t.Errorf("%d bytes written", n)
		}
		_, _ = io.Copy(io.Discard, c.r)
		h.awaitCount(stamp.Closed, 1)
		if !strings.Contains(h.log(), "bytes are unsent, and more was written") {
			t.Errorf("log %q", h.log())
		}
		if g := h.stop(); g.closed[stamp.CloseError] != 1 || g.ended[stamp.Aborted] == 0 {
			t.Errorf("closed %v ended %v", g.closed, g.ended)
		}
	}
	// One call may go beyond it.
	h := serve(t, func(o *server.Options) {
		o.MaxUnsent = 1 << 10
		o.Handler = server.HandlerFunc(func(_ *server.Request, res *server.Response) { res.End(make([]byte, 8<<20)) })
	})
	c := h.dial()
	c.send(get("/"))
	if _, b := c.response("GET"); len(b) != 8<<20 {
		t.Errorf("%d bytes", len(b))
	}
}

// A client that does not take what waits for it, or does not send what it has
// begun, loses its connection.
func TestMinRates(t *testing.T) {
	rates := func(window time.Duration) func(*server.Options) {
		return func(o *server.Options) {
			o.MinSendRate, o.MinReceiveRate, o.RateWindow = 100, 100, window
			o.LingerTimeout = 10 * time.Millisecond
		}
	}
	h := serve(t, rates(30*time.Millisecond))
	c := h.dial()
	c.send(get("/bytes/100000000"))
	h.awaitCount(stamp.Closed, 1)
	if g := h.stop(); g.closed[stamp.CloseTimeout] != 1 || g.ended[stamp.Aborted] != 1 {
		t.Errorf("closed %v ended %v", g.closed, g.ended)
	}
	const timeout = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"
	for _, in := range []string{"GET / HT", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab"} {
		h := serve(t, rates(30*time.Millisecond))
		if got := h.answer(in); got != timeout {
			t.Errorf("%q", got)
		}
	}
	// No client has to move anything while it is the server that takes its
	// time, nor between requests, and one that is fast enough has as long as
	// it needs: several windows.
	h = serve(t, rates(50*time.Millisecond))
	c = h.dial()
	for range 2 {
		c.send(get("/async?ms=200"))
		c.want(200, "waited 200ms without blocking\n")
		time.Sleep(100 * time.Millisecond)
	}
	h = serve(t, rates(500*time.Millisecond))
	c = h.dial()
	c.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
	for range 100 {
		c.send("0123456789")
		time.Sleep(12 * time.Millisecond)
	}
	c.want(200, strings.Repeat("0123456789", 100))
}

func TestSetNoDelay(t *testing.T) {
	got := make(chan error, 3)
	h := serve(t, handler(func(req *server.Request, res *server.Response) {
		got <- req.SetNoDelay(false)
		got <- req.SetNoDelay(true)
		res.OnClose(func() { got <- req.SetNoDelay(true) })
		res.Destroy()
	}))
	c := h.dial()
	c.send(get("/"))
	if err := errors.Join(<-got, <-got); err != nil {
		t.Error(err)
	}
	if err := <-got; !errors.Is(err, net.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

// What is written while corked is one chunk.
func TestCork(t *testing.T) {
	h := serve(t, func(o *server.Options) {
		o.HighWaterMark = 16
		o.Handler = server.HandlerFunc(func(req *server.Request, res *server.Response) {
			w := func(s string) { res.Write([]byte(s)) }
			res.SendDate(false)
			res.Uncork() // of nothing
			res.Cork()
			w("a")
			w("bc")
			w("d")
			res.Cork()
			res.Uncork()
			w("e")
			res.Uncork()
			w("f")
			res.Cork()
			w("0123456789")
			w("0123456789")
			w("g")
			if req.Path() == "/end" {
				res.End([]byte("h"))
			} else {
				res.Destroy()
			}
			res.Uncork()
		})
	})
	const head = "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
	const all = "1\r\na\r\n4\r\nbcde\r\n1\r\nf\r\n14\r\n01234567890123456789\r\n"
	if got, want := h.answer(strings.Replace(getClose, "/", "/end", 1)), head+all+"1\r\ng\r\n1\r\nh\r\n0\r\n\r\n"; got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	if got, want := h.answer(getClose), head+all; got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	// Without chunks there is nothing to merge.
	h = serve(t, handler(func(_ *server.Request, res *server.Response) {
		res.SetHeader("Content-Length", "2")
		res.Cork()
		res.Write([]byte("a"))
		res.Write([]byte("b"))
		res.Uncork()
		res.End(nil)
	}))
	c := h.dial()
	c.send(get("/"))
	c.want(200, "ab")
}
