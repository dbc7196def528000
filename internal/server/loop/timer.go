// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"container/heap"
	"time"

	"github.com/lifetrace/lifetrace/internal/stamp"
)

// Timer calls a function once, some time after it was armed. The zero value
// with F set is ready; it can be part of another struct. Its arming costs the
// same whatever the number of timers, as Node's do: timers of the same length
// share a list that is in order of expiry by itself, and only the lists
// are in a heap.
type Timer struct {
	// F is called on the loop.
	F func()
	// Conn is the connection the timer is for, 0 for none.
	Conn uint64

	at         int64 // loop time when it was armed
	list       *timerList
	prev, next *Timer
}

// Armed reports whether the timer will fire.
func (t *Timer) Armed() bool { return t.list != nil }

// timerList holds the timers of one length, the earliest first.
type timerList struct {
	d      int64
	root   Timer // ring; root.next is the first
	expiry int64 // not later than the first one's: arming again does not touch it
	index  int   // in the heap
}

type timers struct {
	lists map[int64]*timerList
	heap  timerHeap
	// spare keeps one emptied list, so that a single timer that is armed and
	// fires again and again allocates nothing.
	spare *timerList
}

type timerHeap []*timerList

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].expiry < h[j].expiry }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap) Push(x any) {
	l := x.(*timerList)
	l.index = len(*h)
	*h = append(*h, l)
}

func (h *timerHeap) Pop() any {
	old := *h
	l := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return l
}

// Arm makes the timer fire after d, at least 1 ms, from the loop's time on. A
// timer that is armed already is armed anew.
func (l *Loop) Arm(t *Timer, d time.Duration) {
	ns := max(int64(d), int64(time.Millisecond))
	t.at = l.now
	if t.list != nil {
		if t.list.d == ns {
			t.unlink()
			t.list.append(t)
			return
		}
		l.Disarm(t)
	}
	tl := l.timers.lists[ns]
	if tl == nil {
		if tl = l.timers.spare; tl != nil {
			l.timers.spare = nil
		} else {
			tl = &timerList{}
			tl.root.prev, tl.root.next = &tl.root, &tl.root
		}
		tl.d, tl.expiry = ns, t.at+ns
		l.timers.lists[ns] = tl
		heap.Push(&l.timers.heap, tl)
	}
	tl.append(t)
}

// Disarm makes sure that the timer does not fire.
func (l *Loop) Disarm(t *Timer) {
	tl := t.list
	if tl == nil {
		return
	}
	t.unlink()
	t.list = nil
	if tl.root.next == &tl.root {
		l.timers.drop(tl)
	}
}

// SetTimeout calls f after d.
func (l *Loop) SetTimeout(d time.Duration, f func()) *Timer {
	t := &Timer{F: f}
	l.Arm(t, d)
	return t
}

func (tl *timerList) append(t *Timer) {
	t.list = tl
	t.prev, t.next = tl.root.prev, &tl.root
	t.prev.next, t.next.prev = t, t
}

func (t *Timer) unlink() {
	t.prev.next, t.next.prev = t.next, t.prev
	t.prev, t.next = nil, nil
}

func (ts *timers) drop(tl *timerList) {
	heap.Remove(&ts.heap, tl.index)
	delete(ts.lists, tl.d)
	ts.spare = tl
}

// next returns when the loop has to look at its timers again; ok is false if
// there are none.
func (ts *timers) next() (at int64, ok bool) {
	if len(ts.heap) == 0 {
		return 0, false
	}
	return ts.heap[0].expiry, true
}

// runTimers fires what is due. What the callbacks arm is not due before the
// next iteration, as every timer is at least 1 ms long and l.now stands still.
func (l *Loop) runTimers() {
	for len(l.timers.heap) > 0 {
		tl := l.timers.heap[0]
		if tl.expiry > l.now {
			return
		}
		t := tl.root.next
		if due := t.at + tl.d; due > l.now {
			// The first one was armed anew since the list was placed.
			tl.expiry = due
			heap.Fix(&l.timers.heap, 0)
			continue
		}
		l.Disarm(t)
		l.begin(stamp.OnTimer, t.Conn)
		t.F()
		l.drain()
	}
}
