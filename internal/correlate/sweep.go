// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"cmp"
	"slices"

	"github.com/lifetrace/lifetrace/internal/timeline"
)

// Where paints cover each other the higher one shows.
type height uint8

const (
	low     height = iota // what an exchange waits for in general
	waiting               // what it waits for in particular
	calling               // a send that is going on
	network               // nothing is left to send
	working               // the loop works on it
	stopped               // the loop's thread is not on a CPU meanwhile
	missing               // stamps were lost
	numHeights
)

// paint is an interval with a label.
type paint struct {
	from, to int64
	label
	height height
}

// canvas collects the paints of one timeline.
type canvas struct {
	paints []paint
	// Scratch: positions of paints by their beginnings and by their ends.
	begins, ends []instantOf
	active       [numHeights][]int32
	negative     uint64
}

// instantOf is an instant and the position of what it belongs to.
type instantOf struct {
	at  int64
	pos int32
}

// sortInstants sorts by time, what is equal by position. What comes in is
// nearly sorted.
func sortInstants(s []instantOf) {
	if len(s) > 256 {
		slices.SortFunc(s, func(a, b instantOf) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.pos, b.pos)) })
		return
	}
	for i := 1; i < len(s); i++ {
		v, j := s[i], i
		for ; j > 0 && s[j-1].at > v.at; j-- {
			s[j] = s[j-1]
		}
		s[j] = v
	}
}

// paint adds an interval. One that would be negative is counted and left out.
func (v *canvas) paint(h height, l label, from, to int64) {
	if to < from {
		v.negative++
		return
	}
	v.paints = append(v.paints, paint{from, to, l, h})
}

// sweep cuts [t0, t1) into spans: each instant gets the label of the highest
// paint over it, the one that began last where two are equally high, unknown
// where there is none. So spans cannot overlap and leave no hole (I1).
func (v *canvas) sweep(t0, t1 int64, spans []timeline.Span) []timeline.Span {
	v.begins, v.ends = v.begins[:0], v.ends[:0]
	for i := range v.paints {
		v.begins = append(v.begins, instantOf{v.paints[i].from, int32(i)})
		v.ends = append(v.ends, instantOf{v.paints[i].to, int32(i)})
	}
	sortInstants(v.begins)
	sortInstants(v.ends)
	for h := range v.active {
		v.active[h] = v.active[h][:0]
	}
	from, to := 0, 0 // the next paint to begin and to end
	for at := t0; at < t1; {
		for ; from < len(v.begins) && v.begins[from].at <= at; from++ {
			if p := &v.paints[v.begins[from].pos]; p.to > at {
				v.active[p.height] = append(v.active[p.height], v.begins[from].pos)
			}
		}
		for ; to < len(v.ends) && v.ends[to].at <= at; to++ {
			h := v.paints[v.ends[to].pos].height
			if i := slices.Index(v.active[h], v.ends[to].pos); i >= 0 {
				v.active[h] = slices.Delete(v.active[h], i, i+1)
			}
		}
		next := t1
		if from < len(v.begins) {
			next = min(next, v.begins[from].at)
		}
		if to < len(v.ends) {
			next = min(next, v.ends[to].at)
		}
		spans = extend(spans, v.top(), at-t0, next-at)
		at = next
	}
	return v.marginal(t0, t1, spans)
}

// top is the label that shows.
func (v *canvas) top() label {
	for h := int(numHeights) - 1; h >= 0; h-- {
		if a := v.active[h]; len(a) > 0 {
			return v.paints[a[len(a)-1]].label
		}
	}
	return unknown
}

// extend appends an interval to spans, or lengthens the last of them.
func extend(spans []timeline.Span, l label, start, duration int64) []timeline.Span {
	if n := len(spans); n > 0 && spans[n-1].Name == l.name && spans[n-1].Step == l.step {
		spans[n-1].Duration += duration
		return spans
	}
	return append(spans, timeline.Span{Step: l.step, Name: l.name, Layer: l.layer, Start: start, Duration: duration})
}

// marginal gives each step that happened, but has no time of its own, a span
// of length 0: where it happened, or at the end if that was later.
func (v *canvas) marginal(t0, t1 int64, spans []timeline.Span) []timeline.Span {
	var shown [17]bool
	for i := range spans {
		shown[spans[i].Step] = true
	}
	for _, b := range v.begins { // in order of time
		p := &v.paints[b.pos]
		if shown[p.step] || p.to < t0 {
			continue
		}
		shown[p.step] = true
		s := timeline.Span{Step: p.step, Name: p.name, Layer: p.layer}
		if p.from > t1 {
			s.Detail = &timeline.Detail{After: p.from - t1}
		}
		// A span of length 0 stands between two others: before the first
		// one that begins at or after its instant, behind those that were
		// put there already.
		at := min(max(p.from, t0), t1) - t0
		pos := 0
		for pos < len(spans) && (spans[pos].Start < at || spans[pos].Duration == 0) {
			pos++
		}
		s.Start = t1 - t0
		if pos < len(spans) {
			s.Start = spans[pos].Start
		}
		spans = slices.Insert(spans, pos, s)
	}
	return spans
}
