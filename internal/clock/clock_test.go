// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Now must be the kernel's CLOCK_MONOTONIC itself: a reading lies between two
// system calls' readings around it.
func TestNowIsClockMonotonic(t *testing.T) {
	for range 1000 {
		var a, b unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &a); err != nil {
			t.Fatal(err)
		}
		now := Now()
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &b); err != nil {
			t.Fatal(err)
		}
		if now < a.Nano() || now > b.Nano() {
			t.Fatalf("Now() = %d, not in [%d, %d]", now, a.Nano(), b.Nano())
		}
	}
}

func TestWallOffset(t *testing.T) {
	before := time.Now().UnixNano()
	wall := Now() + WallOffset(16)
	after := time.Now().UnixNano()
	// The pair's own width is the error; a millisecond would be a bug.
	const slack = int64(time.Millisecond)
	if wall < before-slack || wall > after+slack {
		t.Fatalf("wall %d, not in [%d, %d]", wall, before, after)
	}
}

func BenchmarkNow(b *testing.B) {
	for b.Loop() {
		Now()
	}
}
