// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// script is a kernel half and a correlator that write down what happens.
type script struct {
	mu     sync.Mutex // Run has two goroutines
	log    []string
	opened []mark.Conn
	gone   map[uint32]bool
	acked  uint64
	events []mark.Event
	state  map[uint32]uint64 // a State word per slot, handed out once
}

func (s *script) add(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, fmt.Sprintf(format, args...))
}

func (s *script) Opened(_ int64, f func(mark.Conn)) {
	s.add("opened?")
	for _, c := range s.opened {
		f(c)
	}
	s.opened = nil
}

func (s *script) Drain(slot uint32, sink mark.Sink) bool {
	s.add("drain %d", slot)
	sink.Mark(mark.TxAcked, mark.Mark{At: 1, Off: s.acked})
	if w, ok := s.state[slot]; ok {
		delete(s.state, slot)
		sink.Mark(mark.State, mark.Mark{At: 2, Off: w})
		sink.Lost(mark.State, 3)
	}
	return s.gone[slot]
}

func (s *script) Release(slot uint32, now int64) { s.add("release %d at %d", slot, now) }

func (s *script) DrainThread(loop int, f func(mark.ThreadLane, mark.Mark), lost func(mark.ThreadLane, uint64)) {
	s.add("drain thread %d", loop)
	f(mark.Wakeup, mark.Mark{At: 5})
	lost(mark.Running, 1)
}

func (s *script) Events(f func(mark.Event)) {
	for _, e := range s.events {
		f(e)
	}
	s.events = nil
}

func (s *script) Stamp(loop int, st *stamp.Stamp) { s.add("stamp %d %v", loop, st.Code) }
func (s *script) Open(cookie uint64, _, _ netip.AddrPort) {
	s.add("open %d", cookie)
}
func (s *script) Mark(cookie uint64, l mark.Lane, _ mark.Mark) { s.add("mark %d %v", cookie, l) }
func (s *script) ThreadMark(loop int, l mark.ThreadLane, _ mark.Mark) {
	s.add("thread mark %d %v", loop, l)
}

func (s *script) ThreadLost(loop int, l mark.ThreadLane, n uint64) {
	s.add("thread lost %d %v %d", loop, l, n)
}
func (s *script) Lost(cookie uint64, l mark.Lane, n uint64) { s.add("lost %d %v %d", cookie, l, n) }
func (s *script) Untraced(cookie uint64)                    { s.add("untraced %d", cookie) }
func (s *script) Skip(cookie uint64, from, next uint32, _ int64, _, _ uint64) {
	s.add("skip %d from %d to %d", cookie, from, next)
}
func (s *script) Advance(now int64) { s.add("advance %d", now) }
func (s *script) Flush(int64)       { s.add("flush") }

func (s *script) take() []string {
	l := s.log
	s.log = nil
	return l
}

func newScript(sweep time.Duration) (*script, *stamp.Ring, *Collector) {
	s := &script{gone: map[uint32]bool{}, state: map[uint32]uint64{}}
	ring := stamp.NewRing(64)
	return s, ring, New(Options{Rings: []*stamp.Ring{ring}, Lanes: s, Join: s, Sweep: sweep})
}

