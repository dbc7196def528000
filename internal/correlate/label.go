// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"github.com/lifetrace/lifetrace/internal/stamp"
	"github.com/lifetrace/lifetrace/internal/timeline"
)

// label is what a span says of its time.
type label struct {
	name  string
	step  uint8
	layer timeline.Layer
}

// Labels that carry no name of the application's. The steps are design.md's.
var (
	unknown        = label{"unknown", 0, timeline.Unknown}
	handshake      = label{"tcp.handshake", 1, timeline.Kernel}
	acceptQueue    = label{"accept.queue", 2, timeline.Kernel}
	loopWakeup     = label{"loop.wakeup", 3, timeline.Loop}
	acceptBatch    = label{"loop.batch", 4, timeline.Loop}
	acceptCall     = label{"accept", 4, timeline.Kernel}
	connSetup      = label{"conn.setup", 5, timeline.Loop}
	parserAttach   = label{"parser.attach", 6, timeline.Parser}
	clientWait     = label{"client.wait", 7, timeline.Network}
	loopBusy       = label{"loop.busy", 7, timeline.Loop}
	loopBatch      = label{"loop.batch", 7, timeline.Loop}
	pipelineWait   = label{"pipeline.wait", 7, timeline.Loop}
	recvCall       = label{"recv", 7, timeline.Kernel}
	parse          = label{"parse", 8, timeline.Parser}
	dispatch       = label{"request.dispatch", 9, timeline.Code}
	bodyWait       = label{"body.wait", 11, timeline.Network}
	asyncWait      = label{"async.wait", 12, timeline.Code}
	compose        = label{"response.compose", 13, timeline.Stream}
	responseQueued = label{"response.queued", 13, timeline.Stream}
	sendCall       = label{"send", 14, timeline.Kernel}
	backpressure   = label{"backpressure", 14, timeline.Stream}
	xmit           = label{"xmit", 15, timeline.Network}
	ack            = label{"ack", 15, timeline.Network}
	keepAliveReset = label{"keepalive.reset", 16, timeline.Loop}
	closing        = label{"close", 16, timeline.Loop}
)

// blockable reports whether a span with this label was a wait for the loop.
func (l label) blockable() bool {
	switch l.step {
	case acceptQueue.step, acceptBatch.step, loopBatch.step:
		return l == loopBusy || l == loopBatch || l == acceptBatch || l == pipelineWait || l == acceptQueue
	}
	return false
}

// layerLabel is the self time of a layer.
func (n *names) layerLabel(kind stamp.LayerKind, id uint16) label {
	switch kind {
	case stamp.Handler:
		return label{n.handlerSpan(id), 12, timeline.Code}
	case stamp.BodyParser:
		return label{n.layerSpan(id), 11, timeline.Code}
	}
	return label{n.layerSpan(id), 10, timeline.Code}
}

// unsupportedSpans names the spans that a run without some marks cannot show
// at all, or not reliably.
func unsupportedSpans(s Support) []string {
	var out []string
	for _, n := range [...]struct {
		needs Support
		name  string
	}{
		{Syn, handshake.name},
		{AcceptQueue, acceptQueue.name},
		{Wakeup, loopWakeup.name},
		{RxReady, clientWait.name},
		{RxReady, loopBusy.name},
		{TxSent, xmit.name},
		{TxAcked, ack.name},
	} {
		if s&n.needs == 0 {
			out = append(out, n.name)
		}
	}
	return out
}
