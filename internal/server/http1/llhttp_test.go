// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
)

// llhttpNumbers has each method's number in llhttp.
var llhttpNumbers = map[Method]int{
	DELETE: 0, GET: 1, HEAD: 2, POST: 3, PUT: 4, CONNECT: 5, OPTIONS: 6, TRACE: 7, COPY: 8, LOCK: 9, MKCOL: 10,
	MOVE: 11, PROPFIND: 12, PROPPATCH: 13, SEARCH: 14, UNLOCK: 15, BIND: 16, REBIND: 17, UNBIND: 18, ACL: 19,
	REPORT: 20, MKACTIVITY: 21, CHECKOUT: 22, MERGE: 23, MSEARCH: 24, NOTIFY: 25, SUBSCRIBE: 26, UNSUBSCRIBE: 27,
	PATCH: 28, PURGE: 29, MKCALENDAR: 30, LINK: 31, UNLINK: 32, SOURCE: 33, QUERY: 46,
}

// llhttpCodes has the numbers of the errors that mean the same to llhttp.
var llhttpCodes = map[Code][]int{
	CRExpected: {25, 2}, LFExpected: {2, 3}, InvalidMethod: {6}, UnknownMethod: {6}, InvalidURL: {7},
	InvalidVersion: {8, 9}, UnknownVersion: {9}, InvalidHeaderToken: {10, 30}, InvalidHeaderValue: {10},
	InvalidContentLength: {11}, UnexpectedContentLength: {4, 11, 15}, InvalidTransferEncoding: {15},
	UnknownTransferEncoding: {15}, InvalidChunkSize: {12, 2}, InvalidStatus: {13, 2}, ClosedConnection: {5},
}

// llhttpLog writes callbacks down as llhttp's own tests do.
type llhttpLog struct {
	p   *Parser
	in  []byte
	log []string

	kind string // of the span under way
	from int
	span []byte

	messages int
	skip     bool   // answer OnHeadersComplete by skipping the content
	upgraded bool   // what follows is another protocol's
	waiting  string // see OnHeaderValue
}

func (l *llhttpLog) add(at int, format string, args ...any) {
	l.flush()
	if l.waiting != "" {
		l.log = append(l.log, l.waiting)
		l.waiting = ""
	}
	l.log = append(l.log, fmt.Sprintf("off=%d ", at)+fmt.Sprintf(format, args...))
}

func (l *llhttpLog) at() int { return int(l.p.Offset()) }

// part joins the parts of a span. Those that do not adjoin are lines of a folded
// value, each of which llhttp calls a span.
func (l *llhttpLog) part(kind string, b []byte) {
	if len(b) == 0 {
		return
	}
	if at := l.at(); l.kind != kind || l.from+len(l.span) != at {
		l.flush()
		l.kind, l.from = kind, at
	}
	l.span = append(l.span, b...)
}

func (l *llhttpLog) flush() {
	kind, from, span := l.kind, l.from, l.span
	l.kind, l.span = "", nil
	for len(span) > 0 {
		n := bytes.IndexAny(span, "\r\n")
		if n < 0 {
			n = len(span)
		}
		switch {
		case n > 0:
			l.add(from, `len=%d span[%s]="%s"`, n, kind, span[:n])
		case span[0] == '\r':
			n = 1
			l.add(from, "len=1 span[%s]=cr", kind)
		default:
			n = 1
			l.add(from, "len=1 span[%s]=lf", kind)
		}
		from, span = from+n, span[n:]
	}
}

func (l *llhttpLog) OnMessageBegin() {
	at := l.at()
	if l.messages++; l.messages > 1 {
		l.add(at, "reset")
	}
	l.add(at, "message begin")
}

func (l *llhttpLog) OnMethod(m Method) {
	at := l.at()
	l.add(at-len(m.String()), "len=%d span[method]=%q", len(m.String()), m)
	l.add(at, "method complete")
}

func (l *llhttpLog) OnURL(b []byte, end bool) {
	at := l.at() + len(b)
	l.part("url", b)
	if end {
		l.add(at+1, "url complete")
	}
}

func (l *llhttpLog) OnVersion(major, minor uint8) {
	at := l.at()
	l.add(at-8, `len=4 span[protocol]="HTTP"`)
	l.add(at-4, "protocol complete")
	l.add(at-3, `len=3 span[version]="%d.%d"`, major, minor)
	l.add(at, "version complete")
}

func (l *llhttpLog) OnStatus(b []byte, end bool) {
	l.part("status", b)
	if end {
		l.add(l.lineEnd(l.at()+len(b)), "status complete")
	}
}

// lineEnd returns the offset behind the line's end at an offset.
func (l *llhttpLog) lineEnd(at int) int {
	for _, c := range []byte("\r\n") {
		if at < len(l.in) && l.in[at] == c {
			at++
		}
	}
	return at
}

