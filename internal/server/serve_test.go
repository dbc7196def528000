// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lifetrace/lifetrace/internal/server"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

func userJSON(id int) string { return fmt.Sprintf(`{"id":"%d","name":"user %d"}`, id, id) }

func TestKeepAlive(t *testing.T) {
	h := serve(t, nil)
	c := h.dial()
	for i := range 5 {
		c.send(get(fmt.Sprintf("/users/%d", i)))
		r := c.want(200, userJSON(i))
		if r.Header.Get("Connection") != "keep-alive" || r.Header.Get("Keep-Alive") != "timeout=5" || r.Header.Get("Date") == "" {
			t.Fatalf("header %v", r.Header)
		}
	}
	h.awaitCount(stamp.KeepAliveReset, 5)
	_ = c.Close()
	h.awaitCount(stamp.Closed, 1)
	if g := h.stop(); g.ended[stamp.KeepAliveReset] != 5 || g.closed[stamp.ClosePeerFIN] != 1 {
		t.Errorf("ended %v closed %v", g.ended, g.closed)
	}
}

// texts joins the parts of the texts of a code.
func texts(stamps []stamp.Stamp, code stamp.Code) (out []string) {
	var buf [24]byte
	for i := range stamps {
		s := &stamps[i]
		switch {
		case s.Code != code:
		case i > 0 && stamps[i-1].Code == code: // the parts follow each other
			out[len(out)-1] += string(s.Text(&buf))
		default:
			out = append(out, string(s.Text(&buf)))
		}
	}
	return out
}

// The steps of one exchange, in the order a reader of Node's documentation
// expects.
func TestStepsOfAnExchange(t *testing.T) {
	h := serve(t, nil)
	c := h.dial()
	c.send(get("/users/42?token=secret&flag"))
	c.want(200, userJSON(42))
	h.awaitCount(stamp.KeepAliveReset, 1)
	var got []string
	for _, s := range h.all() {
		if s.Conn == 0 || s.Code == stamp.CallbackBegin {
			continue
		}
		switch s.Code {
		case stamp.LayerEnter, stamp.LayerNext, stamp.LayerReturn, stamp.Route:
			got = append(got, s.Code.String()+":"+h.names.Name(s.Aux))
		default:
			got = append(got, s.Code.String())
		}
	}
	want := `accepted peer local connection parser_attached
recv_return message_begin method target target headers_complete body_complete request
layer_enter:poweredBy layer_next:poweredBy layer_enter:requestId layer_next:requestId
layer_enter:json layer_next:json route:/users/:id layer_enter:user
compose_begin head_composed response_end finish
layer_return:user layer_return:json layer_return:requestId layer_return:poweredBy
send_begin send_return keepalive_reset`
	if g, w := strings.Join(got, " "), strings.Join(strings.Fields(want), " "); g != w {
		t.Errorf("steps\n%s\nwant\n%s", g, w)
	}
	if m := texts(h.all(), stamp.Method); len(m) != 1 || m[0] != "GET" {
		t.Errorf("methods %q", m)
	}
	if m := texts(h.all(), stamp.Target); len(m) != 1 || m[0] != "/users/42?token=REDACTED&REDACTED" {
		t.Errorf("targets %q", m)
	}
}

func TestPipelinedInOneWrite(t *testing.T) {
	h := serve(t, nil)
	c := h.dial()
	var in strings.Builder
	for i := range 16 {
		in.WriteString(get(fmt.Sprintf("/users/%d", i)))
	}
	c.send(in.String())
	for i := range 16 {
		c.want(200, userJSON(i))
	}
	h.awaitCount(stamp.KeepAliveReset, 16)
	s := h.all()
	if count(s, stamp.SendBegin) != 1 || count(s, stamp.RecvReturn) != 1 {
		t.Errorf("%d sends, %d receives, want one of each", count(s, stamp.SendBegin), count(s, stamp.RecvReturn))
	}
}

