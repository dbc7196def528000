// SPDX-License-Identifier: Apache-2.0

package timeline

// Details is memory for the details of one timeline's spans that is used
// again for the next timeline. The zero Details is ready.
type Details struct {
	list []*detailMemory
	used int
}

// detailMemory is a detail with room for the blockers that it may list.
type detailMemory struct {
	Detail
	by [MaxBlockers]ID
	ns [MaxBlockers]int64
}

// Reset takes back every detail that New returned.
func (d *Details) Reset() { d.used = 0 }

// New returns an empty detail that has room for MaxBlockers blockers. It is
// good until Reset.
func (d *Details) New() *Detail {
	if d.used == len(d.list) {
		d.list = append(d.list, new(detailMemory))
	}
	m := d.list[d.used]
	d.used++
	m.Detail = Detail{BlockedBy: m.by[:0], BlockedNS: m.ns[:0]}
	return &m.Detail
}

// Drop takes back the detail that New returned last.
func (d *Details) Drop() { d.used-- }

// Room is how many details there is memory for.
func (d *Details) Room() int { return len(d.list) }

// Copy is a timeline in memory of its own that Set uses again: for those who
// keep what they are lent for the time of a call.
type Copy struct {
	Timeline
	Details Details
}

// Set makes c a deep copy of t. What c held before is overwritten. Strings are
// shared, since they never change.
func (c *Copy) Set(t *Timeline) {
	marks, spans := room(c.Marks, len(t.Marks)), room(c.Spans, len(t.Spans))
	unsupported, findings := room(c.Unsupported, len(t.Unsupported)), room(c.Findings, len(t.Findings))
	c.Timeline = *t
	c.Marks = append(marks, t.Marks...)
	c.Spans = append(spans, t.Spans...)
	c.Unsupported = append(unsupported, t.Unsupported...)
	c.Findings = append(findings, t.Findings...)
	c.Details.Reset()
	for i := range c.Spans {
		from := c.Spans[i].Detail
		if from == nil {
			continue
		}
		d := c.Details.New()
		by, ns := d.BlockedBy, d.BlockedNS
		*d = *from
		d.BlockedBy = append(by, from.BlockedBy...)
		d.BlockedNS = append(ns, from.BlockedNS...)
		c.Spans[i].Detail = d
	}
}

// room returns an empty slice with room for n, in the old memory if that is
// enough. New memory is no larger than needed: append would double it, for
// each of the thousands of copies that somebody keeps.
func room[T any](old []T, n int) []T {
	if cap(old) >= n {
		return old[:0]
	}
	return make([]T, 0, n)
}

// Clone returns a deep copy of a timeline.
func (t *Timeline) Clone() *Timeline {
	c := new(Copy)
	c.Set(t)
	return &c.Timeline
}
