// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/lifetrace/lifetrace/internal/server"
	"github.com/lifetrace/lifetrace/internal/server/http1"
)

// maxKept is the largest buffer of an answer that is kept for the next.
const maxKept = 16 << 10

// Response is a response on its walk.
type Response struct {
	*server.Response
	req *Request
}

// Status sets the status and returns the response, so that an answer can be
// one expression.
func (r *Response) Status(status int) *Response {
	r.SetStatus(status)
	return r
}

// Set sets a header field. A Content-Type of text or JSON without a charset
// becomes one of UTF-8; "html" and the like become the type they name.
func (r *Response) Set(name, value string) *Response {
	if strings.EqualFold(name, "content-type") {
		value = contentType(value)
	}
	r.SetHeader(name, value)
	return r
}

// Append adds a header field beside those of the same name.
func (r *Response) Append(name, value string) *Response {
	r.AddHeader(name, value)
	return r
}

// Type sets Content-Type to a type, or to what an extension such as "html" or
// ".json" names.
func (r *Response) Type(t string) *Response { return r.Set("Content-Type", t) }

// Vary adds a member to the Vary field.
func (r *Response) Vary(field string) *Response {
	old, _ := r.Header("Vary")
	switch {
	case old == "" || field == "*":
		r.SetHeader("Vary", field)
	case old != "*" && !listHas(old, field):
		r.SetHeader("Vary", old+", "+field)
	}
	return r
}

// Send answers with text, which is HTML unless Content-Type says otherwise.
func (r *Response) Send(text string) {
	if t, ok := r.Header("Content-Type"); ok {
		r.SetHeader("Content-Type", withCharset(t))
	}
	r.send("text/html; charset=utf-8", []byte(text))
}

// SendBytes answers with bytes, which are application/octet-stream unless
// Content-Type says otherwise.
func (r *Response) SendBytes(b []byte) { r.send("application/octet-stream", b) }

// Text answers with plain text.
func (r *Response) Text(text string) {
	r.send("text/plain; charset=utf-8", []byte(text))
}

// SendStatus answers with a status and its name.
func (r *Response) SendStatus(status int) {
	r.SetStatus(status)
	text := server.StatusText(status)
	if text == "unknown" {
		text = strconv.Itoa(status)
	}
	r.Type("txt").send("", []byte(text))
}

// JSON answers with a value's JSON. One that has none panics.
func (r *Response) JSON(v any) {
	r.send("application/json; charset=utf-8", r.req.w.encoded.encode(v))
}

// encoded is where values are made JSON; it is used again for the next answer.
type encoded struct {
	buf bytes.Buffer
	enc *json.Encoder
}

// encode returns a value's JSON, valid until the next call.
func (e *encoded) encode(v any) []byte {
	if e.enc == nil || e.buf.Cap() > maxKept {
		e.buf = bytes.Buffer{}
		e.enc = json.NewEncoder(&e.buf)
		e.enc.SetEscapeHTML(false) // as JSON.stringify: it is not HTML
	}
	e.buf.Reset()
	if err := e.enc.Encode(v); err != nil {
		panic(err)
	}
	b := e.buf.Bytes()
	return b[:len(b)-1] // without the line feed
}

// send answers with content of a type, unless another type is set. The length
// is a field of its own, as in Express, so that HEAD has it too. A client that
// has the content already is told so.
func (r *Response) send(kind string, b []byte) {
	if _, ok := r.Header("Content-Type"); !ok {
		r.SetHeader("Content-Type", kind)
	}
	r.SetHeader("Content-Length", strconv.Itoa(len(b)))
	if _, ok := r.Header("ETag"); !ok && !r.req.w.app.settings.NoETag {
		r.SetHeader("ETag", weakTag(b))
	}
	if r.req.Fresh() { // by the tag that was just set, if nothing else
		r.SetStatus(304)
	}
	switch r.Response.Status() {
	case 204, 304:
		r.DelHeader("Content-Type")
		r.DelHeader("Content-Length")
		b = nil
	case 205:
		r.SetHeader("Content-Length", "0")
		b = nil
	}
	r.End(b)
}

// weakTag is Express's entity tag: the length and a hash of the content. It is
// for telling contents apart, not for safety.
func weakTag(b []byte) string {
	sum := sha1.Sum(b)
	tag := make([]byte, 0, 48)
	tag = append(tag, `W/"`...)
	tag = strconv.AppendInt(tag, int64(len(b)), 16)
	tag = append(tag, '-')
	tag = base64.StdEncoding.AppendEncode(tag, sum[:])
	tag[len(tag)-1] = '"' // in place of the padding
	return string(tag)
}

// Location sets the Location field to a URL, escaped where it has to be.
func (r *Response) Location(url string) *Response {
	r.SetHeader("Location", encodeURL(url))
	return r
}

// Redirect answers with a status of 3xx and where to go, and says so in text or
// HTML as the client likes it.
func (r *Response) Redirect(status int, url string) {
	url = encodeURL(url)
	r.SetHeader("Location", url)
	name := server.StatusText(status)
	body := ""
	r.Vary("Accept") // a cache must not give one what another likes
	switch r.req.Accepts("text", "html") {
	case "text":
		r.Type("text/plain")
		body = name + ". Redirecting to " + url
	case "html":
		r.Type("text/html")
		body = "<!DOCTYPE html><head><title>" + name + "</title></head><body><p>" + name + ". Redirecting to " +
			escapeHTML(url) + "</p></body>"
	}
	r.SetStatus(status)
	r.SetHeader("Content-Length", strconv.Itoa(len(body)))
	r.End([]byte(body))
}

// Choice is a type that Format can answer with.
type Choice struct {
	Type   string // such as "json" or "text/html"; "default" is for all else
	Answer func()
}

// Format answers with the first of the choices that the client likes best, with
// that Content-Type. If there is none and no default, the error is 406.
func (r *Response) Format(choices ...Choice) error {
	var types []string
	for _, c := range choices {
		if c.Type != "default" {
			types = append(types, c.Type)
		}
	}
	best := ""
	if len(types) > 0 {
		best = r.req.Accepts(types...)
	}
	r.Vary("Accept")
	for _, c := range choices {
		switch {
		case best != "" && c.Type == best:
			r.Type(best)
			c.Answer()
			return nil
		case best == "" && c.Type == "default":
			c.Answer()
			return nil
		}
	}
	return NewError(406, "Not Acceptable")
}

// Fresh reports whether the client has what the response's ETag and
// Last-Modified fields say already.
func (r *Request) Fresh() bool {
	if m := r.MethodCode(); m != http1.GET && m != http1.HEAD && m != http1.QUERY {
		return false
	}
	res := &r.w.res
	if s := res.Response.Status(); (s < 200 || s > 299) && s != 304 {
		return false
	}
	etag, _ := res.Header("ETag")
	modified, _ := res.Header("Last-Modified")
	return r.fresh(etag, modified)
}
