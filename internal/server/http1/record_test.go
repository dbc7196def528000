// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"fmt"
	"strings"
)

// recorder writes the callbacks down, with the parts of a span joined.
type recorder struct {
	p   *Parser
	log []string

	kind string // of the span under way
	from uint64
	span []byte
	// pause after each request, as a server with enough in flight does.
	pause bool
}

func (r *recorder) add(format string, args ...any) {
	r.flush()
	r.log = append(r.log, fmt.Sprintf("off=%d ", r.p.Offset())+fmt.Sprintf(format, args...))
}

func (r *recorder) part(kind string, b []byte, end bool) {
	if r.kind != kind {
		r.flush()
		r.kind, r.from = kind, r.p.Offset()
	}
	if at := r.from + uint64(len(r.span)); len(b) > 0 && r.p.Offset() != at {
		if r.p.allows(LenientHeaders) && kind == "header_value" { // a folded line
			r.flush()
			r.kind, r.from, r.span = kind, r.p.Offset(), append(r.span, b...)
			return
		}
		r.log = append(r.log, fmt.Sprintf("WRONG %s part at %d, want %d", kind, r.p.Offset(), at))
	}
	r.span = append(r.span, b...)
	if end {
		r.flush()
	}
}

func (r *recorder) flush() {
	if r.kind != "" {
		r.log = append(r.log, fmt.Sprintf("off=%d len=%d span[%s]=%q", r.from, len(r.span), r.kind, r.span))
		r.kind, r.span = "", r.span[:0]
	}
}

func (r *recorder) OnMessageBegin()              { r.add("message begin") }
func (r *recorder) OnMethod(m Method)            { r.add("method %s", m) }
func (r *recorder) OnURL(b []byte, end bool)     { r.part("url", b, end) }
func (r *recorder) OnVersion(major, minor uint8) { r.add("version %d.%d", major, minor) }
func (r *recorder) OnStatus(b []byte, end bool)  { r.part("status", b, end) }
func (r *recorder) OnHeaderField(b []byte, end bool) {
	r.part("header_field", b, end)
}

func (r *recorder) OnHeaderValue(b []byte, end bool) {
	r.part("header_value", b, end)
}

func (r *recorder) OnHeadersComplete() {
	length := "none"
	switch {
	case r.p.Chunked():
		length = "chunked"
	case r.p.untilEOF:
		length = "until EOF"
	case r.p.HasContent():
		length = fmt.Sprint(r.p.ContentLength())
	}
	if r.p.Status() != 0 {
		length += fmt.Sprintf(" status=%d", r.p.Status())
	}
	r.add("headers complete content=%s keep_alive=%v upgrade=%v", length, r.p.KeepAlive(), r.p.Upgrade())
}

func (r *recorder) OnChunkExtensionName(b []byte, end bool) {
	r.part("chunk_extension_name", b, end)
}

func (r *recorder) OnChunkExtensionValue(b []byte, end bool) {
	r.part("chunk_extension_value", b, end)
}

func (r *recorder) OnBody(b []byte)           { r.part("body", b, false) }
func (r *recorder) OnChunkHeader(size uint64) { r.add("chunk header len=%d", size) }
func (r *recorder) OnChunkComplete()          { r.add("chunk complete") }
func (r *recorder) OnMessageComplete() {
	r.add("message complete")
	if r.pause {
		r.p.Pause()
	}
}

// stream says how a stream is parsed.
type stream struct {
	limits    Limits
	allow     Leniency
	responses bool
}

// parse runs the pieces of a stream through a fresh parser and returns the
// record, with the error or what Finish says at its end.
func parse(s stream, pause bool, pieces ...[]byte) string {
	var p Parser
	p.Init(s.limits)
	if s.responses {
		p.InitResponses(s.limits)
	}
	p.Allow(s.allow)
	r := &recorder{p: &p, pause: pause}
	for _, b := range pieces {
		for {
			// The parser must not read behind what it is given.
			n, err := p.Execute(append(make([]byte, 0, len(b)), b...), r)
			if err != nil {
				r.flush()
				if again, e := p.Execute([]byte("x"), r); again != 0 || e != err {
					return "the error did not stay"
				}
				return strings.Join(append(r.log, fmt.Sprintf("off=%d error %s status=%d %q", p.Offset(), err.Code, err.Status, err.Reason)), "\n")
			}
			b = b[n:]
			if len(b) == 0 {
				break
			}
			if !pause || n == 0 {
				return "stopped without being asked"
			}
		}
	}
	r.flush()
	if err := p.Finish(); err != nil {
		r.log = append(r.log, fmt.Sprintf("off=%d finish %s", p.Offset(), err.Code))
	}
	return strings.Join(r.log, "\n")
}

// parseBytes feeds a stream byte by byte.
func parseBytes(s stream, b []byte) string {
	pieces := make([][]byte, len(b))
	for i := range b {
		pieces[i] = b[i : i+1]
	}
	return parse(s, false, pieces...)
}
