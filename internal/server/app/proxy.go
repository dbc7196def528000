// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"net/netip"
	"strings"
)

// Trust says whether a proxy is believed. hop is 0 for the peer of the
// connection, and one more for each proxy before it.
type Trust func(addr netip.Addr, hop int) bool

// TrustAll believes every proxy.
func TrustAll(netip.Addr, int) bool { return true }

// TrustHops believes the last n proxies.
func TrustHops(n int) Trust {
	return func(_ netip.Addr, hop int) bool { return hop < n }
}

// TrustNets believes the proxies of some addresses and networks; "loopback",
// "linklocal" and "uniquelocal" name those that are not routed. What is none of
// these panics.
func TrustNets(nets ...string) Trust {
	var prefixes []netip.Prefix
	for _, n := range nets {
		switch n {
		case "loopback":
			prefixes = append(prefixes, parseNets("127.0.0.0/8", "::1/128")...)
		case "linklocal":
			prefixes = append(prefixes, parseNets("169.254.0.0/16", "fe80::/10")...)
		case "uniquelocal":
			prefixes = append(prefixes, parseNets("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")...)
		default:
			prefixes = append(prefixes, parseNets(n)...)
		}
	}
	return func(addr netip.Addr, _ int) bool {
		for _, p := range prefixes {
			if p.Contains(addr.WithZone("")) {
				return true
			}
		}
		return false
	}
}

func parseNets(nets ...string) (out []netip.Prefix) {
	for _, n := range nets {
		p, err := netip.ParsePrefix(n)
		if err != nil {
			a, err := netip.ParseAddr(n)
			if err != nil {
				panic(fmt.Sprintf("app: %q is no address or network", n))
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		out = append(out, p)
	}
	return out
}

// trusts reports whether the proxy at an address is believed; one that is no
// address is not.
func (r *Request) trusts(addr string, hop int) bool {
	trust := r.w.app.settings.TrustProxy
	if trust == nil {
		return false
	}
	a, err := netip.ParseAddr(addr)
	return err == nil && trust(a.Unmap(), hop)
}

func (r *Request) peer() string { return r.Peer().Addr().String() }

// IP returns the address of the client: the peer's, or the farthest one that
// trusted proxies name in X-Forwarded-For.
func (r *Request) IP() string {
	if r.w.app.settings.TrustProxy == nil {
		return r.peer()
	}
	addrs := r.forwarded()
	return addrs[len(addrs)-1]
}

// IPs returns the addresses that trusted proxies name, the farthest first,
// without the peer's.
func (r *Request) IPs() []string {
	addrs := r.forwarded()
	out := make([]string, 0, len(addrs))
	for i := len(addrs) - 1; i > 0; i-- {
		out = append(out, addrs[i])
	}
	return out
}

// forwarded returns the addresses on the way, the nearest first, up to the first
// that is not trusted.
func (r *Request) forwarded() []string {
	// Each proxy adds the address it was asked by, so that the field is read from
	// its end; what stands before an address that is not trusted may be made up.
	addrs := []string{r.peer()}
	before := strings.Split(r.Header("x-forwarded-for"), ",")
	for i := len(before) - 1; i >= 0; i-- {
		hop := len(addrs) - 1
		addr := strings.Trim(before[i], " \t")
		if addr == "" || !r.trusts(addrs[hop], hop) {
			break
		}
		addrs = append(addrs, addr)
	}
	return addrs
}

// Protocol returns "http", or what a trusted proxy says it was asked by.
func (r *Request) Protocol() string {
	if v := r.proxied("x-forwarded-proto"); v != "" {
		return v
	}
	return "http"
}

// Secure reports whether Protocol is "https".
func (r *Request) Secure() bool { return r.Protocol() == "https" }

// Host returns the host and port that were asked for, as a trusted proxy or the
// client says.
func (r *Request) Host() string {
	if v := r.proxied("x-forwarded-host"); v != "" {
		return v
	}
	return r.Header("host")
}

// Hostname returns Host without the port.
func (r *Request) Hostname() string {
	host := r.Host()
	from := 0 // an IPv6 address has colons of its own
	if strings.HasPrefix(host, "[") {
		from = strings.IndexByte(host, ']') + 1
	}
	if i := strings.IndexByte(host[from:], ':'); i >= 0 {
		return host[:from+i]
	}
	return host
}

// Subdomains returns what stands before the last two parts of Hostname, the last
// first; none for an address.
func (r *Request) Subdomains() []string {
	name := r.Hostname()
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return nil
	}
	parts := strings.Split(name, ".")
	var out []string
	for i := len(parts) - 3; i >= 0; i-- {
		out = append(out, parts[i])
	}
	return out
}

// proxied returns the first member of a field if the peer is trusted.
func (r *Request) proxied(field string) string {
	v := r.Header(field)
	if v == "" || !r.trusts(r.peer(), 0) {
		return ""
	}
	v, _, _ = strings.Cut(v, ",")
	return strings.Trim(v, " \t")
}
