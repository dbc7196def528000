// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/stamp"
	"github.com/lifetrace/lifetrace/internal/timeline"
)

// paintWaits paints what the exchange waited for while the loop did not work
// on it. The paints lie below those of the work, so an interval may reach over
// work that is painted elsewhere.
func (v *view) paintWaits() {
	v.waitForAccept()
	v.waitForFirstRead()
	v.waitForRest()
	x := v.x
	if x.request != 0 {
		// What is read, not answered and not worked on waits for user code.
		end := v.stop
		if x.finish != 0 {
			end = x.finish
		}
		v.paint(low, asyncWait, x.request, max(end, x.request))
	}
	v.waitForSend()
	v.waitForNetwork()
	v.loseGaps()
}

// waitForAccept paints from the SYN to the accept4 that returns the connection.
func (v *view) waitForAccept() {
	k := v.k
	if v.x.num != 0 {
		return
	}
	syn, est := v.stateMark(mark.Syn), v.stateMark(mark.Established)
	if syn.ok && est.ok {
		v.paint(low, handshake, syn.at, est.at)
	}
	if !est.ok {
		return
	}
	if !k.known {
		v.paint(low, acceptQueue, est.at, max(v.stop, est.at))
		return
	}
	v.paint(low, acceptQueue, est.at, k.accepted)
	// The part of it that is the loop's: woken but not back from epoll_wait,
	// back but busy with other fds, or busy while a request is here already.
	p := k.loop.servedBy(k.accepting)
	if p == nil {
		return
	}
	v.paint(waiting, acceptBatch, max(p.ret, est.at), max(k.accepting, est.at))
	if p.ret <= est.at {
		return
	}
	switch {
	case p.wake != 0:
		v.paint(waiting, loopWakeup, max(p.wake, est.at), p.ret)
	case v.c.sees(k, Wakeup) && p.doubt == 0:
		// It did not sleep: epoll_wait returned at once.
		v.paint(waiting, loopWakeup, max(p.enter, est.at), p.ret)
	}
	if d := v.data[0]; d.ok && d.at < p.enter {
		v.paint(waiting, loopBusy, max(d.at, est.at), max(p.enter, est.at))
	}
}

// waitForFirstRead paints from the connection's being ready, or from the first
// byte's arrival, to the read that brings it, and on to its parsing.
func (v *view) waitForFirstRead() {
	k, x := v.k, v.x
	ready := v.start
	if x.num == 0 && k.known {
		ready = max(ready, k.accepted)
	}
	read, ok := int64(0), false
	for i := range k.recvs {
		if t := &k.recvs[i]; t.hi > v.r0 {
			read, ok = t.from, true
			if x.has(stamp.MessageBegin) && x.begin > t.ret {
				v.paint(low, pipelineWait, t.ret, x.begin)
			}
			break
		}
	}
	if !ok {
		read = v.stop
		if x.has(stamp.MessageBegin) {
			read = x.begin // the read's stamp is missing
		}
	}
	v.waitForBytes(clientWait, v.r0, ready, max(read, ready), ok)
}

// waitForBytes paints a wait, in [from, to), for the first byte beyond off:
// until it arrives with the label given, then for the loop. served says that a
// read ends it.
func (v *view) waitForBytes(l label, off uint64, from, to int64, served bool) {
	if !v.c.sees(v.k, RxReady) {
		// A loop that sleeps sees bytes as they come, so it had none; a busy
		// one may have had.
		v.polling(from, to, func(a, b int64, _ *poll) {
			v.paint(waiting, l, a, b)
		}, func(a, b int64, last bool) {
			if last && served {
				v.paint(waiting, loopBatch, a, b)
			}
		})
		return
	}
	here := v.k.lanes[mark.RxReady].reach(off + 1)
	if !here.ok {
		v.paint(waiting, l, from, to)
		return
	}
	arrived := min(max(here.at, from), to)
	v.paint(waiting, l, from, arrived)
	v.waitForLoop(arrived, to, served)
}

// waitForLoop paints a wait, in [from, to), for the loop to come to bytes that
// are here.
func (v *view) waitForLoop(from, to int64, served bool) {
	k := v.k
	if k.loop == nil || from >= to {
		return
	}
	var by *poll
	if served {
		by = k.loop.servedBy(to)
	}
	v.polling(from, to, func(a, b int64, p *poll) {
		if p != by && a < v.x.prevOver {
			// The loop slept over these bytes: the server does not read on
			// before the exchange before is over.
			v.paint(waiting, pipelineWait, a, min(b, v.x.prevOver))
			a = min(b, v.x.prevOver)
		}
		v.paint(waiting, loopWakeup, a, b)
	}, func(a, b int64, last bool) {
		if last && by != nil {
			v.paint(waiting, loopBatch, a, b)
		} else {
			v.paint(waiting, loopBusy, a, b)
		}
	})
}

