// SPDX-License-Identifier: Apache-2.0

package demo_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lifetrace/lifetrace/internal/server"
	"github.com/lifetrace/lifetrace/internal/server/demo"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// patience bounds what has to happen at all; nothing is measured by it.
const patience = 20 * time.Second

func serve(t *testing.T) (addr string, _ *steps) {
	t.Helper()
	st := &steps{t: t, ring: stamp.NewRing(1 << 16), names: stamp.NewNames()}
	s, err := server.New(server.Options{
		Listen: "127.0.0.1:0", Handler: demo.New(), Names: st.names,
		Rings: func(int) *stamp.Ring { return st.ring },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return s.Addr().String(), st
}

func TestRoutes(t *testing.T) {
	addr, _ := serve(t)
	url := "http://" + addr
	tests := []struct {
		method, path, kind, body string
		status                   int
		want                     string
	}{
		{"GET", "/", "", "", 200, "/async?ms="},
		{"GET", "/users/42", "", "", 200, `{"id":"42","name":"user 42"}`},
		{"GET", "/users/a%22b", "", "", 200, `{"id":"a\"b","name":"user a\"b"}`},
		{"POST", "/echo", "application/json", "{not json", 200, "{not json"},
		{"DELETE", "/echo", "", "", 200, ""},
		{"REPORT", "/echo", "text/plain", "x", 200, "x"},
		{"POST", "/users/42", "application/json", "{not json", 400, "invalid character"},
		{"GET", "/bytes/0", "", "", 200, ""},
		{"GET", "/bytes/30", "", "", 200, "abcdefghijklmnopqrstuvwxyzabcd"},
		{"GET", "/bytes/-1", "", "", 400, "n must be"},
		{"GET", "/bytes/1e3", "", "", 400, "n must be"},
		{"GET", "/bytes/1099511627777", "", "", 400, "n must be"},
		{"GET", "/slow?ms=1", "", "", 200, "blocked the loop for 1ms\n"},
		{"GET", "/slow", "", "", 400, "ms must be"},
		{"GET", "/slow?ms=60001", "", "", 400, "ms must be"},
		{"GET", "/async?ms=1", "", "", 200, "waited 1ms without blocking\n"},
		{"GET", "/async?ms=x", "", "", 400, "ms must be"},
		{"GET", "/error", "", "", 500, "Internal Server Error"},
		{"GET", "/nope", "", "", 404, "Cannot GET /nope"},
	}
	for _, tt := range tests {
		req, err := http.NewRequest(tt.method, url+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		if tt.kind != "" {
			req.Header.Set("Content-Type", tt.kind)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != tt.status || !strings.Contains(string(b), tt.want) || tt.want == "" && len(b) > 0 {
			t.Errorf("%s %s: %d %q, want %d %q", tt.method, tt.path, res.StatusCode, b, tt.status, tt.want)
		}
		if tt.status == 200 && (res.Header.Get("X-Powered-By") != "lifetrace" || res.Header.Get("X-Request-Id") == "") {
			t.Errorf("%s %s: %v", tt.method, tt.path, res.Header)
		}
		if tt.path == "/echo" && tt.kind != res.Header.Get("Content-Type") {
			t.Errorf("echo has type %q, want %q", res.Header.Get("Content-Type"), tt.kind)
		}
	}
}

func TestLongStream(t *testing.T) {
	const n = 5_000_001
	addr, _ := serve(t)
	res, err := http.Get("http://" + addr + "/bytes/5000001")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if m, err := io.Copy(io.Discard, res.Body); err != nil || m != n || res.ContentLength != n {
		t.Errorf("%d bytes, length %d, %v", m, res.ContentLength, err)
	}
}

// dial sends a request on a connection of its own.
func dial(t *testing.T, addr, path string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// steps collects stamps of some codes in their order, with the names of layers.
type steps struct {
	t     *testing.T
	ring  *stamp.Ring
	names *stamp.Names
	seen  []string
	at    []int64
}

// await returns where a step is, once it has come.
func (s *steps) await(step string) int {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; runtime.Gosched() {
		s.ring.Read(func(st *stamp.Stamp) {
			switch st.Code {
			case stamp.LayerEnter, stamp.LayerReturn:
				s.seen = append(s.seen, st.Code.String()+":"+s.names.Name(st.Aux))
			case stamp.AsyncBegin, stamp.AsyncResume:
				s.seen = append(s.seen, st.Code.String())
			default:
				return
			}
			s.at = append(s.at, st.At)
		})
		if i := slices.Index(s.seen, step); i >= 0 {
			return i
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("no %s among %v", step, s.seen)
		}
	}
}

// /slow keeps the loop from everybody else; /async and /hang do not.
func TestWhoBlocks(t *testing.T) {
	addr, s := serve(t)
	hang := dial(t, addr, "/hang")
	s.await("layer_return:hang")
	async := dial(t, addr, "/async?ms=1000")
	s.await("async_begin")
	slow := dial(t, addr, "/slow?ms=50")
	entered := s.await("layer_enter:slow")
	quick := dial(t, addr, "/users/1") // the loop is asleep by now
	for _, c := range []net.Conn{slow, quick, async} {
		if b, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 200 OK") {
			t.Fatalf("%q %v", b, err)
		}
	}
	returned := s.await("layer_return:slow")
	if d := time.Duration(s.at[returned] - s.at[entered]); d < 50*time.Millisecond {
		t.Errorf("blocked for %v only", d)
	}
	if returned > s.await("layer_enter:user") {
		t.Errorf("something ran while the loop was blocked: %v", s.seen)
	}
	if s.await("layer_return:user") > s.await("async_resume") {
		t.Errorf("/async kept the loop: %v", s.seen)
	}
	if err := hang.SetLinger(0); err != nil { // or the server waits for its answer
		t.Fatal(err)
	}
	_ = hang.Close()
}
