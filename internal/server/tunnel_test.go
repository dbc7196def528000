// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/lifetrace/lifetrace/internal/server"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

const (
	upgrade   = "GET /up HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n"
	switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n"
)

// tunnel serves the demo application with something for upgrades and CONNECT.
func tunnel(t *testing.T, f server.Tunnel) *harness {
	t.Helper()
	return serve(t, func(o *server.Options) { o.Upgrade, o.Connect = f, f })
}

// echoTunnel answers and sends back what it gets, until the client's FIN.
func echoTunnel(_ *server.Request, sock *server.Socket, head []byte) {
	sock.Write([]byte(switching))
	sock.Write(head)
	sock.Read(func(b []byte) { sock.Write(b) }, func() { sock.End([]byte("bye")) })
}

func statuses(stamps []stamp.Stamp) (list []uint64) {
	for i := range stamps {
		if stamps[i].Code == stamp.HeadComposed {
			list = append(list, stamps[i].A)
		}
	}
	return list
}

func TestUpgrade(t *testing.T) {
	h := tunnel(t, echoTunnel)
	c := h.dial()
	// In the order of the requests, and what looks like HTTP is none any more.
	c.send(get("/async?ms=20") + upgrade + "GET / HTTP/1.1\r\n\r\n")
	c.want(200, "waited 20ms without blocking\n")
	c.send("more")
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, want := c.rest(), switching+"GET / HTTP/1.1\r\n\r\nmorebye"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	h.awaitCount(stamp.Closed, 1)
	if s := statuses(h.all()); len(s) != 2 || s[1]+s[0] != 301 {
		t.Errorf("statuses %v", s)
	}
	if g := h.stop(); g.closed[stamp.CloseByServer] != 1 || g.ended[stamp.KeepAliveReset] != 1 || g.ended[stamp.Finish] != 1 {
		t.Errorf("closed %v ended %v", g.closed, g.ended)
	}
}

func TestConnect(t *testing.T) {
	h := tunnel(t, func(req *server.Request, sock *server.Socket, head []byte) {
		sock.End([]byte("HTTP/1.1 200 OK\r\n\r\n" + req.Target() + string(head)))
		sock.Write([]byte("late"))
		sock.End([]byte("later"))
	})
	if got := h.answer("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\nhead"); got != "HTTP/1.1 200 OK\r\n\r\na:1head" {
		t.Errorf("%q", got)
	}
	if s := statuses(h.all()); len(s) != 1 || s[0] != 200 {
		t.Errorf("statuses %v", s)
	}
	if got := h.answer("CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"); !strings.HasPrefix(got, "HTTP/1.1 501") {
		t.Errorf("with content: %q", got)
	}
}

