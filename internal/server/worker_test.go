// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lifetrace/lifetrace/internal/stamp"
)

func newServer(t *testing.T) (*Server, *[]string) {
	t.Helper()
	log := &[]string{}
	s, err := New(Options{
		Listen: "127.0.0.1:0", Handler: HandlerFunc(func(*Request, *Response) {}),
		ErrorLog: func(err error) { *log = append(*log, err.Error()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.listen(); err != nil {
		t.Fatal(err)
	}
	return s, log
}

// Without the reserve descriptor the listener rests, and gets a new one after.
func TestAcceptPauses(t *testing.T) {
	s, log := newServer(t)
	w := s.workers[0]
	_ = unix.Close(w.reserve)
	w.reserve = -1
	if w.refuse(unix.EMFILE) {
		t.Error("there is more to accept")
	}
	if !w.retry.Armed() || len(*log) != 1 || !strings.Contains((*log)[0], "accept: too many open files; trying again in 100ms") {
		t.Errorf("armed %v, log %q", w.retry.Armed(), *log)
	}
	w.loop.Disarm(&w.retry)
	w.retry.F()
	if w.reserve < 0 || len(*log) != 1 {
		t.Errorf("reserve %d, log %q", w.reserve, *log)
	}
	// With nothing in the queue there is nothing to refuse, and the reserve
	// is back.
	if w.refuse(unix.EMFILE) || w.reserve < 0 || w.retry.Armed() {
		t.Errorf("reserve %d, armed %v", w.reserve, w.retry.Armed())
	}
	w.loop.Close() // now the watch of the listener cannot be changed
	w.pauseAccept(unix.ENOMEM)
	w.resume()
	if n := len(*log); n != 4 || !strings.Contains((*log)[3], "change watch") {
		t.Errorf("log %q", *log)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// A connection whose cookie or watch cannot be had is closed at once.
func TestConnectFails(t *testing.T) {
	s, log := newServer(t)
	w := s.workers[0]
	w.connect(-1)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	w.loop.Close()
	w.connect(fd)
	if len(*log) != 2 || !strings.Contains((*log)[0], "socket cookie: bad file descriptor") || !strings.Contains((*log)[1], "accept: watch descriptor") {
		t.Errorf("log %q", *log)
	}
	if err := unix.Close(fd); !errors.Is(err, unix.EBADF) {
		t.Errorf("the socket was left open: %v", err)
	}
	if st := s.Stats(); st.Accepted != 0 || st.Open != 0 {
		t.Errorf("stats %+v", st)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// A loop that fails ends the server, and the error is told.
func TestLoopFails(t *testing.T) {
	for name, end := range map[string]func(*Server) error{
		"run":      func(s *Server) error { return s.Run(context.Background()) },
		"shutdown": func(s *Server) error { _ = s.Start(); return s.Shutdown(context.Background()) },
	} {
		s, _ := newServer(t)
		s.workers[0].loop.Close()
		if err := end(s); !errors.Is(err, unix.EBADF) || !strings.HasPrefix(err.Error(), "loop 0: epoll_wait: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// When what a connection waits for cannot be asked of epoll, it ends.
func TestInterestFails(t *testing.T) {
	s, log := newServer(t)
	w := s.workers[0]
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(p[1]) }()
	ring := stamp.NewRing(0)
	w.ring = ring
	w.connect(p[0])
	if len(w.conns) != 1 {
		t.Fatalf("log %q", *log)
	}
	for c := range w.conns {
		w.loop.Close()
		c.peerFIN = true
		c.updateInterest()
	}
	if len(w.conns) != 0 || len(*log) != 1 {
		t.Errorf("%d connections, log %q", len(w.conns), *log)
	}
	last := stamp.Stamp{}
	ring.Read(func(st *stamp.Stamp) { last = *st })
	if last.Code != stamp.Closed || stamp.CloseReason(last.Aux) != stamp.CloseError {
		t.Errorf("last stamp %+v", last)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestZoneID(t *testing.T) {
	for zone, want := range map[string]uint32{"": 0, "7": 7, "no such interface": 0} {
		if got := zoneID(zone); got != want {
			t.Errorf("%q: %d, want %d", zone, got, want)
		}
	}
	if zoneID("lo") == 0 {
		t.Error("lo has no index")
	}
	var none rawAddr
	if a := none.addrPort(); a != (netip.AddrPort{}) {
		t.Errorf("no address is %v", a)
	}
}

func TestHasToken(t *testing.T) {
	for _, tt := range []struct {
		list string
		want bool
	}{{"close", true}, {"a,\tCLOSE ", true}, {"closed", false}, {"", false}} {
		if hasToken(tt.list, "close") != tt.want {
			t.Errorf("%q: %v", tt.list, !tt.want)
		}
	}
}
