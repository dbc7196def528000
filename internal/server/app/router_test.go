// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/lifetrace/lifetrace/internal/server"
	"github.com/lifetrace/lifetrace/internal/server/app"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// steps returns the stamps of a walk in short.
func (r *running) steps() string {
	var got []string
	for _, s := range r.stop() {
		switch s.Code {
		case stamp.LayerEnter:
			got = append(got, ">"+r.name(s.Aux))
		case stamp.LayerNext:
			got = append(got, "next:"+r.name(s.Aux)+map[uint64]string{1: "!"}[s.A])
		case stamp.LayerReturn:
			got = append(got, "<"+r.name(s.Aux))
		case stamp.Route:
			got = append(got, "route:"+r.name(s.Aux))
		}
	}
	return strings.Join(got, " ")
}

// The route's name is its template from the top, wherever its router is mounted;
// leaving is no error; handlers of parameters are steps of their own.
func TestStampsOfMountedRouters(t *testing.T) {
	items := app.NewRouter(app.RouterOptions{})
	items.Param("id", func(_ *app.Request, res *app.Response, next app.Next, _ string) {
		res.SetTimeout(0, func() { next() }) // it may take its time
	})
	items.Get("/:id", app.Named("skip", func(_ *app.Request, _ *app.Response, next app.Next) { next(app.ErrSkipRouter) }))
	api := app.NewRouter(app.RouterOptions{})
	api.Use("/items", items)
	a := app.New()
	a.Use("/v1/", api).Use("/v2", api)
	a.Get("/v2/items/:id{/:more}", app.Named("last", func(_ *app.Request, res *app.Response, _ app.Next) { res.Text("ok") }))
	r := run(t, a)
	if status, _, _ := r.do("GET", "/v2/items/1", ""); status != 200 {
		t.Errorf("status %d", status)
	}
	if status, _, _ := r.do("GET", "/v1/items/1", ""); status != 404 {
		t.Errorf("status %d", status)
	}
	const inRouter = ">param id <param id next:param id route:%s/items/:id >skip next:skip <skip"
	want := fmt.Sprintf(inRouter, "/v2")
	want = strings.Replace(want, "next:skip <skip", "next:skip route:/v2/items/:id{/:more} >last <last <skip", 1) + " " + fmt.Sprintf(inRouter, "/v1")
	if got := r.steps(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// What fails later reaches the error layers of the router that it is in, and
// then those above.
func TestLateErrorsOfMountedRouters(t *testing.T) {
	inner := app.NewRouter(app.RouterOptions{})
	inner.Get("/late", func(_ *app.Request, res *app.Response, _ app.Next) {
		res.SetTimeout(0, func() { panic(errBoom) })
	})
	inner.Get("/work", func(_ *app.Request, res *app.Response, next app.Next) {
		server.Async(res.Response, func() (int, error) { panic(errBoom) }, func(_ int, err error) { next(err) })
	})
	inner.Param("id", func(*app.Request, *app.Response, app.Next, string) { panic(errBoom) })
	inner.Get("/param/:id", text("never"))
	inner.Get("/thrown", func(*app.Request, *app.Response, app.Next) error { panic(app.NewError(409, "thrown")) })
	inner.Use(func(err error, _ *app.Request, res *app.Response, next app.Next) {
		res.Set("X-Inner", "1")
		next(fmt.Errorf("inner: %w", err))
	})
	inner.Get("/late", text("never: an error is pending"))
	a := app.New()
	a.Use("/in", inner)
	a.Use(func(err error, req *app.Request, res *app.Response, next app.Next) {
		if req.Header("x-pass") != "" {
			next(err)
			return
		}
		res.Text("outer " + err.Error() + " at " + req.Path())
	})
	r := run(t, a)
	for path, want := range map[string]string{
		"/in/late": "outer inner: panic: boom at /in/late", "/in/work": "outer inner: panic: boom at /in/work",
		"/in/param/1": "outer inner: panic: boom at /in/param/1", "/in/thrown": "outer inner: thrown at /in/thrown",
	} {
		status, body, h := r.do("GET", path, "")
		if status != 200 || body != want || h.Get("X-Inner") != "1" {
			t.Errorf("%s: %d %q, want %q", path, status, body, want)
		}
	}
	if status, body, _ := r.do("GET", "/in/thrown", "", "X-Pass: 1"); status != 409 || !strings.Contains(body, "inner: thrown") {
		t.Errorf("%d %q", status, body)
	}
}

// A layer that has gone on may still fail: the error goes on from where the walk
// is, and is told even where the answer has been given.
func TestPanicAfterNext(t *testing.T) {
	var mu sync.Mutex
	var told []string
	a := app.New()
	a.OnError(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, err.Error())
	})
	a.Use(func(_ *app.Request, _ *app.Response, next app.Next) {
		next()
		panic(errBoom)
	})
	a.Get("/answered", text("ok"))
	a.Get("/hangs", named)
	a.Get("/fails", func(*app.Request, *app.Response, app.Next) error { return errBoom })
	a.Get("/status", func(_ *app.Request, res *app.Response, _ app.Next) error { res.Status(404); return errBoom })
	r := run(t, a)
	for _, tt := range []struct {
		path   string
		status int
		told   string
	}{
		{"/answered", 200, "panic: boom"},
		{"/hangs", 500, "panic: boom"},
		{"/none", 404, "panic: boom"},
		{"/fails", 500, "boom,panic: boom"},
		{"/status", 404, "boom,panic: boom"},
	} {
		status, _, _ := r.do("GET", tt.path, "")
		until(t, tt.path+" told "+tt.told, func() bool { // the answer may come first
			mu.Lock()
			defer mu.Unlock()
			return strings.Join(told, ",") == tt.told
		})
		mu.Lock()
		told = nil
		mu.Unlock()
		if status != tt.status {
			t.Errorf("%s: %d, want %d", tt.path, status, tt.status)
		}
	}
}

