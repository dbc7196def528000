// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lifetrace/lifetrace/internal/timeline"
)

// stages feeds the histograms of stages. One exchange is one observation of
// each stage that it went through, however many spans the stage has in it: a
// streamed response has hundreds of sends, but was sent once.
type stages struct {
	sound, unsound *prometheus.HistogramVec
	max            int
	folded         prometheus.Counter

	children map[stageKey]*stageChild
	// labelled are children by outcome and the spans' Label, a short cut.
	labelled [len(outcomeOrder) + 1][]*stageChild
	// named is how many children have a name of the user's.
	named int
	// touched are the children that the timeline in hand has time in.
	touched []*stageChild
}

type stageKey struct {
	name    string
	layer   timeline.Layer
	outcome int
}

// maxLabel bounds the short cut; spans beyond it go the long way.
const maxLabel = 1 << 12

type stageChild struct {
	key      stageKey // the first that it was resolved for
	observer prometheus.Observer
	sum      int64 // ns, of the timeline in hand
	touched  bool
}

func newStages(sound, unsound *prometheus.HistogramVec, o Options, folded prometheus.Counter) stages {
	return stages{
		sound: sound, unsound: unsound, max: o.Stages, folded: folded,
		children: make(map[stageKey]*stageChild),
	}
}

func (s *stages) observe(t *timeline.Timeline, outcome int) {
	for i := range t.Spans {
		span := &t.Spans[i]
		// A span of no length that stands for a step after the timeline's
		// end says nothing about how long that step took.
		if span.Duration == 0 && span.Detail != nil && span.Detail.After > 0 {
			continue
		}
		c := s.child(span, outcome)
		if !c.touched {
			c.touched = true
			s.touched = append(s.touched, c)
		}
		c.sum += span.Duration
	}
	for i, c := range s.touched {
		c.observer.Observe(seconds(c.sum))
		c.sum, c.touched, s.touched[i] = 0, false, nil
	}
	s.touched = s.touched[:0]
}

// child finds the child of a span's stage.
func (s *stages) child(span *timeline.Span, outcome int) *stageChild {
	short := s.labelled[outcome]
	if l := int(span.Label); l < len(short) {
		// Labels are of one correlator; the name says whether this is it, and
		// to compare a string with itself costs nothing.
		if c := short[l]; c != nil && c.key.name == span.Name && c.key.layer == span.Layer {
			return c
		}
	}
	key := stageKey{span.Name, span.Layer, outcome}
	c := s.children[key]
	if c == nil {
		c = s.resolve(key)
	}
	if l := int(span.Label); l > 0 && l < maxLabel && c.key == key {
		for len(short) <= l {
			short = append(short, nil)
		}
		short[l] = c
		s.labelled[outcome] = short
	}
	return c
}

// resolve makes the child of a stage. Names with a part of the user's, such as
// "layer:auth", are bounded; beyond the bound they fold into "layer:other".
func (s *stages) resolve(key stageKey) *stageChild {
	if kind, _, users := strings.Cut(key.name, ":"); users {
		switch {
		case s.named < s.max:
			s.named++
		default:
			s.folded.Inc()
			key.name = kind + ":" + other
			if c := s.children[key]; c != nil {
				return c
			}
		}
	}
	c := &stageChild{key: key}
	if key.outcome == complete {
		c.observer = s.sound.WithLabelValues(label(key.name), key.layer.String())
	} else {
		reason := outcomeOrder[key.outcome].Names()[0]
		c.observer = s.unsound.WithLabelValues(label(key.name), key.layer.String(), reason)
	}
	s.children[key] = c
	return c
}
