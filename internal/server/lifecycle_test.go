// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/lifetrace/lifetrace/internal/server"
	"github.com/lifetrace/lifetrace/internal/server/demo"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

func TestMain(m *testing.M) {
	switch os.Getenv("LIFETRACE_TEST_PROCESS") {
	case "few descriptors":
		fewDescriptors()
		return
	case "no descriptors":
		noDescriptors()
		return
	}
	goleak.VerifyTestMain(m)
}

func TestNewRefuses(t *testing.T) {
	used, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = used.Close() }()
	tests := []struct {
		listen string
		is     error
		text   string
	}{
		{used.Addr().String(), syscall.EADDRINUSE, "bind: address already in use"},
		{"8080", nil, "missing port"},
		{"127.0.0.1:70000", nil, "invalid port"},
		{"192.0.2.1:0", syscall.EADDRNOTAVAIL, "bind"},
	}
	for _, tt := range tests {
		for _, loops := range []int{1, 2} {
			_, err := server.New(server.Options{Listen: tt.listen, Handler: demo.New(), Loops: loops})
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("listen on %s: %v", tt.listen, err)
			}
		}
	}
	if _, err := server.New(server.Options{Listen: "127.0.0.1:0"}); err == nil {
		t.Error("no handler is no error")
	}
}

// All addresses means both families, and a mapped IPv4 address shows as IPv4.
func TestAllAddresses(t *testing.T) {
	var mu sync.Mutex
	var peers []string
	s, err := server.New(server.Options{Listen: ":0", Handler: server.HandlerFunc(func(req *server.Request, res *server.Response) {
		mu.Lock()
		peers = append(peers, req.Peer().Addr().String()+" "+req.Local().Addr().String())
		mu.Unlock()
		res.End(nil)
	})})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err == nil {
		t.Error("started twice")
	}
	want := []string{"127.0.0.1 127.0.0.1"}
	hosts := []string{"127.0.0.1"}
	if s.Addr().Addr().Is6() { // a host without IPv6 has one family
		hosts, want = append(hosts, "::1"), append(want, "::1 ::1")
	}
	for _, host := range hosts {
		c, err := net.Dial("tcp", net.JoinHostPort(host, fmt.Sprint(s.Addr().Port())))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, "GET / HTTP/1.0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(c); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if strings.Join(peers, ",") != strings.Join(want, ",") {
		t.Errorf("addresses %v, want %v", peers, want)
	}
	if b := s.Backlog(); b < 1 || b > 511 {
		t.Errorf("backlog %d", b)
	}
}

func TestBacklogIsCut(t *testing.T) {
	for in, want := range map[string]int{"4096\n": 511, "128\n": 128, "": 511, "x": 511, "0": 511} {
		if got := server.CutBacklog(in); got != want {
			t.Errorf("somaxconn %q: %d, want %d", in, got, want)
		}
	}
}

