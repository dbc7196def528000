// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"github.com/lifetrace/lifetrace/internal/stamp"
	"github.com/lifetrace/lifetrace/internal/timeline"
)

// view is one exchange while its timeline is made.
type view struct {
	canvas
	bounds
	c *Correlator
	k *conn
	x *exchange
	// start and stop are the timeline's ends (t0 and t1 are offsets, see
	// bounds); now ends what still lasts.
	start, stop, now int64
	end              string
	// finished is set if the response was sent and acknowledged, as far as
	// this run can tell.
	finished bool
	// polls are those that brought the connection and its first byte; nil for
	// one that is not known or not this exchange's.
	polls [2]*poll
	// out is what is being made. It is used again for the next one.
	out    timeline.Copy
	marks  []listed
	layers []layerRef // the stack of layers that have not returned
}

// layerRef is a layer that was entered.
type layerRef struct {
	kind stamp.LayerKind
	name uint16
}

// until is the end of an interval that may still last.
func (v *view) until(end int64) int64 {
	if end == 0 {
		return v.now
	}
	return end
}

// paintSetUp paints the steps that make a connection: they are exchange 0's.
func (v *view) paintSetUp() {
	k := v.k
	if v.x.num != 0 || !k.known {
		return
	}
	v.paint(working, acceptCall, k.accepting, k.accepted)
	end := v.until(k.setUp)
	v.paint(working, connSetup, k.accepted, end)
	if k.connection != 0 && k.attached != 0 {
		// Painted later and beginning later, it shows over the set-up.
		v.paint(working, parserAttach, k.connection, k.attached)
		v.paint(working, connSetup, k.attached, max(end, k.attached))
	}
}

// own reports whether a read brought, or a send carried, bytes in [from, to).
func (t *transfer) own(from, to uint64) bool { return t.lo < to && t.hi > from }

// readEnd is the end of the bytes that are the exchange's as far as reads go:
// until its content is complete every further byte is its own.
func (v *view) readEnd() uint64 {
	if v.x.has(stamp.BodyComplete) {
		return v.r1
	}
	return max(v.r1, v.k.received())
}

// sendEnd is the end of the bytes that are its own as far as sends go.
func (v *view) sendEnd() uint64 {
	if v.partial {
		return max(v.t1, v.t0)
	}
	return v.t1
}

// paintWork paints what the loop did for the exchange: the server's stamps,
// each up to the next one of the same loop.
func (v *view) paintWork() {
	var (
		k, x  = v.k, v.x
		last  layerRef // the innermost layer that was entered last
		enter bool     // there is one
		r, s  int
		now   = parse // the label of the step before
	)
	v.layers = v.layers[:0]
	// code is whose time it is while user code runs.
	code := func() label {
		if n := len(v.layers); n > 0 {
			return v.c.names.layerLabel(v.layers[n-1].kind, v.layers[n-1].name)
		}
		if enter {
			return v.c.names.layerLabel(last.kind, last.name)
		}
		return dispatch
	}
	reads := func(before int64) {
		for ; r < len(k.recvs) && k.recvs[r].ret <= before; r++ {
			if t := &k.recvs[r]; t.own(v.r0, v.readEnd()) {
				v.paint(working, recvCall, t.from, t.ret)
				if t.lo >= v.r0 {
					v.paint(working, parse, t.ret, v.until(t.end))
				}
			}
		}
	}
	sends := func(before int64) {
		for ; s < len(k.sends) && k.sends[s].begin <= before; s++ {
			t := &k.sends[s]
			if !t.own(v.t0, v.sendEnd()) {
				continue
			}
			v.paint(calling, sendCall, t.begin, v.until(t.ret))
			if t.ret == 0 {
				continue
			}
			switch {
			case len(v.layers) > 0:
				v.paint(working, code(), t.ret, v.until(t.end))
			case t.to >= v.t1 && !v.partial:
				v.paint(working, keepAliveReset, t.ret, v.until(t.end))
			case x.finish == 0 || x.finish > t.ret:
				v.paint(working, code(), t.ret, v.until(t.end))
			}
		}
	}
	for i := range x.steps {
		e := &x.steps[i]
		reads(e.at)
		sends(e.at)
		l := parse
		switch e.code {
		case stamp.HeadersComplete, stamp.Request:
			l = dispatch
		case stamp.LayerEnter:
			last, enter = layerRef{stamp.LayerKind(e.arg), e.aux}, true
			v.layers = append(v.layers, last)
			l = code()
		case stamp.LayerNext:
			l = dispatch
		case stamp.LayerReturn:
			v.leave(e.aux)
			if len(v.layers) > 0 {
				l = code()
			}
		case stamp.Route:
			l = now // a route is found on the way to its handler
		case stamp.BackpressureBegin, stamp.Drain, stamp.AsyncBegin, stamp.AsyncResume:
			l = code()
		case stamp.BodyComplete:
			if x.request == 0 || x.request > e.at {
				l = dispatch
			} else {
				l = code()
			}
		case stamp.ComposeBegin, stamp.ResponseEnd:
			l = compose
		case stamp.HeadComposed:
			l = code()
			if i+1 < len(x.steps) {
				switch x.steps[i+1].code {
				case stamp.ResponseEnd, stamp.Finish, stamp.ComposeBegin:
					l = compose
				}
			}
			if len(v.layers) == 0 && !enter {
				l = compose
			}
		case stamp.Finish:
			l = compose
			if len(v.layers) > 0 || x.has(stamp.AsyncBegin) && enter {
				l = code()
			}
		case stamp.KeepAliveReset:
			l = keepAliveReset
		case stamp.Aborted:
			l = closing
		}
		v.paint(working, l, e.at, v.until(e.end))
		now = l
	}
	reads(maxTime)
	sends(maxTime)
	if k.closed != 0 && x.over == k.closed {
		v.paint(low, closing, k.closed, k.closed)
	}
	v.paintOffCPU()
}

// leave takes a layer off the stack, and those that it entered and that never
// returned.
func (v *view) leave(name uint16) {
	for i := len(v.layers) - 1; i >= 0; i-- {
		if v.layers[i].name == name {
			v.layers = v.layers[:i]
			return
		}
	}
}

// paintOffCPU paints the time in which the loop would have worked on the
// exchange, but had no CPU.
func (v *view) paintOffCPU() {
	if v.k.loop == nil {
		return
	}
	off := &v.k.loop.off
	pos := off.search(func(o *offCPU) bool { return o.to == 0 || o.to > v.start })
	n := len(v.paints)
	for ; pos < off.next; pos++ {
		o := off.at(pos)
		for i := range n {
			p := v.paints[i]
			from, to := max(p.from, o.from), min(p.to, v.until(o.to))
			if (p.height == working || p.height == calling) && from < to {
				v.paint(stopped, loopWakeup, from, to)
			}
		}
	}
}
