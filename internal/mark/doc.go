// SPDX-License-Identifier: Apache-2.0

// Package mark defines what the kernel half says about a connection: an
// instant and a byte offset, in a lane.
//
// A lane is one kind of instant on one connection (or one loop thread), in the
// order in which it happened. The BPF programs write marks, package probes
// reads them, package correlate joins them; none of those needs the others'
// types, so the words they share live here.
//
// Clock: every At is CLOCK_MONOTONIC in nanoseconds, what bpf_ktime_get_ns()
// returns. Offsets count the bytes of one direction of a connection from 0 in
// 64 bits; a FIN takes one more at the end, as TCP counts it.
package mark
