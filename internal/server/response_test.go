// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lifetrace/lifetrace/internal/server"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// The bytes of responses, with the Date taken out.
func TestResponseBytes(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\n"
	const tail = "Date: D\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n"
	tests := []struct {
		name   string
		method string
		f      server.HandlerFunc
		want   string
		closes bool
	}{
		{
			"end alone", "GET", func(_ *server.Request, res *server.Response) { res.End([]byte("abc")) },
			head + tail + "Content-Length: 3\r\n\r\nabc", false,
		},
		{
			"nothing", "GET", func(_ *server.Request, res *server.Response) { res.End(nil) },
			head + tail + "Content-Length: 0\r\n\r\n", false,
		},
		{"write first", "GET", func(_ *server.Request, res *server.Response) {
			res.Write([]byte("ab"))
			res.Write(nil)
			res.End([]byte("c"))
			res.End([]byte("d"))
			res.Write([]byte("e"))
		}, head + tail + "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", false},
		{"head first", "GET", func(_ *server.Request, res *server.Response) {
			res.WriteHead(201)
			res.End([]byte("a"))
		}, "HTTP/1.1 201 Created\r\n" + tail + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", false},
		{"fields in their order", "GET", func(_ *server.Request, res *server.Response) {
			res.SetHeader("B", "1")
			res.SetHeader("a", "2")
			res.AddHeader("B", "3")
			res.SetHeader("b", "4")
			res.AddHeader("c", "5")
			res.DelHeader("C")
			res.SetStatus(299)
			res.End(nil)
		}, "HTTP/1.1 299 unknown\r\nb: 4\r\na: 2\r\n" + tail + "Content-Length: 0\r\n\r\n", false},
		{"own length", "GET", func(_ *server.Request, res *server.Response) {
			res.SetHeader("content-length", "2")
			res.Write([]byte("a"))
			res.End([]byte("b"))
		}, head + "content-length: 2\r\n" + tail + "\r\nab", false},
		{"more than declared", "GET", func(_ *server.Request, res *server.Response) {
			res.SetHeader("Content-Length", "2")
			res.End([]byte("abc"))
		}, head + "Content-Length: 2\r\n" + tail + "\r\nab", false},
		{"less than declared", "GET", func(_ *server.Request, res *server.Response) {
			res.SetHeader("Content-Length", "5")
			res.End([]byte("abc"))
		}, head + "Content-Length: 5\r\n" + tail + "\r\nabc", true},
		{"length that is none, twice, and a coding", "GET", func(_ *server.Request, res *server.Response) {
			res.AddHeader("Content-Length", "x")
			res.AddHeader("Content-Length", "1")
			res.AddHeader("Content-Length", "2")
			res.AddHeader("Transfer-Encoding", "gzip")
			res.End([]byte("a"))
		}, head + "Content-Length: 1\r\n" + tail + "\r\na", false},
		{"own date and connection", "GET", func(_ *server.Request, res *server.Response) {
			res.SetHeader("Date", "never")
			res.SetHeader("Connection", "foo, Close")
			res.End(nil)
		}, head + "Date: never\r\nConnection: foo, Close\r\nContent-Length: 0\r\n\r\n", true},
		{"204", "GET", func(_ *server.Request, res *server.Response) {
			res.SetHeader("Content-Length", "3")
			res.SetStatus(204)
			res.End([]byte("abc"))
		}, "HTTP/1.1 204 No Content\r\n" + tail + "\r\n", false},
		{"304", "GET", func(_ *server.Request, res *server.Response) {
			res.WriteHead(304)
			res.Write([]byte("abc"))
			res.End(nil)
		}, "HTTP/1.1 304 Not Modified\r\n" + tail + "\r\n", false},
		{
			"HEAD", "HEAD", func(_ *server.Request, res *server.Response) { res.End([]byte("abc")) },
			head + tail + "\r\n", false,
		},
		{"HEAD with a length", "HEAD", func(_ *server.Request, res *server.Response) {
			res.SetHeader("Content-Length", "3")
			res.End([]byte("abc"))
		}, head + "Content-Length: 3\r\n" + tail + "\r\n", false},
		{
			"panic", "GET", func(*server.Request, *server.Response) { panic("oops") },
			"HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nDate: D\r\nContent-Length: 0\r\n\r\n", true,
		},
		{"panic within a response", "GET", func(_ *server.Request, res *server.Response) {
			res.SetHeader("Content-Length", "9")
			res.Write([]byte("abc"))
			panic("oops")
		}, head + "Content-Length: 9\r\n" + tail + "\r\nabc", true},
		{"panic after a response", "GET", func(_ *server.Request, res *server.Response) {
			res.End([]byte("a"))
			panic("oops")
		}, head + tail + "Content-Length: 1\r\n\r\na", false},
	}
	date := regexp.MustCompile(`Date: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT`)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := serve(t, handler(tt.f))
			c := h.dial()
			c.send(tt.method + " / HTTP/1.1\r\nHost: a\r\n\r\n")
			h.awaitCount(stamp.SendReturn, 1)
			if !tt.closes {
				if err := c.CloseWrite(); err != nil {
					t.Fatal(err)
				}
			}
			if got := date.ReplaceAllString(c.rest(), "Date: D"); got != tt.want {
				t.Errorf("got\n%q\nwant\n%q", got, tt.want)
			}
			if logged := strings.Contains(h.log(), "panic: oops"); logged != strings.HasPrefix(tt.name, "panic") {
				t.Errorf("log %q", h.log())
			}
		})
	}
}

