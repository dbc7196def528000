// SPDX-License-Identifier: Apache-2.0

package window

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lifetrace/lifetrace/internal/timeline"
)

// tl makes a timeline whose id is n.
func tl(n int, route string, status int, d time.Duration) *timeline.Timeline {
	t := &timeline.Timeline{Start: int64(n), Duration: int64(d)}
	t.ID = idOf(n)
	t.Request.Route = route
	t.Response.Status = status
	return t
}

// sizeOf is the memory that a window accounts for a timeline.
func sizeOf(t *timeline.Timeline) int64 {
	e := New(Options{}).take(shapeOf(t))
	e.Set(t)
	return e.memory()
}

func idOf(n int) (id timeline.ID) {
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id
}

func numbers(ts []*timeline.Timeline) []int {
	out := []int{}
	for _, t := range ts {
		out = append(out, int(binary.BigEndian.Uint64(t.ID[8:])))
	}
	return out
}

func wantIDs(t *testing.T, what string, got []*timeline.Timeline, want ...int) {
	t.Helper()
	if g := numbers(got); !slices.Equal(g, want) {
		t.Errorf("%s: %v, want %v", what, g, want)
	}
}

func TestWindowKeepsTheRecentAndTheSlowest(t *testing.T) {
	w := New(Options{Recent: 3, SlowestPerRoute: 1, SlowestOverall: 2})
	durations := []time.Duration{50, 90, 10, 70, 20, 30, 40}
	for i, d := range durations {
		route := "/a"
		if i%2 == 1 {
			route = "/b"
		}
		w.Add(tl(i, route, 200, d))
	}
	// Recent: 4, 5, 6. Overall slowest: 1 (90) and 3 (70). /a: 0 (50). /b: 1.
	wantIDs(t, "all", w.Query(Filter{}), 0, 1, 3, 4, 5, 6)
	wantIDs(t, "last 2", w.Query(Filter{Last: 2}), 5, 6)
	wantIDs(t, "last 5", w.Query(Filter{Last: 5}), 1, 3, 4, 5, 6)
	wantIDs(t, "slowest 3", w.Query(Filter{Slowest: 3}), 1, 3, 0)
	wantIDs(t, "slowest of /a", w.Query(Filter{Slowest: 2, Route: "/a"}), 0, 6)
	if w.Get(idOf(2)) != nil {
		t.Error("timeline 2 is still held, though it is neither recent nor slow")
	}
	if got := w.Get(idOf(0)); got == nil || got.Duration != 50 {
		t.Errorf("timeline 0: %+v, want the one of 50 ns", got)
	}
	s := w.Stats()
	if s.Held != 6 || s.Added != 7 || s.EvictedCount != 4 || s.EvictedBytes != 0 {
		t.Errorf("stats %+v, want 6 held, 7 added, 4 evicted by count", s)
	}
}

// Of equally slow timelines the newer ones stay, whatever the heap's order.
func TestWindowTies(t *testing.T) {
	w := New(Options{Recent: 1, SlowestPerRoute: 2, SlowestOverall: 2})
	for i := range 6 {
		w.Add(tl(i, "", 200, 5))
	}
	wantIDs(t, "slowest", w.Query(Filter{Slowest: 9}), 5, 4)
}

func TestWindowRoutesBeyondTheBoundShareAList(t *testing.T) {
	w := New(Options{Recent: 1, SlowestPerRoute: 1, SlowestOverall: 1, Routes: 2})
	for i, d := range []time.Duration{90, 10, 20, 30, 1} {
		w.Add(tl(i, fmt.Sprintf("/%d", min(i, 3)), 200, d))
	}
	// /0 and /1 have lists of their own; /2 and /3 share one, where 3 is slower.
	wantIDs(t, "all", w.Query(Filter{}), 0, 1, 3, 4)
}

