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
	date, connection, close bool
	length                  int64 // -1 if not set
}

// compose writes the head into the stream. Implied is the length of the
// content if all of it is known, else -1. The order is Node's: the handler's
// fields in their order, Date, Connection, Keep-Alive, and the framing last.
func (r *Response) compose(implied int64) {
	ex := r.ex
	req := &ex.req
	ex.stamp(stamp.ComposeBegin, 0, 0, 0)
	r.headSent = true
	status := r.Status()
	bare := status == 204 || status == 304 // never have content
	r.hasBody = !bare && req.method != http1.HEAD
	r.left = -1

	s := ex.sink()
	b := appendStatusLine(*s, status)
	var u userFields
	b, u = r.appendFields(b, status)
	if !u.date {
		b = append(b, "Date: "...)
		b = ex.c.w.date.append(b, ex.c.w.loop.Now())
		b = append(b, "\r\n"...)
	}
	b = r.appendConnection(b, &u)
	switch {
	case u.length >= 0:
		r.left = u.length
	case bare || !r.hasBody:
	case req.minor == 0:
		r.last = true // HTTP/1.0 knows no chunks: the end is the end
	case implied >= 0:
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, implied, 10)
		b = append(b, "\r\n"...)
		r.left = implied
	default:
		r.chunked = true
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	*s = append(b, "\r\n"...)
	ex.stamp(stamp.HeadComposed, 0, uint64(status), 0)
}

func (r *Response) appendFields(b []byte, status int) ([]byte, userFields) {
	u := userFields{length: -1}
	for _, f := range r.fields {
		switch len(f.name) {
		case 4:
			u.date = u.date || strings.EqualFold(f.name, "date")
		case 10:
			if strings.EqualFold(f.name, "connection") {
				u.connection = true
				u.close = u.close || hasToken(f.value, "close")
			}
		case 14:
			if strings.EqualFold(f.name, "content-length") {
				n, err := strconv.ParseUint(f.value, 10, 63)
				if err != nil || status == 204 || u.length >= 0 {
					continue // it would be a lie; the framing is ours
				}
				u.length = int64(n)
			}
		case 17:
			if strings.EqualFold(f.name, "transfer-encoding") {
				continue // the coding is ours to choose
			}
		}
		b = append(b, f.name...)
		b = append(b, ": "...)
		b = append(b, f.value...)
		b = append(b, "\r\n"...)
	}
	return b, u
}

// appendConnection decides whether the connection persists and says so.
func (r *Response) appendConnection(b []byte, u *userFields) []byte {
	ex := r.ex
	c := ex.c
	if !ex.req.keepAlive || u.close || c.ending(ex) {
		r.last = true
	}
	if !u.connection && !r.last && ex.req.minor == 0 && u.length < 0 {
		r.last = true
	}
	switch {
	case u.connection:
		return b
	case r.last:
		return append(b, "Connection: close\r\n"...)
	}
	b = append(b, "Connection: keep-alive\r\nKeep-Alive: timeout="...)
	b = strconv.AppendInt(b, int64(c.w.server.opts.KeepAliveTimeout/time.Second), 10)
	return append(b, "\r\n"...)
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
