// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"reflect"
	"testing"
)

// scramble overwrites everything that a timeline's own memory holds.
func scramble(t *Timeline) {
	for i := range t.Marks {
		t.Marks[i] = Mark{Name: "scrambled", At: -1}
	}
	for i := range t.Spans {
		if d := t.Spans[i].Detail; d != nil {
			for j := range d.BlockedBy {
				d.BlockedBy[j] = ID{0xee}
			}
			for j := range d.BlockedNS {
				d.BlockedNS[j] = -1
			}
			d.Depth, d.Derived = 99, !d.Derived
		}
		t.Spans[i] = Span{Name: "scrambled"}
	}
	for i := range t.Unsupported {
		t.Unsupported[i] = "scrambled"
	}
	for i := range t.Findings {
		t.Findings[i].Summary = "scrambled"
	}
}

// sameJSON compares what a reader of two timelines gets.
func sameJSON(t *testing.T, got, want *Timeline) {
	t.Helper()
	g, err := got.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	w, err := want.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if string(g) != string(w) {
		t.Errorf("the copy is\n%s\nwant\n%s", g, w)
	}
}

func TestCloneSharesNothing(t *testing.T) {
	a := sample()
	c := a.Clone()
	scramble(a)
	sameJSON(t, c, sample())
	if reflect.DeepEqual(c, a) {
		t.Error("the original was not changed: the test shows nothing")
	}
}

// A copy is used again for a timeline of another shape, and holds nothing of
// the one before.
func TestCopyIsUsedAgain(t *testing.T) {
	small := &Timeline{Spans: []Span{{Step: 8, Name: "parse", Layer: Parser, Detail: &Detail{}}}}
	large := sample()
	large.Spans[0].Detail.BlockedBy = make([]ID, MaxBlockers+1) // from outside: more than fit
	large.Spans[0].Detail.BlockedNS = make([]int64, MaxBlockers+1)
	var c Copy
	for _, next := range []*Timeline{large, small, sample(), {}, large} {
		c.Set(next)
		sameJSON(t, &c.Timeline, next)
	}
}

func TestCopyAllocatesNothing(t *testing.T) {
	a := sample()
	var c Copy
	c.Set(a)
	if n := testing.AllocsPerRun(100, func() { c.Set(a) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// A copy that needs more room takes what it needs and no more.
func TestCopyDoesNotGrowAhead(t *testing.T) {
	var c Copy
	for n := 100; n < 110; n++ {
		c.Set(&Timeline{Marks: make([]Mark, n), Spans: make([]Span, n)})
		if cap(c.Marks) != n || cap(c.Spans) != n {
			t.Errorf("room for %d marks and %d spans, want %d", cap(c.Marks), cap(c.Spans), n)
		}
	}
}
