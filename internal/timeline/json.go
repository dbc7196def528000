// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// The JSON form is public: fields are added, never renamed or reordered.
type (
	timelineJSON struct {
		Schema      string         `json:"schema"`
		ID          ID             `json:"id"`
		Connection  connectionJSON `json:"connection"`
		Request     requestJSON    `json:"request"`
		Response    responseJSON   `json:"response"`
		Start       string         `json:"start"`
		Duration    int64          `json:"duration_ns"`
		Complete    bool           `json:"complete"`
		Incomplete  []string       `json:"incomplete"`
		Marks       []markJSON     `json:"marks"`
		Spans       []spanJSON     `json:"spans"`
		Layers      layersJSON     `json:"layers"`
		Findings    []Finding      `json:"findings"`
		End         string         `json:"end"`
		Unsupported []string       `json:"unsupported"`
	}
	connectionJSON struct {
		Cookie   uint64 `json:"cookie"`
		Peer     string `json:"peer"`
		Local    string `json:"local"`
		Exchange uint32 `json:"exchange"`
	}
	requestJSON struct {
		Method  string `json:"method"`
		Target  string `json:"target"`
		Route   string `json:"route"`
		Version string `json:"version"`
		Bytes   uint64 `json:"bytes"`
		Offset  uint64 `json:"offset"`
	}
	responseJSON struct {
		Status int    `json:"status"`
		Bytes  uint64 `json:"bytes"`
		Offset uint64 `json:"offset"`
	}
	markJSON struct {
		Name   string `json:"name"`
		Layer  string `json:"layer"`
		At     int64  `json:"at_ns"`
		Source string `json:"source"`
		Detail string `json:"detail,omitempty"`
	}
	spanJSON struct {
		Step     uint8       `json:"step"`
		Name     string      `json:"name"`
		Layer    string      `json:"layer"`
		Start    int64       `json:"start_ns"`
		Duration int64       `json:"duration_ns"`
		Detail   *detailJSON `json:"detail,omitempty"`
	}
	detailJSON struct {
		Depth        uint32  `json:"depth,omitempty"`
		Limit        uint32  `json:"limit,omitempty"`
		Wait         int64   `json:"wait_ns,omitempty"`
		BlockedBy    []ID    `json:"blocked_by,omitempty"`
		BlockedNS    []int64 `json:"blocked_ns,omitempty"`
		BlockedOther int64   `json:"blocked_other_ns,omitempty"`
		Derived      bool    `json:"derived,omitempty"`
		After        int64   `json:"after_ns,omitempty"`
	}
	layersJSON struct {
		Kernel  int64 `json:"kernel"`
		Loop    int64 `json:"loop"`
		Parser  int64 `json:"parser"`
		Code    int64 `json:"code"`
		Stream  int64 `json:"stream"`
		Network int64 `json:"network"`
		Unknown int64 `json:"unknown,omitempty"`
	}
)

// wallLayout is RFC 3339 with all nine digits, so that starts sort as text.
const wallLayout = "2006-01-02T15:04:05.000000000Z07:00"

// Started returns when the timeline began, in wall-clock time (UTC).
func (t *Timeline) Started() time.Time { return time.Unix(0, t.Start+t.Wall).UTC() }

// MarshalJSON implements json.Marshaler. Text that came from outside is made
// inert (see Inert).
func (t *Timeline) MarshalJSON() ([]byte, error) {
	j := timelineJSON{
		Schema: Schema,
		ID:     t.ID,
		Connection: connectionJSON{
			Cookie: t.Connection.Cookie, Peer: addrText(t.Connection.Peer),
			Local: addrText(t.Connection.Local), Exchange: t.Connection.Exchange,
		},
		Request: requestJSON{
			Method: Inert(t.Request.Method), Target: Inert(t.Request.Target), Route: Inert(t.Request.Route),
			Version: Inert(t.Request.Version), Bytes: t.Request.Bytes, Offset: t.Request.Offset,
		},
		Response:    responseJSON(t.Response),
		Start:       t.Started().Format(wallLayout),
		Duration:    t.Duration,
		Complete:    t.Incomplete == 0,
		Incomplete:  t.Incomplete.Names(),
		Marks:       make([]markJSON, 0, len(t.Marks)),
		Spans:       make([]spanJSON, 0, len(t.Spans)),
		Findings:    make([]Finding, 0, len(t.Findings)),
		End:         Inert(t.End),
		Unsupported: append(make([]string, 0, len(t.Unsupported)), t.Unsupported...),
		Layers: layersJSON{
			Kernel: t.Layers[Kernel], Loop: t.Layers[Loop], Parser: t.Layers[Parser], Code: t.Layers[Code],
			Stream: t.Layers[Stream], Network: t.Layers[Network], Unknown: t.Layers[Unknown],
		},
	}
	for _, m := range t.Marks {
		j.Marks = append(j.Marks, markJSON{m.Name, m.Layer.String(), m.At, m.Source.String(), Inert(m.Detail)})
	}
	for _, s := range t.Spans {
		j.Spans = append(j.Spans, spanJSON{s.Step, Inert(s.Name), s.Layer.String(), s.Start, s.Duration, (*detailJSON)(s.Detail)})
	}
	for _, f := range t.Findings {
		j.Findings = append(j.Findings, Finding{Inert(f.Rule), Inert(f.Summary)})
	}
	return json.Marshal(&j)
}

