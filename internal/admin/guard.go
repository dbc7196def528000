// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// guard lets requests through that read, and that name this host.
func guard(configured string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		if onLoopback(r) && !namesHost(r.Host, configured) {
			fail(w, http.StatusMisdirectedRequest, "this endpoint does not answer to that Host name; use localhost or an address")
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			fail(w, http.StatusMethodNotAllowed, "only GET and HEAD are answered here")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// onLoopback reports whether the request came to a loopback address: the only
// case in which a name can be rebound to reach what its sender cannot. A
// request whose connection is not known is taken to be one.
func onLoopback(r *http.Request) bool {
	a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return true
	}
	ap, err := netip.ParseAddrPort(a.String())
	return err != nil || ap.Addr().Unmap().IsLoopback()
}

// namesHost reports whether a Host header is one that only this host has: an
// address (a browser that was given an address cannot have been misled by a
// name), localhost, or the configured name.
func namesHost(host, configured string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(bare); err == nil {
		return true
	}
	return strings.EqualFold(host, "localhost") || host != "" && strings.EqualFold(host, configured)
}
