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

// sizeOf estimates the memory of a timeline. Names of marks and spans are
// shared between timelines and not counted; the texts of the request are its
// own.
func sizeOf(t *timeline.Timeline) int64 {
	n := unsafe.Sizeof(*t) + unsafe.Sizeof(entry{})
	n += uintptr(cap(t.Marks)) * unsafe.Sizeof(timeline.Mark{})
	n += uintptr(cap(t.Spans)) * unsafe.Sizeof(timeline.Span{})
	n += uintptr(cap(t.Unsupported)) * unsafe.Sizeof("")
	for i := range t.Spans {
		if d := t.Spans[i].Detail; d != nil {
			n += unsafe.Sizeof(*d)
			n += uintptr(cap(d.BlockedBy))*unsafe.Sizeof(timeline.ID{}) + uintptr(cap(d.BlockedNS))*8
		}
	}
	for i := range t.Findings {
		n += unsafe.Sizeof(t.Findings[i]) + uintptr(len(t.Findings[i].Summary))
	}
	n += uintptr(len(t.Request.Method) + len(t.Request.Target))
	return int64(n)
}
