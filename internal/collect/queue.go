// SPDX-License-Identifier: Apache-2.0

package collect

import "sync"

// queue holds the batches that were drained and are not applied yet. It is
// bounded by what the batches hold, not by their number: a batch that was
// drained late is large.
type queue struct {
	most int

	mu      sync.Mutex
	changed sync.Cond
	full    []*batch
	spare   []*batch
	room    int // of all that are spare
	queued  int // sizes of full and of what is being applied
	closed  bool
}

func newQueue(most int) *queue {
	q := &queue{most: most}
	q.changed.L = &q.mu
	return q
}

const (
	// spares is how many empty batches are kept for use again, each of at
	// most spareSize and all of at most spareRoom stamps and marks: a burst
	// must not leave its memory behind for ever, and drains that come late
	// now and then should not make garbage.
	spares    = 16
	spareSize = 1 << 16
	spareRoom = 1 << 18
)

// empty returns a batch to fill, once there is room in the queue.
func (q *queue) empty() *batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.queued >= q.most {
		q.changed.Wait()
	}
	if n := len(q.spare); n > 0 {
		b := q.spare[n-1]
		q.spare = q.spare[:n-1]
		q.room -= b.room()
		return b
	}
	return &batch{}
}

// size returns how much is queued or being applied.
func (q *queue) size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.queued
}

// put queues a batch.
func (q *queue) put(b *batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.full = append(q.full, b)
	q.queued += b.size()
	q.changed.Broadcast()
}

// take returns the oldest batch, or nil when the queue is closed and empty.
func (q *queue) take() *batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.full) == 0 {
		if q.closed {
			return nil
		}
		q.changed.Wait()
	}
	b := q.full[0]
	q.full = append(q.full[:0], q.full[1:]...)
	return b
}

// done gives back a batch that take returned.
func (q *queue) done(b *batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queued -= b.size()
	if room := b.room(); len(q.spare) < spares && room <= spareSize && q.room+room <= spareRoom {
		q.spare = append(q.spare, b)
		q.room += room
	}
	q.changed.Broadcast()
}

// close says that no batch will be put any more.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.changed.Broadcast()
}
