// SPDX-License-Identifier: Apache-2.0

// Package clock reads the one clock that everything is recorded on,
// CLOCK_MONOTONIC, and knows how far the wall clock is from it.
//
// bpf_ktime_get_ns() reads the same clock. The wall clock is used only for
// display and export.
package clock

import (
	_ "unsafe" // for go:linkname

	"golang.org/x/sys/unix"
)

// nanotime is the runtime's own reading of CLOCK_MONOTONIC through the vDSO.
// time.Since would do, but its origin is the runtime's start: pairing that
// origin with the kernel's clock costs a system call and is wrong by as much
// as that call takes, which is more than a recv's return path, so that a stamp
// could fall before the kernel mark it follows.
//
//go:linkname nanotime runtime.nanotime
func nanotime() int64

// Now returns CLOCK_MONOTONIC in nanoseconds.
func Now() int64 { return nanotime() }

// WallOffset returns what must be added to a CLOCK_MONOTONIC reading to get
// nanoseconds since the Unix epoch: the tightest of n pairs of readings.
func WallOffset(n int) int64 {
	var best int64 = 1 << 62
	var off int64
	for range n {
		a := nanotime()
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_REALTIME, &ts); err != nil {
			panic("clock_gettime: " + err.Error()) // CLOCK_REALTIME exists on every Linux
		}
		b := nanotime()
		if d := b - a; d < best {
			best, off = d, ts.Nano()-(a+d/2)
		}
	}
	return off
}
