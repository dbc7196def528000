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
	// again is a wakeup after run: the thread had gone back to sleep if
	// another run follows, and was still on a CPU if none does.
	again int64
	// doubt says why its last wakeup may not be known; 0 is no doubt.
	doubt timeline.Reasons
}

// occupancy is an interval in which a loop did one thing.
type occupancy struct {
	from, to int64 // to is 0 while it lasts
	conn     uint64
	exchange uint32
	kind     occupied
	// first is set if the loop had never worked on the exchange before.
	first bool
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
	o := l.past.last()
	if o != nil && o.kind == kind && o.conn == conn && o.exchange == exchange {
		return false
	}
	next := occupancy{from: at, kind: kind, conn: conn, exchange: exchange}
	if o != nil {
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
		switch p := l.pollAt(at); {
		case p == nil || p.kret != 0: // not epoll's: it has returned
		case p.run == 0:
			p.wake = at // the last one before it runs counts
		default:
			p.again = at
		}
	case mark.PollReturn:
		if p := l.pollAt(at); p != nil {
			p.kret = at
		}
	case mark.Preempted:
		l.off.push(offCPU{from: at})
	case mark.Running:
		switch p := l.pollAt(at); {
		case p == nil || p.kret != 0:
		case p.again != 0:
			p.wake, p.run, p.again = p.again, at, 0
		case p.wake != 0 && p.run == 0:
			p.run = at
		}
		if o := l.off.last(); o != nil && o.to == 0 && o.from <= at {
			o.to = at
		}
	}
}
