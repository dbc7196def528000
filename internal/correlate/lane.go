// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/timeline"
)

// instant is when a boundary was crossed, as far as a lane knows.
type instant struct {
	at int64
	ok bool // false: no mark crosses it
	// why says what makes at later than the truth may be; 0 is exact.
	why timeline.Reasons
}

// entry is one mark of a lane.
type entry struct {
	mark.Mark
	// hi is the highest offset up to and including this mark. Invariant: it
	// never decreases along a lane.
	hi     uint64
	lost   bool // marks between the one before and this one were lost
	folded bool // it absorbed marks here, because of MaxMarksPerLane
}

// lane is what is held of one lane of a connection.
type lane struct {
	e    []entry
	hi   uint64 // the highest offset ever
	lost bool   // marks were lost after the newest
}

// add takes the next mark. It returns false if the lane is full and the mark
// was absorbed by the newest.
func (l *lane) add(m mark.Mark, limit int) bool {
	l.hi = max(l.hi, m.LastOff)
	if m.At != 0 {
		l.hi = max(l.hi, m.Off)
	}
	if len(l.e) < limit {
		l.e = append(l.e, entry{Mark: m, hi: l.hi, lost: l.lost})
		l.lost = false
		return true
	}
	e := &l.e[len(l.e)-1]
	e.Merged += 1 + m.Merged
	e.Last, e.LastOff = m.At, m.Off
	if m.Merged > 0 {
		e.Last, e.LastOff = m.Last, m.LastOff
	}
	e.hi, e.folded = l.hi, true
	e.lost = e.lost || l.lost
	l.lost = false
	return false
}

// reach returns the first mark whose offset is at least b.
//
// Offsets strictly grow along a lane. So where marks were absorbed, the newest
// of them is exact if it was the only one, or if b is its very offset: no
// earlier one can have had it.
func (l *lane) reach(b uint64) instant {
	if l.hi < b {
		return instant{}
	}
	// Most lanes hold a mark or two.
	i, n := 0, len(l.e)
	for i < n {
		if mid := int(uint(i+n) / 2); l.e[mid].hi >= b {
			n = mid
		} else {
			i = mid + 1
		}
	}
	if i == len(l.e) {
		return instant{}
	}
	e := &l.e[i]
	in := instant{at: e.At, ok: true}
	if e.At == 0 || e.Off < b {
		in.at = e.Last
		if e.Merged > 1 && e.LastOff != b {
			in.why |= timeline.Merged
			if e.folded {
				in.why |= timeline.Evicted
			}
		}
	}
	if e.lost {
		in.why |= timeline.Lost
	}
	return in
}

// forget drops the marks that say nothing about bytes from off on, and
// returns how many.
func (l *lane) forget(off uint64) int {
	n := 0
	for n < len(l.e) && l.e[n].hi <= off {
		n++
	}
	if n > 0 {
		l.e = l.e[:copy(l.e, l.e[n:])]
	}
	return n
}
