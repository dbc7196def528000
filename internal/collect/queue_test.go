// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"testing"
	"time"
)

func sized(n int) *batch { return &batch{marks: make([]connMark, n)} }

func TestQueueKeepsOrderAndBound(t *testing.T) {
	q := newQueue(10)
	a, b := sized(4), sized(6)
	q.put(a)
	q.put(b)
	got := make(chan *batch)
	go func() { got <- q.empty() }()
	select {
	case <-got:
		t.Fatal("there was room in a full queue")
	case <-time.After(20 * time.Millisecond):
	}
	if q.take() != a {
		t.Fatal("not the oldest first")
	}
	q.done(a) // only now is there room
	if e := <-got; e != a {
		t.Error("a small batch was not used again")
	}
	if q.take() != b {
		t.Fatal("the second is not next")
	}
	q.done(b)
	q.close()
	if q.take() != nil {
		t.Error("a closed and empty queue gave a batch")
	}
}

func TestQueueForgetsLargeBatches(t *testing.T) {
	q := newQueue(1 << 20)
	large := sized(spareSize + 1)
	q.put(large)
	q.done(q.take())
	if q.empty() == large {
		t.Error("a large batch was kept")
	}
}

// What is kept of several batches that are not large is bounded too.
func TestQueueBoundsSpares(t *testing.T) {
	q := newQueue(1 << 20)
	for range spareRoom/spareSize + 2 {
		q.done(sized(spareSize))
	}
	if len(q.spare) != spareRoom/spareSize || q.room != spareRoom {
		t.Errorf("%d batches with room for %d are kept, want room for %d", len(q.spare), q.room, spareRoom)
	}
	q.empty()
	if q.room != spareRoom-spareSize {
		t.Errorf("room %d, want one less", q.room)
	}
	for range 2 * spares {
		q.done(sized(1))
	}
	if len(q.spare) != spares {
		t.Errorf("%d batches are kept, want %d", len(q.spare), spares)
	}
}
