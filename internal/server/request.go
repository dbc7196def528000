// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"net/netip"
	"unsafe"

	"github.com/lifetrace/lifetrace/internal/server/http1"
	"github.com/lifetrace/lifetrace/internal/server/loop"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// Request is what the client asks. Methods that return bytes share the
// request's memory and are valid as long as the request is; methods that
// return strings copy.
type Request struct {
	ex *exchange

	method       http1.Method
	major, minor uint8
	keepAlive    bool
	content      bool
	length       int64 // of the content, -1 if chunked

	// buf holds the target and then the fields.
	buf         []byte
	targetLen   int
	targetDone  bool
	path, query [2]int // in buf
	fields      []fieldSpan
	trailers    []fieldSpan
	inName      bool

	body       content
	attachment any
}

// fieldSpan is a field in Request.buf.
type fieldSpan struct{ name, nameEnd, value, valueEnd int }

// Method returns the method's name.
func (r *Request) Method() string { return r.method.String() }

// MethodCode returns the method.
func (r *Request) MethodCode() http1.Method { return r.method }

// Version returns the HTTP version, 1.0 or 1.1.
func (r *Request) Version() (major, minor int) { return int(r.major), int(r.minor) }

// Target returns the request target as it was sent.
func (r *Request) Target() string { return string(r.buf[:r.targetLen]) }

// PathBytes returns the target's path, not decoded.
func (r *Request) PathBytes() []byte { return r.buf[r.path[0]:r.path[1]] }

// Path returns the target's path, not decoded.
func (r *Request) Path() string { return string(r.PathBytes()) }

// QueryBytes returns the target's query without its "?", not decoded.
func (r *Request) QueryBytes() []byte { return r.buf[r.query[0]:r.query[1]] }

// HasContent reports whether the request has content.
func (r *Request) HasContent() bool { return r.content }

// ContentLength returns the length of the content, -1 if it is chunked.
func (r *Request) ContentLength() int64 { return r.length }

// Peer returns the address of the client.
func (r *Request) Peer() netip.AddrPort { return r.ex.c.peer }

// Local returns the address the client connected to.
func (r *Request) Local() netip.AddrPort { return r.ex.c.local }

// Cookie returns the socket cookie of the connection.
func (r *Request) Cookie() uint64 { return r.ex.c.cookie }

// Exchange returns the number of the exchange on its connection, from 0.
func (r *Request) Exchange() uint32 { return r.ex.no }

// Loop returns the loop that the request belongs to.
func (r *Request) Loop() *loop.Loop { return r.ex.c.w.loop }

// HeaderBytes returns the value of the first field with a name in lower case,
// nil if there is none.
func (r *Request) HeaderBytes(lower string) []byte {
	for i := range r.fields {
		f := &r.fields[i]
		if f.nameEnd-f.name == len(lower) && foldEqual(r.buf[f.name:f.nameEnd], lower) {
			return r.buf[f.value:f.valueEnd:f.valueEnd]
		}
	}
	return nil
}

// Header returns the value of the first field with a name in lower case.
func (r *Request) Header(lower string) string { return string(r.HeaderBytes(lower)) }

// HasHeader reports whether there is a field with a name in lower case.
func (r *Request) HasHeader(lower string) bool { return r.HeaderBytes(lower) != nil }

// Query returns the decoded value of the first query parameter with a name.
func (r *Request) Query(name string) (value string, ok bool) {
	for part := range bytes.SplitSeq(r.QueryBytes(), []byte("&")) {
		k, v, _ := bytes.Cut(part, []byte("="))
		if string(k) == name || unescapeQuery(k) == name {
			return unescapeQuery(v), true
		}
	}
	return "", false
}

// Attachment returns what SetAttachment stored in this request's memory, maybe
// for an earlier request: a framework keeps its own per-request memory there.
func (r *Request) Attachment() any { return r.attachment }

// SetAttachment stores v.
func (r *Request) SetAttachment(v any) { r.attachment = v }

// Traced reports whether stamps are taken.
func (r *Request) Traced() bool { return r.ex.c.w.ring != nil }

// Stamp stores a stamp of the request's exchange with the present time.
func (r *Request) Stamp(code stamp.Code, aux uint16, a, b uint64) { r.ex.stamp(code, aux, a, b) }

// addTarget is called by the parser.
func (r *Request) addTarget(b []byte, end bool) {
	r.buf = append(r.buf, b...)
	if !end {
		return
	}
	r.targetDone, r.targetLen = true, len(r.buf)
	start, q := splitTarget(r.buf)
	r.path = [2]int{start, q}
	r.query = [2]int{min(q+1, len(r.buf)), len(r.buf)}
}

// addName adds to a field name in r.fields or r.trailers.
func (r *Request) addName(fields *[]fieldSpan, b []byte) {
	if !r.inName {
		r.inName = true
		n := len(r.buf)
		*fields = append(*fields, fieldSpan{n, n, n, n})
	}
	r.buf = append(r.buf, b...)
	f := &(*fields)[len(*fields)-1]
	n := len(r.buf)
	f.nameEnd, f.value, f.valueEnd = n, n, n
}

func (r *Request) addValue(fields []fieldSpan, b []byte, end bool) {
	r.inName = false
	r.buf = append(r.buf, b...)
	if !end {
		return
	}
	f := &fields[len(fields)-1]
	f.valueEnd = len(r.buf)
	for f.valueEnd > f.value && (r.buf[f.valueEnd-1] == ' ' || r.buf[f.valueEnd-1] == '\t') {
		f.valueEnd--
	}
}

// foldEqual compares ASCII without regard to case; lower is in lower case.
func foldEqual(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range b {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// text is b as a string for the time of a call that does not keep it.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
