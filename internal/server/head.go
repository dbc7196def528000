// SPDX-License-Identifier: Apache-2.0

package server

import (
	"strconv"
	"strings"
	"time"

	"github.com/lifetrace/lifetrace/internal/server/http1"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// userFields is what the handler's own fields decide.
type userFields struct {
	date, connection, close, keepAlive, trailer bool

	chunked bool  // by a Transfer-Encoding
	length  int64 // of Content-Length; -1 if not set
}

// removed says which fields the handler does not want, by DelHeader.
type removed struct{ date, connection, length, coding bool }

// compose appends the head to s. Implied is the length of the content if all
// of it is known, else -1. The order is Node's: the handler's fields in their
// order, Date, Connection, Keep-Alive, and the framing last.
func (r *Response) compose(s *[]byte, implied int64) {
	ex := r.ex
	req := &ex.req
	ex.stamp(stamp.ComposeBegin, 0, 0, 0)
	r.headSent = true
	status := r.Status()
	bare := status == 204 || status == 304 // never have content
	r.hasBody = !bare && req.method != http1.HEAD
	r.left = -1

	u := r.check(status)
	b := r.appendStatusLine(*s, status)
	for _, f := range r.fields {
		b = appendField(b, f.name, f.value)
	}
	if !u.date && !r.removed.date {
		b = append(b, "Date: "...)
		b = ex.c.w.date.append(b, ex.c.w.loop.Now())
		b = append(b, "\r\n"...)
	}
	if bare && u.chunked {
		// Whether a client looks for chunks after such a head is anybody's
		// guess: nothing may follow.
		r.last = true
	}
	b = r.appendConnection(b, &u)
	b = r.appendFraming(b, &u, implied)
	*s = append(b, "\r\n"...)
	ex.stamp(stamp.HeadComposed, 0, uint64(status), 0)
}

func (r *Response) appendStatusLine(b []byte, status int) []byte {
	if r.reason == "" {
		return appendStatusLine(b, status)
	}
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	b = append(b, r.reason...)
	return append(b, "\r\n"...)
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// check reads the handler's fields and drops those that would be a lie about
// the framing, which a client or a proxy between would believe.
func (r *Response) check(status int) userFields {
	u := userFields{length: -1}
	kept := r.fields[:0]
	for _, f := range r.fields {
		if r.understand(&u, f, status) {
			kept = append(kept, f)
		}
	}
	r.fields = kept
	if u.chunked && u.length >= 0 {
		r.drop("content-length") // with both, chunks decide (RFC 9112, 6.3)
		u.length = -1
	}
	return u
}

// understand takes one field; false drops it.
func (r *Response) understand(u *userFields, f outField, status int) bool {
	switch len(f.name) {
	case 4:
		u.date = u.date || strings.EqualFold(f.name, "date")
	case 7:
		u.trailer = u.trailer || strings.EqualFold(f.name, "trailer")
	case 10:
		switch {
		case strings.EqualFold(f.name, "connection"):
			u.connection = true
			u.close = u.close || hasToken(f.value, "close")
		case strings.EqualFold(f.name, "keep-alive"):
			u.keepAlive = true
		}
	case 14:
		if strings.EqualFold(f.name, "content-length") {
			n, err := strconv.ParseUint(f.value, 10, 63)
			if err != nil || status == 204 || u.length >= 0 {
				return false
			}
			u.length = int64(n)
		}
	case 17:
		if strings.EqualFold(f.name, "transfer-encoding") {
			// What ends otherwise has no end that a client can see, and
			// HTTP/1.0 knows no codings.
			last := f.value[strings.LastIndexByte(f.value, ',')+1:]
			if u.chunked || r.ex.req.minor == 0 || !hasToken(last, "chunked") {
				return false
			}
			u.chunked = true
		}
	}
	return true
}

// appendConnection decides whether the connection persists and says so.
func (r *Response) appendConnection(b []byte, u *userFields) []byte {
	ex := r.ex
	c := ex.c
	limit := c.w.server.opts.MaxRequests
	if !ex.req.keepAlive || u.close || c.ending(ex) || limit > 0 && int(ex.no)+1 >= limit {
		r.last = true
	}
	if u.connection {
		return b
	}
	if ex.req.minor == 0 && u.length < 0 {
		r.last = true // without a length HTTP/1.0 does not keep it
	}
	switch {
	case r.removed.connection:
		return b
	case r.last:
		return append(b, "Connection: close\r\n"...)
	}
	b = append(b, "Connection: keep-alive\r\n"...)
	if u.keepAlive {
		return b
	}
	b = append(b, "Keep-Alive: timeout="...)
	b = strconv.AppendInt(b, int64(c.w.server.opts.KeepAliveTimeout/time.Second), 10)
	if limit > 0 {
		b = append(b, ", max="...)
		b = strconv.AppendInt(b, int64(limit), 10)
	}
	return append(b, "\r\n"...)
}

// appendFraming decides how the end of the content is told and says so.
func (r *Response) appendFraming(b []byte, u *userFields, implied int64) []byte {
	switch {
	case u.length >= 0:
		r.left = u.length
	case !r.hasBody:
	case u.chunked:
		r.chunked = true
	case r.ex.req.minor == 0:
		r.last = true // HTTP/1.0 knows no chunks: the end is the end
	case implied >= 0 && !u.trailer && !r.removed.length:
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, implied, 10)
		b = append(b, "\r\n"...)
		r.left = implied
	case !r.removed.coding:
		r.chunked = true
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	default:
		r.last = true
	}
	return b
}

// ending reports whether the connection is to end after this exchange because
// the server stops.
func (c *conn) ending(ex *exchange) bool {
	return c.w.draining && len(c.rest) == 0 && c.queue[len(c.queue)-1] == ex
}

// hasToken reports whether a list field has a member.
func hasToken(list, token string) bool {
	for member := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.Trim(member, " \t"), token) {
			return true
		}
	}
	return false
}
