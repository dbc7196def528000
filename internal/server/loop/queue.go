// SPDX-License-Identifier: Apache-2.0

package loop

import "github.com/lifetrace/lifetrace/internal/stamp"

// entry is a callback in the queue of a phase, with the watch it is for, if it
// is for one.
type entry struct {
	f func()
	w *Watch
}

// queue is a FIFO that keeps its memory.
type queue[T any] struct {
	items []T
	head  int
}

func (q *queue[T]) push(v T) { q.items = append(q.items, v) }

func (q *queue[T]) len() int { return len(q.items) - q.head }

func (q *queue[T]) pop() T {
	v := q.items[q.head]
	var zero T
	q.items[q.head] = zero // what was run must not stay reachable
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	return v
}

// Task is what runs after a callback; see Loop.After.
type Task interface{ Run() }

// NextTick runs f after the present callback, before anything else.
func (l *Loop) NextTick(f func()) { l.ticks.push(f) }

// Microtask runs f after the present callback, once no tick is left.
func (l *Loop) Microtask(f func()) { l.microtasks.push(f) }

// After runs t once when the present callback, its ticks and its microtasks
// are done. A task that is already waiting must not be put in again.
func (l *Loop) After(t Task) { l.after.push(t) }

// Pending runs f in the pending phase of the next iteration, after the sockets
// have had their turn. If it is for a watch, it is dropped when that is
// forgotten meanwhile.
func (l *Loop) Pending(w *Watch, f func()) { l.pending.push(entry{f, w}) }

// SetImmediate runs f in the check phase, after the present or next poll.
func (l *Loop) SetImmediate(f func()) { l.check.push(entry{f, nil}) }

// Closing runs f in the close phase.
func (l *Loop) Closing(f func()) { l.closing.push(entry{f, nil}) }

// phase runs what is in q now; what that adds waits for the next iteration.
func (l *Loop) phase(q *queue[entry], kind stamp.Callback) {
	for n := q.len(); n > 0; n-- {
		e := q.pop()
		conn := uint64(0)
		if e.w != nil {
			if !l.watched(e.w) {
				continue
			}
			conn = e.w.Conn
		}
		l.begin(kind, conn)
		e.f()
		l.drain()
	}
}

// drain runs what the callback left to do at once.
func (l *Loop) drain() {
	for {
		switch {
		case l.ticks.len() > 0:
			l.ticks.pop()()
		case l.microtasks.len() > 0:
			l.microtasks.pop()()
		case l.after.len() > 0:
			l.after.pop().Run()
		default:
			return
		}
	}
}