func (l *llhttpLog) OnHeaderField(b []byte, end bool) {
	at := l.at() + len(b)
	l.part("header_field", b)
	if end {
		l.add(at+1, "header_field complete")
	}
}

// OnHeaderValue: llhttp calls a value complete when it has seen the first byte of
// the line behind it, which might have been a folded one.
func (l *llhttpLog) OnHeaderValue(b []byte, end bool) {
	at := l.at() + len(b)
	l.part("header_value", b)
	if end {
		l.flush()
		l.waiting = fmt.Sprintf("off=%d header_value complete", l.lineEnd(at))
	}
}

func (l *llhttpLog) OnHeadersComplete() {
	p := l.p
	flags := 0
	for i, set := range []bool{
		p.keepAlive, p.close, p.upgrade, p.chunked, p.protocol, p.lengths > 0, false, false, false, p.codings > 0,
	} {
		if set {
			flags |= 1 << i
		}
	}
	kind := fmt.Sprintf("method=%d", llhttpNumbers[p.Method()])
	if p.response {
		kind = fmt.Sprintf("status=%d", p.Status())
	}
	l.add(l.at(), "headers complete %s v=%d/%d flags=%x content_length=%d", kind, p.major, p.minor, flags, p.length)
	if l.skip {
		l.add(l.at(), "skip body")
	}
	if l.skip || p.Method() == CONNECT {
		p.SkipBody()
	}
}

func (l *llhttpLog) OnBody(b []byte)           { l.part("body", b) }
func (l *llhttpLog) OnChunkHeader(size uint64) { l.add(l.at(), "chunk header len=%d", size) }
func (l *llhttpLog) OnChunkComplete()          { l.add(l.at(), "chunk complete") }

func (l *llhttpLog) OnMessageComplete() {
	l.add(l.at(), "message complete")
	if l.p.Method() == CONNECT || l.p.upgrade && l.p.protocol && (!l.p.response || l.p.Status() == 101) {
		l.upgraded = true
		l.p.Pause()
	}
}

func (l *llhttpLog) OnChunkExtensionName(b []byte, end bool) { l.extension("name", b, end) }

func (l *llhttpLog) OnChunkExtensionValue(b []byte, end bool) { l.extension("value", b, end) }

// extension: the byte behind it is llhttp's part of it, but for a quote, which
// is in it, and for a bare LF.
func (l *llhttpLog) extension(what string, b []byte, end bool) {
	at := l.at() + len(b)
	l.part("chunk_extension_"+what, b)
	if !end {
		return
	}
	if l.span[0] != '"' && l.in[at] != '\n' {
		at++
	}
	l.add(at, "chunk_extension_%s complete", what)
}

// runLLHTTP runs the pieces of in and returns the log, and what was refused at
// which offset.
func runLLHTTP(allow Leniency, response, skip, finish bool, in []byte, cuts ...int) (log []string, refused *Error, at int) {
	var p Parser
	p.Init(Limits{})
	if response {
		p.InitResponses(Limits{})
	}
	p.Allow(allow)
	l := &llhttpLog{p: &p, in: in, skip: skip}
	from := 0
	for _, to := range append(cuts, len(in)) {
		_, err := p.Execute(in[from:to], l)
		from = to
		if err != nil {
			if err == errFold {
				l.waiting = ""
			}
			l.add(l.at(), "error")
			return l.log[:len(l.log)-1], err, l.at()
		}
		if l.upgraded {
			l.add(l.at(), `error code=22 reason="Pause on CONNECT/Upgrade"`)
			return l.log, nil, 0
		}
	}
	l.flush()
	if finish {
		result := 0
		switch {
		case p.Finish() != nil:
			result = 2
		case p.untilEOF: // complete by this
			result = 1
		}
		l.log = append(l.log, fmt.Sprintf("off=NULL finish=%d", result))
	}
	return l.log, nil, 0
}

// comparable leaves out of a log what says nothing: a pause that llhttp's test
// itself asked for, empty spans, and what an error cut off of a method, protocol,
// version or field name. Of those llhttp calls back a part or nothing depending
// on the error and on where the input was split.
func comparable(log []string, refused bool) []string {
	var out []string
	for _, line := range log {
		_, what, _ := strings.Cut(line, " ")
		if what != "pause" && !strings.HasPrefix(what, "len=0 span") {
			out = append(out, line)
		}
	}
	for refused && len(out) > 0 && cutOff.MatchString(out[len(out)-1]) {
		out = out[:len(out)-1]
		// OnVersion tells of the protocol too, or of neither.
		if n := len(out); n > 0 && strings.HasSuffix(out[n-1], " protocol complete") {
			out = out[:n-1]
		}
	}
	return out
}

var cutOff = regexp.MustCompile(`^off=\d+ len=\d+ span\[(method|protocol|version|header_field)\]`)
