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
		out[i] = e.t
	}
	return out
}

// match collects what passes the filter. For the usual question, the last few,
// it stops as soon as the recent ones answer it: everything that only a list
// of the slowest still holds is older than all of those.
func (w *Window) match(f Filter) []*entry {
	w.mu.RLock()
	defer w.mu.RUnlock()
	var found []*entry
	for i := w.recent.len() - 1; i >= 0; i-- {
		if e := w.recent.at(i); f.Match(e.t) {
			found = append(found, e)
			if len(found) == f.Last {
				return found
			}
		}
	}
	if w.recent.len() == 0 {
		return nil
	}
	oldest := w.recent.at(0).seq
	for _, e := range w.byID {
		if e.seq < oldest && f.Match(e.t) {
			found = append(found, e)
		}
	}
	return found
}
