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
// it hands out are copies: what it holds lies in memory that is used again.
type Window struct {
	o Options

	mu     sync.RWMutex
	recent ring
	// overall holds the slowest of all; routes those of each route, with ""
	// for unmatched requests and folded for the routes beyond the bound.
	overall slowest
	routes  map[string]*slowest
	folded  slowest

	// spare are entries that no list holds, for their memory, by shape; spares
	// is how many.
	spare  map[shape][]*entry
	spares int
	held   int // entries that a list holds

	recentBytes, slowBytes int64
	seq                    uint64
	stats                  Stats
}

// entry is a timeline that at least one list holds.
type entry struct {
	timeline.Copy
	size int64
	seq  uint64 // order of Add: the later, the more recent
	refs int    // how many lists hold it
	shape
}

// shape is how much room a timeline needs, in steps, so that there are few. An
// entry is used again for its own shape only: if it grew with whatever it is
// used for, all entries would end up as large as the largest timeline.
type shape struct{ marks, spans, details int }

const (
	markStep, spanStep, detailStep = 16, 8, 4

	// What is kept of entries that no list holds: so many, none of them larger
	// than spareBytes.
	maxSpares  = 1024
	spareBytes = 16 << 10
)

// shapeOf returns a timeline's shape.
func shapeOf(t *timeline.Timeline) shape {
	details := 0
	for i := range t.Spans {
		if t.Spans[i].Detail != nil {
			details++
		}
	}
	steps := func(n, step int) int { return (n + step - 1) / step }
	return shape{steps(len(t.Marks), markStep), steps(len(t.Spans), spanStep), steps(details, detailStep)}
}

// New returns an empty Window.
func New(o Options) *Window {
	o = o.withDefaults()
	return &Window{
		o:       o,
		overall: slowest{max: o.SlowestOverall},
		folded:  slowest{max: o.SlowestPerRoute},
		routes:  make(map[string]*slowest),
		spare:   make(map[shape][]*entry),
	}
}

// Add keeps a copy of a timeline. It allocates nothing once the window is full
// of timelines of the usual size.
func (w *Window) Add(t *timeline.Timeline) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seq++
	w.stats.Added++
	e := w.take(shapeOf(t))
	e.Set(t)
	e.seq = w.seq
	e.size = e.memory()

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

// Get returns the timeline with an id, nil if it is not held; of two with the
// same id, which should not be, the later one. It looks at all of them: it is
// for people, and an index would cost every timeline that nobody asks for.
func (w *Window) Get(id timeline.ID) *timeline.Timeline {
	w.mu.RLock()
	defer w.mu.RUnlock()
	var found *entry
	w.each(func(e *entry) bool {
		if e.ID == id && (found == nil || e.seq > found.seq) {
			found = e
		}
		return true
	})
	if found == nil {
		return nil
	}
	return found.Clone()
}

// each calls f for every entry, the recent ones first, the newest of them first,
// until f returns false. An entry that several lists of the slowest hold comes
// several times.
func (w *Window) each(f func(*entry) bool) {
	oldest := w.seq + 1
	for i := w.recent.len() - 1; i >= 0; i-- {
		e := w.recent.at(i)
		oldest = e.seq
		if !f(e) {
			return
		}
	}
	list := func(s *slowest) bool {
		for _, e := range s.list {
			if e.seq < oldest && !f(e) {
				return false
			}
		}
		return true
	}
	if !list(&w.overall) || !list(&w.folded) {
		return
	}
	for _, s := range w.routes {
		if !list(s) {
			return
		}
	}
}

// Stats returns the present counts.
func (w *Window) Stats() Stats {
	w.mu.RLock()
	defer w.mu.RUnlock()
	s := w.stats
	s.Held = w.held
	s.Bytes = w.recentBytes + w.slowBytes
	return s
}

func (w *Window) dropOldest() {
	e := w.recent.pop()
	w.recentBytes -= e.size
	w.release(e)
}

// take returns an entry to fill with a timeline of a shape.
func (w *Window) take(s shape) *entry {
	w.held++
	list := w.spare[s]
	n := len(list)
	if n == 0 {
		e := &entry{shape: s}
		e.Marks = make([]timeline.Mark, 0, s.marks*markStep)
		e.Spans = make([]timeline.Span, 0, s.spans*spanStep)
		return e
	}
	e := list[n-1]
	list[n-1] = nil
	w.spare[s] = list[:n-1]
	w.spares--
	return e
}

// release takes one list's hold away from an entry.
func (w *Window) release(e *entry) {
	e.refs--
	if e.refs > 0 {
		return
	}
	w.held--
	if e.size > spareBytes {
		return
	}
	if w.spares == maxSpares {
		if len(w.spare[e.shape]) > 0 {
			return
		}
		// The shapes that are kept are not those that come now.
		clear(w.spare)
		w.spares = 0
	}
	w.spare[e.shape] = append(w.spare[e.shape], e)
	w.spares++
}
