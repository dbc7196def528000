// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lifetrace/lifetrace/internal/server/app"
)

// The twin is an application that was also written for Express 5.3, whose
// answers are in testdata/express.json.

type shown struct {
	Base   string            `json:"base"`
	URL    string            `json:"url"`
	Path   string            `json:"path"`
	Orig   string            `json:"orig"`
	Params map[string]string `json:"params"`
}

// show answers with what a layer sees of the URL.
func show(req *app.Request, res *app.Response) {
	params := req.Params()
	for name := range params {
		if parts := req.Wildcard(name); parts != nil {
			params[name] = strings.Join(parts, "|")
		}
	}
	res.JSON(shown{req.BaseURL(), req.URL(), req.Path(), req.OriginalURL(), params})
}

func send(s string) func(*app.Request, *app.Response) {
	return func(_ *app.Request, res *app.Response) { res.Send(s) }
}

func fail(_ *app.Request, _ *app.Response, next app.Next) { next(errBoom) }

func twin(t *testing.T) *app.App {
	a := app.NewWith(app.Settings{Production: true})
	for _, p := range []string{
		"/p1/:a", "/p2/:a-:b", "/p3/*rest", "/p4{/:opt}", "/p5/:a.:ext", "/p6/*x/end", "/p7{/:a}{/:b}", "/p8/:a{.:ext}",
		`/p9/\:lit`, `/p10/:"a b"`, "/p11/*a/mid/*b", "/p12/x:a", "/p13/:a/:a", "/P14/Case", "/p15/:a-*b", "/p16/*a-:b", "/p17/",
		"/p18/:a", "{/p19}/tail",
	} {
		a.Get(p, show)
	}
	twinRouters(a)
	twinErrors(a)
	twinBodies(a)
	twinAnswers(a)
	twinFiles(t, a)
	return a
}

func twinRouters(a *app.App) {
	sub := app.NewRouter(app.RouterOptions{})
	sub.Get("/", show).Get("/x/:id", show).Post("/x/:id", show)
	sub.Get("/skip", func(_ *app.Request, _ *app.Response, next app.Next) { next(app.ErrSkipRouter) })
	sub.Get("/skip", send("never"))
	sub.Use("/in", func(req *app.Request, res *app.Response, next app.Next) {
		res.Set("X-In", req.BaseURL()+" "+req.URL())
		next()
	})
	merged := app.NewRouter(app.RouterOptions{MergeParams: true})
	merged.Get("/m/:b", show).Get("/n/:a", show)
	deep := app.NewRouter(app.RouterOptions{})
	deep.Use("/d2", merged).Get("/e", fail)
	a.Use("/mnt", sub)
	a.Use("/mnt", func(req *app.Request, res *app.Response) { res.Send("after " + req.BaseURL() + " " + req.URL()) })
	a.Use("/u/:a", merged).Use("/u2/:a", deep)
	a.Use([]string{"/arr1", "/arr2/"}, show)
	a.Use("/rw", []any{func(req *app.Request, _ *app.Response, next app.Next) {
		req.SetURL("/rewritten?z=1")
		next()
	}, []any{show}})

	a.Get("/r1", func(_ *app.Request, _ *app.Response, next app.Next) { next(app.ErrSkipRoute) }, send("never"))
	a.Get("/r1", send("second"))
	a.Route("/r2").All(func(_ *app.Request, res *app.Response, next app.Next) {
		res.Set("X-All", "1")
		next()
	}).Get(send("got")).Post(send("posted"))
	a.Get("/r3", fail, send("never"), func(_ error, _ *app.Request, _ *app.Response, next app.Next) { next() }, send("recovered"))
	a.Get("/r4", fail).Get("/r4", send("never"))
	a.Head("/r5", func(_ *app.Request, res *app.Response) { res.Set("X-Head", "own").End(nil) })
	a.Get("/r5", send("body"))
	a.Post("/r6", show).Put("/r6", show)
	r7 := app.NewRouter(app.RouterOptions{})
	r7.Get("/x", show).Delete("/x", show)
	a.Use("/r7", r7).Patch("/r7/x", show)
	a.All("/r8", show).Options("/r9", send("own options")).Get("/r9", show)
	a.Method("PROPFIND", "/r10", show)

	a.Param("pid", func(req *app.Request, res *app.Response, next app.Next, v string) {
		res.Append("X-Param", v)
		switch v {
		case "bad":
			next(errBoom)
			return
		case "skip":
			next(app.ErrSkipRoute)
			return
		case "set":
			req.SetParam("pid", "changed")
		}
		next()
	})
	a.Get("/par/:pid", func(req *app.Request, res *app.Response, next app.Next) {
		if v, _ := req.Query("next"); v != "" {
			next()
			return
		}
		show(req, res)
	})
	a.Get("/par/:pid", show).Get("/par/*any", send("any"))

	strict := app.NewRouter(app.RouterOptions{Strict: true, CaseSensitive: true})
	strict.Get("/Foo", show).Get("/bar/", show)
	a.Use("/strict", strict)
	a.Use("/e7", deep)
}

