// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"math"
	"net/netip"
	"strings"
	"testing"
)

// sample is a timeline with every field in use.
func sample() *Timeline {
	t := &Timeline{
		ID:         ID{0x0a, 1: 0xff, 15: 0x42},
		Connection: Connection{Cookie: 341, Peer: netip.MustParseAddrPort("127.0.0.1:60286"), Local: netip.MustParseAddrPort("127.0.0.1:8080")},
		Request:    Request{Method: "GET", Target: "/users/42?a=REDACTED", Route: "/users/:id", Version: "HTTP/1.1", Bytes: 79, Offset: 3},
		Response:   Response{Status: 200, Bytes: 82, Offset: 7},
		Start:      5_000_000_678, Wall: 1_767_323_040_000_000_000,
		Duration:    155_700,
		Incomplete:  Lost | Aborted,
		Unsupported: []string{"xmit", "ack"},
		End:         "reset_received",
		Marks: []Mark{
			{"tcp.syn", Kernel, 0, Derived, ""},
			{"layer.enter", Code, 90_000, FromServer, "json"},
			{"keepalive.reset", Loop, 160_000, FromServer, ""},
		},
		Spans: []Span{
			{Step: 1, Name: "tcp.handshake", Layer: Kernel, Duration: 49_300, Detail: &Detail{Derived: true}},
			{Step: 2, Name: "accept.queue", Layer: Kernel, Start: 49_300, Duration: 41_900, Detail: &Detail{
				Depth: 1, Limit: 511, Wait: 45_000,
				BlockedBy: []ID{{1}, {2}}, BlockedNS: []int64{30_000, 1200}, BlockedOther: 99,
			}},
			{Name: "unknown", Start: 91_200, Duration: 30},
			{Step: 10, Name: "layer:json", Layer: Code, Start: 91_230, Duration: 64_470},
			{Step: 16, Name: "keepalive.reset", Layer: Loop, Start: 155_700, Detail: &Detail{After: 4300}},
		},
		Findings: []Finding{{"LT001", "the accept queue was long"}},
	}
	for _, s := range t.Spans {
		t.Layers[s.Layer] += s.Duration
	}
	return t
}

func TestCheck(t *testing.T) {
	if err := sample().Check(); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		breakIt func(*Timeline)
		want    string
	}{
		"negative total":   {func(t *Timeline) { t.Duration = -1 }, "duration -1 ns is negative"},
		"hole":             {func(t *Timeline) { t.Spans[1].Start++ }, "span 1 (accept.queue) starts at 49301 ns"},
		"overlap":          {func(t *Timeline) { t.Spans[0].Duration++ }, "span 1 (accept.queue) starts at 49300 ns"},
		"negative span":    {func(t *Timeline) { t.Spans[0].Duration = -5 }, "lasts -5 ns"},
		"no such layer":    {func(t *Timeline) { t.Spans[0].Layer = NumLayers }, "has layer 7"},
		"step of unknown":  {func(t *Timeline) { t.Spans[2].Step = 3 }, "step 3 in layer unknown"},
		"no step":          {func(t *Timeline) { t.Spans[1].Step = 0 }, "step 0 in layer kernel"},
		"step over 16":     {func(t *Timeline) { t.Spans[1].Step = 17 }, "step 17"},
		"sum":              {func(t *Timeline) { t.Duration++ }, "spans sum to 155700 ns, the duration is 155701 ns"},
		"layer sums":       {func(t *Timeline) { t.Layers[Code]++ }, "layers ["},
		"mark before zero": {func(t *Timeline) { t.Marks[0].At = -1 }, "mark 0 (tcp.syn) at -1 ns"},
		"mark order":       {func(t *Timeline) { t.Marks[2].At = 5 }, "mark 2 (keepalive.reset) at 5 ns"},
	} {
		t.Run(name, func(t *testing.T) {
			tl := sample()
			tc.breakIt(tl)
			err := tl.Check()
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestID(t *testing.T) {
	id := sample().ID
	if got := id.String(); got != "0aff0000000000000000000000000042" {
		t.Fatal(got)
	}
	if got, err := ParseID(strings.ToUpper(id.String())); err != nil || got != id {
		t.Fatal(got, err)
	}
	for _, s := range []string{"", "0a", "0aff00000000000000000000000000420", "zzff0000000000000000000000000042"} {
		if got, err := ParseID(s); err == nil || got != (ID{}) {
			t.Errorf("%q gave %v, %v", s, got, err)
		}
	}
}

func TestInert(t *testing.T) {
	for in, want := range map[string]string{
		"":                      "",
		"/a?b=c&d <script>":     "/a?b=c&d <script>",
		"/caf\u00e9/\u65e5":     "/caf\u00e9/\u65e5",
		"\x1b[31mred\x07\r\n":   `\x1b[31mred\x07\x0d\x0a`,
		"a\x7fb\u0085c":         `a\x7fb\u0085c`,
		"\u202egnp.exe\u2066":   `\u202egnp.exe\u2066`,
		"z\u200bw\ufeff\u2028":  `z\u200bw\ufeff\u2028`,
		"bad\xff\xfe\ufffdgood": `bad\xff\xfe` + "\ufffdgood",
		"\U000e0041tag":         `\U000e0041tag`,
	} {
		got := Inert(in)
		if got != want {
			t.Errorf("Inert(%q) = %q, want %q", in, got, want)
		}
		if again := Inert(got); again != got {
			t.Errorf("Inert(%q) = %q, twice %q", in, got, again)
		}
	}
}

func TestFormatNS(t *testing.T) {
	for ns, want := range map[int64]string{
		0: "0ns", 7: "7ns", 999: "999ns", 1000: "1.000us", 49_300: "49.30us", 155_700: "155.7us",
		1_234_567: "1.235ms", 200_000_000: "200.0ms", 3_000_000_000: "3.000s", 86_400e9: "86400s",
		-1500: "-1.500us", math.MinInt64: "-9223372037s",
	} {
		if got := FormatNS(ns); got != want {
			t.Errorf("%d ns: %q, want %q", ns, got, want)
		}
	}
}
