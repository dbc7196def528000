// SPDX-License-Identifier: Apache-2.0

package probes_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

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

// balance checks the loss equation for every hook. A watched thread makes marks
// while it is looked at, so it may take several looks.
func (g *rig) balance() {
	g.t.Helper()
	var wrong string
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		g.r.DrainThread(0, func(mark.ThreadLane, mark.Mark) {}, func(mark.ThreadLane, uint64) {})
		wrong = ""
		for _, s := range g.r.Stats(func(string) bool { return true }) {
			if s.Produced != s.Read+s.Merged+s.Lost {
				wrong += fmt.Sprintf("%s: produced %d, read %d + merged %d + lost %d\n", s.Name, s.Produced, s.Read, s.Merged, s.Lost)
			}
		}
		if wrong == "" {
			return
		}
	}
	g.t.Error(wrong)
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
