// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lifetrace/lifetrace/internal/server"
	"github.com/lifetrace/lifetrace/internal/server/app"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// running is an application that is served.
type running struct {
	t    *testing.T
	url  string
	stop func() []stamp.Stamp
	id   func(string) uint16
	name func(uint16) string
}

func run(t *testing.T, a *app.App) *running {
	t.Helper()
	ring := stamp.NewRing(1 << 14)
	s, err := server.New(server.Options{Listen: "127.0.0.1:0", Handler: a, Rings: func(int) *stamp.Ring { return ring }})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	r := &running{t: t, url: "http://" + s.Addr().String(), name: s.Names().Name, id: s.Names().ID}
	r.stop = func() (out []stamp.Stamp) {
		if !stopped {
			stopped = true
			http.DefaultClient.CloseIdleConnections()
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if err := s.Shutdown(ctx); err != nil {
				t.Error(err)
			}
		}
		ring.Read(func(s *stamp.Stamp) { out = append(out, *s) })
		return out
	}
	t.Cleanup(func() { r.stop() })
	return r
}

// do sends a request; header is "Name: value" lines.
func (r *running) do(method, path, body string, header ...string) (status int, answer string, h http.Header) {
	r.t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, r.url, content)
	if err != nil {
		r.t.Fatal(err)
	}
	req.URL.Opaque = path // as it is, escapes that are none included
	for _, line := range header {
		k, v, _ := strings.Cut(line, ": ")
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(b), res.Header
}

func text(s string) app.Func {
	return func(_ *app.Request, res *app.Response, _ app.Next) { res.Text(s) }
}

func TestRouting(t *testing.T) {
	a := app.New()
	a.Get("/", text("root"))
	a.Get("/users/:id", func(req *app.Request, res *app.Response, next app.Next) {
		if req.Param("id") == "skip" {
			next()
			return
		}
		res.Text("user " + req.Param("id") + req.Param("none"))
	})
	a.Get("/users/:name", text("skipped"))
	a.Post("/users", text("post"))
	a.Put("/users/:id/:part", func(req *app.Request, res *app.Response, _ app.Next) {
		res.Text(req.Param("id") + "+" + req.Param("part"))
	})
	a.Patch("/p", text("patch"))
	a.Delete("/p", text("delete"))
	a.All("/all", func(req *app.Request, res *app.Response, _ app.Next) { res.Text(req.Method()) })
	a.Use("/sub/:x", func(req *app.Request, res *app.Response, _ app.Next) { res.Send("sub " + req.Param("x")) })
	r := run(t, a)
	tests := []struct {
		method, path string
		status       int
		want         string
	}{
		{"GET", "/", 200, "root"},
		{"GET", "/?a=/b", 200, "root"},
		{"GET", "/users/42", 200, "user 42"},
		{"GET", "/USERS/a%20b/", 200, "user a b"},
		{"GET", "/users/skip", 200, "skipped"},
		{"GET", "/users/%zz", 400, "cannot decode parameter id"},
		{"GET", "/users/", 404, "Cannot GET /users/"},
		{"GET", "/users/1/2/3", 404, "Cannot GET /users/1/2/3"},
		{"GET", "/p", 404, "Cannot GET /p"},
		{"GET", "/<b>&'", 404, "Cannot GET /%3Cb%3E&amp;&#39;"},
		{"POST", "/users", 200, "post"},
		{"PUT", "/users/1/2", 200, "1+2"},
		{"PATCH", "/p", 200, "patch"},
		{"DELETE", "/p", 200, "delete"},
		{"OPTIONS", "/all", 200, "OPTIONS"},
		{"GET", "/sub/1", 200, "sub 1"},
		{"GET", "/sub/1/more", 200, "sub 1"},
		{"GET", "/sub", 404, "Cannot GET /sub"},
		{"GET", "/subx/1", 404, "Cannot GET /subx/1"},
		{"HEAD", "/users/42", 200, ""},
		{"HEAD", "/users", 404, ""},
	}
	for _, tt := range tests {
		status, body, h := r.do(tt.method, tt.path, "")
		if status != tt.status || !strings.Contains(body, tt.want) || tt.want == "" && body != "" {
			t.Errorf("%s %s: %d %q, want %d %q", tt.method, tt.path, status, body, tt.status, tt.want)
		}
		if tt.method == "HEAD" && status == 200 && h.Get("Content-Length") != "7" {
			t.Errorf("HEAD: %v", h)
		}
	}
}

var errBoom = errors.New("boom")