func TestSeveralLoops(t *testing.T) {
	const loops = 3
	rings := make([]*stamp.Ring, loops)
	for i := range rings {
		rings[i] = stamp.NewRing(1 << 16)
	}
	var mu sync.Mutex
	threads := map[int]int{}
	s, err := server.New(server.Options{
		Listen: "127.0.0.1:0", Handler: demo.New(), Loops: loops,
		Rings: func(i int) *stamp.Ring { return rings[i] },
		OnThread: func(loop, tid int) {
			mu.Lock()
			threads[loop] = tid
			mu.Unlock()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	const n = 60
	for i := range n {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, fmt.Sprintf("GET /users/%d HTTP/1.0\r\n\r\n", i)); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(b), userJSON(i)) {
			t.Fatalf("%q %v", b, err)
		}
		_ = c.Close()
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	total := 0
	for _, r := range rings {
		g := newGrammar()
		r.Read(func(st *stamp.Stamp) {
			if err := g.take(st); err != nil {
				t.Fatal(err)
			}
		})
		g.finish(t)
		total += len(g.conns)
	}
	if total != n || len(threads) != loops || threads[0] == threads[1] || threads[0] == os.Getpid() && threads[1] == os.Getpid() {
		t.Errorf("%d connections, threads %v", total, threads)
	}
	if st := s.Stats(); st.Accepted != n || st.Open != 0 || st.Refused != 0 {
		t.Errorf("stats %+v", st)
	}
}

// Shutdown ends idle connections, lets exchanges finish, and sends every byte.
func TestShutdown(t *testing.T) {
	const n = 8 << 20
	h := serve(t, nil)
	idle, fresh, busy, reader, half := h.dial(), h.dial(), h.dial(), h.dial(), h.dial()
	idle.send(get("/users/1"))
	idle.want(200, userJSON(1))
	busy.send(get("/async?ms=100"))
	if err := reader.SetReadBuffer(128 << 10); err != nil {
		t.Fatal(err)
	}
	reader.send(get(fmt.Sprintf("/bytes/%d", n)))
	half.send("GET /users/2 HTTP/1.1\r\n")
	h.awaitCount(stamp.BackpressureBegin, 1)
	h.awaitCount(stamp.MessageBegin, 4)
	h.awaitCount(stamp.Accepted, 5)

	done := make(chan error, 1)
	go func() { done <- h.server.Shutdown(context.Background()) }()
	if got := idle.rest() + fresh.rest(); got != "" {
		t.Errorf("idle connections got %q", got)
	}
	for {
		c, err := net.Dial("tcp", h.addr)
		if err != nil {
			break
		}
		_ = c.Close()
	}
	half.send("Host: a\r\n\r\n")
	if r := half.want(200, userJSON(2)); !r.Close {
		t.Error("the last response does not say so")
	}
	busy.want(200, "waited 100ms without blocking\n")
	if _, b := reader.response("GET"); len(b) != n {
		t.Errorf("%d bytes", len(b))
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	h.stopped = true
	if g := h.stop(); g.closed[stamp.CloseShutdown] < 2 || g.ended[stamp.Aborted] != 0 {
		t.Errorf("closed %v ended %v", g.closed, g.ended)
	}
}

// What does not end in time is aborted.
func TestShutdownInTime(t *testing.T) {
	h := serve(t, nil)
	c := h.dial()
	c.send(get("/hang"))
	h.awaitCount(stamp.LayerReturn, 1)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := h.server.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("shut down: %v", err)
	}
	<-h.server.Done()
	h.stopped = true
	if g := h.stop(); g.ended[stamp.Aborted] != 1 || g.closed[stamp.CloseShutdown] != 1 {
		t.Errorf("closed %v ended %v", g.closed, g.ended)
	}
}

func TestRun(t *testing.T) {
	s, err := server.New(server.Options{Listen: "127.0.0.1:0", Handler: demo.New()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	if c, err := net.Dial("tcp", s.Addr().String()); err == nil {
		_ = c.Close()
		t.Fatal("it listens before it is started")
	}
	go func() { done <- s.Run(ctx) }()
	var c net.Conn
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if c, err = net.Dial("tcp", s.Addr().String()); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	defer func() { _ = c.Close() }()
	if _, err := io.WriteString(c, get("/users/1")); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || line != "HTTP/1.1 200 OK\r\n" {
		t.Fatalf("%q %v", line, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := s.Run(ctx); err == nil {
		t.Error("runs twice")
	}
}

func TestShutdownBeforeStart(t *testing.T) {
	s, err := server.New(server.Options{Listen: "127.0.0.1:0", Handler: demo.New()})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Start(); err == nil {
		t.Error("started after the end")
	}
	if c, err := net.Dial("tcp", s.Addr().String()); err == nil {
		_ = c.Close()
		t.Error("still listening")
	}
}

// fewDescriptors is the process of TestDescriptorsRunOut: a server that may
// have 40.
func fewDescriptors() {
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 40, Max: 40}); err != nil {
		panic(err)
	}
	s, err := server.New(server.Options{Listen: "127.0.0.1:0", Handler: demo.New()})
	if err != nil {
		panic(err)
	}
	if err := s.Start(); err != nil {
		panic(err)
	}
	fmt.Println(s.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test ends it
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err = s.Shutdown(ctx)
	var ru unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &ru)
	fmt.Println(s.Stats().Refused, err, ru.Utime.Sec+ru.Stime.Sec)
}

func TestDescriptorsRunOut(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LIFETRACE_TEST_PROCESS=few descriptors")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	addr, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{t: t, addr: strings.TrimSpace(addr)}
	var served []*client
	refused := 0
	for range 60 {
		c := h.dial()
		c.send(get("/users/1"))
		if line, err := c.r.ReadString('\n'); err != nil {
			refused++ // closed at once
		} else if line == "HTTP/1.1 200 OK\r\n" {
			served = append(served, c)
		}
	}
	if len(served) < 10 || refused < 10 {
		t.Errorf("%d served, %d refused", len(served), refused)
	}
	// Those that were served still are, and room that is made is used.
	last := served[len(served)-1]
	last.r = bufio.NewReader(last)
	for _, c := range served[:5] {
		_ = c.Close()
	}
	ok := false
	for deadline := time.Now().Add(patience); !ok && time.Now().Before(deadline); {
		c := h.dial()
		c.send(get("/users/1"))
		_, err := c.r.ReadString('\n')
		ok = err == nil
		_ = c.Close()
	}
	if !ok {
		t.Error("no connection is served after others were closed")
	}
	for _, c := range served {
		_ = c.Close()
	}
	_ = in.Close()
	line, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var n, cpu int
	var result string
	if _, err := fmt.Sscan(line, &n, &result, &cpu); err != nil || n < refused || result != "<nil>" {
		t.Errorf("the server says %q, %d refused (%v)", line, refused, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// noDescriptors is the process of TestNewWithoutDescriptors: it makes servers
// while there are no, one, two ... descriptors left, and prints what came of it.
func noDescriptors() {
	open := func() int {
		n := 0
		for fd := range 100 {
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
				n++
			}
		}
		return n
	}
	highest := 0
	for fd := range 100 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			highest = fd
		}
	}
	// The limit is one of numbers, so that there must be no gaps below it.
	for {
		fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			panic(err)
		}
		if fd > highest {
			_ = unix.Close(fd)
			break
		}
	}
	base := open()
	for left := range 8 {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(base + left), Max: 100}); err != nil {
			panic(err)
		}
		s, err := server.New(server.Options{Listen: "127.0.0.1:0", Handler: demo.New()})
		if err == nil {
			err = s.Shutdown(context.Background())
			fmt.Println("served", err, open()-base)
			return
		}
		fmt.Println(err, open()-base)
	}
}

// A server that cannot be made says why and leaves nothing open.
func TestNewWithoutDescriptors(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LIFETRACE_TEST_PROCESS=no descriptors")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`listen on "127.0.0.1:0": socket: too many open files 0`,
		"loop 0: epoll_create1: too many open files 0",
		"loop 0: eventfd: too many open files 0",
		"loop 0: open reserve descriptor: too many open files 0",
		"served <nil> 0",
	}
	if got := strings.TrimSpace(string(out)); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// Two servers may have the same address until one of them listens.
func TestStartWhereAnotherListens(t *testing.T) {
	opts := server.Options{Listen: "127.0.0.1:0", Handler: demo.New()}
	first, err := server.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	opts.Listen = first.Addr().String()
	second, err := server.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	if err := second.Start(); !errors.Is(err, unix.EADDRINUSE) || !strings.Contains(err.Error(), opts.Listen) {
		t.Errorf("%v, want address in use", err)
	}
	<-second.Done()
	if err := second.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := first.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}
