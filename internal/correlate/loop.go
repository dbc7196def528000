// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/timeline"
)

// poll is one epoll_wait of a loop. A time of 0 is not known (yet).
type poll struct {
	enter, ret      int64 // the server's stamps around it
	wake, run, kret int64 // the kernel's marks inside it
	// doubt says why its last wakeup may not be known; 0 is no doubt.
	doubt timeline.Reasons
}

// occupancy is an interval in which a loop did one thing.
type occupancy struct {
	from, to int64 // to is 0 while it lasts
	conn     uint64
	exchange uint32
	kind     occupied
	// busy is for how long the loop was not idle before from, since it began.
	busy int64
}

type occupied uint8

const (
	idle   occupied = iota // in epoll_wait
	other                  // what belongs to no exchange
	served                 // working on an exchange
)

// offCPU is an interval in which a loop's thread was runnable, but not running.
type offCPU struct{ from, to int64 }

// gap is an interval of a loop's past from which stamps are missing.
type gap struct{ from, to int64 }

const (
	// longOccupancy, ns: intervals at least this long are also kept apart,
	// so that a long wait finds its long blockers without reading thousands
	// of short ones.
	longOccupancy = 100_000
	maxOverlaps   = 512
	maxGaps       = 64
	maxOffCPU     = 256
)

// loop is what is known about one loop thread.
type loop struct {
	// prev is the instant of the newest stamp.
	prev int64
	// open is the interval that began with the newest stamp.
	open interval

	polls ring[poll]
	past  ring[occupancy]
	long  ring[occupancy]
	off   ring[offCPU]
	gaps  ring[gap]
	// doubts are where it is not known whether the thread had a CPU.
	doubts  ring[doubt]
	threads [mark.NumThreadLanes]threadLane
}

func newLoop(history int) *loop {
	return &loop{
		polls:  newRing[poll](history),
		past:   newRing[occupancy](history),
		long:   newRing[occupancy](max(history/16, 16)),
		off:    newRing[offCPU](maxOffCPU),
		gaps:   newRing[gap](maxGaps),
		doubts: newRing[doubt](maxGaps),
	}
}

// occupy notes that from at on the loop does something; it returns whether
// history was evicted.
func (l *loop) occupy(at int64, kind occupied, conn uint64, exchange uint32) (evicted bool) {
	next := occupancy{from: at, kind: kind, conn: conn, exchange: exchange}
	if o := l.past.last(); o != nil {
		if o.kind == kind && o.conn == conn && o.exchange == exchange {
			return false
		}
		o.to = at
		next.busy = o.busy
		if o.kind != idle {
			next.busy += o.to - o.from
			if o.to-o.from >= longOccupancy {
				l.long.push(*o)
			}
		}
	}
	return l.past.push(next)
}

// busyUntil is for how long the loop was not idle before t, as far as
// differences of it within the known past go.
func (l *loop) busyUntil(t, now int64) int64 {
	pos := l.past.search(func(o *occupancy) bool { return o.from >= t })
	if pos == l.past.first() {
		return l.past.at(pos).busy // nothing is known before it
	}
	o := l.past.at(pos - 1)
	if o.kind == idle {
		return o.busy
	}
	return o.busy + overlap(o, o.from, t, now)
}

// servedBy returns the poll whose return led to what the loop did at t: the
// last one that had returned.
func (l *loop) servedBy(t int64) *poll {
	pos := l.polls.search(func(p *poll) bool { return p.enter > t })
	for pos > l.polls.first() {
		pos--
		if p := l.polls.at(pos); p.ret != 0 && p.ret <= t {
			return p
		}
	}
	return nil
}

// pollAt returns the poll that was going on at t.
func (l *loop) pollAt(t int64) *poll {
	pos := l.polls.search(func(p *poll) bool { return p.enter > t })
	if pos == l.polls.first() {
		return nil
	}
	if p := l.polls.at(pos - 1); p.ret == 0 || t <= p.ret {
		return p
	}
	return nil
}

