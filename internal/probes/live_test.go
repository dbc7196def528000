// SPDX-License-Identifier: Apache-2.0

package probes_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/probes"
)

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
			go func() { _, _ = io.Copy(io.Discard, c) }()
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

// A RST that answers a segment of no connection goes through the ring, with the
// kernel's reason.
func TestStrayReset(t *testing.T) {
	g := newRig(t, "127.0.0.1:0", probes.Options{})
	addr := g.l.Addr().String()
	_ = g.l.Close()
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Fatal("somebody else listens there")
	}
	g.read()
	if len(g.events) != 1 || g.events[0].Kind != mark.StrayReset {
		t.Fatalf("events %+v, want one stray reset", g.events)
	}
	reasons := g.p.ResetReasons()
	if len(reasons) == 0 {
		t.Skip("this kernel gives no reasons: it is older than 6.10")
	}
	if name := reasons[g.events[0].A]; name != "no_socket" {
		t.Errorf("reason %d is %q, want no_socket", g.events[0].A, name)
	}
	g.balance()
}
