// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Sources are the parts that count for themselves. Each is called at every
// scrape, from any goroutine; a nil one leaves its metrics out.
type Sources struct {
	Probes func() []ProbeStat
	// Connections is how many connections are in each state now.
	Connections func() map[string]int
	// AcceptQueue is the accept queue as last seen; ok is false if it never was.
	AcceptQueue func() (depth, limit int, ok bool)
	// ListenOverflows counts the connections that the accept queue had no
	// room for.
	ListenOverflows func() uint64
	Resets          func() []ResetStat
	// LoopLag is by how much the latest loop is late now; ok is false if
	// that is not known.
	LoopLag func() (lag time.Duration, ok bool)
	// Evictions counts what was let go to stay within a bound, by kind.
	Evictions func() map[string]uint64
	// NegativeSpans counts the spans that would have been negative.
	NegativeSpans func() uint64
}

// ProbeStat is what one probe has done. Invariant, once the reader has caught
// up: Produced = Read + Merged + the sum of Lost.
type ProbeStat struct {
	Name string `json:"name"`
	// Up is whether it is attached and seen to work.
	Up       bool              `json:"up"`
	Produced uint64            `json:"produced"`
	Read     uint64            `json:"read"`
	Merged   uint64            `json:"merged"` // absorbed by another mark of a full lane
	Lost     map[string]uint64 `json:"lost"`   // by reason
	// Detail says why it is not up, or which fallback is in use.
	Detail string `json:"detail,omitempty"`
}

// ResetStat counts TCP resets.
type ResetStat struct {
	Direction string // sent, received
	Reason    string
	Count     uint64
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	probeUp     = desc("lifetrace_probe_up", "1 if the probe is attached and works.", "probe")
	marks       = desc("lifetrace_marks_total", "Marks that the probe produced.", "probe")
	marksRead   = desc("lifetrace_marks_read_total", "Marks that were read one by one.", "probe")
	marksMerged = desc("lifetrace_marks_merged_total", "Marks that a full lane's newest entry absorbed.", "probe")
	marksLost   = desc("lifetrace_marks_lost_total", "Marks that were lost.", "probe", "reason")
	connections = desc("lifetrace_connections", "Connections by state.", "state")
	queueDepth  = desc("lifetrace_accept_queue_depth", "Connections in the accept queue when last seen.")
	queueLimit  = desc("lifetrace_accept_queue_limit", "Connections that the accept queue has room for.")
	overflows   = desc("lifetrace_listen_overflows_total", "Connections that the accept queue had no room for.")
	resets      = desc("lifetrace_tcp_resets_total", "TCP resets.", "direction", "reason")
	loopLag     = desc("lifetrace_loop_lag_seconds", "By how much the latest event loop is late.")
	evictions   = desc("lifetrace_evictions_total", "What was let go to keep memory within its bound.", "kind")
	negative    = desc("lifetrace_negative_spans_total", "Spans that would have been negative and were not exported.")
)

// source collects what Sources say.
type source struct{ src Sources }

// Describe names every metric that Collect may send.
func (s *source) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		probeUp, marks, marksRead, marksMerged, marksLost, connections, queueDepth, queueLimit,
		overflows, resets, loopLag, evictions, negative,
	} {
		ch <- d
	}
}

// Collect asks each source once.
func (s *source) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	src := &s.src
	if src.Probes != nil {
		for _, p := range src.Probes() {
			up := 0.0
			if p.Up {
				up = 1
			}
			gauge(probeUp, up, p.Name)
			counter(marks, p.Produced, p.Name)
			counter(marksRead, p.Read, p.Name)
			counter(marksMerged, p.Merged, p.Name)
			for reason, n := range p.Lost {
				counter(marksLost, n, p.Name, reason)
			}
		}
	}
	if src.Connections != nil {
		for state, n := range src.Connections() {
			gauge(connections, float64(n), state)
		}
	}
	if src.AcceptQueue != nil {
		if depth, limit, ok := src.AcceptQueue(); ok {
			gauge(queueDepth, float64(depth))
			gauge(queueLimit, float64(limit))
		}
	}
	if src.ListenOverflows != nil {
		counter(overflows, src.ListenOverflows())
	}
	if src.Resets != nil {
		for _, r := range src.Resets() {
			counter(resets, r.Count, r.Direction, r.Reason)
		}
	}
	if src.LoopLag != nil {
		if lag, ok := src.LoopLag(); ok {
			gauge(loopLag, lag.Seconds())
		}
	}
	if src.Evictions != nil {
		for kind, n := range src.Evictions() {
			counter(evictions, n, kind)
		}
	}
	if src.NegativeSpans != nil {
		counter(negative, src.NegativeSpans())
	}
}
