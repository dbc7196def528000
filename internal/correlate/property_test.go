// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"math/rand"
	"reflect"
	"testing"

	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/timeline"
)

// harm says what the kernel's lanes go through before they are read.
type harm struct {
	merge, lose bool
}

// reader hands a world to a Correlator tick by tick.
type reader struct {
	s      *sim
	c      *Correlator
	rnd    *rand.Rand
	harm   harm
	stamps []int
	thread [][mark.NumThreadLanes]int
	lanes  [][mark.NumLanes]int
	opened []bool
	merged map[uint64]bool
	lost   map[uint64]bool
}

func newReader(s *sim, c *Correlator, seed int64, h harm) *reader {
	return &reader{
		s: s, c: c, rnd: rand.New(rand.NewSource(seed)), harm: h,
		stamps: make([]int, len(s.loops)), thread: make([][mark.NumThreadLanes]int, len(s.loops)),
		lanes: make([][mark.NumLanes]int, len(s.conns)), opened: make([]bool, len(s.conns)),
		merged: map[uint64]bool{}, lost: map[uint64]bool{},
	}
}

// tick hands in what happened up to now; it reports whether anything is left.
func (r *reader) tick(now int64) (more bool) {
	for n, l := range r.s.loops {
		for ; r.stamps[n] < len(l.stamps); r.stamps[n]++ {
			st := &l.stamps[r.stamps[n]]
			if !st.Code.IsText() && st.At > now {
				more = true
				break
			}
			r.c.Stamp(n, st)
		}
	}
	for i, k := range r.s.conns {
		for _, lane := range laneOrder {
			from := r.lanes[i][lane]
			to := from
			for to < len(k.lanes[lane]) && k.lanes[lane][to].At <= now {
				to++
			}
			more = more || to < len(k.lanes[lane])
			r.lanes[i][lane] = to
			if from == to {
				continue
			}
			if !r.opened[i] {
				r.opened[i] = true
				r.c.Open(k.cookie, simPeer, simLocal)
			}
			r.hand(k.cookie, lane, k.lanes[lane][from:to])
		}
	}
	for n, l := range r.s.loops {
		for lane := range mark.NumThreadLanes {
			for ; r.thread[n][lane] < len(l.threads[lane]); r.thread[n][lane]++ {
				m := l.threads[lane][r.thread[n][lane]]
				if m.At > now {
					more = true
					break
				}
				r.c.ThreadMark(n, lane, m)
			}
		}
	}
	r.c.Advance(now)
	return more
}

// hand hands in what one lane holds, after its harm.
func (r *reader) hand(cookie uint64, lane mark.Lane, marks []mark.Mark) {
	for i := 0; i < len(marks); i++ {
		m := marks[i]
		if lane == mark.State {
			r.c.Mark(cookie, lane, m)
			continue
		}
		if n := len(marks) - i; r.harm.lose && r.rnd.Intn(12) == 0 {
			gone := 1 + r.rnd.Intn(min(n, 3))
			r.c.Lost(cookie, lane, uint64(gone))
			r.lost[cookie] = true
			if i += gone - 1; i == len(marks)-1 {
				return
			}
			continue
		}
		if n := len(marks) - i - 1; r.harm.merge && n > 0 && r.rnd.Intn(6) == 0 {
			absorbed := 1 + r.rnd.Intn(min(n, 8))
			last := marks[i+absorbed]
			m.Merged, m.Last, m.LastOff = uint32(absorbed), last.At, last.Off
			if r.rnd.Intn(2) == 0 {
				// Its own entry was read earlier.
				r.c.Mark(cookie, lane, marks[i])
				m.At, m.Off = 0, 0
			}
			i += absorbed
			r.merged[cookie] = true
		}
		r.c.Mark(cookie, lane, m)
	}
}

// play runs a world through a Correlator and returns the timelines.
func play(seed int64, s *sim, h harm, o Options) ([]*timeline.Timeline, *Correlator, *reader) {
	var out []*timeline.Timeline
	o.Names, o.Seed = s.names.Name, 42
	o.Emit = func(t *timeline.Timeline) { out = append(out, t.Clone()) }
	c := New(o)
	r := newReader(s, c, seed, h)
	now := int64(1000)
	for r.tick(now) {
		now += r.rnd.Int63n(400_000) + 1
	}
	r.tick(now + 1)
	c.Flush(now + 2)
	return out, c, r
}

// truth is when the first and last bytes of [from, to) passed a lane.
func truth(lane []mark.Mark, from, to uint64) (first, last int64) {
	first, last = -1, -1
	for _, m := range lane {
		if first < 0 && m.Off > from {
			first = m.At
		}
		if last < 0 && m.Off >= to {
			last = m.At
		}
	}
	return first, last
}

