// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lifetrace/lifetrace/internal/server/app"
)

// A lifetime is told in both ways that clients know.
func TestCookieLifetime(t *testing.T) {
	a := app.New()
	a.Get("/age", func(_ *app.Request, res *app.Response) {
		res.SetCookie(app.Cookie{Name: "a", Value: "é", MaxAge: time.Hour}).SendStatus(200)
	})
	a.Get("/date", func(_ *app.Request, res *app.Response) {
		res.SetCookie(app.Cookie{Name: "a", Expires: time.Unix(1e9, 0)}).SendStatus(200)
	})
	r := run(t, a)
	before := time.Now().Truncate(time.Second)
	_, _, h := r.do("GET", "/age", "")
	cookie, date, _ := strings.Cut(h.Get("Set-Cookie"), "; Expires=")
	at, err := http.ParseTime(date)
	if cookie != "a=%C3%A9; Max-Age=3600; Path=/" || err != nil || at.Before(before.Add(time.Hour)) || at.After(time.Now().Add(time.Hour)) {
		t.Errorf("%v", h)
	}
	if _, _, h := r.do("GET", "/date", ""); h.Get("Set-Cookie") != "a=; Path=/; Expires=Sun, 09 Sep 2001 01:46:40 GMT" {
		t.Errorf("%v", h)
	}
}

// Nothing in a cookie can become another attribute or another field.
func TestCookieInjection(t *testing.T) {
	bad := map[string]app.Cookie{
		"/none": {}, "/name": {Name: "a b"}, "/equals": {Name: "a=b"}, "/path": {Name: "a", Path: "/;Secure"},
		"/domain": {Name: "a", Domain: "x;y"}, "/site": {Name: "a", SameSite: "Lax\r\nX: y"}, "/priority": {Name: "a", Priority: ";"},
	}
	a := app.New()
	for path, c := range bad {
		a.Get(path, func(_ *app.Request, res *app.Response) { res.SetCookie(c).SendStatus(200) })
	}
	a.Get("/value", func(_ *app.Request, res *app.Response) {
		res.SetCookie(app.Cookie{Name: "a", Value: "b; Secure\r\nX: y"}).SendStatus(200)
	})
	r := run(t, a)
	for path := range bad {
		if status, _, h := r.do("GET", path, ""); status != 500 || h.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %v", path, status, h)
		}
	}
	if status, _, h := r.do("GET", "/value", ""); status != 200 || h.Get("Set-Cookie") != "a=b%3B%20Secure%0D%0AX%3A%20y; Path=/" {
		t.Errorf("%d %v", status, h)
	}
}
