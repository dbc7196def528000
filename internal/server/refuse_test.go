// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lifetrace/lifetrace/internal/server"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// What is refused gets one bare answer, and nothing after it is answered.
func TestRefusedRequests(t *testing.T) {
	tests := []struct {
		name, in string
		status   string
	}{
		{"garbage", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400 Bad Request"},
		{"bare LF", "\n", "400 Bad Request"},
		{"unknown method", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", "501 Not Implemented"},
		{"CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "501 Not Implemented"},
		{"long target", "GET /" + strings.Repeat("x", 9<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", "414 URI Too Long"},
		{"long head", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 17<<10) + "\r\n\r\n", "431 Request Header Fields Too Large"},
		{"version", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505 HTTP Version Not Supported"},
		{"both framings", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400 Bad Request"},
		{"chunk that a handler waits for", "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "400 Bad Request"},
		{"chunk that no handler reads", "POST /users/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n", "400 Bad Request"},
		{"chunk after a quick answer", "GET /users/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\n", "400 Bad Request"},
	}
	for _, tt := range tests {
		for _, before := range []string{"", get("/async?ms=5")} {
			t.Run(fmt.Sprintf("%s after %d bytes", tt.name, len(before)), func(t *testing.T) {
				h := serve(t, nil)
				c := h.dial()
				c.send(before + tt.in + get("/users/2"))
				if before != "" {
					c.want(200, "waited 5ms without blocking\n")
				}
				want := "HTTP/1.1 " + tt.status + "\r\nConnection: close\r\n\r\n"
				if got := c.rest(); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
				_ = c.Close()
				h.awaitCount(stamp.Closed, 1)
				reason := stamp.CloseParseError
				if tt.name == "CONNECT" {
					reason = stamp.CloseByServer
				}
				if g := h.stop(); g.closed[reason] != 1 || g.ended[stamp.Finish] != 1 {
					t.Errorf("closed %v ended %v", g.closed, g.ended)
				}
			})
		}
	}
}

// When a response has left already, an error in the content can only end the
// connection.
func TestRefusedAfterResponse(t *testing.T) {
	h := serve(t, nil)
	c := h.dial()
	c.send("POST /users/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
	if r, _ := c.response("POST"); r.StatusCode != 404 {
		t.Errorf("status %d", r.StatusCode)
	}
	c.send("oops" + get("/users/1"))
	if got := c.rest(); got != "" {
		t.Errorf("more: %q", got)
	}
	h.awaitCount(stamp.Finish, 1)

	h = serve(t, handler(func(_ *server.Request, res *server.Response) { res.Write([]byte("begun")) }))
	c = h.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
	h.awaitCount(stamp.SendReturn, 1)
	c.send("oops")
	h.awaitCount(stamp.Closed, 1)
	if g := h.stop(); g.closed[stamp.CloseParseError] != 1 || g.ended[stamp.Aborted] != 1 {
		t.Errorf("closed %v ended %v", g.closed, g.ended)
	}
}

// A FIN within a request is as malformed as any garbage.
func TestFINWithinRequest(t *testing.T) {
	for _, in := range []string{"GET / HT", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab"} {
		h := serve(t, nil)
		c := h.dial()
		c.send(in)
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got := c.rest(); got != "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n" {
			t.Errorf("got %q", got)
		}
		h.awaitCount(stamp.Closed, 1)
	}
}

func TestTimeouts(t *testing.T) {
	short := func(o *server.Options) {
		o.HeadTimeout, o.RequestTimeout = 30*time.Millisecond, 60*time.Millisecond
		o.LingerTimeout = 10 * time.Millisecond
	}
	const timeout = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"
	tests := []struct {
		name, in, want string
		reason         stamp.CloseReason
	}{
		{"nothing comes", "", "", stamp.CloseTimeout},
		{"half a head", "GET / HTTP/1.1\r\nHo", timeout, stamp.CloseTimeout},
		{"half the content", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab", timeout, stamp.CloseTimeout},
		// The client does not end its side: the lingering has an end too.
		{"lingering", "GET\r\n", "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", stamp.CloseParseError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := serve(t, short)
			c := h.dial()
			c.send(tt.in)
			if got := c.rest(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			h.awaitCount(stamp.Closed, 1)
			if g := h.stop(); g.closed[tt.reason] != 1 {
				t.Errorf("closed %v", g.closed)
			}
		})
	}
	t.Run("a handler for nobody", func(t *testing.T) {
		h := serve(t, short)
		c := h.dial()
		c.send(get("/hang"))
		_ = c.Close()
		h.awaitCount(stamp.Closed, 1)
		if g := h.stop(); g.ended[stamp.Aborted] != 1 {
			t.Errorf("ended %v", g.ended)
		}
	})
	t.Run("idle", func(t *testing.T) {
		h := serve(t, func(o *server.Options) { o.KeepAliveTimeout = time.Millisecond }) // and a second
		c := h.dial()
		c.send(get("/users/1"))
		c.want(200, userJSON(1))
		if got := c.rest(); got != "" {
			t.Errorf("more: %q", got)
		}
		h.awaitCount(stamp.Closed, 1)
		if g := h.stop(); g.closed[stamp.CloseIdleTimeout] != 1 || g.ended[stamp.KeepAliveReset] != 1 {
			t.Errorf("closed %v ended %v", g.closed, g.ended)
		}
	})
}
