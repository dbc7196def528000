// SPDX-License-Identifier: Apache-2.0

package correlate

import "github.com/lifetrace/lifetrace/internal/timeline"

// Support says which marks a run can have at all.
type Support uint16

// The bits of a Support, in lifecycle order.
const (
	Syn         Support = 1 << iota // State lane: the SYN, seen or derived
	AcceptQueue                     // State lane: established, depth and limit
	Wakeup                          // thread lane
	Running                         // thread lane; Preempted comes with it
	PollReturn                      // thread lane
	Accept                          // State lane: accept4's return
	RxReady
	RxRead
	TxQueued
	TxSent
	TxAcked
	Resets // State lane: state changes, resets, the end of the socket

	// AllSupport is a run with every probe attached.
	AllSupport = Resets<<1 - 1

	// stateLane is what makes the end of a connection known to the kernel's
	// side.
	stateLane = Syn | AcceptQueue | Accept | Resets
)

// Options configures a Correlator. A zero bound means its default.
type Options struct {
	// Seed makes the ids of one run differ from those of another: an id is a
	// mix of Seed, cookie and exchange.
	Seed uint64
	// Names gives the name with a number (stamp.Names.Name); nil knows none.
	Names func(id uint16) string
	// Kernel is what this run can see; 0 means that the probes are off.
	Kernel Support
	// Emit takes each finished timeline. It is called by Advance and Flush
	// only. The timeline is lent for the time of the call: its memory is used
	// again for the next one. What is to stay is copied (timeline.Copy).
	Emit func(*timeline.Timeline)

	// Missed takes how many exchanges are over, or given up, and will have no
	// timeline, and why: Evicted (a bound, or Skip) or Lost (their stamps). So
	// each exchange is in Emit or in Missed, once. Like Emit it is called by
	// Advance and Flush only.
	Missed func(why timeline.Reasons, n uint64)

	// MaxConns bounds the connections held (default 65536).
	MaxConns int
	// MaxExchangesPerConn bounds the exchanges of one connection that have
	// begun and are not emitted (default 4096).
	MaxExchangesPerConn int
	// MaxStampsPerExchange bounds the stamps held of one exchange, and the
	// reads and writes held of one connection (default 4096).
	MaxStampsPerExchange int
	// MaxMarksPerLane bounds the marks held of one lane (default 512). A full
	// lane absorbs further marks as the kernel's own lanes do.
	MaxMarksPerLane int
	// MaxLoopHistory bounds how many intervals each loop's past is known
	// for (default 16384); rounded up to a power of two.
	MaxLoopHistory int
	// MaxHeld bounds the stamps and marks held for all connections together
	// (default 4194304, at about 48 bytes each).
	MaxHeld int
}

// maxLoops bounds the loop numbers taken: a loop is a thread.
const maxLoops = 4096

func (o *Options) setDefaults() {
	for _, d := range [...]struct {
		v *int
		n int
	}{
		{&o.MaxConns, 1 << 16},
		{&o.MaxExchangesPerConn, 1 << 12},
		{&o.MaxStampsPerExchange, 1 << 12},
		{&o.MaxMarksPerLane, 512},
		{&o.MaxLoopHistory, 1 << 14},
		{&o.MaxHeld, 1 << 22},
	} {
		if *d.v <= 0 {
			*d.v = d.n
		}
	}
	if o.Names == nil {
		o.Names = func(uint16) string { return "" }
	}
	if o.Emit == nil {
		o.Emit = func(*timeline.Timeline) {}
	}
	if o.Missed == nil {
		o.Missed = func(timeline.Reasons, uint64) {}
	}
}

// Stats counts what a Correlator did. All but the last three only grow.
type Stats struct {
	// Timelines is how many were emitted; Complete how many of them lack
	// nothing. A timeline counts once under each of its reasons.
	Timelines, Complete uint64

	Lost, Merged, Evicted, AttachedLate, Unsupported, Aborted uint64

	// Negative counts intervals that would have been negative and were left
	// out (I3); Broken counts timelines whose spans did not sum (I1) and that
	// were cut down to one unknown span. Broken is 0 unless there is a bug.
	Negative, Broken uint64

	// Missed counts exchanges that have no timeline, see Options.
	Missed uint64

	// What the bounds threw away (I4): connections, whose exchanges are
	// emitted flagged; exchanges that could not even be emitted; stamps;
	// marks that a full lane absorbed or that came too early; intervals of a
	// loop's past.
	EvictedConns, DroppedExchanges              uint64
	EvictedStamps, EvictedMarks, EvictedHistory uint64

	// Stamps and marks that belong to nothing; connections that were gone
	// before the server accepted them; connections given up because one half
	// never said that they are over.
	UnmatchedStamps, UnmatchedMarks, NeverAccepted, Overdue uint64

	OpenConns, OpenExchanges, HeldEntries int
}
