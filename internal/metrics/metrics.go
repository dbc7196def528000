// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/lifetrace/lifetrace/internal/timeline"
)

// Options bounds the labels and says what is running. A zero bound means its
// default.
type Options struct {
	// Routes is how many values http_route may have. Default 256.
	Routes int
	// Exchanges is how many label sets http_server_request_duration_seconds
	// may have: a histogram takes about 2 KiB. Default 2048.
	Exchanges int
	// Stages is how many stages may have a name of the user's (a layer or a
	// handler). Default 256.
	Stages int
	// Version and Revision are for lifetrace_build_info.
	Version, Revision string
}

func (o Options) withDefaults() Options {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&o.Routes, 256)
	def(&o.Exchanges, 2048)
	def(&o.Stages, 256)
	return o
}

// Metrics turns timelines into metrics. It is safe for any number of
// goroutines.
type Metrics struct {
	mu        sync.Mutex
	exchanges exchanges
	stages    stages
	outcomes  [len(outcomeOrder) + 1]prometheus.Counter // the last is complete
	// unsound holds the durations of incomplete exchanges by outcome.
	unsound [len(outcomeOrder)]prometheus.Observer
}

// outcomeOrder ranks the reasons: a timeline with several counts once, under
// the one that says most about what happened to it.
var outcomeOrder = [...]timeline.Reasons{
	timeline.Aborted, timeline.Lost, timeline.Evicted,
	timeline.AttachedLate, timeline.Merged, timeline.Unsupported,
}

const complete = len(outcomeOrder)

// outcomeOf returns the index of a timeline's outcome.
func outcomeOf(r timeline.Reasons) int {
	for i, reason := range outcomeOrder {
		if r&reason != 0 {
			return i
		}
	}
	return complete
}

// New registers every metric with reg and returns what feeds them.
func New(reg prometheus.Registerer, src Sources, o Options) (*Metrics, error) {
	o = o.withDefaults()
	folded := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "lifetrace_labels_folded_total",
		Help: "Observations whose label value was folded into another because the label has enough values.",
	}, []string{"label"})
	request := prometheus.NewHistogramVec(histogram("http_server_request_duration_seconds",
		"Duration of HTTP exchanges, from the first mark of their timeline to its end."),
		[]string{"http_request_method", "http_route", "http_response_status_code"})
	stage := prometheus.NewHistogramVec(histogram("lifetrace_stage_duration_seconds",
		"Time that complete exchanges spent in a stage, all its spans together."),
		[]string{"stage", "layer"})
	unsoundStage := prometheus.NewHistogramVec(histogram("lifetrace_incomplete_stage_duration_seconds",
		"Time that incomplete exchanges spent in a stage, as far as it was seen."),
		[]string{"stage", "layer", "reason"})
	unsound := prometheus.NewHistogramVec(histogram("lifetrace_incomplete_request_duration_seconds",
		"Duration of the HTTP exchanges whose timeline is incomplete."),
		[]string{"reason"})
	timelines := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "lifetrace_timelines_total",
		Help: "Finished exchanges by outcome: complete, or the reason that says most about why not.",
	}, []string{"outcome"})
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "lifetrace_build_info",
		Help: "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{
			"version": o.Version, "revision": o.Revision, "goversion": runtime.Version(),
		},
	}, func() float64 { return 1 })

	m := &Metrics{
		exchanges: newExchanges(request, o, folded.WithLabelValues("http_route"), folded.WithLabelValues("exchange")),
		stages:    newStages(stage, unsoundStage, o, folded.WithLabelValues("stage")),
	}
	// All outcomes are there from the start, so that a rate over the first
	// loss is not lost itself.
	for i, r := range outcomeOrder {
		name := r.Names()[0]
		m.outcomes[i] = timelines.WithLabelValues(name)
		m.unsound[i] = unsound.WithLabelValues(name)
	}
	m.outcomes[complete] = timelines.WithLabelValues("complete")

	for _, c := range []prometheus.Collector{folded, request, stage, unsoundStage, unsound, timelines, build, &source{src: src}} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

// Observe counts a finished timeline, which it does not keep. It allocates nothing once its labels have
// been seen, but for an exemplar a second and label set.
func (m *Metrics) Observe(t *timeline.Timeline) {
	outcome := outcomeOf(t.Incomplete)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.outcomes[outcome].Inc()
	m.exchanges.observe(t)
	if outcome != complete {
		m.unsound[outcome].Observe(seconds(t.Duration))
	}
	m.stages.observe(t, outcome)
}

// Missed counts exchanges that are over and have no timeline, and why.
func (m *Metrics) Missed(why timeline.Reasons, n uint64) {
	m.outcomes[outcomeOf(why)].Add(float64(n))
}

// RegisterProcess adds what the Go runtime and the kernel say about this
// process.
func RegisterProcess(reg prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := reg.Register(c); err != nil {
			return fmt.Errorf("register process metrics: %w", err)
		}
	}
	return nil
}

// Handler serves what g gathers, in the format that the scraper asks for.
func Handler(g prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(g, promhttp.HandlerOpts{
		EnableOpenMetrics: true,
		// A scrape that cannot end must not pile up behind the next ones.
		MaxRequestsInFlight: 4,
		Timeout:             10 * time.Second,
	})
}

// histogram describes a histogram that is classic and native at once: 1-2-5
// buckets from 1 us to 10 s, and native buckets that are at most 10 % wide.
func histogram(name, help string) prometheus.HistogramOpts {
	var buckets []float64
	for _, decade := range []float64{1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1} {
		buckets = append(buckets, decade, 2*decade, 5*decade)
	}
	return prometheus.HistogramOpts{
		Name:                            name,
		Help:                            help,
		Buckets:                         append(buckets, 10),
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  160,
		NativeHistogramMinResetDuration: time.Hour,
	}
}

func seconds(ns int64) float64 { return float64(ns) / 1e9 }
