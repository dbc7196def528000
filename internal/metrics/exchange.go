// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lifetrace/lifetrace/internal/timeline"
)

// unmatched is the http_route of requests that no route matched, other that of
// those whose route is beyond the bound.
const (
	unmatched = "unmatched"
	other     = "other"
)

// methods are those that the semantic conventions name; the others are
// _OTHER, since a client can make up any.
var methods = map[string]bool{
	"CONNECT": true, "DELETE": true, "GET": true, "HEAD": true, "OPTIONS": true,
	"PATCH": true, "POST": true, "PUT": true, "QUERY": true, "TRACE": true,
}

const otherMethod = "_OTHER"

// exemplarEvery is how far apart, in ns, two exemplars of one label set are at
// least: an observation with an exemplar costs about twenty without.
const exemplarEvery = 1e9

// exchanges feeds http_server_request_duration_seconds.
type exchanges struct {
	vec                         *prometheus.HistogramVec
	o                           Options
	foldedRoute, foldedExchange prometheus.Counter

	// children is by what the timeline says, unfolded for the bounded
	// methods and routes, so that a look-up is all that is left to do.
	children map[exchangeKey]*exchangeChild
	// byLabels are the children by their labels; several keys can share one.
	byLabels map[exchangeKey]*exchangeChild
	routes   map[string]bool
}

type exchangeKey struct {
	method, route string
	status        int
}

type exchangeChild struct {
	observer prometheus.Observer
	// exemplar is the end of the last timeline that left one, ns of
	// CLOCK_MONOTONIC; 0 is never.
	exemplar int64
}

func newExchanges(vec *prometheus.HistogramVec, o Options, foldedRoute, foldedExchange prometheus.Counter) exchanges {
	return exchanges{
		vec: vec, o: o, foldedRoute: foldedRoute, foldedExchange: foldedExchange,
		children: make(map[exchangeKey]*exchangeChild),
		byLabels: make(map[exchangeKey]*exchangeChild),
		routes:   make(map[string]bool),
	}
}

func (x *exchanges) observe(t *timeline.Timeline) {
	key := exchangeKey{t.Request.Method, t.Request.Route, t.Response.Status}
	c := x.children[key]
	if c == nil {
		c = x.resolve(key)
	}
	v := seconds(t.Duration)
	end := t.Start + t.Duration
	if c.exemplar != 0 && end-c.exemplar < exemplarEvery {
		c.observer.Observe(v)
		return
	}
	c.exemplar = end
	c.observer.(prometheus.ExemplarObserver).ObserveWithExemplar(v,
		prometheus.Labels{"trace_id": hex.EncodeToString(t.ID[:])})
}

// resolve finds the child for a timeline's own words, and remembers it unless
// the words are beyond a bound: those are unbounded, and so cost a few more
// look-ups each time, and count as folded.
func (x *exchanges) resolve(key exchangeKey) *exchangeChild {
	labels, keep := key, true
	if !methods[key.method] {
		labels.method, keep = otherMethod, false
	}
	if key.status < 100 || key.status > 999 {
		labels.status, keep = 0, key.status == 0 && keep
	}
	switch {
	case key.route == "":
		labels.route = unmatched
	case x.routes[key.route]:
	case len(x.routes) < x.o.Routes:
		x.routes[key.route] = true
	default:
		x.foldedRoute.Inc()
		labels.route, keep = other, false
	}
	c := x.byLabels[labels]
	if c == nil && len(x.byLabels) >= x.o.Exchanges {
		x.foldedExchange.Inc()
		labels, keep = exchangeKey{otherMethod, other, 0}, false
		c = x.byLabels[labels]
	}
	if c == nil {
		c = &exchangeChild{observer: x.vec.WithLabelValues(labels.method, label(labels.route), statusLabel(labels.status))}
		x.byLabels[labels] = c
	}
	if keep {
		x.children[key] = c
	}
	return c
}

// statusLabel is empty, which to Prometheus is absent, when no response was
// sent.
func statusLabel(status int) string {
	if status == 0 {
		return ""
	}
	return strconv.Itoa(status)
}

// label makes a label value of a name that a user chose: Prometheus refuses
// what is not UTF-8.
func label(name string) string { return strings.ToValidUTF8(name, "\uFFFD") }
