// SPDX-License-Identifier: Apache-2.0

package window

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lifetrace/lifetrace/internal/timeline"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestParseFilter(t *testing.T) {
	for _, tc := range []struct {
		query string
		want  Filter
	}{
		{"", Filter{}},
		{"last=5", Filter{Last: 5}},
		{"last=all", Filter{}},
		{"slowest=3", Filter{Slowest: 3}},
		{"last=all&slowest=3", Filter{Slowest: 3}},
		{"route=/users/:id", Filter{Route: "/users/:id"}},
		{"status=404", Filter{Status: []StatusRange{{404, 404}}}},
		{"status=4xx,503", Filter{Status: []StatusRange{{400, 499}, {503, 503}}}},
		{"min_duration=10ms", Filter{MinDuration: 10 * time.Millisecond}},
		{"since=5m", Filter{Since: now.Add(-5 * time.Minute)}},
		{"since=2026-01-02T03:00:00Z", Filter{Since: now.Add(-4*time.Minute - 5*time.Second)}},
	} {
		q, err := url.ParseQuery(tc.query)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseFilter(q, now)
		if err != nil {
			t.Errorf("%s: %v", tc.query, err)
		}
		if got.Last != tc.want.Last || got.Slowest != tc.want.Slowest || got.Route != tc.want.Route ||
			!slices.Equal(got.Status, tc.want.Status) || got.MinDuration != tc.want.MinDuration || !got.Since.Equal(tc.want.Since) {
			t.Errorf("%s: %+v, want %+v", tc.query, got, tc.want)
		}
	}
}

func TestParseFilterRefuses(t *testing.T) {
	for _, tc := range []struct{ query, name, reason string }{
		{"last=0", "last", "whole number from 1"},
		{"last=-1", "last", "whole number from 1"},
		{"last=x", "last", `"x"`},
		{"slowest=all", "slowest", "whole number from 1"},
		{"last=1&slowest=1", "slowest", "choose one"},
		{"last=1&last=2", "last", "given 2 times"},
		{"route=", "route", "is not a route"},
		{"status=", "status", "5xx"},
		{"status=20", "status", "5xx"},
		{"status=2x0", "status", "5xx"},
		{"status=0xx", "status", "5xx"},
		{"status=200,", "status", "5xx"},
		{"min_duration=10", "min_duration", "10ms"},
		{"min_duration=-1s", "min_duration", "10ms"},
		{"since=yesterday", "since", "5m"},
		{"since=-5m", "since", "5m"},
		{"min-duration=1s", "min-duration", "unknown parameter; known are last, slowest,"},
	} {
		q, err := url.ParseQuery(tc.query)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ParseFilter(q, now)
		var p *ParamError
		if !errors.As(err, &p) || p.Name != tc.name || !strings.Contains(p.Reason, tc.reason) {
			t.Errorf("%s: %v, want an error of %s that says %q", tc.query, err, tc.name, tc.reason)
		} else if err.Error() != p.Name+": "+p.Reason {
			t.Errorf("%s: text %q", tc.query, err)
		}
	}
}

func TestMatch(t *testing.T) {
	ok := tl(1, "/users/:id", 200, 10*time.Millisecond)
	ok.Wall = now.UnixNano()
	none := tl(2, "", 0, time.Second)
	for _, tc := range []struct {
		name string
		f    Filter
		t    *timeline.Timeline
		want bool
	}{
		{"zero filter", Filter{}, ok, true},
		{"route", Filter{Route: "/users/:id"}, ok, true},
		{"other route", Filter{Route: "/users"}, ok, false},
		{"unmatched", Filter{Route: Unmatched}, none, true},
		{"unmatched against a route", Filter{Route: Unmatched}, ok, false},
		{"status", Filter{Status: []StatusRange{{500, 599}, {200, 200}}}, ok, true},
		{"other status", Filter{Status: []StatusRange{{201, 599}}}, ok, false},
		{"no response", Filter{Status: []StatusRange{{100, 599}}}, none, false},
		{"exactly as long", Filter{MinDuration: 10 * time.Millisecond}, ok, true},
		{"too short", Filter{MinDuration: 10*time.Millisecond + 1}, ok, false},
		{"began after", Filter{Since: now}, ok, true},
		{"began before", Filter{Since: now.Add(2)}, ok, false},
	} {
		if got := tc.f.Match(tc.t); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}