// verify compares a timeline with the truth.
func verify(t *testing.T, k *simConn, tl *timeline.Timeline, r *reader) {
	t.Helper()
	if err := tl.Check(); err != nil {
		t.Error(err)
	}
	q := k.reqs[tl.Connection.Exchange]
	over := tl.End == "ack"
	if over && (tl.Request.Offset != q.r0 || tl.Request.Bytes != q.r1-q.r0 || tl.Response.Offset != q.t0 || tl.Response.Bytes != q.t1-q.t0) {
		t.Errorf("exchange %d: bytes %+v %+v, want %+v", tl.Connection.Exchange, tl.Request, tl.Response, *q)
	}
	// A doubt is raised only where there was harm, and always where it
	// moved an instant.
	doubt := tl.Incomplete&(timeline.Lost|timeline.Merged) != 0
	if doubt && !r.lost[k.cookie] && !r.merged[k.cookie] || tl.Incomplete&timeline.Merged != 0 && !r.merged[k.cookie] {
		t.Errorf("exchange %d: flagged %v, nothing was", tl.Connection.Exchange, tl.Incomplete.Names())
	}
	if (tl.Incomplete&timeline.Aborted != 0) == over {
		t.Errorf("exchange %d: ends by %s, flagged %v", tl.Connection.Exchange, tl.End, tl.Incomplete.Names())
	}
	want := map[string]int64{}
	for _, b := range []struct {
		name     string
		lane     mark.Lane
		from, to uint64
	}{
		{"data", mark.RxReady, q.r0, q.r1},
		{"recv", mark.RxRead, q.r0, q.r1},
		{"xmit", mark.TxSent, q.t0, q.t1},
		{"ack", mark.TxAcked, q.t0, q.t1},
		{"send", mark.TxQueued, q.t0, q.t1},
	} {
		first, last := truth(k.lanes[b.lane], b.from, b.to)
		if b.name != "send" {
			want[b.name+".first"] = first
		}
		want[b.name+".last"] = last
	}
	for _, m := range tl.Marks {
		at, ok := want[m.Name]
		if !ok || m.Source != timeline.FromKernel {
			continue
		}
		if !over && (m.Name == "data.last" || m.Name == "recv.last" || m.Name == "xmit.last" || m.Name == "send.last" || m.Name == "ack.last") {
			continue // the last of what came, not of what should have come
		}
		delete(want, m.Name)
		switch got := m.At + tl.Start; {
		case got == at:
		case !doubt:
			t.Errorf("connection %d exchange %d: %s at %d, want %d", k.cookie, tl.Connection.Exchange, m.Name, got, at)
		case got < at:
			t.Errorf("connection %d exchange %d: %s at %d, before the truth %d", k.cookie, tl.Connection.Exchange, m.Name, got, at)
		}
	}
	if over && !doubt && len(want) > 0 {
		t.Errorf("connection %d exchange %d: lacks %v", k.cookie, tl.Connection.Exchange, want)
	}
	// The handler's own time is known to the nanosecond: it ran for q.work
	// and up to the stamp after, less what lies beyond the end.
	if over {
		var ran int64
		var steps [17]bool
		for _, s := range tl.Spans {
			steps[s.Step] = true
			if s.Name == "handler:users" {
				ran += s.Duration
			}
			if s.Name == "unknown" && s.Duration > 0 && !doubt {
				t.Errorf("connection %d exchange %d: unknown at %d for %d", k.cookie, tl.Connection.Exchange, s.Start, s.Duration)
			}
		}
		for step := 1; step <= 16 && !doubt; step++ {
			if !steps[step] && (step >= 7 || tl.Connection.Exchange == 0) {
				t.Errorf("connection %d exchange %d: no step %d", k.cookie, tl.Connection.Exchange, step)
			}
		}
		if ran < q.work {
			t.Errorf("connection %d exchange %d: handler ran %d, want at least %d", k.cookie, tl.Connection.Exchange, ran, q.work)
		}
	}
}

func TestProperties(t *testing.T) {
	rounds := 1500
	if testing.Short() {
		rounds = 150
	}
	var complete, doubted, aborted int
	for i := range rounds {
		seed := int64(i) + 1
		rnd := rand.New(rand.NewSource(seed))
		h := harm{merge: i%4 == 1 || i%4 == 3, lose: i%4 >= 2}
		s := newSim(seed, 1+rnd.Intn(3), 1+rnd.Intn(12), 1+rnd.Intn(12))
		s.finish()
		out, c, r := play(seed, s, h, Options{Kernel: AllSupport})
		st := c.Stats()
		if st.Broken != 0 || st.OpenConns != 0 || st.OpenExchanges != 0 || st.HeldEntries != 0 || st.UnmatchedStamps != 0 {
			t.Errorf("seed %d: %+v", seed, st)
		}
		if h == (harm{}) && st.Negative != 0 {
			t.Errorf("seed %d: %d negative spans", seed, st.Negative)
		}
		seen := map[exchangeKey]bool{}
		for _, tl := range out {
			key := exchangeKey{tl.Connection.Cookie, tl.Connection.Exchange}
			if seen[key] {
				t.Errorf("seed %d: %v twice", seed, key)
			}
			seen[key] = true
			verify(t, s.conns[(key.conn-1)/7], tl, r)
			switch {
			case tl.Incomplete == 0:
				complete++
			case tl.Incomplete&timeline.Aborted != 0:
				aborted++
			default:
				doubted++
			}
		}
		for _, k := range s.conns {
			for n, q := range k.reqs {
				if began := q.state > 0 || k.got > q.r0; began != seen[exchangeKey{k.cookie, uint32(n)}] {
					t.Errorf("seed %d: connection %d exchange %d: began %v, timeline %v", seed, k.cookie, n, began, !began)
				}
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d complete, %d aborted, %d doubted", complete, aborted, doubted)
	if complete == 0 || doubted == 0 || aborted == 0 {
		t.Error("the worlds are too tame")
	}
}

// The same calls give the same timelines, whatever the ticks that bring them.
func TestDeterminism(t *testing.T) {
	for seed := int64(1); seed < 40; seed++ {
		run := func() []*timeline.Timeline {
			s := newSim(seed, 2, 6, 8)
			s.finish()
			out, _, _ := play(seed, s, harm{true, true}, Options{Kernel: AllSupport})
			return out
		}
		if a, b := run(), run(); !reflect.DeepEqual(a, b) {
			t.Fatalf("seed %d: two runs differ", seed)
		}
	}
}