func TestErrorChain(t *testing.T) {
	var mu sync.Mutex
	var errs []string
	a := app.New()
	a.OnError(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, err.Error())
	})
	told := func() string { // since it was asked last
		mu.Lock()
		defer mu.Unlock()
		s := strings.Join(errs, ",")
		errs = nil
		return s
	}
	a.Use(app.Named("tag", func(_ *app.Request, res *app.Response, next app.Next) {
		res.SetHeader("X-Tag", "1")
		next()
	}))
	a.Get("/next", func(_ *app.Request, _ *app.Response, next app.Next) { next(errBoom) })
	a.Get("/twice", func(_ *app.Request, _ *app.Response, next app.Next) { next(errBoom); next() })
	a.Get("/nil", func(_ *app.Request, _ *app.Response, next app.Next) { next(nil) })
	a.Get("/panic", func(*app.Request, *app.Response, app.Next) { panic(errBoom) })
	a.Get("/late", func(_ *app.Request, res *app.Response, next app.Next) {
		res.SetTimeout(0, func() { next(errBoom) })
	})
	a.Get("/latepanic", func(_ *app.Request, res *app.Response, _ app.Next) {
		res.SetTimeout(0, func() { panic(errBoom) })
	})
	a.Get("/work", func(_ *app.Request, res *app.Response, next app.Next) {
		server.Async(res.Response, func() (int, error) { return 0, errBoom }, func(_ int, err error) { next(err) })
	})
	a.Get("/client", func(_ *app.Request, _ *app.Response, next app.Next) { next(app.NewError(418, "<teapot>")) })
	a.Get("/begun", func(_ *app.Request, res *app.Response, next app.Next) {
		res.SetHeader("Content-Length", "9")
		res.Write([]byte("abc"))
		next(errBoom)
	})
	a.Get("/own", func(_ *app.Request, _ *app.Response, next app.Next) { next(errBoom) },
		app.NamedError("ownError", func(err error, _ *app.Request, res *app.Response, _ app.Next) { res.Text("own " + err.Error()) }))
	a.Get("/after", func(_ *app.Request, res *app.Response, next app.Next) {
		res.Text("answered")
		next(errBoom)
	})
	a.Get("/json", func(_ *app.Request, res *app.Response, _ app.Next) { res.JSON(func() {}) })
	a.Use("/handled", func(_ *app.Request, _ *app.Response, next app.Next) { next(errBoom) })
	a.Use("/handled", func(err error, _ *app.Request, res *app.Response, next app.Next) {
		if !errors.Is(err, errBoom) {
			next(err)
			return
		}
		res.Status(503).Text("handled " + err.Error())
	})
	a.Use("/rethrown", func(*app.Request, *app.Response, app.Next) { panic("first") })
	a.Use("/rethrown", app.ErrorFunc(func(error, *app.Request, *app.Response, app.Next) { panic("second") }))
	r := run(t, a)
	const ise = "Internal Server Error"
	tests := []struct {
		path   string
		status int
		want   string
		told   string
	}{
		{"/next", 500, ise, "boom"},
		{"/twice", 500, ise, "boom"},
		{"/nil", 404, "Cannot GET /nil", ""},
		{"/panic", 500, ise, "panic: boom"},
		{"/late", 500, ise, "boom"},
		{"/latepanic", 500, ise, "panic: boom"},
		{"/work", 500, ise, "boom"},
		{"/client", 418, "&lt;teapot&gt;", ""},
		{"/own", 200, "own boom", ""},
		{"/after", 200, "answered", "boom"},
		{"/json", 500, ise, "panic: json: unsupported type: func()"},
		{"/handled", 503, "handled boom", ""},
		{"/rethrown", 500, ise, "panic: second"},
	}
	for _, tt := range tests {
		status, body, h := r.do("GET", tt.path, "")
		if status != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s: %d %q, want %d %q", tt.path, status, body, tt.status, tt.want)
		}
		if got := told(); got != tt.told {
			t.Errorf("%s: told %q, want %q", tt.path, got, tt.told)
		}
		if h.Get("X-Tag") != "1" {
			t.Errorf("%s: what a layer has set is gone: %v", tt.path, h)
		}
	}
	// An answer that has begun cannot become another one: the connection ends.
	res, err := http.Get(r.url + "/begun")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if b, err := io.ReadAll(res.Body); string(b) != "abc" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("/begun: %q %v", b, err)
	}
	if got := told(); got != "boom" {
		t.Errorf("/begun: told %q", got)
	}
}

