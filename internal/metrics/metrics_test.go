// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/lifetrace/lifetrace/internal/timeline"
)

// everything is a source of each kind.
func everything() Sources {
	return Sources{
		Probes: func() []ProbeStat {
			return []ProbeStat{
				{Name: "sk_data_ready", Up: true, Produced: 10, Read: 6, Merged: 3, Lost: map[string]uint64{"no_slot": 1}},
				{Name: "tcp_probe"},
			}
		},
		Connections:     func() map[string]int { return map[string]int{"active": 2, "idle": 5} },
		AcceptQueue:     func() (int, int, bool) { return 3, 511, true },
		ListenOverflows: func() uint64 { return 4 },
		Resets:          func() []ResetStat { return []ResetStat{{"sent", "not_specified", 7}} },
		LoopLag:         func() (time.Duration, bool) { return 250 * time.Millisecond, true },
		Evictions:       func() map[string]uint64 { return map[string]uint64{"window_count": 8} },
		NegativeSpans:   func() uint64 { return 9 },
	}
}

func newTest(t *testing.T, src Sources, o Options) (*Metrics, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	m, err := New(reg, src, o)
	if err != nil {
		t.Fatal(err)
	}
	return m, reg
}

// exchange makes a complete timeline of 100 us.
func exchange(method, route string, status int) *timeline.Timeline {
	t := &timeline.Timeline{Duration: 100_000}
	t.Request.Method, t.Request.Route, t.Response.Status = method, route, status
	t.Spans = []timeline.Span{
		{Name: "recv", Layer: timeline.Kernel, Duration: 30_000},
		{Name: "layer:auth", Layer: timeline.Code, Duration: 20_000},
		{Name: "recv", Layer: timeline.Kernel, Duration: 50_000},
	}
	return t
}

// gather returns the metrics of one family by their labels, "a=1,b=2".
func gather(t *testing.T, reg *prometheus.Registry, name string) map[string]*dto.Metric {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*dto.Metric{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			out[strings.Join(labels, ",")] = m
		}
	}
	return out
}

// want checks how many observations and what sum each histogram has.
func want(t *testing.T, reg *prometheus.Registry, name string, counts map[string]uint64) {
	t.Helper()
	got := gather(t, reg, name)
	for labels, n := range counts {
		if c := got[labels].GetHistogram().GetSampleCount(); c != n {
			t.Errorf("%s{%s}: %d observations, want %d", name, labels, c, n)
		}
	}
	if len(got) != len(counts) {
		t.Errorf("%s: %d label sets, want %d: %v", name, len(got), len(counts), got)
	}
}

func TestNamesAreSound(t *testing.T) {
	m, reg := newTest(t, everything(), Options{})
	lost := exchange("GET", "/", 200)
	lost.Incomplete = timeline.Lost
	m.Observe(exchange("GET", "/", 200))
	m.Observe(lost)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	// What users hold on to: docs and dashboards name these.
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	for _, name := range []string{
		"http_server_request_duration_seconds", "lifetrace_stage_duration_seconds", "lifetrace_timelines_total",
		"lifetrace_marks_total", "lifetrace_marks_lost_total", "lifetrace_connections", "lifetrace_accept_queue_depth",
		"lifetrace_accept_queue_limit", "lifetrace_listen_overflows_total", "lifetrace_tcp_resets_total",
		"lifetrace_loop_lag_seconds", "lifetrace_probe_up", "lifetrace_build_info",
	} {
		if !slices.Contains(names, name) {
			t.Errorf("%s is not there", name)
		}
	}
}

func TestObserveCompleteExchange(t *testing.T) {
	m, reg := newTest(t, Sources{}, Options{})
	m.Observe(exchange("GET", "/users/:id", 200))
	m.Observe(exchange("GET", "", 404))
	m.Observe(exchange("FETCH", "/users/:id", 0))
	want(t, reg, "http_server_request_duration_seconds", map[string]uint64{
		"http_request_method=GET,http_response_status_code=200,http_route=/users/:id": 1,
		"http_request_method=GET,http_response_status_code=404,http_route=unmatched":  1,
		"http_request_method=_OTHER,http_response_status_code=,http_route=/users/:id": 1,
	})
	// Two spans of a stage are one observation of their sum.
	want(t, reg, "lifetrace_stage_duration_seconds", map[string]uint64{
		"layer=kernel,stage=recv": 3, "layer=code,stage=layer:auth": 3,
	})
	recv := gather(t, reg, "lifetrace_stage_duration_seconds")["layer=kernel,stage=recv"].GetHistogram()
	if got := recv.GetSampleSum(); got < 0.000239 || got > 0.000241 {
		t.Errorf("recv: sum %v s, want 240 us", got)
	}
	if recv.Schema == nil || len(recv.GetBucket()) != 22 {
		t.Errorf("recv: schema %v and %d buckets, want native and 22 classic ones at once", recv.Schema, len(recv.GetBucket()))
	}
}

