// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/stamp"
	"github.com/lifetrace/lifetrace/internal/timeline"
)

// instant adds a mark to the list. What lies before the timeline's start is
// not part of it.
func (v *view) instant(name string, l timeline.Layer, at int64, s timeline.Source, detail string) {
	if at >= v.start {
		v.marks = append(v.marks, timeline.Mark{Name: name, Layer: l, At: at - v.start, Source: s, Detail: detail})
	}
}

// either adds the kernel's instant, or the server's where there is none.
func (v *view) either(name string, l timeline.Layer, in instant, server int64) {
	switch {
	case in.ok:
		v.instant(name, l, in.at, timeline.FromKernel, "")
	case server != 0:
		v.instant(name, l, server, timeline.FromServer, "")
	}
}

// listMarks lists the exchange's marks in order of time.
func (v *view) listMarks() []timeline.Mark {
	v.connMarks()
	for _, p := range v.servingPolls() {
		if p == nil {
			continue
		}
		if p.wake != 0 {
			v.instant("epoll.wake", timeline.Loop, p.wake, timeline.FromKernel, "")
		}
		if p.run != 0 {
			v.instant("loop.running", timeline.Loop, p.run, timeline.FromKernel, "")
		}
		v.either("epoll.return", timeline.Loop, instant{at: p.kret, ok: p.kret != 0}, p.ret)
	}
	v.streamMarks()
	for i := range v.x.steps {
		v.stepMark(&v.x.steps[i])
	}
	v.endMarks()
	v.begins = v.begins[:0]
	for i := range v.marks {
		v.begins = append(v.begins, instantOf{v.marks[i].At, int32(i)})
	}
	sortInstants(v.begins)
	out := make([]timeline.Mark, len(v.marks))
	for i := range out {
		out[i] = v.marks[v.begins[i].pos]
	}
	return out
}

// connMarks lists what made the connection.
func (v *view) connMarks() {
	k := v.k
	if v.x.num != 0 {
		return
	}
	if e := k.stateEntry(mark.Syn); e != nil && !k.untraced {
		source := timeline.FromKernel
		if _, derived, _ := mark.Unpack(e.Off); derived == 1 {
			source = timeline.Derived
		}
		v.instant("tcp.syn", timeline.Kernel, e.At, source, "")
	}
	v.either("tcp.established", timeline.Kernel, v.stateMark(mark.Established), 0)
	v.either("accept", timeline.Kernel, v.stateMark(mark.Accepted), k.accepted)
	v.either("connection", timeline.Loop, instant{}, k.connection)
	v.either("parser.attached", timeline.Parser, instant{}, k.attached)
}

// streamMarks lists the boundaries of the exchange's bytes.
func (v *view) streamMarks() {
	k := v.k
	var recvFirst, recvLast, sendFirst, sendLast int64
	for i := range k.recvs {
		t := &k.recvs[i]
		if recvFirst == 0 && t.hi > v.r0 {
			recvFirst = t.ret
		}
		if recvLast == 0 && t.hi >= v.r1 && v.r1 > v.r0 {
			recvLast = t.ret
		}
	}
	for i := range k.sends {
		t := &k.sends[i]
		if sendFirst == 0 && v.t1 > v.t0 && t.lo <= v.t0 && t.hi > v.t0 {
			sendFirst = t.begin
		}
		if sendLast == 0 && v.t1 > v.t0 && t.ret != 0 && t.to >= v.t1 {
			sendLast = t.ret
		}
	}
	v.either("data.first", timeline.Kernel, v.data[0], 0)
	v.either("data.last", timeline.Kernel, v.data[1], 0)
	v.either("recv.first", timeline.Kernel, v.read[0], recvFirst)
	v.either("recv.last", timeline.Kernel, v.read[1], recvLast)
	v.either("send.first", timeline.Kernel, instant{}, sendFirst)
	v.either("send.last", timeline.Kernel, v.queued, sendLast)
	v.either("xmit.first", timeline.Network, v.sent[0], 0)
	v.either("xmit.last", timeline.Network, v.sent[1], 0)
	v.either("ack.first", timeline.Network, v.acked[0], 0)
	v.either("ack.last", timeline.Network, v.acked[1], 0)
}

// stepMark lists one of the server's stamps, if it has a mark's name.
func (v *view) stepMark(e *step) {
	server := func(name string, l timeline.Layer, detail string) {
		v.instant(name, l, e.at, timeline.FromServer, detail)
	}
	switch e.code {
	case stamp.HeadersComplete:
		server("headers.complete", timeline.Parser, "")
	case stamp.Request:
		server("request", timeline.Code, "")
	case stamp.LayerEnter:
		server("layer.enter", timeline.Code, v.c.names.of(e.aux))
	case stamp.LayerNext:
		server("layer.next", timeline.Code, v.c.names.of(e.aux))
	case stamp.LayerReturn:
		server("layer.return", timeline.Code, v.c.names.of(e.aux))
	case stamp.BodyComplete:
		server("body.complete", timeline.Parser, "")
	case stamp.HeadComposed:
		server("head.composed", timeline.Stream, "")
	case stamp.ResponseEnd:
		server("response.end", timeline.Stream, "")
	case stamp.BackpressureBegin:
		server("backpressure.begin", timeline.Stream, "")
	case stamp.Drain:
		server("drain", timeline.Stream, "")
	case stamp.KeepAliveReset:
		server("keepalive.reset", timeline.Loop, "")
	case stamp.Aborted:
		server("aborted", timeline.Loop, stamp.CloseReason(e.aux).String())
	}
}

// endMarks lists how the connection ended, for its last exchange, and the
// segments of this exchange's response that were sent again.
func (v *view) endMarks() {
	k := v.k
	lastOne := v.x.num+1 == k.next
	l := &k.lanes[mark.State]
	fin := false
	for i := range l.e {
		e := &l.e[i]
		kind, a, b := mark.Unpack(e.Off)
		switch {
		case k.untraced:
		case kind == mark.Retransmit:
			// Offsets are compared as TCP compares sequence numbers.
			if b-uint32(v.t0) < uint32(min(v.t1-v.t0, 1<<31)) {
				v.instant("tcp.retransmit", timeline.Network, e.At, timeline.FromKernel, "")
			}
		case !lastOne:
		case kind == mark.Change && !fin && a == mark.TCPEstablished:
			detail := "sent"
			if b == mark.TCPCloseWait {
				detail = "received"
			}
			if b != mark.TCPClose {
				fin = true
				v.instant("tcp.fin", timeline.Kernel, e.At, timeline.FromKernel, detail)
			}
		case kind == mark.ResetReceived:
			v.instant("tcp.reset", timeline.Kernel, e.At, timeline.FromKernel, "received")
		case kind == mark.ResetSent:
			v.instant("tcp.reset", timeline.Kernel, e.At, timeline.FromKernel, "sent")
		}
	}
	if lastOne && k.closed != 0 {
		v.instant("closed", timeline.Loop, k.closed, timeline.FromServer, k.reason.String())
	}
}
