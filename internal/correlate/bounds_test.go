// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"slices"
	"testing"

	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/stamp"
	"github.com/lifetrace/lifetrace/internal/timeline"
)

// collect returns options that keep what is emitted.
func collect(o Options) (Options, *[]*timeline.Timeline) {
	out := new([]*timeline.Timeline)
	o.Emit = func(t *timeline.Timeline) { *out = append(*out, t.Clone()) }
	return o, out
}

func begin(c *Correlator, cookie uint64, at int64) {
	c.Stamp(0, &stamp.Stamp{At: at, Code: stamp.Accepted, Conn: cookie})
	c.Stamp(0, &stamp.Stamp{At: at + 1, Code: stamp.MessageBegin, Conn: cookie})
}

func TestMaxConns(t *testing.T) {
	o, out := collect(Options{Kernel: AllSupport, MaxConns: 4})
	c := New(o)
	for i := range int64(10) {
		begin(c, uint64(i)+1, i*10+1)
	}
	if st := c.Stats(); st.OpenConns != 4 || st.EvictedConns != 6 || len(*out) != 0 {
		t.Fatalf("%+v, %d emitted", st, len(*out))
	}
	c.Advance(1000)
	// The evicted list takes as many as the connections: two were dropped.
	if st := c.Stats(); len(*out) != 4 || st.DroppedExchanges != 2 || st.Evicted != 4 {
		t.Fatalf("%+v, %d emitted", st, len(*out))
	}
	for i, tl := range *out {
		if tl.Connection.Cookie != uint64(i)+1 || tl.End != "evicted" || tl.Incomplete&timeline.Evicted == 0 {
			t.Errorf("%+v", tl)
		}
	}
	// The least recently heard of goes first.
	c.Stamp(0, &stamp.Stamp{At: 2000, Code: stamp.HeadersComplete, Conn: 7})
	begin(c, 20, 2001)
	if c.conns[7] == nil || c.conns[8] != nil {
		t.Error("the wrong connection was evicted")
	}
	// One that comes back without its beginning is flagged so.
	c.Stamp(0, &stamp.Stamp{At: 2100, Code: stamp.HeadersComplete, Conn: 8})
	*out = nil
	c.Flush(3000)
	found := false
	for _, tl := range *out {
		if tl.Connection.Cookie == 8 && tl.End == "stopped" {
			found = tl.Incomplete&timeline.Evicted != 0
		}
	}
	if !found {
		t.Error("connection 8 is not flagged")
	}
}

func TestMaxHeld(t *testing.T) {
	c := New(Options{Kernel: AllSupport, MaxHeld: 50})
	for i := range int64(100) {
		begin(c, uint64(i)+1, i*10+1)
		c.Mark(uint64(i)+1, mark.RxReady, mark.Mark{At: i*10 + 3, Off: 9})
		if st := c.Stats(); st.HeldEntries > 50 {
			t.Fatalf("%+v", st)
		}
	}
	if st := c.Stats(); st.OpenConns < 20 || st.EvictedConns < 70 {
		t.Fatalf("%+v", st)
	}
}

func TestMaxExchanges(t *testing.T) {
	o, out := collect(Options{Kernel: AllSupport, MaxExchangesPerConn: 3})
	c := New(o)
	for i := range uint32(5) {
		c.Stamp(0, &stamp.Stamp{At: int64(i) + 1, Code: stamp.MessageBegin, Conn: 1, Exchange: i, A: uint64(i)})
	}
	c.Stamp(0, &stamp.Stamp{At: 9, Code: stamp.Request, Conn: 1, Exchange: 1})
	if st := c.Stats(); st.OpenExchanges != 3 || st.DroppedExchanges != 2 || st.UnmatchedStamps != 1 {
		t.Fatalf("%+v", st)
	}
	c.Flush(100)
	if len(*out) != 3 || (*out)[0].Connection.Exchange != 2 {
		t.Fatalf("%d emitted", len(*out))
	}
}