func TestWindowBoundsBytes(t *testing.T) {
	one := sizeOf(tl(0, "/a", 200, 1))
	w := New(Options{Recent: 1000, SlowestPerRoute: 1000, SlowestOverall: 1000, Bytes: 20 * one})
	for i := range 500 {
		w.Add(tl(i, fmt.Sprintf("/%d", i%3), 200, time.Duration(i)))
		if s := w.Stats(); s.Bytes > 20*one {
			t.Fatalf("after %d: %d bytes, want at most %d", i+1, s.Bytes, 20*one)
		}
	}
	s := w.Stats()
	if s.EvictedBytes != 490 || s.EvictedCount != 0 || s.EvictedSlow == 0 {
		t.Errorf("stats %+v, want 490 evicted for their bytes, none for their number", s)
	}
	// Each route keeps its slowest under the bound.
	for route, slow := range []int{498, 499, 497} {
		wantIDs(t, "slowest", w.Query(Filter{Slowest: 1, Route: fmt.Sprintf("/%d", route)}), slow)
	}
}

// One timeline that is larger than the whole bound is still shown.
func TestWindowKeepsTheNewestWhateverItsSize(t *testing.T) {
	w := New(Options{Bytes: 10})
	for i := range 3 {
		w.Add(tl(i, "", 200, 1))
	}
	wantIDs(t, "all", w.Query(Filter{}), 2)
}

func TestSizeOfCountsWhatATimelineOwns(t *testing.T) {
	small, large := tl(0, "", 200, 1), tl(0, "", 200, 1)
	large.Marks = make([]timeline.Mark, 10)
	large.Spans = []timeline.Span{{Detail: &timeline.Detail{BlockedBy: make([]timeline.ID, 8), BlockedNS: make([]int64, 8)}}}
	large.Findings = []timeline.Finding{{Summary: "the loop was busy"}}
	large.Unsupported = []string{"xmit"}
	large.Request.Target = string(make([]byte, 512))
	// 10 marks of 64 bytes, 8 ids of 16 with 8 times, and the target.
	if d := sizeOf(large) - sizeOf(small); d < 640+192+512 {
		t.Errorf("the parts count %d bytes, want at least 1344", d)
	}
}

// An id that comes twice must not make the window forget the later one.
func TestWindowSameIDTwice(t *testing.T) {
	w := New(Options{Recent: 1, SlowestPerRoute: 1, SlowestOverall: 1})
	w.Add(tl(7, "", 200, 1))
	w.Add(tl(7, "", 200, 2))
	if got := w.Get(idOf(7)); got == nil || got.Duration != 2 {
		t.Errorf("got %+v, want the later timeline", got)
	}
}

// full makes a timeline with everything that has memory of its own.
func full(n int) *timeline.Timeline {
	t := tl(n, "/a", 200, time.Duration(n))
	for i := range 30 {
		t.Marks = append(t.Marks, timeline.Mark{Name: "request", At: int64(n + i)})
		t.Spans = append(t.Spans, timeline.Span{Name: "loop.batch", Start: int64(n), Detail: &timeline.Detail{
			BlockedBy: []timeline.ID{idOf(n)}, BlockedNS: []int64{int64(n)},
		}})
	}
	return t
}

// What is added is lent, and what is handed out is a copy: neither the giver nor
// a later timeline in the same memory changes it.
func TestWindowSharesNothing(t *testing.T) {
	w := New(Options{Recent: 2, SlowestPerRoute: 1, SlowestOverall: 1})
	lent := full(1)
	w.Add(lent)
	lent.Marks[0].At, lent.Spans[0].Detail.BlockedNS[0] = 99, 99
	got, all := w.Get(idOf(1)), w.Query(Filter{})
	for n := 2; n < 100; n++ {
		w.Add(full(n))
	}
	for _, g := range []*timeline.Timeline{got, all[0]} {
		if g.Marks[0].At != 1 || g.Spans[0].Detail.BlockedNS[0] != 1 || g.Spans[29].Detail.BlockedBy[0] != idOf(1) || g.Marks[29].At != 30 {
			t.Errorf("the timeline has changed: %+v", g)
		}
	}
}

