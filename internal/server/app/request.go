// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"net/url"
	"strings"

	"github.com/lifetrace/lifetrace/internal/server"
)

// Request is a request on its walk. Its methods about the URL speak of what the
// present layer sees: below a mount path that is the rest of the path.
type Request struct {
	*server.Request

	// Body is what a body layer has made of the content: []byte, string, a
	// JSON value or a form (map[string]any). It is nil if none has.
	Body any
	// Raw is the content that a body layer has read, JSON what the JSON layer
	// has found in it; nil if none has.
	Raw  []byte
	JSON any

	bodyRead bool // a body layer has taken the content
	locals   map[string]any
	w        *walk
}

// Param returns the decoded value of a parameter of the present layer's path,
// "" if it has none of that name. A wildcard's value is its whole text.
func (r *Request) Param(name string) string {
	if p := r.param(name); p != nil {
		return p.decoded()
	}
	return ""
}

// HasParam reports whether the path has a parameter, which an optional group
// may have left out.
func (r *Request) HasParam(name string) bool { return r.param(name) != nil }

// Wildcard returns the decoded segments of a wildcard, nil if there is none of
// that name.
func (r *Request) Wildcard(name string) []string {
	p := r.param(name)
	if p == nil || !p.wild {
		return nil
	}
	segments := strings.Split(string(p.value), "/")
	for i, s := range segments {
		part := param{value: []byte(s)}
		segments[i] = part.decoded()
	}
	return segments
}

// Params returns the names and decoded values of all parameters of the present
// layer's path.
func (r *Request) Params() map[string]string {
	out := map[string]string{}
	for i := r.w.shown; i < len(r.w.params); i++ {
		p := &r.w.params[i]
		out[p.name] = p.decoded()
	}
	return out
}

// SetParam changes a parameter's value. What a parameter handler sets stays for
// the layers of its router.
func (r *Request) SetParam(name, value string) {
	if p := r.param(name); p != nil {
		p.set = &value
	}
}

// param finds the last parameter of a name: a router's own hide those of its
// mount path.
func (r *Request) param(name string) *param {
	for i := len(r.w.params) - 1; i >= r.w.shown; i-- {
		if p := &r.w.params[i]; p.name == name {
			return p
		}
	}
	return nil
}

// BaseURL returns the path that the present router or layer is mounted at, as
// the client wrote it, "" at the top.
func (r *Request) BaseURL() string { return string(r.w.path[:min(r.w.base, len(r.w.path))]) }

// OriginalURL returns the target as the client sent it.
func (r *Request) OriginalURL() string { return r.Target() }

// PathBytes returns the path below BaseURL, not decoded.
func (r *Request) PathBytes() []byte { return r.w.from(r.w.base) }

// Path returns the path below BaseURL, not decoded.
func (r *Request) Path() string { return string(r.PathBytes()) }

// URL returns the target without BaseURL: Path with the query, and with the
// origin if the client has sent that.
func (r *Request) URL() string {
	w := r.w
	if w.rewritten {
		if len(w.query) == 0 && !w.bareMark {
			return r.Path()
		}
		return r.Path() + "?" + string(w.query)
	}
	// What follows the path in the target is the query, with its mark.
	target := r.Target()
	whole := len(r.Request.PathBytes())
	after := len(r.Request.QueryBytes())
	if after > 0 || strings.HasSuffix(target, "?") {
		after++
	}
	origin, tail := len(target)-after-whole, len(target)-after
	return target[:origin] + r.Path() + target[tail:]
}

// SetURL changes Path and the query for the layers that follow, as assigning
// to req.url does.
func (r *Request) SetURL(target string) { r.w.rewrite(target) }

// QueryBytes returns the query without its "?", not decoded.
func (r *Request) QueryBytes() []byte { return r.w.query }

// Query returns the decoded value of the first query parameter with a name.
func (r *Request) Query(name string) (value string, ok bool) {
	for part := range bytes.SplitSeq(r.w.query, []byte("&")) {
		k, v, _ := bytes.Cut(part, []byte("="))
		if string(k) == name || formText(string(k)) == name {
			return formText(string(v)), true
		}
	}
	return "", false
}

// Get returns the value of a header field in any case of letters. As in Express
// Referer and Referrer are the same.
func (r *Request) Get(name string) string {
	name = lower(name)
	if name == "referer" || name == "referrer" {
		if v := r.Header("referrer"); v != "" {
			return v
		}
		return r.Header("referer")
	}
	return r.Header(name)
}

// SetLocal keeps a value for the layers that follow.
func (r *Request) SetLocal(key string, v any) {
	if r.locals == nil {
		r.locals = map[string]any{}
	}
	r.locals[key] = v
}

// Local returns what SetLocal has kept, nil if nothing.
func (r *Request) Local(key string) any { return r.locals[key] }

// XHR reports whether a script says that it asks.
func (r *Request) XHR() bool {
	return strings.EqualFold(r.Header("x-requested-with"), "xmlhttprequest")
}

// rewrite gives the request another path below the present base. What the frames
// have looked up is looked up again; what they have passed is not visited again.
func (w *walk) rewrite(target string) {
	path, query, marked := strings.Cut(target, "?")
	w.rewritten, w.bareMark = true, marked
	base := min(w.base, len(w.path))
	w.path = append(w.path[:base:base], path...)
	w.query = []byte(query)
	w.lists = w.lists[:0]
	for i := range w.frames {
		f := &w.frames[i]
		f.lists = len(w.lists)
		w.lists, w.lower = f.table.candidates(w.from(f.base), w.lower, w.lists)
	}
}

// formText decodes a part of a query or form; one that is malformed stays as it
// is but for the plus signs.
func formText(s string) string {
	if strings.IndexByte(s, '+') >= 0 {
		s = strings.ReplaceAll(s, "+", " ")
	}
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}