// A span of no length that stands for a step after the end is not a duration.
func TestObserveLeavesOutStepsAfterTheEnd(t *testing.T) {
	m, reg := newTest(t, Sources{}, Options{})
	tl := exchange("GET", "/", 200)
	tl.Spans = []timeline.Span{
		{Name: "keepalive", Layer: timeline.Loop, Detail: &timeline.Detail{After: 5}},
		{Name: "ack", Layer: timeline.Network, Detail: &timeline.Detail{}},
	}
	m.Observe(tl)
	want(t, reg, "lifetrace_stage_duration_seconds", map[string]uint64{"layer=network,stage=ack": 1})
}

func TestObserveKeepsIncompleteApart(t *testing.T) {
	m, reg := newTest(t, Sources{}, Options{})
	for _, r := range []timeline.Reasons{
		0, timeline.Unsupported, timeline.Lost | timeline.Unsupported, timeline.Aborted | timeline.Lost, timeline.Merged,
		timeline.Evicted, timeline.AttachedLate,
	} {
		tl := exchange("GET", "/", 200)
		tl.Spans = tl.Spans[:1]
		tl.Incomplete = r
		m.Observe(tl)
	}
	want(t, reg, "lifetrace_stage_duration_seconds", map[string]uint64{"layer=kernel,stage=recv": 1})
	one := map[string]uint64{}
	stage := map[string]uint64{}
	outcomes := gather(t, reg, "lifetrace_timelines_total")
	for _, r := range []string{"aborted", "attached_late", "evicted", "lost", "merged", "unsupported"} {
		one["reason="+r] = 1
		stage["layer=kernel,reason="+r+",stage=recv"] = 1
		if n := outcomes["outcome="+r].GetCounter().GetValue(); n != 1 {
			t.Errorf("outcome %s: %v, want 1", r, n)
		}
	}
	want(t, reg, "lifetrace_incomplete_request_duration_seconds", one)
	want(t, reg, "lifetrace_incomplete_stage_duration_seconds", stage)
	if n := outcomes["outcome=complete"].GetCounter().GetValue(); n != 1 || len(outcomes) != 7 {
		t.Errorf("%v complete of %d outcomes, want 1 of 7", n, len(outcomes))
	}
	want(t, reg, "http_server_request_duration_seconds", map[string]uint64{
		"http_request_method=GET,http_response_status_code=200,http_route=/": 7,
	})
}

func TestLabelsAreBounded(t *testing.T) {
	m, reg := newTest(t, Sources{}, Options{Routes: 2, Exchanges: 5, Stages: 2})
	for i := range 4 {
		tl := exchange("GET", fmt.Sprintf("/%d", i), 200)
		tl.Spans = []timeline.Span{
			{Name: fmt.Sprintf("layer:%d", i), Layer: timeline.Code},
			{Name: fmt.Sprintf("recv%d", i), Layer: timeline.Kernel}, // not a name of the user's
		}
		m.Observe(tl)
	}
	for status := 201; status <= 205; status++ {
		tl := exchange("GET", "/0", status)
		tl.Spans = nil
		m.Observe(tl)
	}
	huge := exchange("GET", "/0", 1_000_000)
	huge.Spans = nil
	m.Observe(huge)
	const get = "http_request_method=GET,http_response_status_code="
	want(t, reg, "http_server_request_duration_seconds", map[string]uint64{
		get + "200,http_route=/0":    1,
		get + "200,http_route=/1":    1,
		get + "200,http_route=other": 2,
		get + "201,http_route=/0":    1,
		get + "202,http_route=/0":    1,
		"http_request_method=_OTHER,http_response_status_code=,http_route=other": 4,
	})
	want(t, reg, "lifetrace_stage_duration_seconds", map[string]uint64{
		"layer=code,stage=layer:0": 1, "layer=code,stage=layer:1": 1, "layer=code,stage=layer:other": 2,
		"layer=kernel,stage=recv0": 1, "layer=kernel,stage=recv1": 1, "layer=kernel,stage=recv2": 1, "layer=kernel,stage=recv3": 1,
	})
	folded := gather(t, reg, "lifetrace_labels_folded_total")
	for label, n := range map[string]float64{"http_route": 2, "exchange": 4, "stage": 2} {
		if got := folded["label="+label].GetCounter().GetValue(); got != n {
			t.Errorf("folded %s: %v, want %v", label, got, n)
		}
	}
}

// A name that is not UTF-8 must not bring the daemon down.
func TestObserveInvalidUTF8(t *testing.T) {
	m, reg := newTest(t, Sources{}, Options{})
	tl := exchange("GET", "/\xff", 200)
	tl.Spans[1].Name = "layer:\xff"
	m.Observe(tl)
	want(t, reg, "http_server_request_duration_seconds", map[string]uint64{
		"http_request_method=GET,http_response_status_code=200,http_route=/\uFFFD": 1,
	})
}

