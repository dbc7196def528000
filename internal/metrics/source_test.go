// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestSourcesAreAskedAtEveryScrape(t *testing.T) {
	_, reg := newTest(t, everything(), Options{})
	const text = `
# HELP lifetrace_accept_queue_depth Connections in the accept queue when last seen.
# TYPE lifetrace_accept_queue_depth gauge
lifetrace_accept_queue_depth 3
# HELP lifetrace_accept_queue_limit Connections that the accept queue has room for.
# TYPE lifetrace_accept_queue_limit gauge
lifetrace_accept_queue_limit 511
# HELP lifetrace_connections Connections by state.
# TYPE lifetrace_connections gauge
lifetrace_connections{state="active"} 2
lifetrace_connections{state="idle"} 5
# HELP lifetrace_evictions_total What was let go to keep memory within its bound.
# TYPE lifetrace_evictions_total counter
lifetrace_evictions_total{kind="window_count"} 8
# HELP lifetrace_listen_overflows_total Connections that the accept queue had no room for.
# TYPE lifetrace_listen_overflows_total counter
lifetrace_listen_overflows_total 4
# HELP lifetrace_loop_lag_seconds By how much the latest event loop is late.
# TYPE lifetrace_loop_lag_seconds gauge
lifetrace_loop_lag_seconds 0.25
# HELP lifetrace_marks_lost_total Marks that were lost.
# TYPE lifetrace_marks_lost_total counter
lifetrace_marks_lost_total{probe="sk_data_ready",reason="no_slot"} 1
# HELP lifetrace_marks_merged_total Marks that a full lane's newest entry absorbed.
# TYPE lifetrace_marks_merged_total counter
lifetrace_marks_merged_total{probe="sk_data_ready"} 3
lifetrace_marks_merged_total{probe="tcp_probe"} 0
# HELP lifetrace_marks_read_total Marks that were read one by one.
# TYPE lifetrace_marks_read_total counter
lifetrace_marks_read_total{probe="sk_data_ready"} 6
lifetrace_marks_read_total{probe="tcp_probe"} 0
# HELP lifetrace_marks_total Marks that the probe produced.
# TYPE lifetrace_marks_total counter
lifetrace_marks_total{probe="sk_data_ready"} 10
lifetrace_marks_total{probe="tcp_probe"} 0
# HELP lifetrace_negative_spans_total Spans that would have been negative and were not exported.
# TYPE lifetrace_negative_spans_total counter
lifetrace_negative_spans_total 9
# HELP lifetrace_probe_up 1 if the probe is attached and works.
# TYPE lifetrace_probe_up gauge
lifetrace_probe_up{probe="sk_data_ready"} 1
lifetrace_probe_up{probe="tcp_probe"} 0
# HELP lifetrace_tcp_resets_total TCP resets.
# TYPE lifetrace_tcp_resets_total counter
lifetrace_tcp_resets_total{direction="sent",reason="not_specified"} 7
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(text),
		"lifetrace_accept_queue_depth", "lifetrace_accept_queue_limit", "lifetrace_connections", "lifetrace_evictions_total",
		"lifetrace_listen_overflows_total", "lifetrace_loop_lag_seconds", "lifetrace_marks_lost_total", "lifetrace_marks_merged_total",
		"lifetrace_marks_read_total", "lifetrace_marks_total", "lifetrace_negative_spans_total", "lifetrace_probe_up",
		"lifetrace_tcp_resets_total"); err != nil {
		t.Error(err)
	}
}

// What is not known is not there; a zero would be a claim.
func TestSourcesThatDoNotKnow(t *testing.T) {
	_, reg := newTest(t, Sources{
		AcceptQueue: func() (int, int, bool) { return 0, 0, false },
		LoopLag:     func() (time.Duration, bool) { return 0, false },
	}, Options{})
	for _, name := range []string{
		"lifetrace_accept_queue_depth", "lifetrace_accept_queue_limit", "lifetrace_loop_lag_seconds", "lifetrace_probe_up",
		"lifetrace_connections", "lifetrace_listen_overflows_total", "lifetrace_tcp_resets_total", "lifetrace_negative_spans_total",
	} {
		if got := gather(t, reg, name); len(got) != 0 {
			t.Errorf("%s is there: %v", name, got)
		}
	}
}
