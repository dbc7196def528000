// SPDX-License-Identifier: Apache-2.0

package app

import (
	"cmp"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

// sample is a path and what path-to-regexp 8.4 makes of request paths: the
// request path, and if it matches what is matched and the parameters.
type sample struct {
	Path    string     `json:"p"`
	Options int        `json:"o"` // 1: to the end, 2: case-sensitive, 4: strict
	Refused int        `json:"e"`
	Matches [][]string `json:"m"`
}

func (s *sample) compile() (p *pattern, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = v.(*PathError)
		}
	}()
	return compile(s.Path, s.Options&1 == 0, s.Options&2 != 0, s.Options&4 != 0), nil
}

// result is a match in the form of the samples.
func (s *sample) result(p *pattern, path string) []string {
	params, end, ok := p.match([]byte(path), nil)
	if !ok {
		return []string{path}
	}
	last := map[string]string{}
	for _, v := range params {
		last[v.name] = v.name + "=" + string(v.value)
	}
	var texts []string
	for _, v := range last {
		texts = append(texts, v)
	}
	slices.SortFunc(texts, func(a, b string) int {
		return cmp.Compare(a[:strings.IndexByte(a, '=')], b[:strings.IndexByte(b, '=')])
	})
	return []string{path, path[:end], strings.Join(texts, "&")}
}

func readSamples(t *testing.T) []sample {
	t.Helper()
	b, err := os.ReadFile(cmp.Or(os.Getenv("LIFETRACE_PATH_SAMPLES"), "testdata/paths.json"))
	if err != nil {
		t.Fatal(err)
	}
	var samples []sample
	if err := json.Unmarshal(b, &samples); err != nil {
		t.Fatal(err)
	}
	return samples
}

func TestPathsAsPathToRegexp(t *testing.T) {
	for _, s := range readSamples(t) {
		p, err := s.compile()
		if refused := err != nil; refused != (s.Refused == 1) {
			t.Errorf("%q: %v, refused: %v", s.Path, err, s.Refused)
			continue
		}
		for _, want := range s.Matches {
			got := s.result(p, want[0])
			if len(want) == 3 && len(got) == 3 && p.trailing && got[1]+"/" == want[1] {
				got[1] = want[1] // a slash at the end that does not count is no part of ours
			}
			if !slices.Equal(got, want) {
				t.Errorf("%q (%d): got %q, want %q", s.Path, s.Options, got, want)
			}
		}
	}
}

// Whatever an entry's pattern matches, the index finds the entry, and in the
// order of registration.
func TestIndexFindsWhatMatches(t *testing.T) {
	samples := readSamples(t)
	for _, sensitive := range []bool{false, true} {
		table := &table{opts: RouterOptions{CaseSensitive: sensitive}}
		var patterns []*pattern
		var paths []string
		for _, s := range samples {
			if p, err := s.compile(); err == nil && p.sensitive == sensitive && len(patterns) < 2000 {
				table.index.insert(int32(len(patterns)), p)
				patterns = append(patterns, p)
				paths = append(paths, s.Matches[0][0], s.Matches[1][0])
			}
		}
		for _, path := range []string{":a", "*a", "{x}:a", `\*`, "/a/{:b}c", "/a/:b/", "{*a}", "/"} {
			for _, prefix := range []bool{false, true} {
				p := compile(path, prefix, sensitive, prefix)
				table.index.insert(int32(len(patterns)), p)
				patterns = append(patterns, p)
			}
		}
		paths = append(paths, "*", "x", "xa", "", "/", "//", "/a/c", "/a/bc", "/a/b/", "/a//")
		if len(patterns) < 50 {
			t.Fatalf("%d patterns only", len(patterns))
		}
		matches := 0
		for _, path := range paths {
			lists, _ := table.candidates([]byte(path), nil, nil)
			var found []int
			for i := first(lists, 0); i >= 0; i = first(lists, i+1) {
				if _, _, ok := patterns[i].match([]byte(path), nil); ok {
					found = append(found, int(i))
				}
			}
			var want []int
			for i, p := range patterns {
				if _, _, ok := p.match([]byte(path), nil); ok {
					want = append(want, i)
				}
			}
			if !slices.Equal(found, want) {
				t.Errorf("%s: found %v, want %v", path, found, want)
			}
			matches += len(want)
		}
		if matches == 0 {
			t.Error("nothing matches anything")
		}
	}
}

func TestPathErrors(t *testing.T) {
	for path, says := range map[string]string{
		"/:":                           "missing parameter name at 2",
		"/*":                           "missing parameter name at 2",
		`/:""`:                         "missing parameter name at 4",
		`/:"a`:                         "unterminated quote at 2",
		`/:"a\`:                        "unterminated quote at 2",
		`/a\`:                          "unexpected end after \\ at 3",
		"/{a":                          "unexpected end at 3, expected }",
		"/a}":                          "unexpected } at 2",
		"/a(b)":                        "unexpected ( at 2",
		"/a?":                          "unexpected ? at 2",
		"/a+":                          "unexpected + at 2",
		"/[a]":                         "unexpected [ at 1",
		"/!":                           "unexpected ! at 1",
		"/:a:b":                        `missing text before "b"`,
		"/:a*b":                        `missing text before "b"`,
		"a":                            "does not begin with /",
		strings.Repeat("{/a}", 9):      "too many combinations",
		"/*a{/:b}{:c}":                 `missing text before "c"`,
		"/" + strings.Repeat("{a}", 9): "too many combinations",
	} {
		_, err := (&sample{Path: path, Options: 1}).compile()
		var e *PathError
		if !errors.As(err, &e) || e.Path != path || !strings.Contains(e.Error(), says) {
			t.Errorf("%q: %v, want %q", path, err, says)
		}
	}
}
