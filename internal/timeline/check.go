// SPDX-License-Identifier: Apache-2.0

package timeline

import "fmt"

// Check reports the first way in which a timeline breaks its invariants:
// spans that leave a hole, overlap, run backwards or do not sum to the
// duration (I1); layer sums that are not those of the spans; marks before the
// start or out of order.
func (t *Timeline) Check() error {
	if t.Duration < 0 {
		return fmt.Errorf("timeline %v: duration %d ns is negative", t.ID, t.Duration)
	}
	var at int64
	var layers [NumLayers]int64
	for i := range t.Spans {
		s := &t.Spans[i]
		switch {
		case s.Start != at:
			return fmt.Errorf("timeline %v: span %d (%s) starts at %d ns, the one before ends at %d ns", t.ID, i, s.Name, s.Start, at)
		case s.Duration < 0:
			return fmt.Errorf("timeline %v: span %d (%s) lasts %d ns", t.ID, i, s.Name, s.Duration)
		case s.Layer >= NumLayers:
			return fmt.Errorf("timeline %v: span %d (%s) has layer %d", t.ID, i, s.Name, s.Layer)
		case s.Step > 16 || (s.Step == 0) != (s.Layer == Unknown):
			return fmt.Errorf("timeline %v: span %d (%s) has step %d in layer %v", t.ID, i, s.Name, s.Step, s.Layer)
		}
		at += s.Duration
		layers[s.Layer] += s.Duration
	}
	if at != t.Duration {
		return fmt.Errorf("timeline %v: spans sum to %d ns, the duration is %d ns", t.ID, at, t.Duration)
	}
	if layers != t.Layers {
		return fmt.Errorf("timeline %v: layers %v, the spans' are %v", t.ID, t.Layers, layers)
	}
	var last int64
	for i := range t.Marks {
		m := &t.Marks[i]
		if m.At < last {
			return fmt.Errorf("timeline %v: mark %d (%s) at %d ns, after one at %d ns", t.ID, i, m.Name, m.At, last)
		}
		last = m.At
	}
	return nil
}
