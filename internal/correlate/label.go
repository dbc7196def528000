// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"github.com/lifetrace/lifetrace/internal/stamp"
	"github.com/lifetrace/lifetrace/internal/timeline"
)

// label says what a span says of its time. It is a position in labels' list,
// so that paints hold no pointers and two labels compare as numbers.
type label uint32

// The labels that carry no name of the application's. Others follow them.
const (
	unknown label = iota
	handshake
	acceptQueue
	loopWakeup
	acceptBatch
	acceptCall
	connSetup
	parserAttach
	clientWait
	loopBusy
	loopBatch
	pipelineWait
	recvCall
	parse
	dispatch
	bodyWait
	asyncWait
	compose
	responseQueued
	sendCall
	backpressure
	xmit
	ack
	keepAliveReset
	closing
	numLabels
)

// meaning is what a label stands for. No two labels have the same.
type meaning struct {
	name  string
	step  uint8 // design.md's
	layer timeline.Layer
}

var meanings = [numLabels]meaning{
	unknown:        {"unknown", 0, timeline.Unknown},
	handshake:      {"tcp.handshake", 1, timeline.Kernel},
	acceptQueue:    {"accept.queue", 2, timeline.Kernel},
	loopWakeup:     {"loop.wakeup", 3, timeline.Loop},
	acceptBatch:    {"loop.batch", 4, timeline.Loop},
	acceptCall:     {"accept", 4, timeline.Kernel},
	connSetup:      {"conn.setup", 5, timeline.Loop},
	parserAttach:   {"parser.attach", 6, timeline.Parser},
	clientWait:     {"client.wait", 7, timeline.Network},
	loopBusy:       {"loop.busy", 7, timeline.Loop},
	loopBatch:      {"loop.batch", 7, timeline.Loop},
	pipelineWait:   {"pipeline.wait", 7, timeline.Loop},
	recvCall:       {"recv", 7, timeline.Kernel},
	parse:          {"parse", 8, timeline.Parser},
	dispatch:       {"request.dispatch", 9, timeline.Code},
	bodyWait:       {"body.wait", 11, timeline.Network},
	asyncWait:      {"async.wait", 12, timeline.Code},
	compose:        {"response.compose", 13, timeline.Stream},
	responseQueued: {"response.queued", 13, timeline.Stream},
	sendCall:       {"send", 14, timeline.Kernel},
	backpressure:   {"backpressure", 14, timeline.Stream},
	xmit:           {"xmit", 15, timeline.Network},
	ack:            {"ack", 15, timeline.Network},
	keepAliveReset: {"keepalive.reset", 16, timeline.Loop},
	closing:        {"close", 16, timeline.Loop},
}

// blockable reports whether a span with this label was a wait for the loop.
func (l label) blockable() bool {
	switch l {
	case loopBusy, loopBatch, acceptBatch, pipelineWait, acceptQueue:
		return true
	}
	return false
}

// layerLabel is the self time of a layer.
func (n *names) layerLabel(kind stamp.LayerKind, id uint16) label {
	switch kind {
	case stamp.Handler:
		return n.labelOf(id, &n.handlers, meaning{"handler:", 12, timeline.Code})
	case stamp.BodyParser:
		return n.labelOf(id, &n.parsers, meaning{"layer:", 11, timeline.Code})
	}
	return n.labelOf(id, &n.layers, meaning{"layer:", 10, timeline.Code})
}

// labelOf returns the label of a layer that is called prefix and a name. A
// name that is not there yet is asked for again.
func (n *names) labelOf(id uint16, known *[]label, m meaning) label {
	if int(id) < len(*known) && (*known)[id] != 0 {
		return (*known)[id]
	}
	name := n.of(id)
	m.name += name
	l, ok := n.numbers[m]
	if !ok {
		l = label(len(n.meanings))
		n.meanings = append(n.meanings, m)
		n.numbers[m] = l
	}
	if name != "" {
		for len(*known) <= int(id) {
			*known = append(*known, 0)
		}
		(*known)[id] = l
	}
	return l
}

// unsupportedSpans names the spans that a run without some marks cannot show
// at all, or not reliably.
func unsupportedSpans(s Support) []string {
	var out []string
	for _, n := range [...]struct {
		needs Support
		label label
	}{
		{Syn, handshake},
		{AcceptQueue, acceptQueue},
		{Wakeup, loopWakeup},
		{RxReady, clientWait},
		{RxReady, loopBusy},
		{TxSent, xmit},
		{TxAcked, ack},
	} {
		if s&n.needs == 0 {
			out = append(out, meanings[n.label].name)
		}
	}
	return out
}
