// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"net/url"

	"github.com/lifetrace/lifetrace/internal/stamp"
)

// redacted stands for the values of query parameters.
const redacted = "REDACTED"

// splitTarget returns where the path of a request target begins and ends. In
// absolute form (RFC 9112, 3.2.2) it begins after the authority.
func splitTarget(t []byte) (path, end int) {
	end = len(t)
	if q := bytes.IndexByte(t, '?'); q >= 0 {
		end = q
	}
	if len(t) == 0 || t[0] == '/' || t[0] == '*' {
		return 0, end
	}
	if i := bytes.Index(t[:end], []byte("://")); i > 0 {
		path = i + len("://")
		if s := bytes.IndexByte(t[path:end], '/'); s >= 0 {
			return path + s, end
		}
		return end, end
	}
	return 0, end
}

// appendTarget appends what is kept of a target: the path, and the query
// without its values. A parameter without a name is all value.
func appendTarget(b, path, query []byte, keepQuery bool) []byte {
	if len(path) == 0 {
		path = []byte("/")
	}
	b = append(b, path[:min(len(path), stamp.MaxText)]...)
	if len(query) == 0 {
		return b
	}
	b = append(b, '?')
	if keepQuery {
		return append(b, query...)
	}
	for i := 0; len(b) < stamp.MaxText; i++ {
		part, rest, more := bytes.Cut(query, []byte("&"))
		if i > 0 {
			b = append(b, '&')
		}
		if name, _, ok := bytes.Cut(part, []byte("=")); ok {
			b = append(append(b, name...), '=')
		}
		if len(part) > 0 {
			b = append(b, redacted...)
		}
		if !more {
			break
		}
		query = rest
	}
	return b
}

// unescapeQuery decodes a part of a query; one that is malformed stays as it
// is.
func unescapeQuery(b []byte) string {
	s := string(b)
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}
