// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// batch is what one drain found. It is used again after it was applied.
type batch struct {
	now      int64 // everything before this instant was there to be drained
	stamps   []loopStamp
	opened   []mark.Conn
	untraced []uint64
	marks    []connMark
	threads  []threadMark
}

// loopStamp is a stamp of a loop. With the loop skipped it stands for stamps
// that were left out: of Conn's exchanges from to Exchange, which were over at
// At and had the bytes up to A and B; see Correlator.Skip.
type loopStamp struct {
	loop int32
	from uint32
	stamp.Stamp
}

const skipped = -1

// connMark is a mark of a connection, or n lost ones.
type connMark struct {
	cookie uint64
	mark.Mark
	lost uint64
	lane mark.Lane
}

type threadMark struct {
	mark.Mark
	lost uint64
	loop int
	lane mark.ThreadLane
}

func (b *batch) reset(now int64) {
	b.now = now
	b.stamps, b.opened, b.untraced = b.stamps[:0], b.opened[:0], b.untraced[:0]
	b.marks, b.threads = b.marks[:0], b.threads[:0]
}

// size is how much there is to apply; 0 is nothing.
func (b *batch) size() int {
	return len(b.stamps) + len(b.opened) + len(b.untraced) + len(b.marks) + len(b.threads)
}

// room is how many stamps and marks the batch has memory for.
func (b *batch) room() int {
	return cap(b.stamps) + cap(b.opened) + cap(b.untraced) + cap(b.marks) + cap(b.threads)
}

// apply hands everything to a correlator, in the order in which it was drained.
func (b *batch) apply(to Correlator) {
	for i := range b.stamps {
		if s := &b.stamps[i]; s.loop == skipped {
			to.Skip(s.Conn, s.from, s.Exchange, s.At, s.A, s.B)
		} else {
			to.Stamp(int(s.loop), &s.Stamp)
		}
	}
	for i := range b.opened {
		to.Open(b.opened[i].Cookie, b.opened[i].Peer, b.opened[i].Local)
	}
	for _, cookie := range b.untraced {
		to.Untraced(cookie)
	}
	for i := range b.marks {
		if m := &b.marks[i]; m.lost > 0 {
			to.Lost(m.cookie, m.lane, m.lost)
		} else {
			to.Mark(m.cookie, m.lane, m.Mark)
		}
	}
	for i := range b.threads {
		if m := &b.threads[i]; m.lost > 0 {
			to.ThreadLost(m.loop, m.lane, m.lost)
		} else {
			to.ThreadMark(m.loop, m.lane, m.Mark)
		}
	}
	to.Advance(b.now)
}