func TestMaxStamps(t *testing.T) {
	o, out := collect(Options{Kernel: AllSupport, MaxStampsPerExchange: 4})
	c := New(o)
	begin(c, 1, 1)
	for i := range int64(9) {
		c.Stamp(0, &stamp.Stamp{At: 10 + i, Code: stamp.LayerEnter, Conn: 1})
		c.Stamp(0, &stamp.Stamp{At: 10 + i, Code: stamp.RecvReturn, Conn: 1, A: uint64(i) + 1, B: 1})
	}
	if st := c.Stats(); st.HeldEntries != 8 || st.EvictedStamps != 6+5 {
		t.Fatalf("%+v", st)
	}
	c.Flush(100)
	if len(*out) != 1 || (*out)[0].Incomplete&timeline.Evicted == 0 {
		t.Fatalf("%d emitted", len(*out))
	}
}

// A full lane absorbs: a boundary inside what it absorbed is flagged, the last
// offset is exact.
func TestMaxMarks(t *testing.T) {
	var l lane
	for i := range 6 {
		if ok := l.add(mark.Mark{At: int64(i+1) * 10, Off: uint64(i+1) * 100}, 3); ok != (i < 3) {
			t.Errorf("mark %d: %v", i, ok)
		}
	}
	for _, tc := range []struct {
		off uint64
		at  int64
		why timeline.Reasons
	}{
		{1, 10, 0},
		{100, 10, 0},
		{101, 20, 0},
		{300, 30, 0},
		{301, 60, timeline.Merged | timeline.Evicted},
		{599, 60, timeline.Merged | timeline.Evicted},
		{600, 60, 0},
	} {
		if in := l.reach(tc.off); !in.ok || in.at != tc.at || in.why != tc.why {
			t.Errorf("reach(%d) = %+v, want %+v", tc.off, in, tc)
		}
	}
	if in := l.reach(601); in.ok {
		t.Errorf("reach(601) = %+v", in)
	}
	if n := l.forget(300); n != 2 || len(l.e) != 1 {
		t.Errorf("forgot %d", n) // the third holds what it absorbed
	}
}

func TestLaneMerged(t *testing.T) {
	var l lane
	l.add(mark.Mark{At: 10, Off: 100, Merged: 1, Last: 20, LastOff: 200}, 9)
	l.add(mark.Mark{At: 0, Merged: 2, Last: 50, LastOff: 400}, 9)
	l.lost = true
	l.add(mark.Mark{At: 60, Off: 500}, 9)
	for _, tc := range []struct {
		off uint64
		at  int64
		why timeline.Reasons
	}{
		{50, 10, 0},
		{150, 20, 0}, // the only one it absorbed
		{250, 50, timeline.Merged},
		{400, 50, 0},
		{450, 60, timeline.Lost},
	} {
		if in := l.reach(tc.off); !in.ok || in.at != tc.at || in.why != tc.why {
			t.Errorf("reach(%d) = %+v, want %+v", tc.off, in, tc)
		}
	}
}

func TestLoopHistory(t *testing.T) {
	c := New(Options{MaxLoopHistory: 4})
	for i := range int64(9) {
		c.Stamp(0, &stamp.Stamp{At: i*10 + 1, Code: stamp.PollEnter})
		c.Stamp(0, &stamp.Stamp{At: i*10 + 2, Code: stamp.PollReturn})
		c.ThreadMark(0, mark.Wakeup, mark.Mark{At: i*10 + 2})
	}
	if st := c.Stats(); st.EvictedHistory != 14+5 || st.EvictedMarks != 5 {
		t.Fatalf("%+v", st)
	}
}

// A wait over more intervals than are looked at still names the long ones.
func TestLongBlockers(t *testing.T) {
	l := newLoop(4096)
	at := int64(0)
	for i := range uint32(2000) {
		l.occupy(at, served, 9, i)
		at += 1000
		if i == 700 {
			at += 5_000_000
		}
	}
	l.occupy(at, idle, 0, 0)
	c := New(Options{})
	var d timeline.Detail
	c.blockers.find(l, 0, at+500, at+500, exchangeKey{1, 1}, &d, c.id)
	if len(d.BlockedBy) != 1 || d.BlockedBy[0] != c.id(exchangeKey{9, 700}) || d.BlockedNS[0] != 5_001_000 || d.BlockedOther != 1999*1000 {
		t.Errorf("%+v", d)
	}
	d = timeline.Detail{}
	c.blockers.find(l, at-20_000, at+500, at+500, exchangeKey{9, 1999}, &d, c.id)
	if len(d.BlockedBy) != timeline.MaxBlockers || d.BlockedOther != 11_000 {
		t.Errorf("%+v", d)
	}
}

