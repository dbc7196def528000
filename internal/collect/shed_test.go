// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"math/rand"
	"net/netip"
	"testing"
	"time"

	"github.com/lifetrace/lifetrace/internal/correlate"
	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/stamp"
	"github.com/lifetrace/lifetrace/internal/timeline"
)

// happening is a stamp or a mark of a world, in order of time.
type happening struct {
	stamp  stamp.Stamp // Code 0: it is a mark
	mark   mark.Mark
	lane   mark.Lane
	cookie uint64
}

// world is a server with one loop and keep-alive connections, and the kernel
// under it: the source of a collector.
type world struct {
	rnd   *rand.Rand
	at    int64
	all   []happening
	ring  *stamp.Ring
	lanes map[uint64][]happening // not drained
	open  []mark.Conn            // not announced
	gone  map[uint64]bool
	// count is how many exchanges each connection has; arrived when the first
	// byte of each did, and acked when the client had its response.
	count          map[uint64]uint32
	arrived, acked map[exchange]int64
	mute           bool // no marks are made
}

type exchange struct {
	conn uint64
	num  uint32
}

func (w *world) put(code stamp.Code, conn uint64, num uint32, a, b uint64) {
	w.at += 1 + w.rnd.Int63n(500)
	w.all = append(w.all, happening{stamp: stamp.Stamp{At: w.at, Code: code, Conn: conn, Exchange: num, A: a, B: b}})
}

func (w *world) mark(conn uint64, lane mark.Lane, off uint64) int64 {
	w.at += 1 + w.rnd.Int63n(500)
	if !w.mute {
		w.all = append(w.all, happening{mark: mark.Mark{At: w.at, Off: off}, lane: lane, cookie: conn})
	}
	return w.at
}

// The sizes of every request and response.
const reqSize, respSize = 79, 82

// newWorld makes conns connections that serve rounds batches of up to depth
// pipelined requests each.
func newWorld(seed int64, conns, rounds, depth int, mute bool) *world {
	w := &world{
		rnd: rand.New(rand.NewSource(seed)), at: 1000, ring: stamp.NewRing(1 << 16), mute: mute,
		lanes: map[uint64][]happening{}, gone: map[uint64]bool{},
		count: map[uint64]uint32{}, arrived: map[exchange]int64{}, acked: map[exchange]int64{},
	}
	type state struct{ due, unacked int } // requests that are here, responses that are not acknowledged
	states := make([]state, conns+1)
	ack := func(c uint64) {
		s := &states[c]
		at := w.mark(c, mark.TxAcked, uint64(w.count[c])*respSize)
		for ; s.unacked > 0; s.unacked-- {
			w.acked[exchange{c, w.count[c] - uint32(s.unacked)}] = at
		}
	}
	arrive := func(c uint64) {
		s := &states[c]
		s.due = 1 + w.rnd.Intn(depth)
		at := w.mark(c, mark.RxReady, uint64(w.count[c]+uint32(s.due))*reqSize)
		for i := range s.due {
			w.arrived[exchange{c, w.count[c] + uint32(i)}] = at
		}
	}
	w.put(stamp.PollEnter, 0, 0, 0, 0)
	w.put(stamp.PollReturn, 0, 0, 1, 0)
	for c := uint64(1); c <= uint64(conns); c++ {
		w.mark(c, mark.State, mark.Word(mark.Syn, 0, 0))
		w.mark(c, mark.State, mark.Word(mark.Established, 1, 511))
		w.put(stamp.CallbackBegin, 0, 0, 0, 0)
		w.put(stamp.Accepted, c, 0, 0, 0)
		w.put(stamp.ParserAttached, c, 0, 0, 0)
	}
	for range rounds {
		w.put(stamp.PollEnter, 0, 0, 0, 0)
		for c := range states[1:] {
			if s := &states[c+1]; s.due == 0 && w.rnd.Intn(3) > 0 {
				arrive(uint64(c + 1))
			}
		}
		w.put(stamp.PollReturn, 0, 0, 1, 0)
		for c := range states[1:] {
			if states[c+1].due > 0 && w.rnd.Intn(4) > 0 {
				w.serve(uint64(c+1), states[c+1].due)
				states[c+1].unacked += states[c+1].due
				states[c+1].due = 0
				if w.rnd.Intn(2) == 0 {
					ack(uint64(c + 1))
				}
			} else if w.rnd.Intn(2) == 0 && states[c+1].unacked > 0 {
				ack(uint64(c + 1))
			}
		}
	}
	for c := uint64(1); c <= uint64(conns); c++ {
		if states[c].unacked > 0 {
			ack(c)
		}
		w.put(stamp.Closed, c, 0, 0, 0)
		w.mark(c, mark.State, mark.Word(mark.Destroyed, 0, 0))
	}
	return w
}

