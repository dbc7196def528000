// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/lifetrace/lifetrace/internal/server"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// A client that reads slowly costs the high-water mark and the piece being
// written, not the response.
func TestSlowReader(t *testing.T) {
	const total, piece = 10 << 20, 32 << 10
	most := 0
	h := serve(t, handler(func(_ *server.Request, res *server.Response) {
		left := total
		b := []byte(strings.Repeat("x", piece))
		write := func() {
			for left > 0 {
				left -= piece
				ok := res.Write(b)
				most = max(most, server.Unsent(res))
				if !ok {
					break
				}
			}
			if left == 0 && !res.Ended() {
				res.End(nil)
			}
		}
		res.OnDrain(write)
		write()
	}))
	c := h.dial()
	if err := c.SetReadBuffer(128 << 10); err != nil {
		t.Fatal(err)
	}
	c.send(get("/"))
	// Nothing is read until the send buffer is full.
	h.await("full send buffer", func(s []stamp.Stamp) bool {
		for i := 1; i < len(s); i++ {
			if s[i].Code == stamp.SendReturn && s[i].A < s[i-1].A+s[i-1].B {
				return true
			}
		}
		return false
	})
	r, b := c.response("GET")
	if len(b) != total || len(r.TransferEncoding) != 1 {
		t.Errorf("%d bytes, coding %v", len(b), r.TransferEncoding)
	}
	h.awaitCount(stamp.KeepAliveReset, 1)
	if limit := 16<<10 + piece + 64; most > limit || most == 0 {
		t.Errorf("%d bytes kept, want at most %d", most, limit)
	}
	s := h.all()
	if n, m := count(s, stamp.BackpressureBegin), count(s, stamp.Drain); n == 0 || m == 0 {
		t.Errorf("%d times backpressure, %d drains", n, m)
	}
}

// While a response waits for its client, nothing more is read from it.
func TestReadingPauses(t *testing.T) {
	h := serve(t, nil)
	c := h.dial()
	if err := c.SetReadBuffer(128 << 10); err != nil {
		t.Fatal(err)
	}
	const n = 30_000_000
	c.send(get(fmt.Sprintf("/bytes/%d", n)))
	h.awaitCount(stamp.BackpressureBegin, 1)
	c.send(get("/users/1"))
	if _, b := c.response("GET"); len(b) != n || strings.Trim(b[:26], "abcdefghijklmnopqrstuvwxyz") != "" {
		t.Errorf("%d bytes", len(b))
	}
	c.want(200, userJSON(1))
}

// Large content in one End is flushed beyond the cork's limit, and finished
// through EPOLLOUT.
func TestLargeEnd(t *testing.T) {
	big := []byte(strings.Repeat("0123456789abcdef", 1<<18))
	h := serve(t, handler(func(_ *server.Request, res *server.Response) { res.End(big) }))
	c := h.dial()
	c.send(get("/") + get("/"))
	for range 2 {
		if r, b := c.response("GET"); b != string(big) || r.ContentLength != int64(len(big)) {
			t.Fatalf("%d bytes, length %d", len(b), r.ContentLength)
		}
	}
}

// Content that no handler reads pauses reading, and is thrown away once the
// response has ended.
func TestContentNobodyReads(t *testing.T) {
	h := serve(t, handler(func(req *server.Request, res *server.Response) {
		if req.Path() == "/later" {
			res.SetTimeout(0, func() { res.End([]byte("later")) })
			return
		}
		res.End([]byte("now"))
	}))
	c := h.dial()
	body := strings.Repeat("x", 200<<10)
	for _, path := range []string{"later", "now"} {
		c.send(fmt.Sprintf("POST /%s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", path, len(body)) + body)
		c.want(200, path)
	}
	h.awaitCount(stamp.KeepAliveReset, 2)
}

// More of it than is worth reading ends the connection, and the client still
// gets the response.
func TestTooMuchContentNobodyReads(t *testing.T) {
	h := serve(t, handler(func(_ *server.Request, res *server.Response) { res.End([]byte("no")) }))
	c := h.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
	piece := strings.Repeat("x", 32<<10)
	for range 3000 {
		if _, err := io.WriteString(c, piece); err != nil {
			break // the server has stopped to listen
		}
	}
	c.want(200, "no")
	h.awaitCount(stamp.Closed, 1)
	if g := h.stop(); g.closed[stamp.CloseByServer] != 1 || g.ended[stamp.Finish] != 1 {
		t.Errorf("closed %v ended %v", g.closed, g.ended)
	}
}

func TestReset(t *testing.T) {
	tests := []struct{ name, in string }{
		{"in the head", "GET /users/1 HTT"},
		{"in the content", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc"},
		{"while a handler runs", get("/hang")},
		{"while a response is sent", get("/bytes/100000000")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := serve(t, nil)
			c := h.dial()
			c.send(get("/users/1"))
			c.want(200, userJSON(1))
			c.send(tt.in)
			h.await("second request", func(s []stamp.Stamp) bool { return count(s, stamp.MessageBegin) == 2 })
			if err := c.SetLinger(0); err != nil {
				t.Fatal(err)
			}
			_ = c.Close()
			h.awaitCount(stamp.Closed, 1)
			if g := h.stop(); g.closed[stamp.ClosePeerReset] != 1 || g.ended[stamp.Aborted] != 1 || g.ended[stamp.KeepAliveReset] != 1 {
				t.Errorf("closed %v ended %v", g.closed, g.ended)
			}
		})
	}
}

func TestStreamEvents(t *testing.T) {
	events := make(chan string, 8)
	h := serve(t, handler(func(req *server.Request, res *server.Response) {
		res.OnFinish(func() { events <- "finish" })
		res.OnClose(func() { events <- fmt.Sprintf("close %v", res.Closed()) })
		if req.Path() == "/end" {
			res.End(nil)
		}
	}))
	c := h.dial()
	c.send(get("/end"))
	c.want(200, "")
	if a, b := <-events, <-events; a != "finish" || b != "close true" {
		t.Errorf("events %q %q", a, b)
	}
	c.send(get("/never"))
	h.awaitCount(stamp.Request, 2)
	if err := c.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if a := <-events; a != "close true" {
		t.Errorf("event %q", a)
	}
}