// polling cuts [from, to) into the parts in which the loop was in epoll_wait
// and those in which it was not; last is set for the part after the last poll.
// What lies before the loop's known past is left out.
func (v *view) polling(from, to int64, in func(a, b int64, p *poll), busy func(a, b int64, last bool)) {
	if v.k.loop == nil {
		return
	}
	polls := &v.k.loop.polls
	pos := polls.search(func(p *poll) bool { return p.ret == 0 || p.ret > from })
	at := from
	if pos == polls.first() {
		if pos == polls.next {
			return
		}
		at = max(at, polls.at(pos).enter)
	}
	for ; pos < polls.next && at < to; pos++ {
		p := polls.at(pos)
		enter, ret := min(p.enter, to), min(v.until(p.ret), to)
		if enter > at {
			busy(at, enter, p.enter >= to)
		}
		if a := max(at, enter); a < ret {
			in(a, ret, p)
		}
		at = max(at, ret)
	}
	if at < to {
		busy(at, to, true)
	}
}

// waitForRest paints the waits between the reads of one request.
func (v *view) waitForRest() {
	k, x := v.k, v.x
	end := v.readEnd()
	for i := range k.recvs {
		t := &k.recvs[i]
		if t.hi <= v.r0 || t.lo >= end {
			continue
		}
		if x.has(stamp.BodyComplete) && t.hi >= v.r1 {
			return // that was its last byte
		}
		to, served := v.stop, false
		if i+1 < len(k.recvs) {
			to, served = k.recvs[i+1].from, true
		}
		l := bodyWait
		if !x.has(stamp.HeadersComplete) || t.hi < x.rh {
			l = clientWait
		}
		v.waitForBytes(l, t.hi, t.ret, max(to, t.ret), served)
	}
}

// waitForSend paints the waits of a response for its sends.
func (v *view) waitForSend() {
	k, x := v.k, v.x
	queued := x.finish // since when bytes wait with nothing being sent
	var full int64     // since when the stream is full
	for i := range x.steps {
		switch e := &x.steps[i]; {
		case e.code == stamp.BackpressureBegin && full == 0:
			full = max(e.at, 1)
		case e.code == stamp.Drain && full != 0:
			v.paint(waiting, backpressure, full, e.at)
			full = 0
		}
	}
	if full != 0 {
		v.paint(waiting, backpressure, full, max(v.stop, full))
	}
	for i := range k.sends {
		t := &k.sends[i]
		if !t.own(v.t0, v.sendEnd()) {
			continue
		}
		if queued != 0 {
			v.paint(low, responseQueued, queued, max(t.begin, queued))
			queued = 0
		}
		if t.ret != 0 && t.to < min(t.hi, v.sendEnd()) {
			// The send buffer is full.
			to := v.stop
			if i+1 < len(k.sends) {
				to = k.sends[i+1].begin
			}
			v.paint(waiting, backpressure, t.ret, max(to, t.ret))
		} else if t.ret != 0 && t.to < v.t1 && x.finish != 0 {
			queued = max(x.finish, t.ret)
		}
	}
	if queued != 0 && (len(k.sends) == 0 || k.sent() < v.t1) {
		v.paint(low, responseQueued, queued, max(v.stop, queued))
	}
}

// final is the send that took the response's last byte, nil if none did.
func (v *view) final() *transfer {
	if v.partial || v.t1 <= v.t0 {
		return nil
	}
	for i := range v.k.sends {
		if t := &v.k.sends[i]; t.ret != 0 && t.to >= v.t1 || t.ret == 0 && t.hi >= v.t1 {
			return t
		}
	}
	return nil
}

// waitForNetwork paints from the send that took the last byte to the client's
// ACK of it.
func (v *view) waitForNetwork() {
	f := v.final()
	if f == nil {
		return
	}
	first, last := v.sent[0], v.sent[1]
	if !first.ok || !last.ok {
		if f.ret != 0 && v.c.sees(v.k, TxAcked) {
			v.paint(network, ack, f.ret, max(v.stop, f.ret))
		}
		return
	}
	// Earlier segments may have left while there was still something to send.
	from := max(first.at, f.begin)
	to := max(last.at, from)
	v.paint(low, sendCall, f.begin, from)
	if to > from {
		v.paint(network, xmit, from, to)
	}
	if v.c.sees(v.k, TxAcked) {
		v.paint(network, ack, to, max(v.stop, to))
	}
}

// loseGaps paints as unknown what the exchange did while stamps were lost, and
// flags it.
func (v *view) loseGaps() {
	if v.k.loop == nil {
		return
	}
	end := v.stop
	if v.x.over != 0 {
		end = min(end, v.x.over) // the server was done with it
	}
	gaps := &v.k.loop.gaps
	for pos := gaps.first(); pos < gaps.next; pos++ {
		g := gaps.at(pos)
		if g.to < v.start || g.from > end {
			continue
		}
		v.x.reasons |= timeline.Lost
		before, after := v.around(g)
		v.paint(missing, unknown, before, max(after, before))
	}
}

// around returns the exchange's last stamp before a gap and its first one
// after it; the gap's own ends where there is none.
func (v *view) around(g *gap) (before, after int64) {
	before, after = -1, maxTime
	see := func(at int64) {
		if at <= g.from {
			before = max(before, at)
		} else if at >= g.to {
			after = min(after, at)
		}
	}
	for i := range v.x.steps {
		see(v.x.steps[i].at)
	}
	for i := range v.k.recvs {
		see(v.k.recvs[i].ret)
	}
	for i := range v.k.sends {
		see(v.k.sends[i].begin)
		if v.k.sends[i].ret != 0 {
			see(v.k.sends[i].ret)
		}
	}
	if before < 0 {
		before = g.from
	}
	if after == maxTime {
		after = max(v.stop, g.to)
	}
	return before, after
}
