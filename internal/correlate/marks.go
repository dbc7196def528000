// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"cmp"
	"slices"

	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/stamp"
	"github.com/lifetrace/lifetrace/internal/timeline"
)

// markName is a position in markNames, so that a mark holds no pointers while
// it is sorted.
type markName uint8

const (
	tcpSyn markName = iota
	tcpEstablished
	acceptMark
	connectionMark
	parserAttached
	epollWake
	loopRunning
	epollReturn
	dataFirst
	dataLast
	recvFirst
	recvLast
	sendFirst
	sendLast
	xmitFirst
	xmitLast
	ackFirst
	ackLast
	headersComplete
	requestMark
	layerEnter
	layerNext
	layerReturn
	bodyComplete
	headComposed
	responseEnd
	backpressureBegin
	drainMark
	keepAliveResetMark
	abortedMark
	tcpRetransmit
	tcpFin
	tcpReset
	closedMark
	numMarkNames
)

var markNames = [numMarkNames]struct {
	name  string
	layer timeline.Layer
}{
	tcpSyn:             {"tcp.syn", timeline.Kernel},
	tcpEstablished:     {"tcp.established", timeline.Kernel},
	acceptMark:         {"accept", timeline.Kernel},
	connectionMark:     {"connection", timeline.Loop},
	parserAttached:     {"parser.attached", timeline.Parser},
	epollWake:          {"epoll.wake", timeline.Loop},
	loopRunning:        {"loop.running", timeline.Loop},
	epollReturn:        {"epoll.return", timeline.Loop},
	dataFirst:          {"data.first", timeline.Kernel},
	dataLast:           {"data.last", timeline.Kernel},
	recvFirst:          {"recv.first", timeline.Kernel},
	recvLast:           {"recv.last", timeline.Kernel},
	sendFirst:          {"send.first", timeline.Kernel},
	sendLast:           {"send.last", timeline.Kernel},
	xmitFirst:          {"xmit.first", timeline.Network},
	xmitLast:           {"xmit.last", timeline.Network},
	ackFirst:           {"ack.first", timeline.Network},
	ackLast:            {"ack.last", timeline.Network},
	headersComplete:    {"headers.complete", timeline.Parser},
	requestMark:        {"request", timeline.Code},
	layerEnter:         {"layer.enter", timeline.Code},
	layerNext:          {"layer.next", timeline.Code},
	layerReturn:        {"layer.return", timeline.Code},
	bodyComplete:       {"body.complete", timeline.Parser},
	headComposed:       {"head.composed", timeline.Stream},
	responseEnd:        {"response.end", timeline.Stream},
	backpressureBegin:  {"backpressure.begin", timeline.Stream},
	drainMark:          {"drain", timeline.Stream},
	keepAliveResetMark: {"keepalive.reset", timeline.Loop},
	abortedMark:        {"aborted", timeline.Loop},
	tcpRetransmit:      {"tcp.retransmit", timeline.Network},
	tcpFin:             {"tcp.fin", timeline.Kernel},
	tcpReset:           {"tcp.reset", timeline.Kernel},
	closedMark:         {"closed", timeline.Loop},
}

// detailKind says what a listed mark's detail is.
type detailKind uint8

const (
	noDetail     detailKind = iota
	layerName               // the name with the number
	reasonDetail            // a stamp.CloseReason
	sentDetail
	receivedDetail
)

// listed is a mark of the list that is being made.
type listed struct {
	at     int64 // ns of CLOCK_MONOTONIC
	name   markName
	source timeline.Source
	kind   detailKind
	detail uint16
}

// instant adds a mark to the list. What lies before the timeline's start is
// not part of it.
func (v *view) instant(name markName, at int64, s timeline.Source, kind detailKind, detail uint16) {
	if at >= v.start {
		v.marks = append(v.marks, listed{at, name, s, kind, detail})
	}
}

// either adds the kernel's instant, or the server's where there is none.
func (v *view) either(name markName, in instant, server int64) {
	switch {
	case in.ok:
		v.instant(name, in.at, timeline.FromKernel, noDetail, 0)
	case server != 0:
		v.instant(name, server, timeline.FromServer, noDetail, 0)
	}
}

// listMarks lists the exchange's marks in order of time.
func (v *view) listMarks() {
	v.connMarks()
	for _, p := range v.polls {
		if p == nil {
			continue
		}
		if p.wake != 0 {
			v.instant(epollWake, p.wake, timeline.FromKernel, noDetail, 0)
		}
		if p.run != 0 {
			v.instant(loopRunning, p.run, timeline.FromKernel, noDetail, 0)
		}
		v.either(epollReturn, instant{at: p.kret, ok: p.kret != 0}, p.ret)
	}
	v.streamMarks()
	stepsBegin := len(v.marks)
	sortMarks(v.marks)
	for i := range v.x.steps {
		v.stepMark(&v.x.steps[i])
	}
	stepsEnd := len(v.marks)
	v.endMarks()
	sortMarks(v.marks[stepsEnd:])
	// Three lists in order; of equal instants the earlier list's come first.
	v.merge(v.marks[:stepsBegin], v.marks[stepsBegin:stepsEnd], v.marks[stepsEnd:])
}

// sortMarks sorts by time what is nearly sorted, and keeps what is equal in
// order.
func sortMarks(s []listed) {
	if len(s) > 256 {
		slices.SortStableFunc(s, func(a, b listed) int { return cmp.Compare(a.at, b.at) })
		return
	}
	for i := 1; i < len(s); i++ {
		m, j := s[i], i
		for ; j > 0 && s[j-1].at > m.at; j-- {
			s[j] = s[j-1]
		}
		s[j] = m
	}
}

