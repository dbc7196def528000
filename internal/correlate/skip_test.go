// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"testing"

	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/stamp"
	"github.com/lifetrace/lifetrace/internal/timeline"
)

// keepAlive is a connection that serves one exchange of 10 bytes in and 20 out
// after another.
type keepAlive struct {
	c  *Correlator
	at int64
}

func (k *keepAlive) put(code stamp.Code, x uint32, a, b uint64) {
	k.at += 10
	k.c.Stamp(0, &stamp.Stamp{At: k.at, Code: code, Conn: 7, Exchange: x, A: a, B: b})
}

func (k *keepAlive) mark(l mark.Lane, off uint64) {
	k.at += 10
	k.c.Mark(7, l, mark.Mark{At: k.at, Off: off})
}

func (k *keepAlive) accept() {
	k.mark(mark.State, mark.Word(mark.Syn, 0, 0))
	k.mark(mark.State, mark.Word(mark.Established, 1, 511))
	k.put(stamp.Accepted, 0, 0, 0)
	k.put(stamp.ParserAttached, 0, 0, 0)
}

func (k *keepAlive) exchange(x uint32) {
	r0, t0 := uint64(x)*10, uint64(x)*20
	k.put(stamp.PollEnter, 0, 0, 0)
	k.mark(mark.RxReady, r0+10)
	k.put(stamp.PollReturn, 0, 1, 0)
	k.put(stamp.CallbackBegin, x, 0, 0)
	k.mark(mark.RxRead, r0+10)
	k.put(stamp.RecvReturn, x, r0+10, 10)
	k.put(stamp.MessageBegin, x, r0, 0)
	k.put(stamp.HeadersComplete, x, r0+10, 257)
	k.put(stamp.BodyComplete, x, r0+10, 0)
	k.put(stamp.Request, x, 0, 0)
	k.put(stamp.HeadComposed, x, 200, 0)
	k.put(stamp.ResponseEnd, x, 0, 0)
	k.put(stamp.Finish, x, t0, t0+20)
	k.put(stamp.SendBegin, x, t0, 20)
	k.mark(mark.TxSent, t0+20)
	k.mark(mark.TxQueued, t0+20)
	k.put(stamp.SendReturn, x, t0+20, 20)
	k.put(stamp.KeepAliveReset, x, 0, 0)
	k.mark(mark.TxAcked, t0+20)
}

func (k *keepAlive) closed() {
	k.put(stamp.Closed, 0, 0, 0)
	k.mark(mark.State, mark.Word(mark.Destroyed, 0, 0))
	k.c.Advance(k.at + 1)
}

// newKeepAlive returns a connection, its timelines, and what has none.
func newKeepAlive(o Options) (*keepAlive, *[]*timeline.Timeline, map[timeline.Reasons]uint64) {
	missed := map[timeline.Reasons]uint64{}
	o.Kernel = AllSupport
	o.Missed = func(why timeline.Reasons, n uint64) { missed[why] += n }
	o, out := collect(o)
	return &keepAlive{c: New(o)}, out, missed
}

// What is left out counts once, and what comes after it is whole.
func TestSkip(t *testing.T) {
	k, out, missed := newKeepAlive(Options{})
	k.accept()
	k.exchange(0)
	k.c.Skip(7, 1, 4, k.at, 40, 80) // before the first was emitted
	k.c.Skip(7, 4, 6, k.at, 60, 120)
	k.c.Skip(7, 2, 6, k.at, 60, 120) // told again
	k.c.Advance(k.at + 1)
	k.c.Skip(7, 6, 8, k.at, 80, 160)
	k.exchange(8)
	k.exchange(9)
	k.closed()
	if len(*out) != 3 || len(missed) != 1 || missed[timeline.Evicted] != 7 {
		t.Fatalf("%d timelines, missed %v, want 3 and 7 evicted", len(*out), missed)
	}
	for i, num := range []uint32{0, 8, 9} {
		tl := (*out)[i]
		if tl.Connection.Exchange != num || tl.Incomplete != 0 || tl.Request.Bytes != 10 || tl.Response.Bytes != 20 || tl.End != "ack" {
			t.Errorf("%+v, want exchange %d whole", tl, num)
		}
	}
	if st := k.c.Stats(); st.Missed != 7 || st.UnmatchedStamps != 0 || st.HeldEntries != 0 || st.OpenConns != 0 {
		t.Errorf("%+v", st)
	}
}

// Exchanges are numbered without holes: those of which no stamp came were lost.
// Of a connection that was there before nobody can tell.
func TestLeap(t *testing.T) {
	k, out, missed := newKeepAlive(Options{})
	k.accept()
	k.exchange(0)
	k.exchange(3)
	k.exchange(4)
	k.closed()
	if len(*out) != 3 || len(missed) != 1 || missed[timeline.Lost] != 2 {
		t.Errorf("%d timelines, missed %v, want 3 and 2 lost", len(*out), missed)
	}
	k, out, missed = newKeepAlive(Options{})
	k.exchange(5)
	k.exchange(7)
	k.closed()
	if len(*out) != 2 || missed[timeline.Lost] != 1 {
		t.Errorf("%d timelines, missed %v, want 2 and 1 lost", len(*out), missed)
	}
}

// What a bound leaves no room for counts too.
func TestDroppedExchangesAreMissed(t *testing.T) {
	k, out, missed := newKeepAlive(Options{MaxExchangesPerConn: 2})
	k.accept()
	for x := range uint32(5) {
		k.put(stamp.MessageBegin, x, 0, 0)
	}
	k.closed()
	if len(*out) != 2 || missed[timeline.Evicted] != 3 || k.c.Stats().DroppedExchanges != 3 {
		t.Errorf("%d timelines, missed %v, want 2 and 3 evicted", len(*out), missed)
	}
}

// A steady state makes no garbage: not for stamps and marks, nor for timelines.
func TestCorrelatorAllocatesNothing(t *testing.T) {
	var done int
	c := New(Options{
		Kernel: AllSupport, MaxLoopHistory: 64,
		Emit: func(tl *timeline.Timeline) {
			if tl.Incomplete == 0 && len(tl.Spans) > 5 && len(tl.Marks) > 10 {
				done++
			}
		},
	})
	k := &keepAlive{c: c}
	k.accept()
	x := uint32(0)
	step := func() {
		for range 8 {
			k.exchange(x)
			x++
		}
		c.Advance(k.at)
	}
	for range 20 {
		step()
	}
	if n := testing.AllocsPerRun(100, step); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
	if done < 900 {
		t.Errorf("%d timelines are complete, want all", done)
	}
}

// The timeline is lent: the next one is made in the same memory, and a copy is
// not touched by that.
func TestTimelinesAreLent(t *testing.T) {
	var lent, kept []*timeline.Timeline
	c := New(Options{Kernel: AllSupport, Emit: func(tl *timeline.Timeline) {
		lent, kept = append(lent, tl), append(kept, tl.Clone())
	}})
	k := &keepAlive{c: c}
	k.accept()
	k.exchange(0)
	k.exchange(1)
	k.closed()
	if len(lent) != 2 || lent[0] != lent[1] || kept[0].Connection.Exchange != 0 || kept[1].Connection.Exchange != 1 {
		t.Fatalf("%d timelines", len(lent))
	}
	for _, tl := range kept {
		if err := tl.Check(); err != nil {
			t.Error(err)
		}
	}
}
