// SPDX-License-Identifier: Apache-2.0

package http1

// Method is a request method.
type Method uint8

// The methods llhttp knows for HTTP, in its order.
const (
	DELETE Method = 1 + iota
	GET
	HEAD
	POST
	PUT
	CONNECT
	OPTIONS
	TRACE
	COPY
	LOCK
	MKCOL
	MOVE
	PROPFIND
	PROPPATCH
	SEARCH
	UNLOCK
	BIND
	REBIND
	UNBIND
	ACL
	REPORT
	MKACTIVITY
	CHECKOUT
	MERGE
	MSEARCH
	NOTIFY
	SUBSCRIBE
	UNSUBSCRIBE
	PATCH
	PURGE
	MKCALENDAR
	LINK
	UNLINK
	SOURCE
	QUERY
	numMethods
)

var methodNames = [numMethods]string{
	"", "DELETE", "GET", "HEAD", "POST", "PUT", "CONNECT", "OPTIONS", "TRACE", "COPY", "LOCK", "MKCOL", "MOVE",
	"PROPFIND", "PROPPATCH", "SEARCH", "UNLOCK", "BIND", "REBIND", "UNBIND", "ACL", "REPORT", "MKACTIVITY",
	"CHECKOUT", "MERGE", "M-SEARCH", "NOTIFY", "SUBSCRIBE", "UNSUBSCRIBE", "PATCH", "PURGE", "MKCALENDAR",
	"LINK", "UNLINK", "SOURCE", "QUERY",
}

func (m Method) String() string {
	if m < numMethods {
		return methodNames[m]
	}
	return ""
}

// ParseMethod returns the method with a name; ok is false for an unknown one.
// Names are case-sensitive.
func ParseMethod(name []byte) (m Method, ok bool) {
	// The two that nearly all requests have.
	switch string(name) {
	case "GET":
		return GET, true
	case "POST":
		return POST, true
	}
	for i, n := range methodNames {
		if i > 0 && n == string(name) {
			return Method(i), true
		}
	}
	return 0, false
}