func TestBodyLayers(t *testing.T) {
	a := app.New()
	a.Post("/raw", app.Raw(10), func(req *app.Request, res *app.Response, _ app.Next) { res.End(req.Raw) })
	a.Use(app.JSON(30))
	a.All("/json", func(req *app.Request, res *app.Response, _ app.Next) { res.JSON(req.JSON) })
	r := run(t, a)
	chunked := "Transfer-Encoding: chunked"
	tests := []struct {
		path, body string
		header     []string
		status     int
		want       string
	}{
		{"/raw", "{invalid", nil, 200, "{invalid"},
		{"/raw", "0123456789", nil, 200, "0123456789"},
		{"/raw", "0123456789a", nil, 413, "too large"},
		{"/raw", strings.Repeat("x", 100<<10), []string{chunked}, 413, "too large"},
		{"/raw", "abc", []string{"Content-Encoding: br"}, 415, "encoding"},
		{"/raw", strings.Repeat("x", 10<<10), []string{"Content-Encoding: gzip"}, 413, "too large"},
		{"/raw", "abc", []string{"Content-Encoding: Identity"}, 200, "abc"},
		{"/json", `{"a":[1,"b"]}`, []string{"Content-Type: application/json"}, 200, `{"a":[1,"b"]}`},
		{"/json", ` [1]`, []string{"Content-Type: Application/JSON ; charset=utf-8"}, 200, `[1]`},
		{"/json", "  ", []string{"Content-Type: application/json"}, 400, "not an object"},
		{"/json", `{"a":1}`, []string{"Content-Type: text/plain"}, 200, "null"},
		{"/json", `{"a":`, []string{"Content-Type: application/json"}, 400, "unexpected end of JSON input"},
		{"/json", `"a"`, []string{"Content-Type: application/json"}, 400, "not an object"},
		{"/json", `{"a":"` + strings.Repeat("x", 40) + `"}`, []string{"Content-Type: application/json"}, 413, "too large"},
	}
	for _, tt := range tests {
		if status, body, _ := r.do("POST", tt.path, tt.body, tt.header...); status != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s %q: %d %q, want %d %q", tt.path, tt.body[:min(20, len(tt.body))], status, body, tt.status, tt.want)
		}
	}
	if status, body, _ := r.do("GET", "/json", ""); status != 200 || body != "null" {
		t.Errorf("no content: %d %q", status, body)
	}
}

func named(*app.Request, *app.Response, app.Next) {}

type service struct{}

func (service) method(_ *app.Request, _ *app.Response, next app.Next) { next() }

// The walk is stamped with names, kinds and routes; a layer's next is its own,
// whoever was entered meanwhile.
func TestStampsOfAWalk(t *testing.T) {
	a := app.New()
	a.Use(service{}.method)
	a.Use(app.Named("late", func(_ *app.Request, res *app.Response, next app.Next) {
		res.SetTimeout(0, func() { next() })
	}))
	a.Use(app.Raw(0))
	a.Get("/x/:y", func(_ *app.Request, _ *app.Response, next app.Next) { next(errBoom) },
		app.NamedError("rescue", func(_ error, _ *app.Request, res *app.Response, _ app.Next) { res.Text("ok") }))
	a.Get("/never", named)
	r := run(t, a)
	if status, _, _ := r.do("GET", "/x/1", ""); status != 200 {
		t.Fatalf("status %d", status)
	}
	kinds := map[uint64]string{
		uint64(stamp.Middleware): "middleware", uint64(stamp.BodyParser): "body",
		uint64(stamp.Handler): "handler", uint64(stamp.ErrorHandler): "error",
	}
	var got []string
	for _, s := range r.stop() {
		switch s.Code {
		case stamp.LayerEnter:
			got = append(got, ">"+r.name(s.Aux)+"/"+kinds[s.A])
		case stamp.LayerNext:
			got = append(got, "next:"+r.name(s.Aux)+map[uint64]string{1: "!"}[s.A])
		case stamp.LayerReturn:
			got = append(got, "<"+r.name(s.Aux))
		case stamp.Route:
			got = append(got, "route:"+r.name(s.Aux))
		case stamp.AsyncResume:
			got = append(got, "resume")
		}
	}
	want := ">service.method/middleware next:service.method >late/middleware <late <service.method resume " +
		"next:late >raw/body next:raw route:/x/:y >TestStampsOfAWalk/handler next:TestStampsOfAWalk! >rescue/error <rescue <TestStampsOfAWalk <raw"
	if g := strings.Join(got, " "); g != want {
		t.Errorf("got  %s\nwant %s", g, want)
	}
}

// Mistakes in the set-up are found at the start.
func TestSetUpPanics(t *testing.T) {
	a := app.New()
	for name, f := range map[string]func(){
		"no layer":       func() { a.Use() },
		"no layer there": func() { a.Use("/a") },
		"not a layer":    func() { a.Use(1) },
		"a wrong func":   func() { a.Get("/", func() {}) },
		"no slash":       func() { a.Get("a", named) },
		"nameless":       func() { a.Get("/:", named) },
		"an old path":    func() { a.Get("/a?", named) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

// A walk takes no memory of its own: all there is belongs to the answer.
func TestWalkAllocates(t *testing.T) {
	a := app.New()
	for range 20 {
		a.Use(app.Named("pass", func(_ *app.Request, _ *app.Response, next app.Next) { next() }))
	}
	content := []byte("ok")
	a.Get("/a/:b", app.Named("end", func(_ *app.Request, res *app.Response, _ app.Next) { res.End(content) }))
	n := requests(t, a, "/a/1")
	if n > 0.1 {
		t.Errorf("%v allocations a request", n)
	}
}

// requests returns how many allocations a request costs.
func requests(t *testing.T, a *app.App, path string) float64 {
	r := run(t, a)
	c := dial(t, strings.TrimPrefix(r.url, "http://"))
	in := []byte("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
	out := make([]byte, 4096)
	round := func() {
		if _, err := c.Write(in); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(out); err != nil || !bytes.HasPrefix(out[:n], []byte("HTTP/1.1 200 ")) {
			t.Fatal(string(out[:n]), err)
		}
	}
	return allocations(round)
}
