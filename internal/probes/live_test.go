// SPDX-License-Identifier: Apache-2.0

package probes_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifetrace/lifetrace/internal/clock"
	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/probes"
	"github.com/lifetrace/lifetrace/internal/probes/probetest"
)

// rig is a listener whose port is traced, and what was read of it.
type rig struct {
	t      *testing.T
	l      *net.TCPListener
	p      *probes.Probes
	r      *probes.Reader
	conns  map[uint64]*lanes
	events []mark.Event
}

// lanes is all that was read of one connection.
type lanes struct {
	mark.Conn
	marks [mark.NumLanes][]mark.Mark
	lost  [mark.NumLanes]uint64
	gone  bool
}

func (l *lanes) Mark(lane mark.Lane, m mark.Mark) { l.marks[lane] = append(l.marks[lane], m) }
func (l *lanes) Lost(lane mark.Lane, n uint64)    { l.lost[lane] += n }
func (l *lanes) state(k mark.Kind) (m mark.Mark, a, b uint32, ok bool) {
	for _, m := range l.marks[mark.State] {
		if kind, a, b := mark.Unpack(m.Off); kind == k {
			return m, a, b, true
		}
	}
	return mark.Mark{}, 0, 0, false
}

func newRig(t *testing.T, addr string, o probes.Options) *rig {
	t.Helper()
	probetest.Require(t)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	o.Port = uint16(l.Addr().(*net.TCPAddr).Port)
	p, err := probes.Load(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	for _, h := range p.States() {
		if h.Err != nil {
			t.Errorf("hook %s: %v", h.Point, h.Err)
		}
	}
	r, err := probes.OpenReader(p.Memory())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return &rig{t: t, l: l.(*net.TCPListener), p: p, r: r, conns: map[uint64]*lanes{}}
}

// read takes everything that is there.
func (g *rig) read() {
	now := clock.Now()
	g.r.Opened(now, func(c mark.Conn) {
		if g.conns[c.Cookie] != nil {
			g.t.Errorf("cookie %d got two slots", c.Cookie)
		}
		g.conns[c.Cookie] = &lanes{Conn: c}
	})
	for _, c := range g.conns {
		if !c.gone && g.r.Drain(c.Slot, c) {
			c.gone = true
			g.r.Release(c.Slot, now)
		}
	}
	g.r.Events(func(e mark.Event) { g.events = append(g.events, e) })
}

// settle reads until every connection is gone and n were seen.
func (g *rig) settle(n int) {
	g.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		g.read()
		open := 0
		for _, c := range g.conns {
			if !c.gone {
				open++
			}
		}
		if len(g.conns) >= n && open == 0 {
			return
		}
		if time.Now().After(deadline) {
			g.t.Fatalf("%d connections seen, %d open, want %d and 0", len(g.conns), open, n)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// balance checks the loss equation for every hook.
func (g *rig) balance() {
	g.t.Helper()
	for _, s := range g.r.Stats(func(string) bool { return true }) {
		if s.Produced != s.Read+s.Merged+s.Lost {
			g.t.Errorf("%s: produced %d, read %d + merged %d + lost %d", s.Name, s.Produced, s.Read, s.Merged, s.Lost)
		}
	}
}

func (g *rig) only() *lanes {
	g.t.Helper()
	if len(g.conns) != 1 {
		g.t.Fatalf("%d connections, want 1", len(g.conns))
	}
	for _, c := range g.conns {
		return c
	}
	return nil
}

// serve answers each connection with f in the calling test's goroutine.
func (g *rig) serve(f func(net.Conn)) {
	g.t.Helper()
	c, err := g.l.Accept()
	if err != nil {
		g.t.Fatal(err)
	}
	defer c.Close()
	f(c)
}

func dial(t *testing.T, addr net.Addr) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr.String(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func read(t *testing.T, c net.Conn, n int) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(c, make([]byte, n)); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, c net.Conn, n int) {
	t.Helper()
	if _, err := c.Write(bytes.Repeat([]byte{'x'}, n)); err != nil {
		t.Fatal(err)
	}
}

// offsets returns the offsets of a lane.
func offsets(ms []mark.Mark) (out []uint64) {
	for _, m := range ms {
		out = append(out, m.Off)
	}
	return out
}

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
		if _, err = unix.EpollWait(ep, events, 10_000); err != unix.EINTR {
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

// A full lane keeps its first mark and the last one exact.
func TestFullLaneMerges(t *testing.T) {
	g := newRig(t, "127.0.0.1:0", probes.Options{LaneCap: 4})
	c := dial(t, g.l.Addr())
	g.serve(func(s net.Conn) {
		for range 100 {
			write(t, s, 10)
			read(t, c, 10)
		}
		c.Close()
		read1(s)
	})
	g.settle(1)
	k := g.only()
	q := k.marks[mark.TxQueued]
	if len(q) != 4 {
		t.Fatalf("tx_queued has %d marks, want 4: %+v", len(q), q)
	}
	last := q[3]
	if last.Off != 40 || last.Merged != 96 || last.LastOff != 1000 || last.Last <= last.At {
		t.Errorf("the newest is %+v, want one at 40 that absorbed 96 up to 1000", last)
	}
	g.balance()
}

// Reading while the producer runs must lose nothing that is not counted.
func TestReadingWhileWriting(t *testing.T) {
	for _, lane := range []int{1, 2, 64} {
		t.Run(fmt.Sprint(lane), func(t *testing.T) {
			g := newRig(t, "127.0.0.1:0", probes.Options{LaneCap: lane})
			c := dial(t, g.l.Addr())
			go io.Copy(io.Discard, c)
			const writes, size = 20_000, 100
			done := make(chan struct{})
			go func() {
				defer close(done)
				s, err := g.l.Accept()
				if err != nil {
					return
				}
				for range writes {
					if _, err := s.Write(make([]byte, size)); err != nil {
						break
					}
				}
				s.Close()
			}()
			for stop := false; !stop; {
				select {
				case <-done:
					stop = true
				default:
				}
				g.read()
			}
			c.Close()
			g.settle(1)
			k := g.only()
			var marks, end, at uint64
			for _, m := range k.marks[mark.TxQueued] {
				if m.At != 0 {
					marks++
				}
				marks += uint64(m.Merged)
				if o := max(m.Off, m.LastOff); o < end {
					t.Fatalf("offset %d after %d: %+v", o, end, around(k.marks[mark.TxQueued], m))
				} else {
					end = o
				}
				if m.At != 0 {
					if uint64(m.At) < at {
						t.Fatalf("time %d after %d", m.At, at)
					}
					at = uint64(m.At)
				}
			}
			if marks != writes || end != writes*size {
				t.Errorf("%d marks up to %d, want %d up to %d", marks, end, writes, writes*size)
			}
			g.balance()
		})
	}
}

// around returns the marks next to m.
func around(ms []mark.Mark, m mark.Mark) []mark.Mark {
	i := slices.Index(ms, m)
	return ms[max(0, i-3):min(len(ms), i+3)]
}

// Connections beyond the slots are untraced and counted; slots come back.
func TestSlotsRunOut(t *testing.T) {
	const slots = 8
	g := newRig(t, "127.0.0.1:0", probes.Options{Slots: slots})
	round := func() {
		var open []net.Conn
		for range 20 {
			open = append(open, dial(t, g.l.Addr()))
			s, err := g.l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, s)
			g.read()
		}
		for _, c := range open {
			c.Close()
		}
	}
	round()
	// Free slots that lie in another CPU's ring are of no use to this one.
	g.settle(slots / 2)
	if len(g.conns) > slots || g.r.UntracedConns() != uint64(20-len(g.conns)) {
		t.Errorf("%d traced and %d untraced of 20 with %d slots", len(g.conns), g.r.UntracedConns(), slots)
	}
	untraced := 0
	for _, e := range g.events {
		if e.Kind == mark.Untraced && g.conns[e.Cookie] == nil && e.Cookie != 0 {
			untraced++
		}
	}
	if untraced != 20-len(g.conns) {
		t.Errorf("%d events for untraced connections, want %d", untraced, 20-len(g.conns))
	}
	deadline := time.Now().Add(5 * time.Second)
	for g.r.Free() < slots && time.Now().Before(deadline) {
		g.read()
		time.Sleep(time.Millisecond)
	}
	if free := g.r.Free(); free != slots {
		t.Fatalf("%d slots came back, want %d", free, slots)
	}
	seen := len(g.conns)
	round()
	g.settle(seen + 1)
	g.balance()
}

// Many short connections through few slots: nobody gets another's marks.
func TestShortConnections(t *testing.T) {
	g := newRig(t, "127.0.0.1:0", probes.Options{Slots: 32, LaneCap: 2})
	const n = 2000
	sizes := map[netip.AddrPort]uint64{}
	for i := range n {
		c := dial(t, g.l.Addr())
		size := 1 + i%911
		sizes[c.LocalAddr().(*net.TCPAddr).AddrPort()] = uint64(size)
		g.serve(func(s net.Conn) {
			write(t, c, size)
			read(t, s, size)
			// A reset leaves no TIME-WAIT, so that ports come again soon.
			_ = c.(*net.TCPConn).SetLinger(0)
			c.Close()
			read1(s)
		})
		g.read()
		for cookie, k := range g.conns {
			if !k.gone {
				continue
			}
			if got, want := k.marks[mark.RxRead], sizes[k.Peer]; len(got) != 1 || got[0].Off != want {
				t.Fatalf("cookie %d, peer %v: read %+v, want %d bytes", cookie, k.Peer, got, want)
			}
			delete(g.conns, cookie)
		}
	}
	g.settle(0)
	g.balance()
}

// A reset by the client is told apart from a close.
func TestResetReceived(t *testing.T) {
	g := newRig(t, "127.0.0.1:0", probes.Options{})
	c := dial(t, g.l.Addr())
	g.serve(func(s net.Conn) {
		write(t, c, 10)
		read(t, s, 10)
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()
		read1(s)
	})
	g.settle(1)
	if _, _, _, ok := g.only().state(mark.ResetReceived); !ok {
		t.Errorf("no reset in %+v", g.only().marks[mark.State])
	}
}

// Closing with unread bytes makes the kernel send a reset (RFC 9293, 3.10.4).
func TestResetSent(t *testing.T) {
	g := newRig(t, "127.0.0.1:0", probes.Options{})
	c := dial(t, g.l.Addr())
	defer c.Close()
	g.serve(func(s net.Conn) {
		write(t, c, 1000)
		read(t, s, 1)
	})
	g.settle(1)
	if _, _, _, ok := g.only().state(mark.ResetSent); !ok {
		t.Errorf("no reset in %+v", g.only().marks[mark.State])
	}
}

// Other ports of the machine are not traced.
func TestOtherPortsAreLeftAlone(t *testing.T) {
	g := newRig(t, "127.0.0.1:0", probes.Options{})
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for range 20 {
		c := dial(t, other.Addr())
		s, err := other.Accept()
		if err != nil {
			t.Fatal(err)
		}
		write(t, c, 10)
		read(t, s, 10)
		c.Close()
		s.Close()
	}
	g.read()
	if len(g.conns) != 0 {
		t.Errorf("%d connections of another port were traced", len(g.conns))
	}
}