// Mistakes of handlers are panics, as Node throws.
func TestResponseRefuses(t *testing.T) {
	tests := []struct {
		want error
		f    func(res *server.Response)
	}{
		{server.ErrInvalidStatus, func(res *server.Response) { res.SetStatus(100) }},
		{server.ErrInvalidStatus, func(res *server.Response) { res.WriteHead(1000) }},
		{server.ErrInvalidHeader, func(res *server.Response) { res.SetHeader("", "a") }},
		{server.ErrInvalidHeader, func(res *server.Response) { res.SetHeader("a b", "a") }},
		{server.ErrInvalidHeader, func(res *server.Response) { res.AddHeader("a:", "a") }},
		{server.ErrInvalidHeader, func(res *server.Response) { res.SetHeader("a", "b\r\nc: d") }},
		{server.ErrHeadersSent, func(res *server.Response) { res.WriteHead(200); res.SetHeader("a", "b") }},
		{server.ErrHeadersSent, func(res *server.Response) { res.WriteHead(200); res.DelHeader("a") }},
		{server.ErrHeadersSent, func(res *server.Response) { res.WriteHead(200); res.WriteHead(200) }},
		{server.ErrHeadersSent, func(res *server.Response) { res.WriteHead(200); res.ClearHeaders() }},
	}
	got := make(chan any, 1)
	for i, tt := range tests {
		h := serve(t, handler(func(_ *server.Request, res *server.Response) {
			res.OnPanic(func(v any) {
				got <- v
				res.Abort(500)
			})
			tt.f(res)
		}))
		c := h.dial()
		c.send(get("/"))
		if err, _ := (<-got).(error); !errors.Is(err, tt.want) {
			t.Errorf("%d: panic %v, want %v", i, err, tt.want)
		}
		_ = c.rest()
	}
}

func TestAsync(t *testing.T) {
	errWork := errors.New("work failed")
	h := serve(t, func(o *server.Options) {
		o.Workers = 2
		o.Handler = server.HandlerFunc(func(req *server.Request, res *server.Response) {
			server.Async(res, func() (string, error) {
				switch req.Path() {
				case "/panic":
					panic("in work")
				case "/error":
					return "", errWork
				}
				return "done", nil
			}, func(v string, err error) { res.End([]byte(fmt.Sprintf("%s %v", v, err))) })
		})
	})
	c := h.dial()
	for _, tt := range []struct{ path, want string }{
		{"/", "done <nil>"}, {"/panic", " panic: in work"}, {"/error", " work failed"},
	} {
		c.send(get(tt.path))
		c.want(200, tt.want)
	}
	// More than there are workers.
	c.send(strings.Repeat(get("/"), 20))
	for range 20 {
		c.want(200, "done <nil>")
	}
	h.awaitCount(stamp.KeepAliveReset, 23)
	if n := count(h.all(), stamp.AsyncResume); n != 23 {
		t.Errorf("%d resumes, want 23", n)
	}
}

// What comes back for an exchange that is over is dropped; a panic in a
// continuation costs its exchange only.
func TestAsyncLate(t *testing.T) {
	release, resumed := make(chan struct{}), make(chan struct{}, 1)
	h := serve(t, handler(func(req *server.Request, res *server.Response) {
		switch req.Path() {
		case "/panic":
			res.SetTimeout(0, func() { panic("oops") })
			return
		case "/timer":
			res.SetTimeout(20*time.Millisecond, func() { resumed <- struct{}{} })
			return
		}
		server.Async(res, func() (int, error) {
			<-release
			return 0, nil
		}, func(int, error) { resumed <- struct{}{} })
	}))
	for i, path := range []string{"/", "/timer"} {
		c := h.dial()
		c.send(get(path))
		h.awaitCount(stamp.AsyncBegin, i+1)
		if err := c.SetLinger(0); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		h.awaitCount(stamp.Closed, i+1)
	}
	close(release)
	h.await("timer", func(s []stamp.Stamp) bool { // the first one's: no other has fired
		return slices.ContainsFunc(s, func(s stamp.Stamp) bool {
			return s.Code == stamp.CallbackBegin && s.Aux == uint16(stamp.OnTimer)
		})
	})
	c := h.dial()
	c.send(get("/panic"))
	if r, _ := c.response("GET"); r.StatusCode != 500 {
		t.Errorf("status %d", r.StatusCode)
	}
	select {
	case <-resumed:
		t.Error("resumed an exchange that was aborted")
	default:
	}
}

