// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"net/netip"

	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/stamp"
	"github.com/lifetrace/lifetrace/internal/timeline"
)

// conn is one connection, known by its cookie alone.
type conn struct {
	cookie      uint64
	peer, local netip.AddrPort
	loop        *loop // the loop that stamps for it; nil before the first stamp
	first       int64 // its first stamp

	// The server's half. A time of 0 has not come.
	accepting, accepted, connection, attached, setUp int64
	// accepting is the stamp before Accepted; setUp is when the loop went on
	// to something else after ParserAttached.
	closed int64
	reason stamp.CloseReason
	known  bool // an Accepted stamp was there
	// worked is 1 + the lowest exchange that the loop has not worked on; 0 if
	// it may have worked on any.
	worked uint64

	open []*exchange // begun and not emitted, in order
	// next is the lowest exchange number that may still begin: all below it
	// and not open are emitted.
	next uint32
	// reading is the exchange whose bytes the server reads.
	reading uint32
	// The end of the newest exchange that is over for the server, and the
	// ends in both streams of the newest one that was emitted.
	lastReset        int64
	doneRcv, doneSnd uint64

	recvs, sends       []transfer
	recvBase, sendBase uint64 // position of the first of each

	// The kernel's half.
	lanes    [mark.NumLanes]lane // State's entries stay to the end
	untraced bool
	resetAt  int64
	resetBy  mark.Kind
	gone     int64 // Destroyed
	marks    uint64

	// Bookkeeping: the list of all connections, the least recently heard of
	// first; whether it is in the Correlator's pending list; since when it
	// is half over.
	older, newer *conn
	pending      bool
	evicted      bool
	ending       int64
}

// transfer is one recv that returned bytes or one send.
type transfer struct {
	// from is the stamp before; begin and ret are the call's; end is the
	// stamp after. A ret or end of 0 has not come.
	from, begin, ret, end int64
	// The bytes [lo, hi) were asked for (send) or came (recv); to is how far
	// a send got.
	lo, hi, to uint64
}

// exchange is one request and its response.
type exchange struct {
	num  uint32
	seen uint64 // bit n: the stamp with code n has come

	method, target []byte
	version        uint64
	route          uint16
	status         uint64

	r0, rh, r1, t0, t1 uint64
	hasContent         bool
	begin, request     int64
	finish, over       int64 // over: KeepAliveReset, Aborted or the connection's Closed
	first, last        int64 // its first and newest stamp
	prevOver           int64 // when the server was done with the one before, if it was

	steps   []step
	reasons timeline.Reasons
}

// step is one stamp of an exchange and the interval that it began.
type step struct {
	at, end int64 // end is 0 while it lasts
	code    stamp.Code
	aux     uint16
	arg     uint16 // LayerKind, or the low bits of A
}

func (x *exchange) has(c stamp.Code) bool { return x.seen&(1<<c) != 0 }

// began reports whether there is anything of it but a target.
func (x *exchange) began() bool { return x.seen != 0 || len(x.method) > 0 }

// interval names the memory that holds the end of an interval.
type interval struct {
	kind intervalKind
	k    *conn
	x    *exchange
	pos  uint64
}

type intervalKind uint8

const (
	noInterval intervalKind = iota
	stepInterval
	recvInterval
	sendInterval
	setUpInterval
)

// endAt stores when an interval ended, if it is still there.
func (i *interval) endAt(at int64) {
	switch i.kind {
	case stepInterval:
		if i.pos < uint64(len(i.x.steps)) {
			i.x.steps[i.pos].end = at
		}
	case recvInterval:
		if i.pos >= i.k.recvBase {
			i.k.recvs[i.pos-i.k.recvBase].end = at
		}
	case sendInterval:
		if i.pos >= i.k.sendBase {
			i.k.sends[i.pos-i.k.sendBase].end = at
		}
	case setUpInterval:
		i.k.setUp = at
	}
	*i = interval{}
}

// find returns the open exchange with a number, nil if there is none.
func (k *conn) find(num uint32) *exchange {
	// The wanted one is nearly always the newest or the oldest.
	for i := len(k.open) - 1; i >= 0; i-- {
		if k.open[i].num == num {
			return k.open[i]
		}
		if k.open[i].num < num {
			return nil
		}
	}
	return nil
}

// after returns the open exchange that follows x, nil if there is none.
func (k *conn) after(x *exchange) *exchange {
	for i, o := range k.open {
		if o == x && i+1 < len(k.open) && k.open[i+1].num == x.num+1 {
			return k.open[i+1]
		}
	}
	return nil
}

// received is how far the server has read.
func (k *conn) received() uint64 {
	if n := len(k.recvs); n > 0 {
		return max(k.recvs[n-1].hi, k.doneRcv)
	}
	return k.doneRcv
}

// sent is how far the server's sends got.
func (k *conn) sent() uint64 {
	if n := len(k.sends); n > 0 {
		return max(k.sends[n-1].to, k.doneSnd)
	}
	return k.doneSnd
}

// held is how many stamps and marks the connection holds.
func (k *conn) held() int {
	n := len(k.recvs) + len(k.sends)
	for i := range k.lanes {
		n += len(k.lanes[i].e)
	}
	for _, x := range k.open {
		n += len(x.steps)
	}
	return n
}
