// SPDX-License-Identifier: Apache-2.0

package window

import (
	"cmp"
	"slices"

	"github.com/lifetrace/lifetrace/internal/timeline"
)

// Query returns the timelines that a filter wants: the slowest first if it
// asks for the slowest, else in the order in which they were added. It is never
// nil.
func (w *Window) Query(f Filter) []*timeline.Timeline {
	w.mu.RLock()
	defer w.mu.RUnlock()
	found := w.match(f)
	if f.Slowest > 0 {
		slices.SortFunc(found, func(a, b *entry) int {
			if shorter(b, a) {
				return -1
			}
			return 1
		})
		found = found[:min(f.Slowest, len(found))]
	} else {
		slices.SortFunc(found, func(a, b *entry) int { return cmp.Compare(a.seq, b.seq) })
		if f.Last > 0 {
			found = found[max(0, len(found)-f.Last):]
		}
	}
	out := make([]*timeline.Timeline, len(found))
	for i, e := range found {
		out[i] = e.Clone()
	}
	return out
}

// match collects what passes the filter. For the usual question, the last few,
// it stops as soon as the recent ones answer it: everything that only a list
// of the slowest still holds is older than all of those.
func (w *Window) match(f Filter) []*entry {
	var found []*entry
	seen := map[*entry]bool{} // those that several lists may hold
	w.each(func(e *entry) bool {
		if e.refs > 1 {
			if seen[e] {
				return true
			}
			seen[e] = true
		}
		if f.Match(&e.Timeline) {
			found = append(found, e)
		}
		return f.Last == 0 || len(found) < f.Last || w.seq-e.seq >= uint64(w.recent.len())
	})
	return found
}
