// SPDX-License-Identifier: Apache-2.0

package correlate

import "github.com/lifetrace/lifetrace/internal/timeline"

// blockers adds up what a loop did between two instants that was not idling
// and not the exchange itself.
type blockers struct {
	list []blocker
	// table finds an exchange's place in list by a hash of its key, open
	// addressed. A slot whose round is not the present one is free. Of most
	// questions no exchange comes twice, and it stays empty: tabled is how
	// much of the list is in it.
	table  [2 * maxOverlaps]struct{ round, pos uint32 }
	round  uint32
	tabled int
}

type exchangeKey struct {
	conn     uint64
	exchange uint32
}

type blocker struct {
	exchangeKey
	ns int64
}

// find adds to d what the loop did in [from, to), the longest first. now ends
// what still lasts.
func (b *blockers) find(l *loop, from, to, now int64, self exchangeKey, d *timeline.Detail, id func(exchangeKey) timeline.ID) {
	b.list, b.tabled = b.list[:0], 0
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
		if o.kind == idle {
			continue
		}
		ns := overlap(o, from, to, now)
		key := exchangeKey{o.conn, o.exchange}
		switch {
		case ns <= 0:
		case o.kind == other:
			outside += ns
		case key == self:
		case o.first:
			b.list = append(b.list, blocker{key, ns})
		default:
			b.add(key, ns)
		}
	}
	var longest [timeline.MaxBlockers]blocker
	n := b.longest(&longest)
	for i := range b.list {
		outside += b.list[i].ns
	}
	for _, l := range longest[:n] {
		d.BlockedBy = append(d.BlockedBy, id(l.exchangeKey))
		d.BlockedNS = append(d.BlockedNS, l.ns)
		outside -= l.ns
	}
	d.BlockedOther = max(outside, 0)
}

// longest puts the longest of the list into top, in order, what is equally
// long in the list's order, and returns how many.
func (b *blockers) longest(top *[timeline.MaxBlockers]blocker) (n int) {
	for i := range b.list {
		e := &b.list[i]
		if n == len(top) {
			if e.ns <= top[n-1].ns {
				continue
			}
			n--
		}
		j := n
		for ; j > 0 && top[j-1].ns < e.ns; j-- {
			top[j] = top[j-1]
		}
		top[j] = *e
		n++
	}
	return n
}

// add adds to an exchange that may be in the list.
func (b *blockers) add(key exchangeKey, ns int64) {
	if b.tabled == 0 {
		if b.round++; b.round == 0 {
			clear(b.table[:])
			b.round = 1
		}
	}
	for ; b.tabled < len(b.list); b.tabled++ {
		s, _ := b.slot(b.list[b.tabled].exchangeKey)
		s.round, s.pos = b.round, uint32(b.tabled)
	}
	s, ok := b.slot(key)
	if ok {
		b.list[s.pos].ns += ns
		return
	}
	s.round, s.pos = b.round, uint32(len(b.list))
	b.list = append(b.list, blocker{key, ns})
	b.tabled++
}

// slot returns an exchange's slot of the table, or the one that is free for it.
func (b *blockers) slot(key exchangeKey) (s *struct{ round, pos uint32 }, ok bool) {
	for h := mix(key.conn ^ uint64(key.exchange)<<32); ; h++ {
		s := &b.table[h%uint64(len(b.table))]
		if s.round != b.round {
			return s, false
		}
		if b.list[s.pos].exchangeKey == key {
			return s, true
		}
	}
}

// overlap is how much of [from, to) an interval covers.
func overlap(o *occupancy, from, to, now int64) int64 {
	end := o.to
	if o.from >= from && end != 0 && end <= to {
		return end - o.from // all of it, as nearly always
	}
	if end == 0 {
		end = max(now, o.from)
	}
	return max(min(end, to)-max(o.from, from), 0)
}
