// SPDX-License-Identifier: Apache-2.0

// Package correlate joins what the kernel saw with what the server did into
// one timeline for each HTTP exchange.
//
// The two halves share a connection (the socket cookie) and a clock
// (CLOCK_MONOTONIC), but no request number: the kernel sees bytes, not
// requests. attribute.go holds the one rule that turns byte offsets into
// requests; nothing is ever paired by order in time.
//
// From there on a timeline is painted: work.go paints what the loop did for the
// exchange (from the server's stamps), wait.go what it waited for, and sweep.go
// cuts the result into spans that cannot overlap or leave a hole.
//
// A Correlator has no goroutine and reads no clock. The same calls in the same
// order always give the same timelines, which is what testdata relies on. All
// times are ns of CLOCK_MONOTONIC; offsets count bytes of one direction of a
// connection from 0.
package correlate
