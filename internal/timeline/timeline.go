// SPDX-License-Identifier: Apache-2.0

package timeline

import "net/netip"

// Schema is the value of the "schema" field of the JSON form.
const Schema = "lifetrace.timeline/v1"

// Timeline is one exchange.
type Timeline struct {
	ID         ID
	Connection Connection
	Request    Request
	Response   Response

	// Start is the first mark's instant, ns of CLOCK_MONOTONIC. Wall is what
	// to add to it to get ns since the Unix epoch; it is set for display by
	// whoever knows it, and 0 in the correlator's own output.
	Start, Wall int64
	// Duration is in ns. Invariant: the sum of the spans' durations.
	Duration int64

	// Incomplete says why the timeline may lack something; 0 is complete.
	Incomplete Reasons
	// Unsupported holds the names of the spans that this run could not see.
	Unsupported []string
	// End says what ended the timeline: "ack", or the connection's end.
	End string

	Marks []Mark
	Spans []Span
	// Layers is the time spent in each layer, ns.
	// Invariant: sums to Duration.
	Layers   [NumLayers]int64
	Findings []Finding
}

// ID is the trace id: 32 hex digits in text.
type ID [16]byte

// Connection is the connection of an exchange.
type Connection struct {
	Cookie      uint64 // the kernel's socket cookie
	Peer, Local netip.AddrPort
	Exchange    uint32 // counted from 0
}

// Request is the request's part. Bytes counts its head and content as sent.
type Request struct {
	Method, Target, Route, Version string
	Bytes                          uint64
	// Offset is where the request begins in the receive stream.
	Offset uint64
}

// Response is the response's part. Bytes counts its head and content as sent.
type Response struct {
	Status int
	Bytes  uint64
	// Offset is where the response begins in the send stream.
	Offset uint64
}

// Mark is an instant. At is ns from the timeline's start; it may lie after the
// timeline's end: the server goes on after the client's ACK.
type Mark struct {
	Name   string
	Layer  Layer
	At     int64
	Source Source
	Detail string // the layer's name in layer marks, a reason in others
}

// Span is an interval. Start is ns from the timeline's start.
type Span struct {
	Step  uint8 // 1 to 16, 0 for unknown
	Name  string
	Layer Layer
	// Label is a small number for Step, Name and Layer together, the same in
	// all timelines of one correlator, so that a receiver need not look a
	// name up; 0 if the timeline is not from one.
	Label    uint32
	Start    int64
	Duration int64
	Detail   *Detail // nil if there is none
}

// Detail is what a span knows beyond its length.
type Detail struct {
	// Depth and Limit of the accept queue when the connection entered it.
	Depth, Limit uint32
	// Wait is the whole wait in the accept queue, ns, of which the span is
	// the part that nothing else explains.
	Wait int64
	// BlockedBy holds the timelines whose code the loop ran meanwhile, the
	// longest first, at most MaxBlockers; BlockedNS how long each.
	BlockedBy []ID
	BlockedNS []int64
	// BlockedOther is the loop's time meanwhile that belongs to no exchange
	// or to more than are listed, ns.
	BlockedOther int64
	// Derived is set if an end of the span was calculated, not seen.
	Derived bool
	// After is how long after the timeline's end the step happened, ns, for
	// a span of length 0 that stands for it.
	After int64
}

// MaxBlockers is how many blockers a span lists.
const MaxBlockers = 8

// Finding is a diagnosis that rests on this timeline.
type Finding struct {
	Rule    string `json:"rule"`
	Summary string `json:"summary"`
}

// Layer is who had the request at a time.
type Layer uint8

// The layers.
const (
	Unknown Layer = iota
	Kernel
	Loop
	Parser
	Code
	Stream
	Network
	NumLayers
)

var layerNames = [NumLayers]string{"unknown", "kernel", "loop", "parser", "code", "stream", "network"}

func (l Layer) String() string {
	if l < NumLayers {
		return layerNames[l]
	}
	return "unknown"
}

// Source is who saw a mark.
type Source uint8

// The sources.
const (
	FromKernel Source = 1 + iota
	FromServer
	FromHook
	Derived
)

var sourceNames = [...]string{"", "kernel", "server", "hook", "derived"}

func (s Source) String() string {
	if int(s) < len(sourceNames) {
		return sourceNames[s]
	}
	return ""
}

// Reasons is a set of reasons why a timeline is incomplete.
type Reasons uint8

// The reasons.
const (
	Lost         Reasons = 1 << iota // marks or stamps were lost
	Merged                           // a boundary lies inside an absorbed range
	Evicted                          // a bound on memory was reached
	AttachedLate                     // the connection was there before lifetrace
	Unsupported                      // this host or run cannot see a kernel step
	Aborted                          // the exchange did not finish
)

var reasonNames = [...]string{"lost", "merged", "evicted", "attached_late", "unsupported", "aborted"}

// Names lists the reasons in a fixed order; never nil.
func (r Reasons) Names() []string {
	out := []string{}
	for i, n := range reasonNames {
		if r&(1<<i) != 0 {
			out = append(out, n)
		}
	}
	return out
}
