// SPDX-License-Identifier: Apache-2.0

package probes_test

import (
	"errors"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/lifetrace/lifetrace/internal/clock"
	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/probes"
	"golang.org/x/sys/unix"
)

// One connection, two exchanges: every lane holds the bytes' truth.
func TestLanesHoldTheStreamsTruth(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(addr, func(t *testing.T) {
			g := newRig(t, addr, probes.Options{})
			c := dial(t, g.l.Addr())
			peer := c.LocalAddr().(*net.TCPAddr).AddrPort()
			g.serve(func(s net.Conn) {
				write(t, c, 100)
				read(t, s, 100)
				write(t, s, 3000)
				read(t, c, 3000)
				write(t, c, 50)
				read(t, s, 50)
				write(t, s, 7)
				read(t, c, 7)
				c.Close()
				read1(s)
			})
			g.settle(1)
			k := g.only()
			if k.Peer != peer || k.Local != g.l.Addr().(*net.TCPAddr).AddrPort() {
				t.Errorf("addresses %v, %v, want %v, %v", k.Peer, k.Local, peer, g.l.Addr())
			}
			// The FIN is one more byte of what arrived.
			if got, want := offsets(k.marks[mark.RxReady]), []uint64{100, 150, 151}; !slices.Equal(got, want) {
				t.Errorf("rx_ready %v, want %v", got, want)
			}
			if got, want := offsets(k.marks[mark.RxRead]), []uint64{100, 150}; !slices.Equal(got, want) {
				t.Errorf("rx_read %v, want %v", got, want)
			}
			if got, want := offsets(k.marks[mark.TxQueued]), []uint64{3000, 3007}; !slices.Equal(got, want) {
				t.Errorf("tx_queued %v, want %v", got, want)
			}
			for _, lane := range []mark.Lane{mark.TxSent, mark.TxAcked} {
				got := offsets(k.marks[lane])
				if !slices.IsSorted(got) || !slices.Contains(got, 3000) || !slices.Contains(got, 3007) {
					t.Errorf("%v %v: not sorted or 3000 or 3007 missing", lane, got)
				}
			}
			checkOrder(t, k)
			g.balance()
		})
	}
}

func read1(c net.Conn) {
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, _ = c.Read(make([]byte, 1))
}

// checkOrder holds the causes before their effects.
func checkOrder(t *testing.T, k *lanes) {
	t.Helper()
	syn, derived, _, ok1 := k.state(mark.Syn)
	est, depth, limit, ok2 := k.state(mark.Established)
	end, _, _, ok3 := k.state(mark.Destroyed)
	if !ok1 || !ok2 || !ok3 {
		t.Fatalf("syn %v, established %v, destroyed %v: one is missing", ok1, ok2, ok3)
	}
	if derived != 0 {
		t.Error("the SYN was derived, want it seen")
	}
	if depth < 1 || limit < 1 {
		t.Errorf("accept queue %d of %d", depth, limit)
	}
	if !(syn.At < est.At && est.At < end.At) {
		t.Errorf("syn %d, established %d, destroyed %d: not in order", syn.At, est.At, end.At)
	}
	if now := clock.Now(); end.At > now || now-syn.At > int64(time.Minute) {
		t.Errorf("syn %d to end %d is not just before now, %d: another clock?", syn.At, end.At, now)
	}
	for lane, ms := range k.marks {
		for i := 1; i < len(ms); i++ {
			if mark.Lane(lane) != mark.State && (ms[i].At < ms[i-1].At || ms[i].Off <= ms[i-1].Off) {
				t.Errorf("%v: mark %d %+v after %+v", mark.Lane(lane), i, ms[i], ms[i-1])
			}
		}
	}
	at := func(lane mark.Lane, off uint64) int64 {
		for _, m := range k.marks[lane] {
			if m.Off >= off {
				return m.At
			}
		}
		t.Errorf("%v never reaches %d", lane, off)
		return 0
	}
	for _, off := range offsets(k.marks[mark.TxQueued]) {
		if at(mark.TxSent, off) > at(mark.TxAcked, off) {
			t.Errorf("send offset %d was acknowledged before it was sent", off)
		}
	}
	for _, off := range offsets(k.marks[mark.RxRead]) {
		if at(mark.RxReady, off) > at(mark.RxRead, off) {
			t.Errorf("receive offset %d was read before it arrived", off)
		}
	}
}

// The loop thread's lanes and accept4, as an epoll loop makes them.
func TestThreadLanes(t *testing.T) {
	g := newRig(t, "127.0.0.1:0", probes.Options{})
	raw, err := g.l.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := g.p.Watch(0, unix.Gettid()); err != nil {
		t.Fatal(err)
	}
	ep, err := unix.EpollCreate1(0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ep)
	_ = raw.Control(func(fd uintptr) {
		err = unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		time.Sleep(50 * time.Millisecond)
		if c, err := net.Dial("tcp", g.l.Addr().String()); err == nil {
			time.Sleep(50 * time.Millisecond)
			c.Close()
		}
	}()
	before := clock.Now()
	events := make([]unix.EpollEvent, 4)
	for {
		if _, err = unix.EpollWait(ep, events, 10_000); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	returned := clock.Now()
	fd, _, err := unix.Accept4(int(events[0].Fd), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	accepted := clock.Now()
	_ = unix.Close(fd)
	g.settle(1)

	var all [mark.NumThreadLanes][]int64
	g.r.DrainThread(0, func(l mark.ThreadLane, m mark.Mark) { all[l] = append(all[l], m.At) },
		func(l mark.ThreadLane, n uint64) { t.Errorf("%v lost %d", l, n) })
	// The Go runtime may put the thread to sleep once more before it gives
	// the system call's result to the caller, so go back from the return.
	before1 := func(l mark.ThreadLane, end int64) (at int64) {
		for _, a := range all[l] {
			if a <= end {
				at = a
			}
		}
		return at
	}
	poll := before1(mark.PollReturn, returned)
	run := before1(mark.Running, poll)
	wake := before1(mark.Wakeup, run)
	est, _, _, _ := g.only().state(mark.Established)
	acc, accFD, _, ok := g.only().state(mark.Accepted)
	if !ok || int(accFD) != fd {
		t.Fatalf("accept mark %v, fd %d, want %d", ok, accFD, fd)
	}
	seq := []int64{before, est.At, wake, run, poll, returned, acc.At, accepted}
	if !slices.IsSorted(seq) {
		t.Errorf("epoll_wait called, established, wakeup, running, poll return, returned, accept4, returned: %v is not in order", seq)
	}
	g.balance()
}