// serve is one callback: n requests are read, answered, and written at once.
func (w *world) serve(c uint64, n int) {
	first := w.count[c]
	w.put(stamp.CallbackBegin, c, 0, 0, 0)
	read := uint64(first+uint32(n)) * reqSize
	w.mark(c, mark.RxRead, read)
	w.put(stamp.RecvReturn, c, first, read, uint64(n)*reqSize)
	for range n {
		x := w.count[c]
		r0, t0 := uint64(x)*reqSize, uint64(x)*respSize
		w.put(stamp.MessageBegin, c, x, r0, 0)
		w.all = append(w.all, happening{stamp: stamp.Stamp{At: 'G' | 'E'<<8 | 'T'<<16, Code: stamp.Method, Conn: c, Exchange: x, Aux: 3}})
		w.put(stamp.HeadersComplete, c, x, r0+reqSize, 257)
		w.put(stamp.BodyComplete, c, x, r0+reqSize, 0)
		w.put(stamp.Request, c, x, 0, 0)
		w.put(stamp.HeadComposed, c, x, 200, 0)
		w.put(stamp.ResponseEnd, c, x, 0, 0)
		w.put(stamp.Finish, c, x, t0, t0+respSize)
		w.put(stamp.KeepAliveReset, c, x, 0, 0)
		w.count[c]++
	}
	sent := uint64(w.count[c]) * respSize
	w.put(stamp.SendBegin, c, first, sent-uint64(n)*respSize, uint64(n)*respSize)
	w.mark(c, mark.TxSent, sent)
	w.mark(c, mark.TxQueued, sent)
	w.put(stamp.SendReturn, c, first, sent, uint64(n)*respSize)
}

// happen lets the next n things happen.
func (w *world) happen(n int) {
	for range min(n, len(w.all)) {
		h := w.all[0]
		w.all = w.all[1:]
		if s := h.stamp; s.Code != 0 {
			w.ring.Put(s.At, s.Code, s.Conn, s.Exchange, s.Aux, s.A, s.B)
			continue
		}
		if kind, _, _ := mark.Unpack(h.mark.Off); h.lane == mark.State && kind == mark.Syn {
			w.open = append(w.open, mark.Conn{Slot: uint32(h.cookie), Cookie: h.cookie})
		} else if h.lane == mark.State && kind == mark.Destroyed {
			w.gone[h.cookie] = true
		}
		w.lanes[h.cookie] = append(w.lanes[h.cookie], h)
	}
}

// Opened is where a drain has read the stamps and not the lanes: the world goes
// on meanwhile.
func (w *world) Opened(_ int64, f func(mark.Conn)) {
	w.happen(w.rnd.Intn(30))
	for _, c := range w.open {
		c.Peer = netip.AddrPortFrom(netip.IPv4Unspecified(), 1)
		f(c)
	}
	w.open = nil
}

func (w *world) Drain(slot uint32, sink mark.Sink) bool {
	for _, lane := range []mark.Lane{mark.TxAcked, mark.TxSent, mark.TxQueued, mark.RxRead, mark.RxReady, mark.State} {
		for _, h := range w.lanes[uint64(slot)] {
			if h.lane == lane {
				sink.Mark(lane, h.mark)
			}
		}
	}
	delete(w.lanes, uint64(slot))
	return w.gone[uint64(slot)]
}