// Handlers of parameters also run for the error layers of a path; their own
// failure does not hide the error that was there.
func TestParamsOfErrorLayers(t *testing.T) {
	a := app.New()
	a.Param("id", func(_ *app.Request, res *app.Response, next app.Next, v string) {
		res.Set("X-Param", v)
		if v == "bad" {
			next(errors.New("another"))
			return
		}
		next()
	})
	a.Use(fail)
	a.Use("/:id", func(err error, req *app.Request, res *app.Response, _ app.Next) {
		res.Text(req.Param("id") + " " + err.Error())
	})
	a.Use(func(err error, _ *app.Request, res *app.Response, _ app.Next) { res.Text("last " + err.Error()) })
	r := run(t, a)
	for path, want := range map[string]string{"/good": "good boom", "/bad": "last boom"} {
		if _, body, h := r.do("GET", path, ""); body != want || h.Get("X-Param") != path[1:] {
			t.Errorf("%s: %q %v", path, body, h)
		}
	}
}

// In production no error tells its text.
func TestProduction(t *testing.T) {
	for _, production := range []bool{false, true} {
		a := app.NewWith(app.Settings{Production: production})
		a.Get("/4", func(*app.Request, *app.Response) error { return app.NewError(400, "a  text\nof two lines") })
		a.Get("/5", func(*app.Request, *app.Response) error { return errBoom })
		r := run(t, a)
		want := map[bool]string{false: "<pre>a &nbsp;text<br>of two lines</pre>", true: "<pre>Bad Request</pre>"}[production]
		if status, body, _ := r.do("GET", "/4", ""); status != 400 || !strings.Contains(body, want) {
			t.Errorf("production %v: %d %q", production, status, body)
		}
		if status, body, _ := r.do("GET", "/5", ""); status != 500 || !strings.Contains(body, "<pre>Internal Server Error</pre>") {
			t.Errorf("production %v: %d %q", production, status, body)
		}
	}
}

// A layer that goes on after an answer has begun does not make it another.
func TestNextAfterTheAnswer(t *testing.T) {
	a := app.New()
	a.Get("/", func(_ *app.Request, res *app.Response, next app.Next) {
		res.Write([]byte("abc"))
		next()
		res.End([]byte("def"))
	})
	r := run(t, a)
	if status, body, _ := r.do("GET", "/", ""); status != 200 || body != "abcdef" {
		t.Errorf("%d %q", status, body)
	}
}

// What is kept for later layers, and ways to look at the request that have no
// twin in Express.
func TestRequestValues(t *testing.T) {
	a := app.New()
	a.Use(func(req *app.Request, _ *app.Response, next app.Next) {
		if req.Local("user") != nil {
			next(errors.New("a value of another request"))
			return
		}
		req.SetLocal("user", "ann")
		next()
	})
	a.Get("/v{/:opt}", func(req *app.Request, res *app.Response) {
		req.SetParam("none", "x")
		res.JSON([]any{req.Local("user"), req.HasParam("opt"), req.Wildcard("opt") == nil, req.Get("Referer"), req.Accepts("nosuch", "json"), string(req.QueryBytes()), req.Cookies()})
	})
	a.Get("/rewrite", func(req *app.Request, _ *app.Response, next app.Next) { req.SetURL("/seen?"); next() })
	a.Get("/plain", func(req *app.Request, _ *app.Response, next app.Next) { req.SetURL("/seen"); next() })
	a.Get("/seen", func(req *app.Request, res *app.Response) { res.Text(req.URL() + " " + req.OriginalURL()) })
	r := run(t, a)
	const cookie = `Cookie: a=b%20c; a=2; q="x y"; none; bad=%zz; e=`
	for path, want := range map[string]string{
		"/v":           `["ann",false,true,"r","json","",{"a":"b c","bad":"%zz","e":"","q":"x y"}]`,
		"/v/1?x=%41":   `["ann",true,true,"r","json","x=%41",{"a":"b c","bad":"%zz","e":"","q":"x y"}]`,
		"/rewrite?x=1": "/seen? /rewrite?x=1",
		"/plain?x=1":   "/seen /plain?x=1",
	} {
		if status, body, _ := r.do("GET", path, "", cookie, "Referrer: r", "Accept: application/json"); status != 200 || body != want {
			t.Errorf("%s: %d %q, want %q", path, status, body, want)
		}
	}
}

