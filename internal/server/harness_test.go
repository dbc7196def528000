// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lifetrace/lifetrace/internal/server"
	"github.com/lifetrace/lifetrace/internal/server/demo"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// patience bounds what has to happen at all; nothing is measured by it.
const patience = 20 * time.Second

// harness is a running server whose stamps are checked.
type harness struct {
	t      *testing.T
	server *server.Server
	ring   *stamp.Ring
	names  *stamp.Names
	addr   string
	g      *grammar

	mu      sync.Mutex
	stamps  []stamp.Stamp
	errors  []string
	stopped bool
}

// serve starts the demo application, or what change sets.
func serve(t *testing.T, change func(*server.Options)) *harness {
	t.Helper()
	h := &harness{t: t, ring: stamp.NewRing(1 << 17), names: stamp.NewNames(), g: newGrammar()}
	opts := server.Options{
		Listen: "127.0.0.1:0", Handler: demo.New(), Names: h.names,
		Rings: func(int) *stamp.Ring { return h.ring },
		ErrorLog: func(err error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.errors = append(h.errors, err.Error())
		},
	}
	if change != nil {
		change(&opts)
	}
	s, err := server.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	h.server, h.addr = s, s.Addr().String()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.stop() })
	return h
}

// stop shuts the server down and checks all stamps.
func (h *harness) stop() *grammar {
	h.t.Helper()
	if !h.stopped {
		h.stopped = true
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := h.server.Shutdown(ctx); err != nil {
			h.t.Errorf("shut down: %v", err)
		}
	}
	h.forget()
	h.g.finish(h.t)
	if n := h.server.Stats().Open; n != 0 {
		h.t.Errorf("%d connections open after the end", n)
	}
	return h.g
}

// forget checks the stamps so far and drops them.
func (h *harness) forget() {
	h.t.Helper()
	h.g.check(h.t, h.all())
	h.mu.Lock()
	h.stamps = nil
	h.mu.Unlock()
}

// all returns the stamps so far.
func (h *harness) all() []stamp.Stamp {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ring.Read(func(s *stamp.Stamp) { h.stamps = append(h.stamps, *s) })
	return h.stamps
}

// log returns what the server reported.
func (h *harness) log() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.errors, "\n")
}

// await waits until f holds for the stamps so far.
func (h *harness) await(what string, f func([]stamp.Stamp) bool) {
	h.t.Helper()
	for deadline := time.Now().Add(patience); !f(h.all()); runtime.Gosched() {
		if time.Now().After(deadline) {
			h.t.Fatalf("no %s within %v", what, patience)
		}
	}
}

// count returns how often a code was stamped.
func count(stamps []stamp.Stamp, code stamp.Code) (n int) {
	for i := range stamps {
		if stamps[i].Code == code {
			n++
		}
	}
	return n
}

// awaitCount waits for at least n stamps of a code.
func (h *harness) awaitCount(code stamp.Code, n int) {
	h.t.Helper()
	h.await(code.String(), func(s []stamp.Stamp) bool { return count(s, code) >= n })
}

// client is a connection to the server.
type client struct {
	*net.TCPConn
	t *testing.T
	r *bufio.Reader
}

func (h *harness) dial() *client {
	h.t.Helper()
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		h.t.Fatal(err)
	}
	return &client{c.(*net.TCPConn), h.t, bufio.NewReader(c)}
}

// send writes raw bytes.
func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatal(err)
	}
}

// response reads one response to a method.
func (c *client) response(method string) (*http.Response, string) {
	c.t.Helper()
	r, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("read response: %v", err)
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Fatalf("read content: %v", err)
	}
	return r, string(b)
}

// want reads a response and checks its status and content.
func (c *client) want(status int, body string) *http.Response {
	c.t.Helper()
	r, b := c.response("GET")
	if r.StatusCode != status || b != body {
		c.t.Fatalf("got %d %q, want %d %q", r.StatusCode, b, status, body)
	}
	return r
}

// rest reads until the server closes.
func (c *client) rest() string {
	c.t.Helper()
	b, err := io.ReadAll(c.r)
	if err != nil {
		c.t.Fatalf("read to the end: %v", err)
	}
	return string(b)
}

// get is a request for a path.
func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n" }

// handler makes a function the whole application.
func handler(f server.HandlerFunc) func(*server.Options) {
	return func(o *server.Options) { o.Handler = f }
}