func (w *world) Release(uint32, int64) {}
func (w *world) DrainThread(int, func(mark.ThreadLane, mark.Mark), func(mark.ThreadLane, uint64)) {
}
func (w *world) Events(func(mark.Event)) {}

// Whatever the level does and wherever drains fall, every exchange is in a
// timeline or counted as missed, once, and every timeline is whole and true.
func TestSheddingKeepsExchangesWhole(t *testing.T) {
	const seeds = 80
	var kept, missed uint64
	for seed := int64(1); seed <= seeds; seed++ {
		mute := seed%5 == 0
		w := newWorld(seed, 1+int(seed)%12, 60, 1+int(seed)%7, mute)
		seen := map[exchange]bool{}
		var left uint64
		support := correlate.AllSupport &^ correlate.Wakeup &^ correlate.Running
		whole := timeline.Unsupported // of wake-ups, which this world has none of
		if mute {
			support = 0
		}
		join := correlate.New(correlate.Options{
			Kernel: support,
			Emit: func(tl *timeline.Timeline) {
				x := exchange{tl.Connection.Cookie, tl.Connection.Exchange}
				if seen[x] {
					t.Errorf("seed %d: exchange %v twice", seed, x)
				}
				seen[x] = true
				if tl.Incomplete != whole {
					t.Errorf("seed %d: exchange %v is %v, want it whole", seed, x, tl.Incomplete.Names())
				}
				if err := tl.Check(); err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
				for _, m := range tl.Marks {
					if m.Name == "data.first" && tl.Start+m.At != w.arrived[x] || m.Name == "ack.last" && tl.Start+m.At != w.acked[x] {
						t.Errorf("seed %d: exchange %v has %s at %d, want %d and %d", seed, x, m.Name, tl.Start+m.At, w.arrived[x], w.acked[x])
					}
				}
			},
			Missed: func(why timeline.Reasons, n uint64) {
				if why != timeline.Evicted {
					t.Errorf("seed %d: %d missed as %v", seed, n, why.Names())
				}
				left += n
			},
		})
		o := Options{Rings: []*stamp.Ring{w.ring}, Lanes: w, Join: join, Sweep: time.Duration(20_000)}
		if mute {
			o.Lanes = nil
		}
		c := New(o)
		var now int64
		for len(w.all) > 0 {
			w.happen(1 + w.rnd.Intn(200))
			if w.rnd.Intn(3) == 0 {
				c.drainer.shedder.level = uint(w.rnd.Intn(4))
			}
			if len(w.all) > 0 {
				now = w.all[0].stamp.At + w.all[0].mark.At
			}
			now = max(now, c.drainer.swept)
			c.Tick(min(now, w.at))
		}
		c.Tick(w.at + 1)
		c.Tick(w.at + 2)
		join.Flush(w.at + 3)
		var total uint64
		for _, n := range w.count {
			total += uint64(n)
		}
		if uint64(len(seen))+left != total {
			t.Errorf("seed %d: %d timelines and %d missed of %d exchanges", seed, len(seen), left, total)
		}
		if st := join.Stats(); st.UnmatchedStamps != 0 || st.Broken != 0 || st.Negative != 0 || st.OpenConns != 0 || st.HeldEntries != 0 {
			t.Errorf("seed %d: %+v", seed, st)
		}
		if len(c.drainer.conns) != 0 || c.drainer.traced != 0 {
			t.Errorf("seed %d: %d connections are still followed", seed, len(c.drainer.conns))
		}
		kept += uint64(len(seen))
		missed += left
		if t.Failed() {
			return
		}
	}
	if kept < missed/20 || missed < kept/20 {
		t.Errorf("%d kept, %d missed: the test shows little", kept, missed)
	}
}