// A window that is full adds into the memory of what it lets go.
func TestAddAllocatesNothing(t *testing.T) {
	w := New(Options{Recent: 50, SlowestPerRoute: 4, SlowestOverall: 8})
	next := full(1)
	n := 1
	add := func() {
		n++
		next.ID, next.Duration = idOf(n), int64(n%1000)
		w.Add(next)
	}
	for range 2000 {
		add()
	}
	if a := testing.AllocsPerRun(2000, add); a != 0 {
		t.Errorf("%v allocations, want 0", a)
	}
}

// Timelines of changing shapes do not make every entry as large as the largest
// of them, and spare entries are bounded.
func TestEntriesKeepTheirShape(t *testing.T) {
	w := New(Options{Recent: 100, SlowestPerRoute: 1, SlowestOverall: 1})
	var want int64
	for n := 1; n <= 5000; n++ {
		next := tl(n, "", 200, 1)
		next.Marks = make([]timeline.Mark, n*7%60)
		next.Spans = make([]timeline.Span, n*5%40)
		for i := range n % 7 {
			if i < len(next.Spans) {
				next.Spans[i].Detail = &timeline.Detail{}
			}
		}
		w.Add(next)
		if n > 4900 {
			want += sizeOf(next)
		}
		if w.spares > maxSpares {
			t.Fatalf("%d spare entries", w.spares)
		}
	}
	// An entry may have a detail more than its last timeline needed.
	if w.recentBytes > want*11/10 {
		t.Errorf("%d bytes, want about %d", w.recentBytes, want)
	}
	spares := 0
	for _, list := range w.spare {
		spares += len(list)
	}
	if spares != w.spares {
		t.Errorf("%d spare entries, counted %d", spares, w.spares)
	}
	for n := 5001; n < 5600; n++ { // each its own shape
		next := tl(n, "", 200, 1)
		next.Unsupported = nil
		next.Marks = make([]timeline.Mark, (n-5000)%250)
		w.Add(next)
	}
	if w.spares > maxSpares {
		t.Errorf("%d spare entries", w.spares)
	}
}

// A timeline that is unusually large does not leave its memory to small ones.
func TestLargeMemoryIsNotKept(t *testing.T) {
	w := New(Options{Recent: 1, SlowestPerRoute: 1, SlowestOverall: 1})
	large := tl(1, "", 200, 0)
	large.Marks = make([]timeline.Mark, 1000)
	w.Add(large)
	for n := 2; n < 6; n++ {
		w.Add(tl(n, "", 200, time.Duration(n)))
	}
	if s := w.Stats(); s.Held != 1 || s.Bytes > 3*sizeOf(tl(0, "", 200, 0)) {
		t.Errorf("%+v: the large timeline's memory is still held", s)
	}
}

func BenchmarkAdd(b *testing.B) {
	w := New(Options{})
	t := full(1)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		t.ID = idOf(n)
		w.Add(t)
	}
}

func TestWindowEmpty(t *testing.T) {
	w := New(Options{})
	if got := w.Query(Filter{Last: 1}); got == nil || len(got) != 0 {
		t.Errorf("query of an empty window: %v, want an empty list", got)
	}
	if w.Get(idOf(1)) != nil {
		t.Error("an empty window has a timeline")
	}
}

func TestWindowConcurrent(t *testing.T) {
	w := New(Options{Recent: 50, SlowestPerRoute: 4, SlowestOverall: 8})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 500 {
				n := g*1000 + i
				w.Add(tl(n, "/a", 200, time.Duration(n)))
				w.Query(Filter{Last: 5})
				w.Get(idOf(n))
			}
		})
	}
	wg.Wait()
	if s := w.Stats(); s.Added != 2000 || s.EvictedCount != 1950 {
		t.Errorf("stats %+v, want 2000 added, 1950 evicted", s)
	}
	wantIDs(t, "slowest", w.Query(Filter{Slowest: 1}), 3499)
}
