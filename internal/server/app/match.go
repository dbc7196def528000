// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"net/url"
	"strings"
	"unicode/utf8"
)

// param is a parameter's value, not decoded: a part of the request's path.
type param struct {
	name  string
	value []byte
	wild  bool
	// set is what a parameter handler has put in its place.
	set *string
}

// match appends the parameters of a path that matches, and returns where the
// match ends: for a pattern of a prefix what follows is below it.
// Sequences are tried in order, so that of optional groups the longest counts.
// The values are parts of the path: nothing is copied.
func (p *pattern) match(path []byte, params []param) (_ []param, end int, ok bool) {
	for _, seq := range p.sequences {
		if params, end, ok = p.matchFrom(seq, path, 0, params); ok {
			return params, end, true
		}
	}
	return params, 0, false
}

// matchFrom tries what is left of a sequence at a place in the path.
// It goes back over captures as a regular expression would, and so takes the same
// ones; params is as long as it was where it fails.
func (p *pattern) matchFrom(seq []part, path []byte, at int, params []param) (_ []param, end int, ok bool) {
	n := len(params)
	for i := range seq {
		t := &seq[i]
		if t.runs == nil {
			if !p.textAt(path, at, t.text) {
				return params, 0, false
			}
			at += len(t.text)
			continue
		}
		for _, r := range t.runs {
			// Greedy first, then ever shorter. The stops of a run keep this
			// from being tried at more than a few places for nothing.
			shortest, longest := at+1, p.extent(r, path, at)
			if r.exact != "" {
				shortest = longest
			}
			for to := longest; to >= shortest && to > at; to-- {
				params = append(params[:n], param{name: t.text, value: path[at:to], wild: t.wild})
				if params, end, ok = p.matchFrom(seq[i+1:], path, to, params); ok {
					return params, end, true
				}
			}
		}
		return params[:n], 0, false
	}
	// The end. A slash that does not count belongs to what is below.
	if p.trailing && at == len(path)-1 && path[at] == '/' {
		return params, at, true
	}
	return params, at, at == len(path) || p.prefix && path[at] == '/'
}

// extent returns where a run that begins at a place ends at the latest.
func (p *pattern) extent(r run, path []byte, at int) int {
	if r.exact != "" {
		if p.textAt(path, at, r.exact) {
			return at + len(r.exact)
		}
		return at
	}
	for ; at < len(path); at++ {
		if r.stop != "" && p.textAt(path, at, r.stop) || r.stopToo != "" && p.textAt(path, at, r.stopToo) {
			break
		}
	}
	return at
}

// textAt reports whether a text stands at a place.
func (p *pattern) textAt(path []byte, at int, text string) bool {
	if len(path)-at < len(text) {
		return false
	}
	path = path[at : at+len(text)]
	if p.sensitive {
		return string(path) == text
	}
	// Letters beyond ASCII are escaped in a target, so that these are all that
	// have a case.
	for i := range path {
		if lowerByte(path[i]) != text[i] {
			return false
		}
	}
	return true
}

// decodable reports whether a value's escapes are escapes, and of UTF-8.
func decodable(value []byte) bool {
	if bytes.IndexByte(value, '%') < 0 {
		return true
	}
	// JavaScript refuses escapes that are no UTF-8, Go does not.
	v, err := url.PathUnescape(string(value))
	return err == nil && utf8.ValidString(v)
}

// decoded returns a parameter's value. It was found decodable when it matched.
// That is done here and not before, since most are never asked for, and a decoded
// one has to be copied.
func (p *param) decoded() string {
	if p.set != nil {
		return *p.set
	}
	v := string(p.value)
	if strings.IndexByte(v, '%') < 0 {
		return v
	}
	v, _ = url.PathUnescape(v)
	return v
}