func twinErrors(a *app.App) {
	a.Get("/e1", func(*app.Request, *app.Response) { panic(errBoom) })
	a.Get("/e2", func(*app.Request, *app.Response) error { return errBoom })
	a.Get("/e3", func(_ *app.Request, _ *app.Response, next app.Next) { next(app.NewError(418, "boom")) })
	a.Get("/e4", func(_ *app.Request, res *app.Response, next app.Next) { res.Status(503); next(errBoom) })
	a.Get("/e5", func(_ *app.Request, res *app.Response, next app.Next) {
		res.Set("Content-Language", "en").Set("X-Keep", "1")
		next(errBoom)
	})
	a.Use("/e6", fail).Get("/e6", send("never"))
	a.Use("/e6", func(err error, _ *app.Request, res *app.Response, _ app.Next) {
		res.Status(400).Send("handled " + err.Error())
	})
	a.Use("/e7", func(_ error, req *app.Request, res *app.Response, _ app.Next) { res.Send("outer " + req.BaseURL()) })
	a.Use("/e8", func(_ error, _ *app.Request, res *app.Response, _ app.Next) { res.Send("never") })
	a.Get("/dec/:x", show)
	a.Use("/dec", func(err error, _ *app.Request, res *app.Response, _ app.Next) {
		res.Status(statusOf(err)).Send("decode")
	})
}

func statusOf(err error) int {
	var e *app.Error
	errors.As(err, &e)
	return e.Status
}

type told struct {
	Type string `json:"type"`
	Body any    `json:"body"`
}

func tell(req *app.Request, res *app.Response) {
	switch b := req.Body.(type) {
	case nil:
		res.JSON(told{"undefined", "undefined"})
	case string:
		res.JSON(told{"string", b})
	case []byte:
		res.JSON(told{"object", string(b)})
	case bool:
		res.JSON(told{"boolean", b})
	case float64:
		res.JSON(told{"number", b})
	default:
		res.JSON(told{"object", b})
	}
}

func twinBodies(a *app.App) {
	j, u, text := app.JSON(0), app.Urlencoded(0), app.Text(0)
	a.Post("/json", j, tell).Post("/form", u, tell).Post("/text", text, tell)
	a.Post("/ext", app.BodyOptions{Extended: true}.Urlencoded(), tell)
	a.Post("/raw", app.BodyOptions{}.Raw(), tell)
	a.Post("/many", j, u, text, tell)
	a.Post("/loose", app.BodyOptions{Any: true, Types: []string{"*/*"}, Limit: 20}.JSON(), tell)
	a.Post("/noinflate", app.BodyOptions{NoInflate: true}.JSON(), tell)
	a.Post("/verify", app.BodyOptions{Verify: func(_ *app.Request, b []byte) error {
		if bytes.Contains(b, []byte("evil")) {
			return errBoom
		}
		return nil
	}}.JSON(), tell)
	a.Use([]string{"/json", "/form", "/ext", "/text", "/raw", "/many", "/loose", "/noinflate", "/verify"},
		func(err error, _ *app.Request, res *app.Response, _ app.Next) {
			var e *app.Error
			errors.As(err, &e)
			res.Status(e.Status).JSON(struct {
				Status int    `json:"status"`
				Type   string `json:"type"`
			}{e.Status, e.Type})
		})
}