func TestExemplarsAreSampled(t *testing.T) {
	m, reg := newTest(t, Sources{}, Options{})
	exemplar := func() string {
		h := gather(t, reg, "http_server_request_duration_seconds")["http_request_method=GET,http_response_status_code=200,http_route=/"].GetHistogram()
		for _, b := range h.GetBucket() {
			if e := b.GetExemplar(); e != nil {
				return e.GetLabel()[0].GetName() + "=" + e.GetLabel()[0].GetValue()
			}
		}
		return ""
	}
	for i, tc := range []struct {
		start int64
		want  int // the timeline whose id the exemplar has
	}{{1, 0}, {5e8, 0}, {2e9, 2}} {
		tl := exchange("GET", "/", 200)
		tl.ID[15], tl.Start = byte(i), tc.start
		m.Observe(tl)
		if got, id := exemplar(), fmt.Sprintf("trace_id=%032x", tc.want); got != id {
			t.Errorf("after timeline %d: exemplar %q, want %q", i, got, id)
		}
	}
}

func TestObserveAllocatesNothing(t *testing.T) {
	m, _ := newTest(t, Sources{}, Options{})
	tl := exchange("GET", "/users/:id", 200)
	m.Observe(tl) // resolves the labels and leaves the exemplar
	if n := testing.AllocsPerRun(1000, func() { m.Observe(tl) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// Labels are a short cut and no more: whatever they say, names decide.
func TestObserveByLabel(t *testing.T) {
	m, reg := newTest(t, Sources{}, Options{Stages: 1})
	spans := []timeline.Span{
		{Name: "recv", Layer: timeline.Kernel, Label: 7},
		{Name: "send", Layer: timeline.Kernel, Label: 7}, // of another correlator
		{Name: "layer:a", Layer: timeline.Code, Label: 3},
		{Name: "layer:b", Layer: timeline.Code, Label: 4},
		{Name: "parse", Layer: timeline.Parser, Label: maxLabel},
	}
	for range 3 {
		tl := exchange("GET", "/", 200)
		tl.Spans = spans
		m.Observe(tl)
		tl.Incomplete = timeline.Lost
		m.Observe(tl)
	}
	stages := map[string]uint64{
		"layer=kernel,stage=recv": 3, "layer=kernel,stage=send": 3,
		"layer=code,stage=layer:a": 3, "layer=code,stage=layer:other": 3, "layer=parser,stage=parse": 3,
	}
	want(t, reg, "lifetrace_stage_duration_seconds", stages)
	if n := gather(t, reg, "lifetrace_labels_folded_total")["label=stage"].GetCounter().GetValue(); n != 9 {
		t.Errorf("folded %v, want each of 6 times b and 3 times the incomplete a", n)
	}
}

// Exchanges without a timeline count by why, and in no histogram.
func TestMissed(t *testing.T) {
	m, reg := newTest(t, Sources{}, Options{})
	m.Missed(timeline.Evicted, 3)
	m.Missed(timeline.Lost, 1)
	m.Missed(timeline.Evicted, 2)
	got := gather(t, reg, "lifetrace_timelines_total")
	for outcome, n := range map[string]float64{"evicted": 5, "lost": 1, "complete": 0} {
		if c := got["outcome="+outcome].GetCounter().GetValue(); c != n {
			t.Errorf("outcome %s: %v, want %v", outcome, c, n)
		}
	}
	want(t, reg, "http_server_request_duration_seconds", nil)
}

func TestObserveConcurrent(t *testing.T) {
	m, reg := newTest(t, Sources{}, Options{})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 200 {
				m.Observe(exchange("GET", fmt.Sprintf("/%d", (g+i)%3), 200))
			}
		})
	}
	wg.Wait()
	if n := gather(t, reg, "lifetrace_timelines_total")["outcome=complete"].GetCounter().GetValue(); n != 800 {
		t.Errorf("%v timelines, want 800", n)
	}
}

func TestNewTwiceOnOneRegistry(t *testing.T) {
	_, reg := newTest(t, Sources{}, Options{})
	if _, err := New(reg, Sources{}, Options{}); err == nil || !strings.HasPrefix(err.Error(), "register metrics: ") {
		t.Errorf("error %v, want one of registering", err)
	}
	if err := RegisterProcess(reg); err != nil {
		t.Errorf("process metrics: %v", err)
	}
	if err := RegisterProcess(reg); err == nil || !strings.HasPrefix(err.Error(), "register process metrics: ") {
		t.Errorf("error %v, want one of registering", err)
	}
}

func TestHandler(t *testing.T) {
	m, reg := newTest(t, everything(), Options{Version: "1.2.3", Revision: "abc"})
	m.Observe(exchange("GET", "/", 200))
	for accept, mark := range map[string]string{
		"": `lifetrace_build_info{goversion="`,
		"application/openmetrics-text;version=1.0.0": "# EOF",
	} {
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		Handler(reg).ServeHTTP(w, r)
		if w.Code != 200 || !strings.Contains(w.Body.String(), mark) || !strings.Contains(w.Body.String(), `revision="abc",version="1.2.3"`) {
			t.Errorf("accept %q: status %d, want 200 and a body with %q", accept, w.Code, mark)
		}
	}
}

func BenchmarkObserve(b *testing.B) {
	m, err := New(prometheus.NewRegistry(), Sources{}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	tl := exchange("GET", "/users/:id", 200)
	b.ReportAllocs()
	for b.Loop() {
		m.Observe(tl)
	}
}
