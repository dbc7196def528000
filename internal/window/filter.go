// SPDX-License-Identifier: Apache-2.0

package window

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lifetrace/lifetrace/internal/timeline"
)

// Unmatched is the route of a request that no route matched.
const Unmatched = "unmatched"

// All is the value of "last" that sets no bound.
const All = "all"

// Filter says which timelines are wanted. The zero Filter wants all.
type Filter struct {
	// Last wants the N most recent, Slowest the N slowest of those that pass
	// the rest; at most one of them is set. 0 is no bound.
	Last, Slowest int
	// Route is a route's template, or Unmatched. "" is any.
	Route string
	// Status is any of these; empty is any.
	Status []StatusRange
	// MinDuration and Since are the least duration and start.
	MinDuration time.Duration
	Since       time.Time
}

// StatusRange is the statuses from Low to High, both included.
type StatusRange struct{ Low, High int }

// Params are the names that ParseFilter knows, in the order of the contract.
func Params() []string {
	return []string{"last", "slowest", "route", "status", "min_duration", "since"}
}

// ParamError is a parameter that cannot be understood. The command line turns
// Name into the flag's.
type ParamError struct {
	Name   string
	Reason string // what is wrong, and what is wanted
}

func (e *ParamError) Error() string { return e.Name + ": " + e.Reason }

// ParseFilter reads a Filter from query parameters. An error is a *ParamError.
// A since that is a duration counts back from now.
func ParseFilter(q url.Values, now time.Time) (Filter, error) {
	var f Filter
	names := make([]string, 0, len(q))
	for name := range q {
		names = append(names, name)
	}
	slices.Sort(names) // the same mistake gives the same message
	for _, name := range names {
		if len(q[name]) != 1 {
			return Filter{}, &ParamError{name, fmt.Sprintf("given %d times, want once", len(q[name]))}
		}
		if err := f.set(name, q[name][0], now); err != nil {
			return Filter{}, err
		}
	}
	if f.Last > 0 && f.Slowest > 0 {
		return Filter{}, &ParamError{"slowest", "cannot go together with last: choose one"}
	}
	return f, nil
}

func (f *Filter) set(name, v string, now time.Time) error {
	bad := func(want string) error {
		return &ParamError{name, fmt.Sprintf("%q is not %s", v, want)}
	}
	switch name {
	case "last", "slowest":
		if name == "last" && v == All {
			return nil
		}
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return bad("a whole number from 1")
		}
		if name == "last" {
			f.Last = n
		} else {
			f.Slowest = n
		}
	case "route":
		if v == "" {
			return bad("a route such as /users/:id, or " + Unmatched)
		}
		f.Route = v
	case "status":
		for part := range strings.SplitSeq(v, ",") {
			r, ok := parseStatus(part)
			if !ok {
				return bad("a status such as 404, a class such as 5xx, or a list of them")
			}
			f.Status = append(f.Status, r)
		}
	case "min_duration":
		d, err := time.ParseDuration(v)
		if err != nil || d < 0 {
			return bad("a duration such as 250us, 10ms or 1.5s")
		}
		f.MinDuration = d
	case "since":
		if d, err := time.ParseDuration(v); err == nil && d >= 0 {
			f.Since = now.Add(-d)
		} else if t, err := time.Parse(time.RFC3339Nano, v); err == nil {
			f.Since = t
		} else {
			return bad("a duration such as 5m, or a time such as 2026-01-02T03:04:05Z")
		}
	default:
		return &ParamError{name, "unknown parameter; known are " + strings.Join(Params(), ", ")}
	}
	return nil
}

// parseStatus reads "404" or "4xx".
func parseStatus(s string) (StatusRange, bool) {
	if len(s) != 3 || s[0] < '1' || s[0] > '9' {
		return StatusRange{}, false
	}
	if s[1:] == "xx" {
		low := int(s[0]-'0') * 100
		return StatusRange{low, low + 99}, true
	}
	n, err := strconv.Atoi(s)
	return StatusRange{n, n}, err == nil
}

// Match reports whether a timeline passes everything but Last and Slowest.
func (f *Filter) Match(t *timeline.Timeline) bool {
	if f.Route != "" && f.Route != t.Request.Route && (f.Route != Unmatched || t.Request.Route != "") {
		return false
	}
	if len(f.Status) > 0 && !slices.ContainsFunc(f.Status, func(r StatusRange) bool {
		return r.Low <= t.Response.Status && t.Response.Status <= r.High
	}) {
		return false
	}
	if t.Duration < int64(f.MinDuration) {
		return false
	}
	return f.Since.IsZero() || t.Start+t.Wall >= f.Since.UnixNano()
}
