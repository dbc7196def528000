// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/timeline"
)

// threadMark is an instant of a thread's lane that waits for Advance.
type threadMark struct {
	at int64
	// why says what happened to marks between the one before and this one.
	why timeline.Reasons
}

// threadLane is one lane of a loop's thread.
type threadLane struct {
	// pending holds instants until Advance: they may be ahead of the stamps.
	pending []threadMark
	// lost is set if marks were lost after the newest that was handed in.
	lost bool
	// seen is the newest instant that was taken out of pending.
	seen int64
}

// add appends a mark: its first instant, if it was not handed in earlier, and
// the last one that it absorbed.
func (t *threadLane) add(m mark.Mark) {
	if m.At != 0 {
		t.push(m.At, 0)
	}
	if m.Merged > 0 {
		why := timeline.Reasons(0)
		if m.Merged > 1 {
			why = timeline.Merged
		}
		t.push(m.Last, why)
	}
}

func (t *threadLane) push(at int64, why timeline.Reasons) {
	if t.lost {
		why |= timeline.Lost
		t.lost = false
	}
	t.pending = append(t.pending, threadMark{at, why})
}

// doubt is an interval in which a loop's thread may have been without a CPU
// and nobody can tell.
type doubt struct {
	from, to int64
	why      timeline.Reasons
}

// ThreadLost says that n marks of a loop thread's lane were lost since the mark
// before.
func (c *Correlator) ThreadLost(loop int, lane mark.ThreadLane, n uint64) {
	l := c.loop(loop)
	if l == nil || lane >= mark.NumThreadLanes {
		c.stats.UnmatchedMarks++
		return
	}
	l.threads[lane].lost = l.threads[lane].lost || n > 0
}

// settle takes the thread marks up to now into the loop's past, in the order in
// which they happened: a thread that lost the CPU gets it back before it loses
// it again.
func (l *loop) settle(now int64) {
	var taken [mark.NumThreadLanes]int
	for {
		next, at := mark.NumThreadLanes, now+1
		for lane := range mark.NumThreadLanes {
			t := &l.threads[lane]
			if n := taken[lane]; n < len(t.pending) && t.pending[n].at < at {
				next, at = lane, t.pending[n].at
			}
		}
		if next == mark.NumThreadLanes {
			break
		}
		t := &l.threads[next]
		if why := t.pending[taken[next]].why; why != 0 {
			l.hidden(next, t.seen, at, why)
		}
		l.thread(next, at)
		t.seen = at
		taken[next]++
	}
	for lane, n := range taken {
		t := &l.threads[lane]
		t.pending = t.pending[:copy(t.pending, t.pending[n:])]
		if t.lost && len(t.pending) == 0 {
			// How far the loss reaches will be known with the next mark; what
			// is emitted before must know of it too.
			l.hidden(mark.ThreadLane(lane), t.seen, now, timeline.Lost)
		}
	}
}

// hidden notes that between two instants a lane had marks that are not known.
func (l *loop) hidden(lane mark.ThreadLane, from, to int64, why timeline.Reasons) {
	switch lane {
	case mark.Wakeup:
		// Of each poll only the last wakeup counts: one that holds the known
		// mark at to has it.
		for pos := l.polls.search(func(p *poll) bool { return p.ret == 0 || p.ret > from }); pos < l.polls.next; pos++ {
			p := l.polls.at(pos)
			if p.enter >= to || p.ret == 0 || p.ret >= to {
				return
			}
			p.doubt |= why
		}
	case mark.Preempted:
		l.unsure(doubt{from, to, why})
	case mark.Running:
		// It matters where the thread was waiting to run again.
		if o := l.off.last(); o != nil && (o.to == 0 || o.to > from) {
			l.unsure(doubt{max(from, o.from), to, why})
		}
	}
}

// unsure keeps a doubt; one that only reaches further than the newest takes its
// place.
func (l *loop) unsure(d doubt) {
	if last := l.doubts.last(); last != nil && last.from == d.from && last.why == d.why {
		last.to = max(last.to, d.to)
		return
	}
	l.doubts.push(d)
}

// doubtful returns why it is not known whether the thread ran all the time
// between two instants.
func (l *loop) doubtful(from, to int64) (why timeline.Reasons) {
	for pos := l.doubts.first(); pos < l.doubts.next; pos++ {
		if d := l.doubts.at(pos); d.from < to && d.to > from {
			why |= d.why
		}
	}
	return why
}
