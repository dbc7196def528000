// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/stamp"
	"github.com/lifetrace/lifetrace/internal/timeline"
)

// emit makes the timeline of an exchange and hands it over. end names what
// ends it if neither an ACK nor the connection's end does.
func (c *Correlator) emit(k *conn, x *exchange, end string) {
	if !x.began() {
		return
	}
	v := &c.view
	v.c, v.k, v.x, v.now = c, k, x, c.now
	if k.loop != nil {
		// Stamps may be newer than the instant up to which all are known.
		v.now = max(v.now, k.loop.prev)
	}
	v.paints, v.painted, v.marks, v.negative = v.paints[:0], 0, v.marks[:0], 0
	v.bounds = c.attribute(k, x)
	v.polls = v.servingPolls()
	v.begin()
	v.finish(end)
	v.paintSetUp()
	v.paintWork()
	v.paintWaits()
	t := v.timeline()
	c.stats.Negative += v.negative
	c.hand(t)
}

// hand counts a timeline and hands it over. One whose spans do not sum to its
// duration would be a bug here: it is cut down to what is certain.
func (c *Correlator) hand(t *timeline.Timeline) {
	if t.Check() != nil {
		c.stats.Broken++
		t.Spans = []timeline.Span{{Name: meanings[unknown].name, Label: uint32(unknown) + 1, Duration: t.Duration}}
		t.Layers = [timeline.NumLayers]int64{timeline.Unknown: t.Duration}
		t.Marks = nil
	}
	c.count(t)
	c.opt.Emit(t)
}

// begin finds the timeline's first instant: the SYN of the connection's first
// exchange, the first byte's arrival for the others, or the first thing known.
func (v *view) begin() {
	k, x := v.k, v.x
	from := instant{}
	known := func(at int64) {
		if !from.ok || at < from.at {
			from = instant{at: at, ok: true}
		}
	}
	if x.num == 0 {
		for _, kind := range [...]mark.Kind{mark.Syn, mark.Established} {
			if in := v.stateMark(kind); in.ok {
				known(in.at)
			}
		}
		if k.known {
			known(k.accepted)
		}
	}
	if v.data[0].ok {
		known(v.data[0].at)
	}
	for i := range k.recvs {
		if k.recvs[i].hi > v.r0 {
			known(k.recvs[i].ret)
			break
		}
	}
	if x.first != 0 {
		known(x.first)
	}
	if !from.ok {
		known(k.first) // only its text came
	}
	v.start = from.at
}

// finish finds the timeline's last instant and what it is.
func (v *view) finish(end string) {
	k, x, c := v.k, v.x, v.c
	v.finished = false
	f := v.final()
	switch {
	case v.acked[1].ok && (!v.partial || k.after(x) != nil):
		v.stop, v.end, v.finished = v.acked[1].at, "ack", true
	case !c.sees(k, TxAcked) && f != nil && f.ret != 0:
		v.stop, v.end, v.finished = f.ret, "sent", true
	case k.resetAt != 0 && k.resetBy == mark.ResetReceived:
		v.stop, v.end = k.resetAt, "reset_received"
	case k.resetAt != 0:
		v.stop, v.end = k.resetAt, "reset_sent"
	case k.gone != 0:
		v.stop, v.end = k.gone, "closed"
	case k.closed != 0:
		v.stop, v.end = k.closed, "closed"
	case x.over != 0 && end == "lost":
		v.stop, v.end = x.over, end
	case end == "lost":
		v.stop, v.end = x.last, end
	default:
		v.stop, v.end = v.now, end
	}
	v.stop = max(v.stop, v.start)
}

// stateMark returns when a State mark of a kind came first.
func (v *view) stateMark(kind mark.Kind) instant {
	e := v.k.stateEntry(kind)
	if e == nil || v.k.untraced {
		return instant{}
	}
	return instant{at: e.At, ok: true}
}

// stateEntry returns the first mark of a kind in the State lane.
func (k *conn) stateEntry(kind mark.Kind) *entry {
	l := &k.lanes[mark.State]
	for i := range l.e {
		if got, _, _ := mark.Unpack(l.e[i].Off); got == kind {
			return &l.e[i]
		}
	}
	return nil
}