func TestPipelinedSplitAtEveryByte(t *testing.T) {
	h := serve(t, nil)
	var in strings.Builder
	for i := range 16 {
		in.WriteString(get(fmt.Sprintf("/users/%d", i)))
	}
	all := in.String()
	for i := 1; i < len(all); i++ {
		c := h.dial()
		c.send(all[:i])
		h.awaitCount(stamp.RecvReturn, 1) // so that the parts are received apart
		c.send(all[i:])
		for k := range 16 {
			c.want(200, userJSON(k))
		}
		_ = c.Close()
		h.awaitCount(stamp.Closed, 1)
		h.forget()
	}
	if g := h.stop(); g.ended[stamp.KeepAliveReset] != 16*(len(all)-1) {
		t.Errorf("ended %v", g.ended)
	}
}

// Handlers of pipelined requests run before earlier responses are complete; the
// responses come in order all the same.
func TestPipelinedInOrder(t *testing.T) {
	h := serve(t, nil)
	c := h.dial()
	c.send(get("/async?ms=30") + get("/users/1") + get("/async?ms=1") + "HEAD /users/2 HTTP/1.1\r\nHost: a\r\n\r\n" + get("/nope"))
	c.want(200, "waited 30ms without blocking\n")
	c.want(200, userJSON(1))
	c.want(200, "waited 1ms without blocking\n")
	if r, b := c.response("HEAD"); r.ContentLength != int64(len(userJSON(2))) || b != "" {
		t.Errorf("HEAD: length %d, content %q", r.ContentLength, b)
	}
	if r, b := c.response("GET"); r.StatusCode != 404 || !strings.Contains(b, "Cannot GET /nope") {
		t.Errorf("%d %s", r.StatusCode, b)
	}
	h.awaitCount(stamp.KeepAliveReset, 5)
	s := h.all()
	first := map[stamp.Code]int{}
	for i := range s {
		if _, ok := first[s[i].Code]; !ok || s[i].Code == stamp.Request {
			first[s[i].Code] = i
		}
	}
	if first[stamp.Request] > first[stamp.Finish] {
		t.Error("a handler waited for an earlier response")
	}
}

// No more than MaxPipelined exchanges are begun before the first is finished.
func TestPipelinedCap(t *testing.T) {
	h := serve(t, func(o *server.Options) { o.MaxPipelined = 4 })
	c := h.dial()
	const n = 50
	c.send(get("/async?ms=50") + strings.Repeat(get("/users/7"), n))
	c.want(200, "waited 50ms without blocking\n")
	for range n {
		c.want(200, userJSON(7))
	}
	h.awaitCount(stamp.KeepAliveReset, n+1)
	begun, over, most := 0, 0, 0
	for _, s := range h.all() {
		switch s.Code {
		case stamp.MessageBegin:
			begun++
		case stamp.KeepAliveReset:
			over++
		}
		most = max(most, begun-over)
	}
	if most != 4 {
		t.Errorf("%d in flight, want 4", most)
	}
}

func TestPostInPieces(t *testing.T) {
	h := serve(t, nil)
	c := h.dial()
	c.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: text/x\r\nContent-Length: 25\r\n\r\n")
	h.awaitCount(stamp.RecvReturn, 1)
	for i := range 5 {
		c.send("piece")
		h.awaitCount(stamp.RecvReturn, i+2)
	}
	if r := c.want(200, strings.Repeat("piece", 5)); r.Header.Get("Content-Type") != "text/x" {
		t.Errorf("type %q", r.Header.Get("Content-Type"))
	}
	c.send("PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\npiece\r\n")
	h.awaitCount(stamp.RecvReturn, 7)
	c.send("3\r\n{{{\r\n0\r\nTrailer: x\r\n\r\n" + get("/users/1"))
	c.want(200, "piece{{{")
	c.want(200, userJSON(1))
}

func TestExpectContinue(t *testing.T) {
	h := serve(t, nil)
	c := h.dial()
	c.send("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n")
	if line, _ := c.r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("got %q", line)
	}
	if line, _ := c.r.ReadString('\n'); line != "\r\n" {
		t.Fatalf("got %q", line)
	}
	c.send("ok")
	c.want(200, "ok")
	c.send("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\nContent-Length: 2\r\n\r\nok" + get("/users/1"))
	c.want(417, "")
	c.want(200, userJSON(1))
	h.awaitCount(stamp.KeepAliveReset, 3)
	for _, s := range h.all() {
		if s.Code == stamp.Finish && s.Exchange == 0 && s.A != 0 {
			t.Errorf("100 Continue is not part of its exchange: t0 %d", s.A)
		}
	}
}