// All verbs of a route and a router.
func TestVerbs(t *testing.T) {
	a := app.New()
	for path, add := range map[string]func(*app.Route){
		"/put": func(x *app.Route) { x.Put(text("PUT")) }, "/patch": func(x *app.Route) { x.Patch(text("PATCH")) },
		"/delete": func(x *app.Route) { x.Delete(text("DELETE")) }, "/options": func(x *app.Route) { x.Options(text("OPTIONS")) },
		"/search": func(x *app.Route) { x.Method("SEARCH", text("SEARCH")) },
	} {
		add(a.Route(path))
	}
	a.Route("/head").Head(func(_ *app.Request, res *app.Response) { res.Set("X-Own", "1").End(nil) }).Get(text("GET"))
	r := run(t, a)
	for _, m := range []string{"PUT", "PATCH", "DELETE", "OPTIONS", "SEARCH"} {
		if status, body, _ := r.do(m, "/"+strings.ToLower(m), ""); status != 200 || body != m {
			t.Errorf("%s: %d %q", m, status, body)
		}
	}
	if status, _, h := r.do("HEAD", "/head", ""); status != 200 || h.Get("X-Own") != "1" {
		t.Errorf("HEAD: %d %v", status, h)
	}
	if status, body, h := r.do("OPTIONS", "/head", ""); status != 200 || body != "GET, HEAD" || h.Get("Allow") != body {
		t.Errorf("OPTIONS: %d %q %v", status, body, h)
	}
}

func TestRouterSetUpPanics(t *testing.T) {
	a := app.New()
	inner, outer := app.NewRouter(app.RouterOptions{}), app.NewRouter(app.RouterOptions{})
	outer.Use("/inner", inner)
	served := app.New()
	route := served.Route("/x").Get(named)
	r := run(t, served)
	r.do("GET", "/", "")
	mustPanic(t, map[string]func(){
		"below itself":          func() { inner.Use("/outer", outer) },
		"itself":                func() { a.Use("/", a) },
		"no path":               func() { a.Use([]string{}, named) },
		"a route for nothing":   func() { a.Route("/x").Get() },
		"unknown method":        func() { a.Method("NOPE", "/", named) },
		"param without a name":  func() { a.Param("", func(*app.Request, *app.Response, app.Next, string) {}) },
		"param without handler": func() { a.Param("x", nil) },
		"use too late":          func() { served.Use(named) },
		"route too late":        func() { served.Get("/late", named) },
		"layer too late":        func() { route.Post(named) },
		"param too late":        func() { served.Param("x", func(*app.Request, *app.Response, app.Next, string) {}) },
		"no network":            func() { app.TrustNets("10.0.0.0/99") },
	})
}

func mustPanic(t *testing.T, set map[string]func()) {
	t.Helper()
	for name, f := range set {
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

// A walk through routers and past a thousand routes takes no memory either.
func TestRoutedWalkAllocates(t *testing.T) {
	a := app.New()
	api := app.NewRouter(app.RouterOptions{MergeParams: true})
	for i := range 1000 {
		api.Get(fmt.Sprintf("/r%d/:x", i), named)
	}
	content := []byte("ok")
	api.Use("/items", func(_ *app.Request, _ *app.Response, next app.Next) { next() })
	api.Get("/items/:id{.:ext}", func(_ *app.Request, res *app.Response, _ app.Next) { res.End(content) })
	a.Use("/v/:version", api)
	if n := requests(t, a, "/v/1/items/42?q=1"); n > 0.1 {
		t.Errorf("%v allocations a request", n)
	}
}

// Several loops may ask for the first time at once.
func TestFirstRequestsOfManyLoops(t *testing.T) {
	a := app.New()
	a.Get("/:x", text("ok"))
	s, err := server.New(server.Options{Listen: "127.0.0.1:0", Handler: a, Loops: 4})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	failed := make(chan error)
	const clients = 16
	for range clients {
		go func() {
			client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			res, err := client.Get("http://" + s.Addr().String() + "/x")
			if err == nil {
				err = errors.Join(res.Body.Close(), map[bool]error{false: errBoom}[res.StatusCode == 200])
			}
			failed <- err
		}()
	}
	for range clients {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}
