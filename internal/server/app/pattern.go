// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"strings"
	"unicode"
)

// maxCombinations bounds what the optional groups of one path may make.
const maxCombinations = 256

// PathError is a mistake in a path. It is one in the program, found at its start:
// the methods that take paths panic with it, as net/http does for patterns.
type PathError struct {
	Path   string
	Reason string
}

func (e *PathError) Error() string { return fmt.Sprintf("app: path %q: %s", e.Path, e.Reason) }

// token is what a path is written of: text, parameters (:x), wildcards (*x) and
// optional groups ({...}).
type token struct {
	kind  tokenKind
	text  string // or the name
	group []token
}

type tokenKind uint8

const (
	textToken tokenKind = iota
	paramToken
	wildcardToken
	groupToken
)

// lexer reads the path syntax of path-to-regexp 8.
type lexer struct {
	path  string
	chars []rune
	at    int
}

// tokenize returns a path's tokens.
func tokenize(path string) []token {
	l := lexer{path: path, chars: []rune(path)}
	return l.until(0)
}

func (l *lexer) fail(format string, args ...any) {
	panic(&PathError{l.path, fmt.Sprintf(format, args...)})
}

// until reads tokens up to an end: 0 is the path's.
func (l *lexer) until(end rune) []token {
	var out []token
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 {
			out = append(out, token{kind: textToken, text: text.String()})
			text.Reset()
		}
	}
	for l.at < len(l.chars) {
		c := l.chars[l.at]
		l.at++
		switch {
		case c == end:
			flush()
			return out
		case c == '\\':
			if l.at == len(l.chars) {
				l.fail("unexpected end after \\ at %d", l.at)
			}
			text.WriteRune(l.chars[l.at]) // whatever it means elsewhere
			l.at++
		case c == ':' || c == '*':
			kind := paramToken
			if c == '*' {
				kind = wildcardToken
			}
			name := l.name()
			flush()
			out = append(out, token{kind: kind, text: name})
		case c == '{':
			flush()
			out = append(out, token{kind: groupToken, group: l.until('}')})
		// What older versions gave a meaning is refused, so that a path written
		// for them does not silently match something else.
		case strings.ContainsRune("}()[]+?!", c):
			l.fail("unexpected %c at %d", c, l.at-1)
		default:
			text.WriteRune(c)
		}
	}
	if end != 0 {
		l.fail("unexpected end at %d, expected %c", l.at, end)
	}
	flush()
	return out
}

// name reads a parameter's name: an identifier of JavaScript, or anything in
// quotes.
func (l *lexer) name() string {
	start := l.at
	if l.at < len(l.chars) && l.chars[l.at] == '"' {
		return l.quoted()
	}
	for l.at < len(l.chars) && inName(l.chars[l.at], l.at == start) {
		l.at++
	}
	if l.at == start {
		l.fail("missing parameter name at %d", l.at)
	}
	return string(l.chars[start:l.at])
}

func (l *lexer) quoted() string {
	start := l.at
	var name strings.Builder
	for l.at++; l.at < len(l.chars) && l.chars[l.at] != '"'; l.at++ {
		if l.chars[l.at] == '\\' {
			if l.at++; l.at == len(l.chars) {
				break
			}
		}
		name.WriteRune(l.chars[l.at])
	}
	if l.at >= len(l.chars) {
		l.fail("unterminated quote at %d", start)
	}
	if l.at++; name.Len() == 0 {
		l.fail("missing parameter name at %d", l.at)
	}
	return name.String()
}

func inName(c rune, first bool) bool {
	if c == '$' || c == '_' || unicode.IsLetter(c) || unicode.Is(unicode.Nl, c) {
		return true
	}
	const joiner, nonJoiner = '\u200d', '\u200c'
	return !first && (c == joiner || c == nonJoiner || unicode.In(c, unicode.Nd, unicode.Mn, unicode.Mc, unicode.Pc))
}

// flatten calls f with every sequence that the groups allow, the longest first.
func flatten(tokens, before []token, f func([]token)) {
	for i, t := range tokens {
		if t.kind != groupToken {
			before = append(before[:len(before):len(before)], t) // others go on from it
			continue
		}
		flatten(t.group, before, func(with []token) { flatten(tokens[i+1:], with, f) })
	}
	f(before)
}

