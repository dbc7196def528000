// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/lifetrace/lifetrace/internal/stamp"
)

// Post runs f on the loop in its next poll phase. Any goroutine may call it.
// It returns false, and f will not run, once the loop is closed.
func (l *Loop) Post(f func()) bool {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return false
	}
	l.jobs = append(l.jobs, f)
	// One wake-up serves all jobs until the loop has taken them. It is written
	// under the lock so that Close cannot close the descriptor meanwhile.
	if !l.woken {
		l.woken = true
		var one [8]byte
		binary.NativeEndian.PutUint64(one[:], 1)
		// An eventfd that is about to overflow, the only error there is, is
		// readable, which is all that is wanted.
		_, _ = unix.Write(l.wake.FD, one[:])
	}
	l.mu.Unlock()
	return true
}

// jobsHandler runs posted jobs when the eventfd is readable.
type jobsHandler struct{ l *Loop }

func (h jobsHandler) Ready(uint32) {
	l := h.l
	l.mu.Lock()
	var b [8]byte
	_, _ = unix.Read(l.wake.FD, b[:]) // non-blocking; it only resets the counter
	jobs := l.jobs
	l.jobs, l.running = l.running[:0], nil
	l.woken = false
	l.mu.Unlock()
	for i, f := range jobs {
		if i > 0 { // the poll phase has begun the first one
			l.begin(stamp.OnJob, 0)
		}
		f()
		l.drain()
		jobs[i] = nil
	}
	l.running = jobs
}