// UnmarshalJSON implements json.Unmarshaler. The JSON form knows the start
// only in wall-clock time: Start comes back 0 and Wall holds all of it, so
// Started is what it was.
func (t *Timeline) UnmarshalJSON(b []byte) error {
	var j timelineJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return fmt.Errorf("timeline: %w", err)
	}
	if j.Schema != Schema {
		return fmt.Errorf("timeline: schema %q, want %q", j.Schema, Schema)
	}
	start, err := time.Parse(time.RFC3339Nano, j.Start)
	if err != nil {
		return fmt.Errorf("timeline start: %w", err)
	}
	d := Timeline{
		ID:          j.ID,
		Request:     Request(j.Request),
		Response:    Response(j.Response),
		Wall:        start.UnixNano(),
		Duration:    j.Duration,
		End:         j.End,
		Unsupported: j.Unsupported,
		Findings:    j.Findings,
	}
	d.Connection.Cookie, d.Connection.Exchange = j.Connection.Cookie, j.Connection.Exchange
	if d.Connection.Peer, err = parseAddr(j.Connection.Peer); err != nil {
		return fmt.Errorf("timeline peer: %w", err)
	}
	if d.Connection.Local, err = parseAddr(j.Connection.Local); err != nil {
		return fmt.Errorf("timeline local: %w", err)
	}
	if d.Incomplete, err = parseReasons(j.Incomplete); err != nil {
		return fmt.Errorf("timeline incomplete: %w", err)
	}
	for _, m := range j.Marks {
		l, err := index(layerNames[:], m.Layer)
		if err != nil {
			return fmt.Errorf("timeline mark layer: %w", err)
		}
		s, err := index(sourceNames[:], m.Source)
		if err != nil {
			return fmt.Errorf("timeline mark source: %w", err)
		}
		d.Marks = append(d.Marks, Mark{m.Name, Layer(l), m.At, Source(s), m.Detail})
	}
	for _, s := range j.Spans {
		l, err := index(layerNames[:], s.Layer)
		if err != nil {
			return fmt.Errorf("timeline span layer: %w", err)
		}
		d.Spans = append(d.Spans, Span{
			Step: s.Step, Name: s.Name, Layer: Layer(l), Start: s.Start, Duration: s.Duration, Detail: (*Detail)(s.Detail),
		})
	}
	l := &j.Layers
	d.Layers = [NumLayers]int64{l.Unknown, l.Kernel, l.Loop, l.Parser, l.Code, l.Stream, l.Network}
	*t = d
	return nil
}

// addrText is the text of an address, empty if it is not known.
func addrText(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String()
}

func parseAddr(s string) (netip.AddrPort, error) {
	if s == "" {
		return netip.AddrPort{}, nil
	}
	return netip.ParseAddrPort(s)
}

func parseReasons(names []string) (Reasons, error) {
	var r Reasons
	for _, n := range names {
		i, err := index(reasonNames[:], n)
		if err != nil {
			return 0, err
		}
		r |= 1 << i
	}
	return r, nil
}

// index finds a word in a table of words.
func index(table []string, word string) (int, error) {
	if i := slices.Index(table, word); i >= 0 {
		return i, nil
	}
	return 0, fmt.Errorf("unknown word %q", word)
}
