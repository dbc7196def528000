// SPDX-License-Identifier: Apache-2.0

package window

import (
	"unsafe"

	"github.com/lifetrace/lifetrace/internal/timeline"
)

// ring is a queue in order of arrival. It grows to what is needed and stays
// there, so that a steady state allocates nothing for the queue itself.
type ring struct {
	buf  []*entry
	head int // the oldest
	n    int
}

func (r *ring) len() int { return r.n }

// at returns the i-th entry, 0 being the oldest.
func (r *ring) at(i int) *entry { return r.buf[(r.head+i)%len(r.buf)] }

func (r *ring) push(e *entry) {
	if r.n == len(r.buf) {
		grown := make([]*entry, max(64, 2*len(r.buf)))
		for i := range r.n {
			grown[i] = r.at(i)
		}
		r.buf, r.head = grown, 0
	}
	r.buf[(r.head+r.n)%len(r.buf)] = e
	r.n++
}

func (r *ring) pop() *entry {
	e := r.buf[r.head]
	r.buf[r.head] = nil
	r.head = (r.head + 1) % len(r.buf)
	r.n--
	return e
}

// memory estimates what an entry takes. Names of marks and spans are shared
// between timelines and not counted; the texts of the request are its own.
func (e *entry) memory() int64 {
	n := unsafe.Sizeof(*e)
	n += uintptr(cap(e.Marks)) * unsafe.Sizeof(timeline.Mark{})
	n += uintptr(cap(e.Spans)) * unsafe.Sizeof(timeline.Span{})
	n += uintptr(cap(e.Unsupported)) * unsafe.Sizeof("")
	n += uintptr(cap(e.Findings)) * unsafe.Sizeof(timeline.Finding{})
	n += uintptr(e.Details.Room()) * (unsafe.Sizeof(timeline.Detail{}) +
		timeline.MaxBlockers*(unsafe.Sizeof(timeline.ID{})+unsafe.Sizeof(int64(0))))
	for i := range e.Findings {
		n += uintptr(len(e.Findings[i].Summary))
	}
	n += uintptr(len(e.Request.Method) + len(e.Request.Target))
	return int64(n)
}
