// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"fmt"
	"strings"
)

// maxParams is how many parameters a path may have.
const maxParams = 8

// pattern is a compiled path: its segments, of which some are parameters.
type pattern struct {
	text     string
	segments []segment
	prefix   bool // matches what is below as well
}

type segment struct {
	text  string // lower case, or the parameter's name
	param bool
}

// compile takes "/users/:id". A mistake panics: it is one in the program.
func compile(path string, prefix bool) pattern {
	if !strings.HasPrefix(path, "/") {
		panic(fmt.Sprintf("app: path %q does not begin with /", path))
	}
	p := pattern{text: path, prefix: prefix}
	params := 0
	for s := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		switch {
		case s == "":
			if path != "/" {
				panic(fmt.Sprintf("app: path %q has an empty segment", path))
			}
			continue
		case s[0] == ':':
			if params++; len(s) == 1 || params > maxParams {
				panic(fmt.Sprintf("app: path %q: parameter without a name, or more than %d", path, maxParams))
			}
			p.segments = append(p.segments, segment{s[1:], true})
			continue
		case strings.ContainsAny(s, ":*{}()[]?+!"):
			panic(fmt.Sprintf("app: path %q: only whole segments can be parameters", path))
		}
		p.segments = append(p.segments, segment{strings.ToLower(s), false})
	}
	return p
}

// param is a parameter's value, not decoded: a part of the request's path.
type param struct {
	name  string
	value []byte
}

// match appends the parameters of a path that matches. As in Express the case
// of letters and a slash at the end do not count.
func (p *pattern) match(path []byte, params []param) ([]param, bool) {
	if len(path) == 0 || path[0] != '/' {
		return params, p.prefix && len(p.segments) == 0
	}
	path = path[1:]
	for _, s := range p.segments {
		part, rest, _ := bytes.Cut(path, []byte("/"))
		switch {
		case len(part) == 0:
			return params, false
		case s.param:
			params = append(params, param{s.text, part})
		case !equalFold(part, s.text):
			return params, false
		}
		path = rest
	}
	return params, p.prefix || len(path) == 0
}

func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