func TestHTTP10(t *testing.T) {
	h := serve(t, handler(func(req *server.Request, res *server.Response) {
		switch req.Path() {
		case "/length":
			res.SetHeader("Content-Length", "2")
			res.End([]byte("ok"))
		case "/pieces":
			res.Write([]byte("o"))
			res.End([]byte("k"))
		}
	}))
	c := h.dial()
	c.send("GET /length HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	if r := c.want(200, "ok"); r.Header.Get("Connection") != "keep-alive" {
		t.Errorf("header %v", r.Header)
	}
	c.send("GET /pieces HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	got := c.rest()
	if !strings.HasSuffix(got, "\r\nConnection: close\r\n\r\nok") || strings.Contains(got, "chunked") {
		t.Errorf("got %q", got)
	}
	c = h.dial()
	c.send("GET /length HTTP/1.0\r\n\r\n")
	if got := c.rest(); !strings.Contains(got, "Connection: close\r\n") {
		t.Errorf("got %q", got)
	}
	h.awaitCount(stamp.Closed, 2)
	if g := h.stop(); g.closed[stamp.CloseByServer] != 2 {
		t.Errorf("closed %v", g.closed)
	}
}

// A request after one with Connection: close is not answered.
func TestConnectionClose(t *testing.T) {
	h := serve(t, nil)
	c := h.dial()
	c.send("GET /users/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + get("/users/2"))
	got := c.rest()
	if !strings.HasSuffix(got, userJSON(1)) || strings.Count(got, "HTTP/1.1") != 1 || !strings.Contains(got, "Connection: close\r\n") {
		t.Errorf("got %q", got)
	}
}

// What a handler closes takes later requests along.
func TestHandlerCloses(t *testing.T) {
	h := serve(t, handler(func(req *server.Request, res *server.Response) {
		if req.Path() == "/close" {
			res.SetTimeout(0, func() {
				res.SetHeader("Connection", "close")
				res.End([]byte("bye"))
			})
		}
	}))
	c := h.dial()
	c.send(get("/close") + get("/never"))
	if got := c.rest(); !strings.HasSuffix(got, "bye") || strings.Count(got, "HTTP/1.1") != 1 {
		t.Errorf("got %q", got)
	}
	h.awaitCount(stamp.Closed, 1)
	if g := h.stop(); g.ended[stamp.Aborted] != 1 || g.ended[stamp.Finish] != 1 {
		t.Errorf("ended %v", g.ended)
	}
}

// By default a client that has sent its FIN has gone: what is answered by then
// is sent, what is not is aborted.
func TestClientLeaves(t *testing.T) {
	h := serve(t, nil)
	c := h.dial()
	c.send(get("/users/1") + get("/hang") + get("/users/2"))
	c.want(200, userJSON(1))
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got := c.rest(); got != "" {
		t.Errorf("more: %q", got)
	}
	h.awaitCount(stamp.Closed, 1)
	if g := h.stop(); g.closed[stamp.ClosePeerFIN] != 1 || g.ended[stamp.Aborted] != 2 {
		t.Errorf("closed %v ended %v", g.closed, g.ended)
	}
}

// Requests that came together with the FIN are answered.
func TestFINWithRequests(t *testing.T) {
	h := serve(t, nil)
	c := h.dial()
	c.send(get("/users/1") + get("/users/2"))
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.want(200, userJSON(1))
	c.want(200, userJSON(2))
	h.awaitCount(stamp.Closed, 1)
	h.stop()
}

func TestHalfClose(t *testing.T) {
	h := serve(t, func(o *server.Options) { o.AllowHalfOpen = true })
	c := h.dial()
	c.send(get("/async?ms=20") + get("/users/1"))
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.want(200, "waited 20ms without blocking\n")
	c.want(200, userJSON(1))
	if got := c.rest(); got != "" {
		t.Errorf("more: %q", got)
	}
	h.awaitCount(stamp.Closed, 1)
	if g := h.stop(); g.closed[stamp.ClosePeerFIN] != 1 || g.ended[stamp.Finish] != 1 {
		t.Errorf("closed %v ended %v", g.closed, g.ended)
	}
}
