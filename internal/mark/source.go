// SPDX-License-Identifier: Apache-2.0

package mark

import "net/netip"

// Conn is a connection that the kernel half has begun to trace.
type Conn struct {
	Slot        uint32 // where its lanes are
	Cookie      uint64 // the socket cookie, its identity
	Peer, Local netip.AddrPort
}

// Sink takes what is read from a connection's lanes.
type Sink interface {
	// Mark is called in order within each lane.
	Mark(lane Lane, m Mark)
	// Lost is called when n marks of a lane were lost since its last mark.
	Lost(lane Lane, n uint64)
}

// EventKind says what an Event is about.
type EventKind uint32

// The kinds of events. The values are those in bpf/layout.h.
const (
	// StrayReset: a RST was sent without a traced connection; A is the
	// sk_rst_reason.
	StrayReset EventKind = 1 + iota
	// Untraced: the connection with Cookie found no free slot.
	Untraced
)

// Event is what has no connection or is too rare for a lane.
type Event struct {
	At     int64 // ns of CLOCK_MONOTONIC
	Cookie uint64
	Kind   EventKind
	A      uint32
}
