// SPDX-License-Identifier: Apache-2.0

package window

import "container/heap"

// slowest is a bounded list of the entries with the longest durations: a heap
// with the shortest of them at its root, which is the next to go.
type slowest struct {
	max  int
	list []*entry
}

// Len, Less, Swap, Push and Pop are heap.Interface.
func (s *slowest) Len() int { return len(s.list) }

// Less puts the shorter first, and of two equal ones the older, so that the
// result does not depend on the heap's inner order.
func (s *slowest) Less(i, j int) bool { return shorter(s.list[i], s.list[j]) }
func (s *slowest) Swap(i, j int)      { s.list[i], s.list[j] = s.list[j], s.list[i] }
func (s *slowest) Push(x any)         { s.list = append(s.list, x.(*entry)) }

func (s *slowest) Pop() any {
	n := len(s.list) - 1
	e := s.list[n]
	s.list[n] = nil
	s.list = s.list[:n]
	return e
}

func shorter(a, b *entry) bool {
	if a.Duration != b.Duration {
		return a.Duration < b.Duration
	}
	return a.seq < b.seq
}

// offer puts an entry into a list if it is slow enough for it.
func (w *Window) offer(s *slowest, e *entry) {
	if len(s.list) == s.max {
		if !shorter(s.list[0], e) {
			return
		}
		w.dropShortest(s)
	}
	e.refs++
	w.slowBytes += e.size
	heap.Push(s, e)
}

func (w *Window) dropShortest(s *slowest) {
	e := heap.Pop(s).(*entry)
	w.slowBytes -= e.size
	w.stats.EvictedSlow++
	w.release(e)
}

// listOf returns the list that a route's timelines go to.
func (w *Window) listOf(route string) *slowest {
	s := w.routes[route]
	switch {
	case s != nil:
		return s
	case len(w.routes) >= w.o.Routes:
		return &w.folded
	}
	s = &slowest{max: w.o.SlowestPerRoute}
	w.routes[route] = s
	return s
}

// shedSlow takes the shortest timeline out of the fullest list, so that under
// a bound on bytes every route keeps its slowest for as long as possible.
func (w *Window) shedSlow() {
	full := &w.overall
	consider := func(s *slowest) {
		if len(s.list) > len(full.list) ||
			len(s.list) == len(full.list) && len(s.list) > 0 && shorter(s.list[0], full.list[0]) {
			full = s
		}
	}
	consider(&w.folded)
	for _, s := range w.routes {
		consider(s)
	}
	w.dropShortest(full)
}
