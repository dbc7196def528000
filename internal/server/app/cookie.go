// SPDX-License-Identifier: Apache-2.0

package app

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lifetrace/lifetrace/internal/server"
)

// Cookie is what SetCookie sends. The value may be any text: it is escaped.
type Cookie struct {
	Name, Value string
	Path        string        // "" is "/"
	Domain      string        // "" is the host alone
	MaxAge      time.Duration // 0: until the client ends
	Expires     time.Time     // zero: as MaxAge says
	HTTPOnly    bool
	Secure      bool
	Partitioned bool
	Priority    string // Low, Medium or High
	SameSite    string // Strict, Lax or None
}

// SetCookie adds a Set-Cookie field. A name, path or domain that could become
// something else in the field panics.
func (r *Response) SetCookie(c Cookie) *Response {
	if c.Path == "" {
		c.Path = "/"
	}
	// A value is escaped; these are sent as they are, and a semicolon in them would
	// begin another attribute.
	if !isCookieName(c.Name) || strings.ContainsAny(c.Path+c.Domain+c.Priority+c.SameSite, ";\r\n\x00") {
		panic(server.ErrInvalidHeader)
	}
	b := c.Name + "=" + encodeComponent(c.Value)
	if c.MaxAge != 0 {
		b += "; Max-Age=" + strconv.FormatInt(int64(c.MaxAge/time.Second), 10)
		c.Expires = time.Now().Add(c.MaxAge) // for clients that know nothing else
	}
	if c.Domain != "" {
		b += "; Domain=" + c.Domain
	}
	b += "; Path=" + c.Path
	if !c.Expires.IsZero() {
		b += "; Expires=" + c.Expires.UTC().Format(http.TimeFormat)
	}
	for _, flag := range []struct {
		on   bool
		text string
	}{
		{c.HTTPOnly, "; HttpOnly"},
		{c.Secure, "; Secure"},
		{c.Partitioned, "; Partitioned"},
		{c.Priority != "", "; Priority=" + c.Priority},
		{c.SameSite != "", "; SameSite=" + c.SameSite},
	} {
		if flag.on {
			b += flag.text
		}
	}
	return r.Append("Set-Cookie", b)
}

// ClearCookie tells the client to forget a cookie; it has to name the path and
// the domain that the cookie was set with.
func (r *Response) ClearCookie(c Cookie) *Response {
	c.Value, c.MaxAge, c.Expires = "", 0, time.Unix(0, 0)
	return r.SetCookie(c)
}

func isCookieName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || c == '=' || c == ';' {
			return false
		}
	}
	return name != ""
}

// Cookies returns the cookies of the request, decoded; of several with one name
// the first counts. (Cookie is the connection's, which is something else.)
func (r *Request) Cookies() map[string]string {
	out := map[string]string{}
	// Forgiving: a client sends the cookies of others along, whatever they look
	// like.
	for pair := range strings.SplitSeq(r.Header("cookie"), ";") {
		k, v, ok := strings.Cut(pair, "=")
		k, v = strings.Trim(k, " \t"), strings.Trim(v, " \t")
		if _, again := out[k]; !ok || again {
			continue
		}
		if len(v) > 1 && v[0] == '"' && v[len(v)-1] == '"' {
			v = v[1 : len(v)-1]
		}
		if u, err := url.PathUnescape(v); err == nil {
			v = u
		}
		out[k] = v
	}
	return out
}