func twinAnswers(a *app.App) {
	get := func(path string, f func(res *app.Response)) {
		a.Get(path, func(_ *app.Request, res *app.Response) { f(res) })
	}
	get("/s1", func(r *app.Response) { r.Send("hello") })
	get("/s2", func(r *app.Response) { r.JSON(map[string]string{"a": "<b>&"}) })
	get("/s3", func(r *app.Response) { r.SendBytes([]byte("bytes")) })
	get("/s4", func(r *app.Response) { r.SendStatus(201) })
	get("/s5", func(r *app.Response) { r.Status(204).Send("x") })
	get("/s6", func(r *app.Response) { r.Type("txt").Send("é") })
	get("/s7", func(r *app.Response) { r.Set("Content-Type", "text/plain; charset=latin1").Send("x") })
	get("/s8", func(r *app.Response) { r.Status(205).Send("x") })
	get("/s9", func(r *app.Response) { r.Set("ETag", `"own"`).Send("x") })
	get("/s10", func(r *app.Response) { r.Set("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT").Send("x") })
	get("/s11", func(r *app.Response) { r.Status(404).Send("x") })
	get("/s12", func(r *app.Response) { r.Type("application/json").Send("{}") })
	get("/s13", func(r *app.Response) { r.Send("") })
	get("/s14", func(r *app.Response) { r.SendStatus(299) })
	get("/s15", func(r *app.Response) { r.Vary("A").Vary("B").Vary("a").Type(".png").Send("x") })
	get("/s16", func(r *app.Response) { r.Type("nosuch").Send("x") })
	get("/s17", func(r *app.Response) { r.Attachment("a b.txt").Send("x") })
	get("/s18", func(r *app.Response) { r.Attachment(`ü"x.html`).Send("x") })
	get("/s19", func(r *app.Response) { r.Attachment("").Send("x") })
	get("/rd1", func(r *app.Response) { r.Redirect(302, "/to") })
	get("/rd2", func(r *app.Response) { r.Redirect(301, `http://x/<y> z?q="1"`) })
	get("/rd3", func(r *app.Response) { r.Redirect(302, "..") })
	get("/rd4", func(r *app.Response) { r.Location("/é%20%zz").End(nil) })
	get("/ck1", func(r *app.Response) { r.SetCookie(app.Cookie{Name: "a", Value: "b c;d"}).Send("x") })
	get("/ck2", func(r *app.Response) {
		r.SetCookie(app.Cookie{
			Name: "a", Value: "1", HTTPOnly: true, Secure: true, SameSite: "Lax", Domain: "x.y", Path: "/p", Priority: "High", Partitioned: true,
		}).SetCookie(app.Cookie{Name: "b", Value: "2"}).Send("x")
	})
	get("/ck3", func(r *app.Response) { r.ClearCookie(app.Cookie{Name: "a", Path: "/q"}).Send("x") })
	a.Get("/acc", func(q *app.Request, r *app.Response) {
		r.JSON([]string{
			q.Accepts("json", "html"), q.Accepts("text/plain", "image/png"), q.AcceptsEncodings("gzip", "br", "identity"),
			q.AcceptsLanguages("en", "de", "fr-CH"), q.AcceptsCharsets("utf-8", "latin1"),
		})
	})
	a.Get("/fmt", func(_ *app.Request, r *app.Response) error {
		return r.Format(app.Choice{Type: "json", Answer: func() { r.JSON(map[string]int{"a": 1}) }},
			app.Choice{Type: "html", Answer: func() { r.Send("<p>") }}, app.Choice{Type: "text", Answer: func() { r.Send("t") }})
	})
	a.Get("/fmt2", func(_ *app.Request, r *app.Response) error {
		return r.Format(app.Choice{Type: "json", Answer: func() { r.JSON(1) }}, app.Choice{Type: "default", Answer: func() { r.Send("d") }})
	})
	a.Post("/is", func(q *app.Request, r *app.Response) {
		r.JSON([]string{q.Is("json"), q.Is("text/*"), q.Is("+json"), q.Is("html", "urlencoded"), q.Is("*/*")})
	})
	a.Get("/get", func(q *app.Request, r *app.Response) {
		v, _ := q.Query("a")
		r.JSON([]any{q.Get("Referrer"), q.Get("X-A"), q.XHR(), v})
	})
	a.Get("/t", whence)
}

// whence answers with what proxies may have a say in.
func whence(q *app.Request, r *app.Response) {
	ips, sub := q.IPs(), q.Subdomains()
	if sub == nil {
		sub = []string{}
	}
	r.JSON([]any{q.IP(), ips, q.Protocol(), q.Secure(), q.Host(), q.Hostname(), sub})
}

func twinFiles(t *testing.T, a *app.App) {
	dir := files(t)
	a.Use("/static", app.Static(dir, app.StaticOptions{}))
	a.Use("/staticf", app.Static(dir, app.StaticOptions{
		Final: true, Extensions: []string{"html", "txt"},
		FileOptions: app.FileOptions{MaxAge: time.Hour, Immutable: true},
	}))
	a.Use("/staticd", app.Static(dir, app.StaticOptions{
		NoRedirect: true, Index: "-", FileOptions: app.FileOptions{Dotfiles: app.DenyDotfiles},
	}))
	a.Use("/statica", app.Static(dir, app.StaticOptions{FileOptions: app.FileOptions{Dotfiles: app.AllowDotfiles}}))
	a.Get("/file", func(_ *app.Request, r *app.Response) { r.SendFile(filepath.Join(dir, "a.txt"), app.FileOptions{}) })
	a.Get("/nofile", func(_ *app.Request, r *app.Response) { r.SendFile("/nonexistent", app.FileOptions{}) })
	a.Get("/dl", func(_ *app.Request, r *app.Response) { r.Download(filepath.Join(dir, "a.txt"), "ü.txt") })
	a.Get("/dirfile", func(_ *app.Request, r *app.Response) { r.SendFile(dir, app.FileOptions{}) })
}

// files makes the directory that the recorded answers were made with.
func files(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var big bytes.Buffer
	for i := range 200_000 {
		big.WriteString(strconv.Itoa(i+1) + "\n")
	}
	when := time.Date(2024, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	for name, content := range map[string]string{
		"a.txt": "hello static\n", "index.html": "<h1>idx</h1>", "sub/index.html": "sub", "empty/.keep": "",
		"sp ace.json": "x", ".hidden": "s", "zero.css": "", "noext": "u", "page.html": "w", "big.txt": big.String(),
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, when, when); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
