// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lifetrace/lifetrace/internal/server"
	"github.com/lifetrace/lifetrace/internal/server/http1"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

var dateValue = regexp.MustCompile(`Date: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT`)

// answer is all that a connection gets for what is sent on it. Unless it is
// going to be closed by the server, what is sent ends with Connection: close.
func (h *harness) answer(in string) string {
	h.t.Helper()
	c := h.dial()
	c.send(in)
	return dateValue.ReplaceAllString(c.rest(), "Date: D")
}

const (
	getClose = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	get10    = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
)

// The heads that a handler can ask for.
func TestHeads(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	const shut = "Date: D\r\nConnection: close\r\n"
	const persist = "Date: D\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n"
	const chunked = "Transfer-Encoding: chunked\r\n\r\n"
	tests := []struct {
		name, in string
		f        func(res *server.Response)
		want     string
	}{
		{"reason", getClose, func(res *server.Response) {
			res.SetReason("Fine")
			res.SetStatus(299)
			res.End(nil)
		}, "HTTP/1.1 299 Fine\r\n" + shut + "Content-Length: 0\r\n\r\n"},
		{"fields of WriteHead", getClose, func(res *server.Response) {
			res.SetHeader("A", "1")
			res.SetHeader("B", "2")
			res.WriteHead(200, server.Field{Name: "a", Value: "3"}, server.Field{Name: "C", Value: "4"}, server.Field{Name: "a", Value: "5"})
			res.End(nil)
		}, ok + "B: 2\r\na: 3\r\nC: 4\r\na: 5\r\n" + shut + chunked + "0\r\n\r\n"},
		{"lines", getClose, func(res *server.Response) {
			res.SetHeader("set-cookie", "z")
			res.SetHeader("B", "2")
			res.AddHeader("Set-Cookie", "y")
			res.SetHeaderLines("Set-Cookie", "a=1", "b=2")
			res.SetHeaderLines("C", "3")
			res.SetHeaderLines("B")
			res.End(nil)
		}, ok + "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nC: 3\r\n" + shut + "Content-Length: 0\r\n\r\n"},
		{"no Date", getClose, func(res *server.Response) {
			res.SendDate(false)
			res.End(nil)
		}, ok + "Connection: close\r\nContent-Length: 0\r\n\r\n"},
		{"Date removed and wanted again", getClose, func(res *server.Response) {
			res.DelHeader("date")
			res.SendDate(true)
			res.End(nil)
		}, ok + shut + "Content-Length: 0\r\n\r\n"},
		{"Date removed", getClose, func(res *server.Response) {
			res.DelHeader("Date")
			res.End(nil)
		}, ok + "Connection: close\r\nContent-Length: 0\r\n\r\n"},
		{"Connection removed", getClose, func(res *server.Response) {
			res.DelHeader("Connection")
			res.End(nil)
		}, ok + "Date: D\r\nContent-Length: 0\r\n\r\n"},
		{"length removed", getClose, func(res *server.Response) {
			res.DelHeader("Content-Length")
			res.End([]byte("x"))
		}, ok + shut + chunked + "1\r\nx\r\n0\r\n\r\n"},
		{"framing removed", get("/"), func(res *server.Response) {
			res.DelHeader("Content-Length")
			res.DelHeader("Transfer-Encoding")
			res.End([]byte("x"))
		}, ok + persist + "\r\nx"},
		{"own Keep-Alive, and HTTP/1.0 without a length", get10, func(res *server.Response) {
			res.SetHeader("Keep-Alive", "timeout=9")
			res.End([]byte("x"))
		}, ok + "Keep-Alive: timeout=9\r\n" + shut + "\r\nx"},
		{"own coding", getClose, func(res *server.Response) {
			res.SetHeader("Content-Length", "1")
			res.SetHeader("transfer-encoding", "gzip, Chunked")
			res.AddHeader("Transfer-Encoding", "chunked")
			res.End([]byte("x"))
		}, ok + "transfer-encoding: gzip, Chunked\r\n" + shut + "\r\n1\r\nx\r\n0\r\n\r\n"},
		{"coding that has no end", getClose, func(res *server.Response) {
			res.SetHeader("Transfer-Encoding", "chunked, gzip")
			res.End([]byte("x"))
		}, ok + shut + "Content-Length: 1\r\n\r\nx"},
		{"own coding in HTTP/1.0", get10, func(res *server.Response) {
			res.SetHeader("Transfer-Encoding", "chunked")
			res.End([]byte("x"))
		}, ok + shut + "\r\nx"},
		{"204 in chunks", get("/"), func(res *server.Response) {
			res.WriteHead(204, server.Field{Name: "Transfer-Encoding", Value: "chunked"})
			res.End([]byte("x"))
		}, "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n" + shut + "\r\n"},
		{"trailers", getClose, func(res *server.Response) {
			res.SetHeader("Trailer", "X-T")
			res.AddTrailer("X-T", "v")
			res.AddTrailer("X-U", "w")
			res.End([]byte("x"))
			res.AddTrailer("X-V", "late")
		}, ok + "Trailer: X-T\r\n" + shut + chunked + "1\r\nx\r\n0\r\nX-T: v\r\nX-U: w\r\n\r\n"},
		{"trailers without chunks", getClose, func(res *server.Response) {
			res.AddTrailer("X-T", "v")
			res.End([]byte("x"))
		}, ok + shut + "Content-Length: 1\r\n\r\nx"},
		{"interim", getClose, func(res *server.Response) {
			res.WriteProcessing()
			res.WriteEarlyHints(server.Field{Name: "Link", Value: "</a>"}, server.Field{Name: "X", Value: "y"})
			res.End(nil)
		}, "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX: y\r\n\r\n" + ok + shut + "Content-Length: 0\r\n\r\n"},
		{"interim in HTTP/1.0", get10, func(res *server.Response) {
			res.WriteProcessing()
			res.End(nil)
		}, ok + shut + "\r\n"},
		{"flushed", getClose, func(res *server.Response) {
			res.FlushHeaders()
			res.FlushHeaders()
			res.End([]byte("x"))
			res.FlushHeaders()
		}, ok + shut + chunked + "1\r\nx\r\n0\r\n\r\n"},
		{"head without content, then destroyed", get("/"), func(res *server.Response) {
			res.WriteHead(200)
			res.Destroy()
			res.Destroy()
			res.End(nil)
		}, ""},
		{"destroyed within content", get("/"), func(res *server.Response) {
			res.Write([]byte("x"))
			res.Destroy()
		}, ok + persist + chunked + "1\r\nx\r\n"},
		{"destroyed after the end", get("/"), func(res *server.Response) {
			res.End([]byte("x"))
			res.Destroy()
		}, ok + persist + "Content-Length: 1\r\n\r\nx"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := serve(t, handler(func(_ *server.Request, res *server.Response) { tt.f(res) }))
			if got := h.answer(tt.in); got != tt.want {
				t.Errorf("got\n%q\nwant\n%q", got, tt.want)
			}
			h.awaitCount(stamp.Closed, 1)
		})
	}
}

