// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"cmp"
	"math/bits"
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
	// painted has bit n if a paint's step is n.
	painted uint
	// order is the paints' positions in the order of their beginnings.
	order []beginning
	// active are the paints that have begun at each height, by when.
	active   [numHeights][]int32
	negative uint64
}

// beginning is when a paint begins and its position.
type beginning struct {
	at  int64
	pos int32
}

// byBeginning sorts the paints by time, what is equal by position. They come
// nearly sorted.
func (v *canvas) byBeginning() {
	s := v.order[:0]
	for i := range v.paints {
		s = append(s, beginning{v.paints[i].from, int32(i)})
	}
	v.order = s
	if len(s) > 256 {
		slices.SortFunc(s, func(a, b beginning) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.pos, b.pos)) })
		return
	}
	for i := 1; i < len(s); i++ {
		b, j := s[i], i
		for ; j > 0 && s[j-1].at > b.at; j-- {
			s[j] = s[j-1]
		}
		s[j] = b
	}
}

// paint adds an interval. One that would be negative is counted and left out.
func (v *view) paint(h height, l label, from, to int64) {
	if to < from {
		v.negative++
		return
	}
	v.painted |= 1 << v.c.names.meanings[l].step
	v.paints = append(v.paints, paint{from, to, l, h})
}

// sweep cuts [t0, t1) into spans: each instant gets the label of the highest
// paint over it, the one that began last where two are equally high, unknown
// where there is none. So spans cannot overlap and leave no hole (I1).
//
// What shows can only change where a paint begins or the one that shows ends.
// A paint that ends while it is covered is found out when it comes to light.
func (v *view) sweep(t0, t1 int64) {
	v.byBeginning()
	for h := range v.active {
		v.active[h] = v.active[h][:0]
	}
	begun := uint(0) // bit h: some paint is active at height h
	from := 0        // the next paint to begin
	for at := t0; at < t1; {
		for ; from < len(v.order) && v.order[from].at <= at; from++ {
			pos := v.order[from].pos
			if p := &v.paints[pos]; p.to > at {
				v.active[p.height] = append(v.active[p.height], pos)
				begun |= 1 << p.height
			}
		}
		next, shows := t1, unknown
		if from < len(v.order) {
			next = min(next, v.order[from].at)
		}
		for begun != 0 {
			h := bits.Len(begun) - 1
			a := v.active[h]
			if p := &v.paints[a[len(a)-1]]; p.to > at {
				next, shows = min(next, p.to), p.label
				break
			}
			v.active[h] = a[:len(a)-1]
			if len(a) == 1 {
				begun &^= 1 << h
			}
		}
		v.extend(shows, at-t0, next-at)
		at = next
	}
	v.marginal(t0, t1)
}

// span is one of a label's.
func (v *view) span(l label, start, duration int64) timeline.Span {
	m := &v.c.names.meanings[l]
	return timeline.Span{Step: m.step, Name: m.name, Layer: m.layer, Label: uint32(l) + 1, Start: start, Duration: duration}
}

// extend appends an interval to the spans, or lengthens the last of them.
func (v *view) extend(l label, start, duration int64) {
	if n := len(v.out.Spans); n > 0 && v.out.Spans[n-1].Label == uint32(l)+1 {
		v.out.Spans[n-1].Duration += duration
		return
	}
	v.out.Spans = append(v.out.Spans, v.span(l, start, duration))
}

// marginal gives each step that happened, but has no time of its own, a span
// of length 0: where it happened, or at the end if that was later.
func (v *view) marginal(t0, t1 int64) {
	spans := v.out.Spans
	shown := uint(0) // bit n: step n
	for i := range spans {
		shown |= 1 << spans[i].Step
	}
	for _, b := range v.order {
		if v.painted&^shown == 0 {
			break
		}
		p := &v.paints[b.pos]
		step := v.c.names.meanings[p.label].step
		if shown&(1<<step) != 0 || p.to < t0 {
			continue
		}
		shown |= 1 << step
		s := v.span(p.label, 0, 0)
		if p.from > t1 {
			s.Detail = v.out.Details.New()
			s.Detail.After = p.from - t1
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
	v.out.Spans = spans
}