// What is no upgrade, or comes with content, is an ordinary request.
func TestNoUpgrade(t *testing.T) {
	for name, in := range map[string]string{
		"no field":      "GET /users/1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\n\r\n",
		"no option":     "GET /users/1 HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: close\r\n\r\n",
		"HTTP/1.0":      "GET /users/1 HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
		"content":       "GET /users/1 HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: Upgrade, close\r\nContent-Length: 1\r\n\r\nx",
		"nobody's wish": strings.Replace(upgrade, "Connection: Upgrade", "Connection: Upgrade, close", 1),
	} {
		h := serve(t, func(o *server.Options) {
			if name != "nobody's wish" {
				o.Upgrade = echoTunnel
			}
		})
		if got := h.answer(in); !strings.HasPrefix(got, "HTTP/1.1 200 ") && !strings.HasPrefix(got, "HTTP/1.1 404 ") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// The ways in which a tunnel ends other than by End.
func TestTunnelEnds(t *testing.T) {
	tests := []struct {
		name, want string
		f          server.Tunnel
		reason     stamp.CloseReason
	}{
		{"destroyed", "", func(_ *server.Request, sock *server.Socket, _ []byte) { sock.Destroy() }, stamp.CloseByServer},
		{"ended with nothing", "", func(_ *server.Request, sock *server.Socket, _ []byte) { sock.End(nil) }, stamp.CloseByServer},
		{"panic", "", func(*server.Request, *server.Socket, []byte) { panic("oops") }, stamp.CloseError},
		{"panic later", "HTTP/1.x", func(_ *server.Request, sock *server.Socket, _ []byte) {
			sock.Write([]byte("HTTP/1.x"))
			sock.Read(func([]byte) { panic("oops") }, func() {})
		}, stamp.CloseError},
		{"no status", "HTTP/1.1 abc def", func(_ *server.Request, sock *server.Socket, _ []byte) {
			sock.End([]byte("HTTP/1.1 abc def"))
		}, stamp.CloseByServer},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			closed := make(chan struct{})
			h := tunnel(t, func(req *server.Request, sock *server.Socket, head []byte) {
				sock.OnClose(func() { close(closed) })
				tt.f(req, sock, head)
			})
			c := h.dial()
			c.send(upgrade)
			if tt.name == "panic later" {
				h.awaitCount(stamp.SendReturn, 1)
				c.send("x")
			}
			if got := c.rest(); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			<-closed
			if s := statuses(h.all()); tt.want != "" && (len(s) != 1 || s[0] != 101) {
				t.Errorf("statuses %v", s)
			}
			if logged := strings.Contains(h.log(), "oops"); logged != strings.HasPrefix(tt.name, "panic") {
				t.Errorf("log %q", h.log())
			}
			if g := h.stop(); g.closed[tt.reason] != 1 {
				t.Errorf("closed %v", g.closed)
			}
		})
	}
}

// Bytes wait for whoever reads late, and are not taken without bound; what is
// sent meets backpressure as a response does.
func TestTunnelBackpressure(t *testing.T) {
	const total = 4 << 20
	drained := make(chan struct{}, 1)
	got := make(chan int, 1)
	h := tunnel(t, func(_ *server.Request, sock *server.Socket, _ []byte) {
		n := 0
		sock.OnDrain(func() {
			drained <- struct{}{}
			sock.Read(func(b []byte) { n += len(b) }, func() {
				got <- n
				sock.End(nil)
			})
		})
		if sock.Write([]byte(strings.Repeat("x", total))) {
			sock.Destroy()
		}
	})
	c := h.dial()
	c.send(upgrade)
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(c, strings.Repeat("y", total))
		if err == nil {
			err = c.CloseWrite()
		}
		sent <- err
	}()
	h.awaitCount(stamp.BackpressureBegin, 1)
	if n := len(c.rest()); n != total {
		t.Errorf("%d bytes came", n)
	}
	<-drained
	if n := <-got; n != total {
		t.Errorf("%d bytes arrived", n)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	// Until it was read, at most the high-water mark and one recv were taken.
	for _, s := range h.all() {
		if s.Code == stamp.Drain {
			break
		}
		if s.Code == stamp.RecvReturn && s.A > uint64(len(upgrade))+80<<10 {
			t.Errorf("%d bytes taken, and nobody reads", s.A)
		}
	}
}

// A client that has gone from a tunnel that nobody ends is waited for as long
// as a request may take.
func TestTunnelLeftOpen(t *testing.T) {
	h := serve(t, func(o *server.Options) {
		o.RequestTimeout = 30 * time.Millisecond
		o.Upgrade = func(_ *server.Request, sock *server.Socket, _ []byte) { sock.Write([]byte(switching)) }
	})
	c := h.dial()
	c.send(upgrade)
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got := c.rest(); got != switching {
		t.Errorf("%q", got)
	}
	h.awaitCount(stamp.Closed, 1)
	if g := h.stop(); g.closed[stamp.ClosePeerFIN] != 1 || g.ended[stamp.Aborted] != 1 {
		t.Errorf("closed %v ended %v", g.closed, g.ended)
	}
}