func TestRequestAccessors(t *testing.T) {
	var got string
	h := serve(t, handler(func(req *server.Request, res *server.Response) {
		a, ok := req.Query("a b")
		if x, _ := req.Query("x"); x != "%zz" { // malformed, so left as it is
			a = "wrong"
		}
		_, no := req.Query("c")
		major, minor := req.Version()
		got = fmt.Sprint(req.Method(), " ", req.MethodCode(), " ", req.Target(), " ", req.Path(), " ", a, ok, no, " ", major, minor, " ",
			req.Header("x-y"), req.HasHeader("z"), " ", req.HasContent(), req.ContentLength(), " ", req.Exchange(), req.Cookie() != 0, req.Traced(),
			" ", req.Peer().Addr(), req.Local().Port() != 0 && req.Loop().Now() > 0)
		res.End([]byte(got))
	}))
	c := h.dial()
	c.send("GET http://u@h:1/p%20q?x=%zz&a+b=c%26d HTTP/1.1\r\nhOst: a\r\nX-Y:  v w \t\r\nX-y: second\r\n\r\n")
	c.want(200, "GET GET http://u@h:1/p%20q?x=%zz&a+b=c%26d /p%20q c&dtrue false 1 1 v wfalse false 0 0 true true 127.0.0.1 true")
}

func TestTargetRedaction(t *testing.T) {
	long := strings.Repeat("x", 600)
	tests := []struct {
		in   string
		keep bool
		want string
	}{
		{"/a", false, "/a"},
		{"/a?", false, "/a"},
		{"/a?b=c", false, "/a?b=REDACTED"},
		{"/a?b=c&d=&e&=f", false, "/a?b=REDACTED&d=REDACTED&REDACTED&=REDACTED"},
		{"/a?b=c=d?e", false, "/a?b=REDACTED"},
		{"/a?b=c", true, "/a?b=c"},
		{"http://user:secret@host/a?b=c", false, "/a?b=REDACTED"},
		{"http://host?b=c", false, "/?b=REDACTED"},
		{"*", false, "*"},
	}
	for _, tt := range tests {
		if got := server.AppendTarget(tt.in, tt.keep); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.in, got, tt.want)
		}
	}
	if got := server.AppendTarget("/"+long+"?a="+long, false); strings.Contains(got, "a=x") {
		t.Errorf("%q", got)
	}
}

func TestStatusText(t *testing.T) {
	for status := 100; status < 600; status++ {
		s := server.StatusText(status)
		if s == "" || strings.TrimSpace(s) != s || strings.ContainsAny(s, "\r\n") {
			t.Errorf("%d: %q", status, s)
		}
	}
	if s := server.StatusText(413); s != "Payload Too Large" {
		t.Errorf("413 is %q", s)
	}
}

// The server itself allocates nothing for a request on a connection that is
// kept alive, stamps included.
func TestKeepAliveAllocatesNothing(t *testing.T) {
	body := []byte("hello")
	h := serve(t, handler(func(req *server.Request, res *server.Response) {
		if req.HeaderBytes("accept") == nil || len(req.PathBytes()) == 0 {
			return
		}
		res.SetHeader("Content-Type", "text/plain")
		res.End(body)
	}))
	c := h.dial()
	in := []byte("GET /users/42?a=b HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n")
	out := make([]byte, 4096)
	round := func() {
		if _, err := c.Write(in); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(out); err != nil || n < 100 {
			t.Fatal(n, err)
		}
	}
	for range 100 {
		round()
	}
	const n = 2000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		round()
	}
	runtime.ReadMemStats(&after)
	// The runtime's own threads may allocate now and then, the Date once a
	// second.
	if a := after.Mallocs - before.Mallocs; a > n/20 {
		t.Errorf("%d allocations for %d requests", a, n)
	}
}

func BenchmarkKeepAlive(b *testing.B) {
	for _, traced := range []bool{false, true} {
		b.Run(fmt.Sprintf("stamps=%v", traced), func(b *testing.B) {
			opts := server.Options{Listen: "127.0.0.1:0", Handler: server.HandlerFunc(func(_ *server.Request, res *server.Response) {
				res.End([]byte("ok"))
			})}
			ring := stamp.NewRing(1 << 12)
			if traced {
				opts.Rings = func(int) *stamp.Ring { return ring }
			}
			s, err := server.New(opts)
			if err != nil {
				b.Fatal(err)
			}
			if err := s.Start(); err != nil {
				b.Fatal(err)
			}
			c, err := net.Dial("tcp", s.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			in, out := []byte(strings.Repeat(get("/users/42"), 16)), make([]byte, 1<<16)
			want := 0
			for b.Loop() {
				if _, err := c.Write(in); err != nil {
					b.Fatal(err)
				}
				if want == 0 {
					time.Sleep(50 * time.Millisecond)
					if want, err = c.Read(out); err != nil {
						b.Fatal(err)
					}
				} else if _, err := io.ReadFull(c, out[:want]); err != nil {
					b.Fatal(err)
				}
				ring.Read(func(*stamp.Stamp) {})
			}
			_ = c.Close()
			if err := s.Shutdown(b.Context()); err != nil && !errors.Is(err, b.Context().Err()) {
				b.Fatal(err)
			}
		})
	}
}