func want(t *testing.T, got []string, lines ...string) {
	t.Helper()
	if !slices.Equal(got, lines) {
		t.Errorf("it did\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(lines, "\n  "))
	}
}

// Stamps, then lanes, then threads are read, and only then applied, in the same
// order: so whatever came before something that is seen is seen too.
func TestTickReadsInCausalOrder(t *testing.T) {
	s, ring, c := newScript(time.Hour)
	c.drainer.swept = 100
	thread := []string{"thread mark 0 wakeup", "thread lost 0 running 1"}
	s.opened = []mark.Conn{{Slot: 7, Cookie: 70}}
	ring.Put(1, stamp.Accepted, 70, 0, 0, 0, 0)
	ring.Put(2, stamp.Connection, 70, 0, 0, 0, 0)
	c.Tick(100)
	want(t, s.take(), slices.Concat([]string{
		"opened?", "drain 7", "drain thread 0",
		"stamp 0 accepted", "stamp 0 connection", "open 70", "mark 70 tx_acked",
	}, thread, []string{"advance 100"})...)

	// Nothing new: no lane is read. A stamp: the lanes of its connection are.
	c.Tick(101)
	want(t, s.take(), slices.Concat([]string{"opened?", "drain thread 0"}, thread, []string{"advance 101"})...)
	ring.Put(3, stamp.RecvReturn, 70, 0, 0, 0, 0)
	ring.Put(4, stamp.SendReturn, 70, 0, 0, 55, 55)
	c.Tick(102)
	want(t, s.take(), slices.Concat([]string{"opened?", "drain 7", "drain thread 0", "stamp 0 recv_return", "stamp 0 send_return", "mark 70 tx_acked"}, thread, []string{"advance 102"})...)

	// A connection with bytes that are not acknowledged is read without a
	// stamp, until they are.
	s.acked = 55
	c.Tick(103)
	want(t, s.take(), slices.Concat([]string{"opened?", "drain 7", "drain thread 0", "mark 70 tx_acked"}, thread, []string{"advance 103"})...)
	c.Tick(104)
	want(t, s.take(), slices.Concat([]string{"opened?", "drain thread 0"}, thread, []string{"advance 104"})...)
}

func TestSweepAndRelease(t *testing.T) {
	s, _, c := newScript(50)
	s.opened = []mark.Conn{{Slot: 1, Cookie: 10}}
	c.Tick(1000)
	s.take()
	c.Tick(1049)
	if got := s.take(); slices.Contains(got, "drain 1") {
		t.Errorf("%v, want no sweep yet", got)
	}
	s.gone[1] = true
	c.Tick(1050)
	if got := s.take(); !slices.Contains(got, "release 1 at 1050") || !slices.Contains(got, "mark 10 tx_acked") {
		t.Errorf("%v, want the connection swept and released", got)
	}
	if n := c.Traced(); n != 0 {
		t.Errorf("%d connections are traced, want 0", n)
	}
}

// An accepted connection without a slot is untraced, but not before its slot may
// have been late.
func TestUntraced(t *testing.T) {
	s, ring, c := newScript(time.Hour)
	for cookie := range uint64(3) {
		ring.Put(1, stamp.Accepted, 70+cookie, 0, 0, 0, 0)
	}
	s.opened = []mark.Conn{{Slot: 1, Cookie: 71}}
	c.Tick(2)
	s.opened = []mark.Conn{{Slot: 2, Cookie: 72}}
	c.Tick(3)
	for _, line := range s.take() {
		if strings.HasPrefix(line, "untraced") {
			t.Errorf("%s too early", line)
		}
	}
	c.Tick(2 + slotTime)
	c.Tick(3 + slotTime)
	got := slices.DeleteFunc(s.take(), func(l string) bool { return !strings.HasPrefix(l, "untraced") })
	want(t, got, "untraced 70")
}

// A batch with anything in it is not an empty one, which Run throws away.
func TestSizeCountsEverything(t *testing.T) {
	for name, b := range map[string]*batch{
		"stamps":   {stamps: make([]loopStamp, 1)},
		"opened":   {opened: make([]mark.Conn, 1)},
		"untraced": {untraced: make([]uint64, 1)},
		"marks":    {marks: make([]connMark, 1)},
		"threads":  {threads: make([]threadMark, 1)},
	} {
		if b.size() != 1 || b.room() != 1 {
			t.Errorf("%s: size %d, room %d, want 1", name, b.size(), b.room())
		}
	}
}

// Losses are handed on with their connection.
func TestLossIsHandedOn(t *testing.T) {
	s, _, c := newScript(time.Hour)
	s.opened = []mark.Conn{{Slot: 1, Cookie: 10}}
	s.state[1] = mark.Word(mark.Change, 1, 8)
	c.Tick(2)
	if got := s.take(); !slices.Contains(got, "lost 10 state 3") {
		t.Errorf("%v", got)
	}
}

func TestWithoutLanes(t *testing.T) {
	s, ring, _ := newScript(0)
	c := New(Options{Rings: []*stamp.Ring{ring}, Join: s})
	ring.Put(1, stamp.Accepted, 70, 0, 0, 0, 0)
	c.Tick(5)
	want(t, s.take(), "stamp 0 accepted", "advance 5")
}

func TestHealth(t *testing.T) {
	s, ring, c := newScript(time.Hour)
	h := c.Health()
	if _, _, ok := h.AcceptQueue(); ok {
		t.Error("an accept queue before any connection")
	}
	s.opened = []mark.Conn{{Slot: 1, Cookie: 10}, {Slot: 2, Cookie: 20}, {Slot: 3, Cookie: 30}}
	s.state[1] = mark.Word(mark.Established, 3, 511)
	s.state[2] = mark.Word(mark.ResetSent, 6, 0)
	s.state[3] = mark.Word(mark.ResetReceived, 0, 0)
	s.events = []mark.Event{{Kind: mark.StrayReset, A: 6}, {Kind: mark.Untraced}}
	ring.Put(1000, stamp.PollReturn, 0, 0, 0, 1, 0)
	c.Tick(2000)
	if d, l, ok := h.AcceptQueue(); d != 3 || l != 511 || !ok {
		t.Errorf("accept queue %d of %d, %v", d, l, ok)
	}
	if sent, received := h.Resets(); sent[6] != 2 || len(sent) != 1 || received != 1 {
		t.Errorf("resets sent %v, received %d", sent, received)
	}
	if lag := h.LoopLag(5000); lag != 4000 {
		t.Errorf("lag %d of a loop that runs since 1000 at 5000", lag)
	}
	ring.Put(6000, stamp.PollEnter, 0, 0, 0, 0, 0)
	c.Tick(7000)
	if lag := h.LoopLag(8000); lag != 0 {
		t.Errorf("lag %d of an idle loop", lag)
	}
}

func TestRunFlushesAtTheEnd(t *testing.T) {
	defer goleak.VerifyNone(t)
	s, ring, c := newScript(time.Hour)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { c.Run(ctx); close(done) }()
	ring.Put(1, stamp.PollEnter, 0, 0, 0, 0, 0)
	cancel()
	<-done
	// The goroutines are gone, so the log is the test's alone.
	if n := len(s.log); n == 0 || s.log[n-1] != "flush" || !slices.Contains(s.log, "stamp 0 poll_enter") {
		t.Errorf("%v, want the stamp read and a flush last", s.log)
	}
}

// Tick drains and applies once; now is CLOCK_MONOTONIC.
func (c *Collector) Tick(now int64) {
	b := &batch{}
	c.drain(b, now, 0)
	c.apply(b)
}