// A connection that one half never ends is given up.
func TestOverdue(t *testing.T) {
	o, out := collect(Options{Kernel: AllSupport})
	c := New(o)
	begin(c, 1, 1)
	c.Stamp(0, &stamp.Stamp{At: 50, Code: stamp.Closed, Conn: 1})
	c.Mark(2, mark.State, mark.Mark{At: 60, Off: mark.Word(mark.Destroyed, 0, 0)})
	begin(c, 2, 55) // its Closed stamp is missing
	c.Advance(overdueAfter)
	if len(*out) != 0 {
		t.Fatal("too early")
	}
	c.Advance(overdueAfter + 100)
	if st := c.Stats(); len(*out) != 2 || st.Overdue != 2 || st.OpenConns != 0 {
		t.Fatalf("%+v, %d emitted", st, len(*out))
	}
	for _, tl := range *out {
		if tl.Incomplete&timeline.Lost == 0 || tl.End != "closed" {
			t.Errorf("%+v", tl)
		}
	}
}

// A connection that was reset before accept4 is counted, not shown.
func TestNeverAccepted(t *testing.T) {
	o, out := collect(Options{Kernel: AllSupport})
	c := New(o)
	c.Open(1, simPeer, simLocal)
	c.Mark(1, mark.State, mark.Mark{At: 10, Off: mark.Word(mark.Syn, 0, 0)})
	c.Mark(1, mark.State, mark.Mark{At: 20, Off: mark.Word(mark.Destroyed, 0, 0)})
	c.Advance(20) // its stamps may yet come
	if st := c.Stats(); st.OpenConns != 1 {
		t.Fatalf("%+v", st)
	}
	c.Advance(21)
	if st := c.Stats(); st.OpenConns != 0 || st.NeverAccepted != 1 || st.UnmatchedMarks != 2 || len(*out) != 0 {
		t.Fatalf("%+v, %d emitted", st, len(*out))
	}
}

// What belongs to nothing is counted.
func TestUnmatched(t *testing.T) {
	o, out := collect(Options{Kernel: AllSupport})
	c := New(o)
	begin(c, 1, 1)
	for _, s := range []stamp.Stamp{
		{At: 5, Code: stamp.Request},               // no connection
		{At: 5, Code: 0, Conn: 1},                  // no code
		{At: 5, Code: stamp.Gap + 1, Conn: 1},      // no code
		{Code: stamp.Method},                       // text of nothing
		{At: 5, Code: stamp.MessageBegin, Conn: 1}, // from the wrong loop, below
	} {
		loop := 0
		if s.Code == stamp.MessageBegin {
			loop = 1
		}
		c.Stamp(loop, &s)
	}
	c.Stamp(-1, &stamp.Stamp{At: 5, Code: stamp.PollEnter})
	c.Stamp(maxLoops, &stamp.Stamp{At: 5, Code: stamp.PollEnter})
	c.Stamp(1, &stamp.Stamp{Code: stamp.Target, Conn: 1, Aux: 2})
	c.Mark(1, mark.NumLanes, mark.Mark{At: 1})
	c.ThreadMark(-1, mark.Wakeup, mark.Mark{At: 1})
	c.ThreadMark(0, mark.NumThreadLanes, mark.Mark{At: 1})
	c.ThreadLost(-1, mark.Wakeup, 1)
	c.ThreadLost(0, mark.NumThreadLanes, 1)
	c.Lost(3, mark.NumLanes, 1)
	c.Lost(3, mark.RxReady, 0)
	if st := c.Stats(); st.UnmatchedStamps != 8 || st.UnmatchedMarks != 5 || st.OpenConns != 1 {
		t.Errorf("%+v", st)
	}
	// A clock that runs backwards is counted and straightened.
	c.Stamp(0, &stamp.Stamp{At: 1, Code: stamp.Request, Conn: 1})
	if st := c.Stats(); st.Negative != 1 {
		t.Errorf("%+v", st)
	}
	c.Flush(10)
	if len(*out) != 1 {
		t.Errorf("%d emitted", len(*out))
	}
}