// As Node, these throw.
func TestHeadRefuses(t *testing.T) {
	bad := server.Field{Name: "A", Value: "b\nc"}
	tests := []struct {
		want error
		f    func(res *server.Response)
	}{
		{server.ErrInvalidStatus, func(res *server.Response) { res.SetReason("a\r\nb: c") }},
		{server.ErrHeadersSent, func(res *server.Response) { res.WriteHead(200); res.SetReason("a") }},
		{server.ErrInvalidHeader, func(res *server.Response) { res.WriteHead(200, bad) }},
		{server.ErrInvalidHeader, func(res *server.Response) { res.SetHeaderLines("A", "b", "c\n") }},
		{server.ErrHeadersSent, func(res *server.Response) { res.WriteHead(200); res.SetHeaderLines("A", "b") }},
		{server.ErrHeadersSent, func(res *server.Response) { res.WriteHead(200); res.SendDate(false) }},
		{server.ErrInvalidHeader, func(res *server.Response) { res.AddTrailer("A ", "b") }},
		{server.ErrInvalidHeader, func(res *server.Response) { res.WriteEarlyHints(bad) }},
		{server.ErrHeadersSent, func(res *server.Response) { res.WriteHead(200); res.WriteProcessing() }},
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

// A head waits for content, so that it can still be taken back; FlushHeaders
// does not.
func TestHeadWaits(t *testing.T) {
	h := serve(t, handler(func(req *server.Request, res *server.Response) {
		res.WriteHead(200)
		if req.Path() == "/flush" {
			res.FlushHeaders()
		}
		req.Read(func(b []byte) { res.Write(b) }, func() { res.End(nil) })
	}))
	const post = "POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	c := h.dial()
	c.send(fmt.Sprintf(post, "/"))
	h.awaitCount(stamp.HeadComposed, 1)
	c.send("oops")
	if got := c.rest(); got != "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n" {
		t.Errorf("%q", got)
	}
	c = h.dial()
	c.send(fmt.Sprintf(post, "/flush"))
	if line, err := c.r.ReadString('\n'); err != nil || line != "HTTP/1.1 200 OK\r\n" {
		t.Errorf("%q %v", line, err)
	}
	c.send("oops")
	if got := c.rest(); strings.Contains(got, "400") || !strings.HasSuffix(got, "\r\n\r\n") {
		t.Errorf("%q", got)
	}
	// Behind another response it waits for its turn as well.
	c = h.dial()
	c.send(fmt.Sprintf(post, "/") + "1\r\na\r\n")
	h.awaitCount(stamp.SendReturn, 3)
	c.send("0\r\n\r\n" + fmt.Sprintf(post, "/") + "1\r\nb\r\n0\r\n\r\n")
	for _, want := range []string{"a", "b"} {
		c.want(200, want)
	}
}

// The fields of a request, joined as Node joins them.
func TestHeaders(t *testing.T) {
	type lists struct{ raw, joined, rawTrailers, trailers []server.Field }
	got := make(chan lists, 1)
	h := serve(t, handler(func(req *server.Request, res *server.Response) {
		req.Read(func([]byte) {}, func() {
			got <- lists{req.RawHeaders(), req.Headers(), req.RawTrailers(), req.Trailers()}
			res.End(nil)
		})
	}))
	c := h.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nX-a: 1 \r\nCookie: c\r\nX-A: 2\r\nUser-Agent: u\r\nSet-Cookie: s\r\ncookie: d\r\nUSER-AGENT: v\r\n" +
		"Set-Cookie: t\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-T: v\r\nx-t: w\r\n\r\n")
	g := <-got
	f := func(pairs ...string) (fields []server.Field) {
		for p := range slices.Chunk(pairs, 2) {
			fields = append(fields, server.Field{Name: p[0], Value: p[1]})
		}
		return fields
	}
	for i, tt := range [][2][]server.Field{
		{g.raw, f("Host", "a", "X-a", "1", "Cookie", "c", "X-A", "2", "User-Agent", "u", "Set-Cookie", "s", "cookie", "d", "USER-AGENT", "v",
			"Set-Cookie", "t", "Transfer-Encoding", "chunked")},
		{g.joined, f("host", "a", "x-a", "1, 2", "cookie", "c; d", "user-agent", "u", "set-cookie", "s", "set-cookie", "t", "transfer-encoding", "chunked")},
		{g.rawTrailers, f("X-T", "v", "x-t", "w")},
		{g.trailers, f("x-t", "v, w")},
	} {
		if !slices.Equal(tt[0], tt[1]) {
			t.Errorf("%d: got %q, want %q", i, tt[0], tt[1])
		}
	}
	// They belong to their request.
	c.want(200, "")
	c.send(get("/"))
	if g := <-got; len(g.raw) != 1 || len(g.trailers) != 0 {
		t.Errorf("%q", g)
	}
}

// A request without Host gets a whole answer.
func TestHostless(t *testing.T) {
	h := serve(t, nil)
	const head = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nDate: D\r\n"
	if got, want := h.answer("POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"+get("/")), head+"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := h.answer("HEAD / HTTP/1.1\r\n\r\n"), head+"\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestClientError(t *testing.T) {
	status := map[http1.Code]int{http1.URLOverflow: 431, http1.InvalidVersion: 200}
	h := serve(t, func(o *server.Options) {
		o.ClientError = func(err *http1.Error) int { return status[err.Code] }
	})
	for in, want := range map[string]string{
		"GET /" + strings.Repeat("x", 9<<10): "431 Request Header Fields Too Large",
		"GET / HTTQ":                         "400 Bad Request", // 200 would be a lie
		"GET / HTTP/2.0\r\n":                 "505 HTTP Version Not Supported",
	} {
		if got := h.answer(in); got != "HTTP/1.1 "+want+"\r\nConnection: close\r\n\r\n" {
			t.Errorf("%q, want %s", got, want)
		}
	}
}

// Expect as Node takes it: any other expectation fails, content or none.
func TestExpect(t *testing.T) {
	h := serve(t, handler(func(_ *server.Request, res *server.Response) { res.End([]byte("x")) }))
	for _, tt := range []struct{ version, expect, want string }{
		{"1.1", "Expect: 100-Continue", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"},
		{"1.1", "Expect: a\r\nExpect: b, 100-continue", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"},
		{"1.1", "Expect: a", "HTTP/1.1 417 Expectation Failed\r\n"},
		{"1.1", "Expect:", "HTTP/1.1 417 Expectation Failed\r\n"},
		{"1.0", "Expect: a", "HTTP/1.1 200 OK\r\n"},
	} {
		got := h.answer("GET / HTTP/" + tt.version + "\r\nHost: a\r\nConnection: close\r\n" + tt.expect + "\r\n\r\n")
		if !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %q", tt.expect, got)
		}
	}
}

// Proxy-Connection is taken for Connection.
func TestProxyConnection(t *testing.T) {
	h := serve(t, handler(func(_ *server.Request, res *server.Response) {
		res.SetHeader("Content-Length", "0")
		res.End(nil)
	}))
	const shut, persist = "Connection: close", "Connection: keep-alive"
	for _, tt := range []struct{ version, fields, want string }{
		{"1.1", "Proxy-Connection: Close", shut},
		{"1.1", "Proxy-Connection: keep-alive", persist},
		{"1.0", "Proxy-Connection: keep-alive", persist},
		{"1.0", "Proxy-Connection: keep-alive\r\nConnection: close", shut},
		{"1.0", "Proxy-Connection: x", shut},
	} {
		c := h.dial()
		c.send("GET / HTTP/" + tt.version + "\r\nHost: a\r\n" + tt.fields + "\r\n\r\n")
		r, _ := c.response("GET")
		if got := "Connection: " + r.Header.Get("Connection"); got != tt.want && (tt.want != shut || !r.Close) {
			t.Errorf("%s %s: %q", tt.version, tt.fields, got)
		}
		if tt.want == shut {
			if rest := c.rest(); rest != "" {
				t.Errorf("more: %q", rest)
			}
		}
	}
}