// timeline puts everything together.
func (v *view) timeline() *timeline.Timeline {
	c, k, x, t := v.c, v.k, v.x, &v.out.Timeline
	self := exchangeKey{k.cookie, x.num}
	*t = timeline.Timeline{
		ID:         c.id(self),
		Connection: timeline.Connection{Cookie: k.cookie, Peer: k.peer, Local: k.local, Exchange: x.num},
		Request: timeline.Request{
			Method: methodText(x.method), Target: c.names.target(x.target), Route: c.names.of(x.route),
			Version: versionText(x.version), Bytes: v.r1 - v.r0, Offset: v.r0,
		},
		Response: timeline.Response{Status: int(min(x.status, 999)), Bytes: v.t1 - v.t0, Offset: v.t0},
		Start:    v.start,
		Duration: v.stop - v.start,
		End:      v.end,
		Marks:    t.Marks[:0],
		Spans:    t.Spans[:0],
	}
	v.out.Details.Reset()
	v.sweep(v.start, v.stop)
	for i := range t.Spans {
		s := &t.Spans[i]
		t.Layers[s.Layer] += s.Duration
		v.detail(s, self)
	}
	v.listMarks()
	t.Incomplete = v.reasons()
	if t.Incomplete&timeline.Unsupported != 0 {
		t.Unsupported = c.unsupported
	}
	return t
}

// detail adds what a span knows beyond its length.
func (v *view) detail(s *timeline.Span, self exchangeKey) {
	l := label(s.Label - 1)
	if l != handshake && !l.blockable() {
		return
	}
	d := v.out.Details.New()
	switch l {
	case handshake:
		if e := v.k.stateEntry(mark.Syn); e != nil {
			_, a, _ := mark.Unpack(e.Off)
			d.Derived = a == 1
		}
	case acceptQueue:
		if e := v.k.stateEntry(mark.Established); e != nil {
			_, d.Depth, d.Limit = mark.Unpack(e.Off)
			if v.k.known {
				d.Wait = max(v.k.accepted-e.At, 0)
			}
		}
	}
	if l.blockable() && v.k.loop != nil {
		from := v.start + s.Start
		v.c.blockers.find(v.k.loop, from, from+s.Duration, v.now, self, d, v.c.id)
	}
	if d.Depth|d.Limit != 0 || d.Wait != 0 || d.Derived || len(d.BlockedBy) > 0 || d.BlockedOther != 0 {
		s.Detail = d
	} else {
		v.out.Details.Drop()
	}
}

// reasons says what the timeline may lack, and why.
func (v *view) reasons() timeline.Reasons {
	c, k, x := v.c, v.k, v.x
	r := c.doubts(k, x, &v.bounds, v.finished)
	if !v.finished && v.end != "lost" && v.end != "evicted" || x.has(stamp.Aborted) && v.partial {
		r |= timeline.Aborted
	}
	if !v.finished {
		switch v.end {
		case "lost":
			r |= timeline.Lost
		case "evicted":
			r |= timeline.Evicted
		}
	}
	state := &k.lanes[mark.State]
	if x.num == 0 && !k.untraced {
		if c.sees(k, Syn) && k.stateEntry(mark.Syn) == nil || c.sees(k, AcceptQueue) && k.stateEntry(mark.Established) == nil {
			r |= timeline.Lost
		}
	}
	if v.end != "ack" && v.end != "sent" && state.lost {
		r |= timeline.Lost // the mark that says what ended it
	}
	if !k.known {
		switch {
		case k.loop != nil && k.loop.gaps.next > 0:
			r |= timeline.Lost
		case c.stats.EvictedConns > 0:
			r |= timeline.Evicted
		default:
			r |= timeline.AttachedLate
		}
	}
	for _, p := range v.polls {
		if p != nil && p.ret > v.start && !k.untraced {
			r |= p.doubt
		}
	}
	if k.loop != nil {
		r |= k.loop.doubtful(max(v.start, x.first), min(v.stop, x.last))
	}
	return r
}

// servingPolls returns the polls that brought the connection and its first
// byte; nil for one that is not known or not this exchange's.
func (v *view) servingPolls() (polls [2]*poll) {
	k := v.k
	if k.loop == nil {
		return polls
	}
	if v.x.num == 0 && k.known {
		polls[0] = k.loop.servedBy(k.accepting)
	}
	for i := range k.recvs {
		if k.recvs[i].hi > v.r0 {
			polls[1] = k.loop.servedBy(k.recvs[i].from)
			break
		}
	}
	if polls[1] == polls[0] {
		polls[1] = nil
	}
	return polls
}

// count adds a timeline to the counters.
func (c *Correlator) count(t *timeline.Timeline) {
	s := &c.stats
	s.Timelines++
	if t.Incomplete == 0 {
		s.Complete++
		return
	}
	for _, r := range [...]struct {
		bit timeline.Reasons
		n   *uint64
	}{
		{timeline.Lost, &s.Lost},
		{timeline.Merged, &s.Merged},
		{timeline.Evicted, &s.Evicted},
		{timeline.AttachedLate, &s.AttachedLate},
		{timeline.Unsupported, &s.Unsupported},
		{timeline.Aborted, &s.Aborted},
	} {
		if t.Incomplete&r.bit != 0 {
			*r.n++
		}
	}
}
