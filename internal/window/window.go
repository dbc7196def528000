// SPDX-License-Identifier: Apache-2.0

package window

import (
	"sync"

	"github.com/lifetrace/lifetrace/internal/timeline"
)

// Options bounds a Window. A zero field means its default.
type Options struct {
	// Recent is how many of the most recent timelines are kept. Default 10000.
	Recent int
	// SlowestPerRoute and SlowestOverall are how many of the slowest are kept
	// beside them. Defaults 16 and 128.
	SlowestPerRoute, SlowestOverall int
	// Routes is how many routes have a list of their own; the routes after
	// those share one. Default 256.
	Routes int
	// Bytes is about how much memory the timelines may take: half of it for
	// the recent ones, half for the slowest. Default 64 MiB.
	Bytes int64
}

func (o Options) withDefaults() Options {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&o.Recent, 10_000)
	def(&o.SlowestPerRoute, 16)
	def(&o.SlowestOverall, 128)
	def(&o.Routes, 256)
	if o.Bytes <= 0 {
		o.Bytes = 64 << 20
	}
	return o
}

// Stats says what a Window holds and what it has let go.
type Stats struct {
	Held  int   // timelines that can be found
	Bytes int64 // about how much memory the lists account for
	Added uint64
	// EvictedCount and EvictedBytes count recent timelines that were pushed
	// out by the bound on their number and by the bound on bytes.
	EvictedCount, EvictedBytes uint64
	// EvictedSlow counts places in a list of the slowest that were lost to a
	// slower timeline or to the bound on bytes.
	EvictedSlow uint64
}

// Window is the store. It is safe for any number of goroutines. The timelines
// it hands out are shared and must not be changed.
type Window struct {
	o Options

	mu     sync.RWMutex
	byID   map[timeline.ID]*entry
	recent ring
	// overall holds the slowest of all; routes those of each route, with ""
	// for unmatched requests and folded for the routes beyond the bound.
	overall slowest
	routes  map[string]*slowest
	folded  slowest

	recentBytes, slowBytes int64
	seq                    uint64
	stats                  Stats
}

// entry is a timeline that at least one list holds.
type entry struct {
	t    *timeline.Timeline
	size int64
	seq  uint64 // order of Add: the later, the more recent
	refs int    // how many lists hold it
}

// New returns an empty Window.
func New(o Options) *Window {
	o = o.withDefaults()
	return &Window{
		o:       o,
		byID:    make(map[timeline.ID]*entry),
		overall: slowest{max: o.SlowestOverall},
		folded:  slowest{max: o.SlowestPerRoute},
		routes:  make(map[string]*slowest),
	}
}

// Add keeps a timeline. The caller must not change it afterwards.
func (w *Window) Add(t *timeline.Timeline) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seq++
	w.stats.Added++
	e := &entry{t: t, size: sizeOf(t), seq: w.seq}
	w.byID[t.ID] = e

	e.refs++
	w.recent.push(e)
	w.recentBytes += e.size
	for w.recent.len() > w.o.Recent {
		w.stats.EvictedCount++
		w.dropOldest()
	}
	// The newest stays whatever its size: a window that shows nothing helps
	// nobody, and the correlator bounds a single timeline.
	for w.recentBytes > w.o.Bytes/2 && w.recent.len() > 1 {
		w.stats.EvictedBytes++
		w.dropOldest()
	}

	w.offer(&w.overall, e)
	w.offer(w.listOf(t.Request.Route), e)
	for w.slowBytes > w.o.Bytes/2 {
		w.shedSlow()
	}
}

// Get returns the timeline with an id, nil if it is not held.
func (w *Window) Get(id timeline.ID) *timeline.Timeline {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if e := w.byID[id]; e != nil {
		return e.t
	}
	return nil
}

// Stats returns the present counts.
func (w *Window) Stats() Stats {
	w.mu.RLock()
	defer w.mu.RUnlock()
	s := w.stats
	s.Held = len(w.byID)
	s.Bytes = w.recentBytes + w.slowBytes
	return s
}

func (w *Window) dropOldest() {
	e := w.recent.pop()
	w.recentBytes -= e.size
	w.release(e)
}

// release takes one list's hold away from an entry. An id that came twice (it
// should not) names the later timeline, so the earlier must not remove it.
func (w *Window) release(e *entry) {
	e.refs--
	if e.refs == 0 && w.byID[e.t.ID] == e {
		delete(w.byID, e.t.ID)
	}
}