// merge makes the timeline's marks of three sorted lists.
func (v *view) merge(a, b, c []listed) {
	out := slices.Grow(v.out.Marks, len(v.marks))
	for len(b) > 0 {
		switch {
		case len(a) > 0 && a[0].at <= b[0].at && (len(c) == 0 || a[0].at <= c[0].at):
			out, a = v.expand(out, &a[0]), a[1:]
		case len(c) > 0 && c[0].at < b[0].at:
			out, c = v.expand(out, &c[0]), c[1:]
		default:
			out, b = v.expand(out, &b[0]), b[1:]
		}
	}
	for len(a)+len(c) > 0 {
		if len(c) == 0 || len(a) > 0 && a[0].at <= c[0].at {
			out, a = v.expand(out, &a[0]), a[1:]
		} else {
			out, c = v.expand(out, &c[0]), c[1:]
		}
	}
	v.out.Marks = out
}

// expand appends a mark in its full form.
func (v *view) expand(out []timeline.Mark, m *listed) []timeline.Mark {
	out = out[:len(out)+1]
	n, to := &markNames[m.name], &out[len(out)-1]
	to.Name, to.Layer, to.At, to.Source = n.name, n.layer, m.at-v.start, m.source
	switch m.kind {
	case noDetail:
		to.Detail = ""
	case layerName:
		to.Detail = v.c.names.of(m.detail)
	case reasonDetail:
		to.Detail = stamp.CloseReason(m.detail).String()
	case sentDetail:
		to.Detail = "sent"
	case receivedDetail:
		to.Detail = "received"
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
		v.instant(tcpSyn, e.At, source, noDetail, 0)
	}
	v.either(tcpEstablished, v.stateMark(mark.Established), 0)
	v.either(acceptMark, v.stateMark(mark.Accepted), k.accepted)
	v.either(connectionMark, instant{}, k.connection)
	v.either(parserAttached, instant{}, k.attached)
}

// streamMarks lists the boundaries of the exchange's bytes.
func (v *view) streamMarks() {
	k := v.k
	var firstRecv, lastRecv, firstSend, lastSend int64
	for i := range k.recvs {
		t := &k.recvs[i]
		if firstRecv == 0 && t.hi > v.r0 {
			firstRecv = t.ret
		}
		if lastRecv == 0 && t.hi >= v.r1 && v.r1 > v.r0 {
			lastRecv = t.ret
		}
	}
	for i := range k.sends {
		t := &k.sends[i]
		if firstSend == 0 && v.t1 > v.t0 && t.lo <= v.t0 && t.hi > v.t0 {
			firstSend = t.begin
		}
		if lastSend == 0 && v.t1 > v.t0 && t.ret != 0 && t.to >= v.t1 {
			lastSend = t.ret
		}
	}
	v.either(dataFirst, v.data[0], 0)
	v.either(dataLast, v.data[1], 0)
	v.either(recvFirst, v.read[0], firstRecv)
	v.either(recvLast, v.read[1], lastRecv)
	v.either(sendFirst, instant{}, firstSend)
	v.either(sendLast, v.queued, lastSend)
	v.either(xmitFirst, v.sent[0], 0)
	v.either(xmitLast, v.sent[1], 0)
	v.either(ackFirst, v.acked[0], 0)
	v.either(ackLast, v.acked[1], 0)
}

// stepMark lists one of the server's stamps, if it has a mark's name.
func (v *view) stepMark(e *step) {
	var name markName
	kind, detail := noDetail, uint16(0)
	switch e.code {
	case stamp.HeadersComplete:
		name = headersComplete
	case stamp.Request:
		name = requestMark
	case stamp.LayerEnter:
		name, kind, detail = layerEnter, layerName, e.aux
	case stamp.LayerNext:
		name, kind, detail = layerNext, layerName, e.aux
	case stamp.LayerReturn:
		name, kind, detail = layerReturn, layerName, e.aux
	case stamp.BodyComplete:
		name = bodyComplete
	case stamp.HeadComposed:
		name = headComposed
	case stamp.ResponseEnd:
		name = responseEnd
	case stamp.BackpressureBegin:
		name = backpressureBegin
	case stamp.Drain:
		name = drainMark
	case stamp.KeepAliveReset:
		name = keepAliveResetMark
	case stamp.Aborted:
		name, kind, detail = abortedMark, reasonDetail, e.aux
	default:
		return
	}
	v.instant(name, e.at, timeline.FromServer, kind, detail)
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
				v.instant(tcpRetransmit, e.At, timeline.FromKernel, noDetail, 0)
			}
		case !lastOne:
		case kind == mark.Change && !fin && a == mark.TCPEstablished:
			detail := sentDetail
			if b == mark.TCPCloseWait {
				detail = receivedDetail
			}
			if b != mark.TCPClose {
				fin = true
				v.instant(tcpFin, e.At, timeline.FromKernel, detail, 0)
			}
		case kind == mark.ResetReceived:
			v.instant(tcpReset, e.At, timeline.FromKernel, receivedDetail, 0)
		case kind == mark.ResetSent:
			v.instant(tcpReset, e.At, timeline.FromKernel, sentDetail, 0)
		}
	}
	if lastOne && k.closed != 0 {
		v.instant(closedMark, k.closed, timeline.FromServer, reasonDetail, uint16(k.reason))
	}
}
