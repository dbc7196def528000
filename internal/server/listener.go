// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// backlog is the limit of the accept queue that is asked for, Node's own.
const backlog = 511

// parseListen resolves host:port. The zero address stands for all of them.
func parseListen(s string) (netip.AddrPort, error) {
	host, _, err := net.SplitHostPort(s)
	if err != nil {
		return netip.AddrPort{}, err
	}
	a, err := net.ResolveTCPAddr("tcp", s)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if host == "" {
		return netip.AddrPortFrom(netip.Addr{}, uint16(a.Port)), nil
	}
	ap := a.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
}

// bind returns a socket that does not listen yet, and the address it is bound to.
func bind(addr netip.AddrPort, reusePort bool) (fd int, bound netip.AddrPort, err error) {
	if addr.Addr().IsValid() {
		return bindTo(addr, reusePort)
	}
	// All addresses: an IPv6 socket takes IPv4 as well, where there is IPv6.
	fd, bound, err = bindTo(netip.AddrPortFrom(netip.IPv6Unspecified(), addr.Port()), reusePort)
	if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL) {
		return bindTo(netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port()), reusePort)
	}
	return fd, bound, err
}

func bindTo(addr netip.AddrPort, reusePort bool) (_ int, bound netip.AddrPort, err error) {
	family := unix.AF_INET
	if addr.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, bound, fmt.Errorf("socket: %w", err)
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
		}
	}()
	set := func(level, opt, v int) {
		if err == nil {
			err = unix.SetsockoptInt(fd, level, opt, v)
		}
	}
	set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if reusePort {
		set(unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	// Accepted sockets inherit this, so that it costs no call per connection.
	set(unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if family == unix.AF_INET6 {
		dual := 1
		if addr.Addr().IsUnspecified() {
			dual = 0
		}
		set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, dual)
	}
	if err != nil {
		return -1, bound, fmt.Errorf("setsockopt: %w", err)
	}
	if err = unix.Bind(fd, sockaddr(addr)); err != nil {
		return -1, bound, fmt.Errorf("bind: %w", err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return -1, bound, fmt.Errorf("getsockname: %w", err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		bound = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		bound = netip.AddrPortFrom(addr.Addr(), uint16(sa.Port)) // keeps the zone
	}
	return fd, bound, nil
}

// userAddr is the bound address as users write it.
func userAddr(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

func effectiveBacklog() int {
	b, err := os.ReadFile("/proc/sys/net/core/somaxconn")
	if err != nil {
		return backlog
	}
	return cutBacklog(string(b))
}

// cutBacklog applies what /proc/sys/net/core/somaxconn says.
func cutBacklog(somaxconn string) int {
	n, err := strconv.Atoi(strings.TrimSpace(somaxconn))
	if err != nil || n <= 0 {
		return backlog
	}
	return min(backlog, n)
}
