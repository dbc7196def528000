// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/stamp"
	"github.com/lifetrace/lifetrace/internal/timeline"
)

// bounds are the instants at which an exchange's bytes passed the kernel.
//
// The one rule: request k is receive bytes [r0, r1), its response send bytes
// [t0, t1), and a lane says up to where a stream had got at each of its
// instants. So the first byte passed at the first mark with an offset above
// r0 (or t0), the last at the first mark that reaches r1 (or t1). Order in
// time is never used. Limits: where marks were merged or lost around a
// boundary the instant may be late, and says so; a FIN counts as one more byte
// at the end of a stream, which no boundary lies beyond.
type bounds struct {
	r0, r1, t0, t1 uint64
	// partial is set if the response is known only as far as it was sent.
	partial bool

	data, read, sent, acked [2]instant // first and last
	queued                  instant
}

// attribute finds an exchange's bytes and when they passed.
func (c *Correlator) attribute(k *conn, x *exchange) bounds {
	b := bounds{r0: x.r0, r1: x.r1, t0: x.t0, t1: x.t1}
	next := k.after(x)
	if !x.has(stamp.BodyComplete) {
		b.r1 = max(b.r0, x.rh, k.received())
		if next != nil && next.has(stamp.MessageBegin) {
			b.r1 = max(b.r0, next.r0)
		}
	}
	if !x.has(stamp.Finish) {
		b.partial = true
		if next != nil && next.has(stamp.Finish) {
			b.t1 = max(b.t0, next.t0)
		} else if x.has(stamp.HeadComposed) {
			b.t1 = max(b.t0, k.sent())
		}
	}
	b.data = c.passed(k, RxReady, mark.RxReady, b.r0, b.r1)
	b.read = c.passed(k, RxRead, mark.RxRead, b.r0, b.r1)
	b.sent = c.passed(k, TxSent, mark.TxSent, b.t0, b.t1)
	b.acked = c.passed(k, TxAcked, mark.TxAcked, b.t0, b.t1)
	b.queued = c.passed(k, TxQueued, mark.TxQueued, b.t0, b.t1)[1]
	return b
}

// passed returns when the first and the last of bytes [from, to) passed a lane.
func (c *Correlator) passed(k *conn, s Support, l mark.Lane, from, to uint64) (in [2]instant) {
	if !c.sees(k, s) || to <= from {
		return in
	}
	return [2]instant{k.lanes[l].reach(from + 1), k.lanes[l].reach(to)}
}

// doubts returns why an exchange's boundaries may be wrong or missing.
// finished says that all of them must be there.
func (c *Correlator) doubts(k *conn, x *exchange, b *bounds, finished bool) timeline.Reasons {
	r := x.reasons
	if k.untraced {
		return r | timeline.Lost
	}
	for _, in := range [...]instant{b.data[0], b.data[1], b.read[0], b.read[1], b.sent[0], b.sent[1], b.acked[0], b.acked[1], b.queued} {
		r |= in.why
	}
	need := RxReady | TxSent | TxAcked
	if x.num == 0 {
		need |= Syn | AcceptQueue
	}
	if c.opt.Kernel&need != need || c.opt.Kernel&Wakeup == 0 {
		r |= timeline.Unsupported
	}
	for _, l := range [...]struct {
		s  Support
		l  mark.Lane
		in [2]instant
		of bool // its bytes are all there
	}{
		{RxReady, mark.RxReady, b.data, b.r1 > b.r0},
		{RxRead, mark.RxRead, b.read, b.r1 > b.r0},
		{TxQueued, mark.TxQueued, [2]instant{b.queued, b.queued}, finished},
		{TxSent, mark.TxSent, b.sent, finished},
		{TxAcked, mark.TxAcked, b.acked, finished},
	} {
		if c.sees(k, l.s) && !(l.in[0].ok && l.in[1].ok) && (l.of || k.lanes[l.l].lost) {
			r |= timeline.Lost
		}
	}
	return r
}