// thread takes one instant of the thread.
func (l *loop) thread(lane mark.ThreadLane, at int64) {
	switch lane {
	case mark.Wakeup:
		if p := l.pollAt(at); p != nil {
			p.wake = at // the last one before the return counts
		}
	case mark.PollReturn:
		if p := l.pollAt(at); p != nil {
			p.kret = at
		}
	case mark.Preempted:
		l.off.push(offCPU{from: at})
	case mark.Running:
		if p := l.pollAt(at); p != nil && p.wake != 0 && at >= p.wake && p.run < p.wake {
			p.run = at
		}
		if o := l.off.last(); o != nil && o.to == 0 && o.from <= at {
			o.to = at
		}
	}
}

// blockers adds up what a loop did between two instants that was not idling
// and not the exchange itself.
type blockers struct {
	list []blocker
	// table finds an exchange's place in list by a hash of its key, open
	// addressed. A slot whose round is not the present one is free.
	table [2 * maxOverlaps]struct{ round, pos uint32 }
	round uint32
}

type exchangeKey struct {
	conn     uint64
	exchange uint32
}

type blocker struct {
	exchangeKey
	ns int64
}

// find fills d with what the loop did in [from, to), the longest first. now
// ends what still lasts.
func (b *blockers) find(l *loop, from, to, now int64, self exchangeKey, d *timeline.Detail, id func(exchangeKey) timeline.ID) {
	b.list = b.list[:0]
	if b.round++; b.round == 0 {
		clear(b.table[:])
		b.round = 1
	}
	past := &l.past
	after := func(o *occupancy) bool { return o.to == 0 || o.to > from }
	pos := past.search(after)
	last := past.search(func(o *occupancy) bool { return o.from >= to })
	var outside int64
	if last > pos+maxOverlaps {
		// Too many to look at: the long ones by name, the rest together.
		outside = l.busyUntil(to, now) - l.busyUntil(from, now)
		past = &l.long
		pos = past.search(after)
		last = past.search(func(o *occupancy) bool { return o.from >= to })
		pos = max(pos, last-min(last, maxOverlaps))
		for i := pos; i < last; i++ {
			outside -= overlap(past.at(i), from, to, now)
		}
	}
	for ; pos < last; pos++ {
		o := past.at(pos)
		ns := overlap(o, from, to, now)
		key := exchangeKey{o.conn, o.exchange}
		switch {
		case ns <= 0 || o.kind == idle:
		case o.kind == other:
			outside += ns
		case key != self:
			b.add(key, ns)
		}
	}
	if n := min(timeline.MaxBlockers, len(b.list)); n > 0 {
		d.BlockedBy, d.BlockedNS = make([]timeline.ID, 0, n), make([]int64, 0, n)
	}
	for range cap(d.BlockedBy) {
		best := 0
		for i := range b.list {
			if b.list[i].ns > b.list[best].ns {
				best = i
			}
		}
		d.BlockedBy = append(d.BlockedBy, id(b.list[best].exchangeKey))
		d.BlockedNS = append(d.BlockedNS, b.list[best].ns)
		b.list[best].ns = 0
	}
	for i := range b.list {
		outside += b.list[i].ns
	}
	d.BlockedOther = max(outside, 0)
}

func (b *blockers) add(key exchangeKey, ns int64) {
	h := mix(key.conn ^ uint64(key.exchange)<<32)
	for {
		s := &b.table[h%uint64(len(b.table))]
		if s.round != b.round {
			s.round, s.pos = b.round, uint32(len(b.list))
			b.list = append(b.list, blocker{key, ns})
			return
		}
		if b.list[s.pos].exchangeKey == key {
			b.list[s.pos].ns += ns
			return
		}
		h++
	}
}

// overlap is how much of [from, to) an interval covers.
func overlap(o *occupancy, from, to, now int64) int64 {
	end := o.to
	if end == 0 {
		end = max(now, o.from)
	}
	return max(min(end, to)-max(o.from, from), 0)
}