// A connection that was there before the run is flagged.
func TestAttachedLate(t *testing.T) {
	o, out := collect(Options{Kernel: AllSupport})
	c := New(o)
	c.Stamp(0, &stamp.Stamp{At: 5, Code: stamp.MessageBegin, Conn: 1, Exchange: 4, A: 100})
	c.Flush(10)
	if len(*out) != 1 || (*out)[0].Incomplete&timeline.AttachedLate == 0 || (*out)[0].Connection.Exchange != 4 {
		t.Errorf("%+v", *out)
	}
}

func TestIDs(t *testing.T) {
	seen := map[timeline.ID]bool{}
	for _, seed := range []uint64{0, 1} {
		c := New(Options{Seed: seed})
		for conn := range uint64(50) {
			for x := range uint32(50) {
				id := c.id(exchangeKey{conn, x})
				if seen[id] || id == (timeline.ID{}) {
					t.Fatalf("seed %d, connection %d, exchange %d: %v", seed, conn, x, id)
				}
				seen[id] = true
			}
		}
	}
}

func TestVersionText(t *testing.T) {
	for v, want := range map[uint64]string{0: "", 1<<8 | 1: "HTTP/1.1", 1 << 8: "HTTP/1.0", 2 << 8: "HTTP/2.0", 99<<8 | 1: "HTTP/?.1"} {
		if got := versionText(v); got != want {
			t.Errorf("%#x: %q, want %q", v, got, want)
		}
	}
}

// A loop that looks without sleeping first, and sleeps if there is nothing, has
// one poll.
func TestTwoLooks(t *testing.T) {
	c := New(Options{})
	for i, code := range []stamp.Code{stamp.PollEnter, stamp.PollEnter, stamp.PollReturn, stamp.PollEnter, stamp.Gap, stamp.PollEnter} {
		c.Stamp(0, &stamp.Stamp{At: int64(i+1) * 10, Code: code})
	}
	want := []poll{{enter: 10, ret: 30}, {enter: 40, ret: 40}, {enter: 60}}
	if got := c.loops[0].polls.buf; !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// A timeline that does not sum is cut down to what is certain.
func TestBroken(t *testing.T) {
	o, out := collect(Options{})
	c := New(o)
	c.hand(&timeline.Timeline{
		Duration: 10, Spans: []timeline.Span{{Step: 8, Name: "parse", Layer: timeline.Parser, Duration: 9}},
		Marks: []timeline.Mark{{Name: "request", At: 3}},
	})
	if st := c.Stats(); st.Broken != 1 || st.Timelines != 1 || len(*out) != 1 {
		t.Fatalf("%+v", st)
	}
	tl := (*out)[0]
	if err := tl.Check(); err != nil || len(tl.Spans) != 1 || tl.Spans[0].Name != "unknown" || tl.Spans[0].Duration != 10 {
		t.Errorf("%v: %+v", err, tl)
	}
}

// A tick's instant is read before the rings are: the newest stamps are newer.
// What they begin has no end yet, and is not negative for that.
func TestStampsNewerThanAdvance(t *testing.T) {
	o, out := collect(Options{})
	c := New(o)
	at := int64(100)
	for _, s := range wholeExchange() {
		at += 100
		s.At, s.Conn = at, 7
		c.Stamp(0, &s)
	}
	c.Advance(at - 50)
	if len(*out) != 1 {
		t.Fatalf("%d timelines, want 1", len(*out))
	}
	if n := c.Stats().Negative; n != 0 {
		t.Errorf("%d negative spans", n)
	}
}