// pattern is a compiled path.
type pattern struct {
	text      string
	sequences [][]part
	sensitive bool // to the case of letters
	trailing  bool // a slash at the end does not count
	prefix    bool // matches what is below as well
	names     bool // has parameters
}

// part is literal text, or a capture.
type part struct {
	text string // of the literal, or the capture's name
	// runs are the forms that a capture may take, the preferred first; a
	// literal has none.
	runs []run
	wild bool
}

// run is a form of a capture: as many bytes as there are up to where one of two
// texts begins, or exactly one text. path-to-regexp forbids a capture to run
// into the text that ends it, so that a long path costs no time.
type run struct{ stop, stopToo, exact string }

// compile takes a path. strict makes a slash at its end count.
func compile(path string, prefix, sensitive, strict bool) *pattern {
	p := &pattern{text: path, sensitive: sensitive, trailing: !strict, prefix: prefix}
	if c := []rune(path + "/")[0]; c != '/' && !strings.ContainsRune(`:*{\`, c) {
		panic(&PathError{path, "does not begin with /, so that it can never match"})
	}
	// "/a/" means "/a" where the slash does not count, so that both match both.
	written := path
	if !strict && path != "/" {
		written = strings.TrimRight(path, "/")
	}
	flatten(tokenize(written), nil, func(seq []token) {
		if len(p.sequences) == maxCombinations {
			panic(&PathError{path, "too many combinations of optional groups"})
		}
		p.sequences = append(p.sequences, p.parts(seq))
	})
	return p
}

// parts turns a sequence of tokens into what is matched, with path-to-regexp's
// rules of what a capture may contain.
func (p *pattern) parts(seq []token) []part {
	const seenParam, seenWildcard = 1, 2
	var out []part
	var before, beforeWild string // text since the last capture, and if that was a wildcard
	var last, segment int         // kinds of the last capture, and of those in this segment
	for i, t := range seq {
		if t.kind == textToken {
			text := t.text
			if !p.sensitive {
				text = lower(text)
			}
			if n := len(out); n > 0 && out[n-1].runs == nil {
				out[n-1].text += text // an optional group between them was left out
			} else {
				out = append(out, part{text: text})
			}
			before += text
			if last == seenWildcard {
				beforeWild += text
			}
			if strings.Contains(text, "/") {
				segment = 0
			}
			continue
		}
		p.names = true
		if last != 0 && before == "" {
			panic(&PathError{p.text, fmt.Sprintf("missing text before %q", t.text)})
		}
		// What a capture must not run into is the text that is known to come:
		// the one before it where there was a capture in the same segment, or
		// else a wildcard takes what this one should.
		c := part{text: t.text, wild: t.kind == wildcardToken}
		switch {
		case c.wild && segment&seenWildcard != 0:
			c.runs = []run{{stop: before}}
		case c.wild && beforeWild != "":
			c.runs = []run{{stop: beforeWild}, {stop: "/"}}
		case c.wild:
			c.runs = []run{{}}
		case segment&seenWildcard != 0:
			c.runs = []run{{stop: "/", stopToo: before}}
		case wildcardFollows(seq[i+1:]):
			c.runs = []run{{stop: "/", stopToo: p.textAfter(seq[i+1:])}}
		case segment&seenParam != 0:
			c.runs = []run{{stop: "/", stopToo: before}, {exact: before}}
		default:
			c.runs = []run{{stop: "/"}}
		}
		last = seenParam
		if c.wild {
			last, beforeWild = seenWildcard, ""
		}
		segment |= last
		before = ""
		out = append(out, c)
	}
	return out
}

// wildcardFollows reports whether there is one in the same segment.
func wildcardFollows(seq []token) bool {
	for _, t := range seq {
		if t.kind == wildcardToken {
			return true
		}
		if t.kind == textToken && strings.Contains(t.text, "/") {
			return false
		}
	}
	return false
}

// textAfter returns the text up to the next capture.
func (p *pattern) textAfter(seq []token) (text string) {
	for _, t := range seq {
		if t.kind != textToken {
			break
		}
		text += t.text
	}
	if !p.sensitive {
		text = lower(text)
	}
	return text
}

// lower is strings.ToLower for ASCII: what else a path may hold is escaped.
func lower(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] = lowerByte(b[i])
	}
	return string(b)
}

func lowerByte(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c |= 0x20
	}
	return c
}
