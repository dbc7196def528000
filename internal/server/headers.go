// SPDX-License-Identifier: Apache-2.0

package server

import "strings"

// Field is a field line.
type Field struct{ Name, Value string }

// RawHeaders returns the request's fields as they were sent.
func (r *Request) RawHeaders() []Field { return r.raw(r.fields) }

// Headers returns the request's fields as Node's req.headers has them: names in
// lower case in the order of their first appearance, and those that came more
// than once joined. Set-Cookie alone, which cannot be joined, may have several
// entries.
func (r *Request) Headers() []Field { return join(r.raw(r.fields)) }

// RawTrailers returns the fields of the trailer section as they were sent. They
// are complete when the content has ended.
func (r *Request) RawTrailers() []Field { return r.raw(r.trailers) }

// Trailers is to RawTrailers what Headers is to RawHeaders.
func (r *Request) Trailers() []Field { return join(r.raw(r.trailers)) }

func (r *Request) raw(spans []fieldSpan) []Field {
	fields := make([]Field, len(spans))
	for i, f := range spans {
		fields[i] = Field{string(r.buf[f.name:f.nameEnd]), string(r.buf[f.value:f.valueEnd])}
	}
	return fields
}

// join makes one field of those with the same name.
func join(raw []Field) []Field {
	index := make(map[string]int, len(raw))
	fields := raw[:0]
	for _, f := range raw {
		f.Name = strings.ToLower(f.Name)
		i, again := index[f.Name]
		switch {
		case !again || f.Name == "set-cookie":
			index[f.Name] = len(fields)
			fields = append(fields, f)
		case f.Name == "cookie":
			fields[i].Value += "; " + f.Value
		case !single(f.Name):
			fields[i].Value += ", " + f.Value
		}
	}
	return fields
}

// single reports whether only the first of several fields with a name counts,
// because its value is no list.
func single(name string) bool {
	switch name {
	case "age", "authorization", "content-length", "content-type", "etag", "expires", "from", "host",
		"if-modified-since", "if-unmodified-since", "last-modified", "location", "max-forwards",
		"proxy-authorization", "referer", "retry-after", "server", "user-agent":
		return true
	}
	return false
}

// hasOption reports whether a field with a name, any of them if there are
// several, has a member. The name and the member are in lower case.
func (r *Request) hasOption(name, option string) bool {
	for i := range r.fields {
		f := &r.fields[i]
		if foldEqual(r.buf[f.name:f.nameEnd], name) && hasToken(text(r.buf[f.value:f.valueEnd]), option) {
			return true
		}
	}
	return false
}
