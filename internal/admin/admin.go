// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/lifetrace/lifetrace/internal/metrics"
	"github.com/lifetrace/lifetrace/internal/window"
)

// Options is what the endpoint shows. Window and Metrics must be set.
type Options struct {
	Window  *window.Window
	Metrics http.Handler
	// Probes is what /api/v1/probes lists; nil lists none.
	Probes func() []metrics.ProbeStat
	// Ready says why the daemon is not ready, nil when it is; a nil Ready is
	// always ready.
	Ready func() error
	// Host is the host part of the address that the endpoint was asked to
	// listen on; it may be named in Host headers beside the loopback names.
	Host string
	// Now is the wall clock, for filters that count back from it; nil is
	// time.Now.
	Now func() time.Time
}

// New returns the endpoint's handler.
func New(o Options) http.Handler {
	if o.Probes == nil {
		o.Probes = func() []metrics.ProbeStat { return nil }
	}
	if o.Ready == nil {
		o.Ready = func() error { return nil }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	e := &endpoint{o}
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", e.index)
	mux.Handle("/metrics", o.Metrics)
	mux.HandleFunc("/healthz", e.healthz)
	mux.HandleFunc("/readyz", e.readyz)
	mux.HandleFunc("/api/v1/timelines", e.timelines)
	mux.HandleFunc("/api/v1/timelines/{id}", e.timeline)
	mux.HandleFunc("/api/v1/probes", e.probes)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, http.StatusNotFound, "there is nothing at this path; / lists what there is")
	})
	return guard(o.Host, mux)
}

type endpoint struct{ Options }

const index = `lifetrace: where the time of one HTTP request went

/metrics                  Prometheus metrics
/healthz                  200 while the process runs
/readyz                   200 when it listens and its probes work
/api/v1/timelines         timelines: ?last= slowest= route= status= min_duration= since=
/api/v1/timelines/{id}    one timeline
/api/v1/probes            what each probe has seen and lost
`

func (e *endpoint) index(w http.ResponseWriter, _ *http.Request) {
	text(w, http.StatusOK, index)
}

func (e *endpoint) healthz(w http.ResponseWriter, _ *http.Request) {
	text(w, http.StatusOK, "ok\n")
}

func (e *endpoint) readyz(w http.ResponseWriter, _ *http.Request) {
	if err := e.Ready(); err != nil {
		text(w, http.StatusServiceUnavailable, fmt.Sprintf("not ready: %v\n", err))
		return
	}
	text(w, http.StatusOK, "ready\n")
}

func (e *endpoint) probes(w http.ResponseWriter, _ *http.Request) {
	stats := e.Probes()
	if stats == nil {
		stats = []metrics.ProbeStat{} // an array, not null
	}
	writeJSON(w, http.StatusOK, stats)
}

func text(w http.ResponseWriter, status int, s string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	// The client may be gone, and there is nobody else to tell.
	_, _ = w.Write([]byte(s))
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // as above
}

// fail answers with {"error": "..."}.
func fail(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, struct {
		Error string `json:"error"`
	}{message})
}
