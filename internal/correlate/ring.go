// SPDX-License-Identifier: Apache-2.0

package correlate

// ring keeps the newest of a sequence. Positions count from 0 and never
// repeat; those in [first, next) can be read.
type ring[T any] struct {
	buf  []T
	next uint64
	max  uint64 // a power of two
}

func newRing[T any](n int) ring[T] {
	size := uint64(1)
	for size < uint64(n) {
		size <<= 1
	}
	return ring[T]{max: size}
}

// push appends v and reports whether an older element had to go.
func (r *ring[T]) push(v T) (evicted bool) {
	if uint64(len(r.buf)) < r.max {
		r.buf = append(r.buf, v)
	} else {
		r.buf[r.next&(r.max-1)] = v
		evicted = true
	}
	r.next++
	return evicted
}

func (r *ring[T]) first() uint64 { return r.next - uint64(len(r.buf)) }

// at returns the element at a position in [first, next).
func (r *ring[T]) at(pos uint64) *T { return &r.buf[pos&(r.max-1)] }

// last returns the newest element, nil if there is none.
func (r *ring[T]) last() *T {
	if r.next == 0 {
		return nil
	}
	return r.at(r.next - 1)
}

// search returns the first position whose element satisfies f, which must be
// false for a prefix and true for the rest; next if there is none. Nearly all
// questions are about the newest, so it looks back from there in steps that
// double before it halves what is left.
func (r *ring[T]) search(f func(*T) bool) uint64 {
	low, high := r.first(), r.next // the answer is in [low, high]
	for step := uint64(1); low < high; step <<= 1 {
		pos := high - min(step, high-low)
		if !f(r.at(pos)) {
			low = pos + 1
			break
		}
		high = pos
	}
	for low < high {
		if mid := low + (high-low)/2; f(r.at(mid)) {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low
}
