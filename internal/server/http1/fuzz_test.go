// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// FuzzSplit checks that the pieces a stream comes in do not matter, whatever is
// let pass.
func FuzzSplit(f *testing.F) {
	for _, tt := range refused {
		if len(tt.in) < 1000 {
			f.Add([]byte(tt.in), uint16(len(tt.in)/2), uint16(7), uint16(0), false)
			f.Add([]byte(tt.in), uint16(9), uint16(1), uint16(1<<13-1), false)
		}
	}
	f.Add([]byte(browserHead+post("5;a=\"\\b\";c\r\nhello\r\n0\r\nX: y\r\n\r\n")), uint16(40), uint16(400), uint16(0), false)
	f.Add([]byte("\r\nOPTIONS * HTTP/1.0\r\nConnection: x, Keep-Alive ,close\r\n\r\n\r\n"), uint16(3), uint16(20), uint16(0), false)
	f.Add([]byte("GET / HTTP/1.1\r\nX : a\r\n\tb\r\nConnection:\r\n close\r\n\r\n"), uint16(20), uint16(3), uint16(LenientHeaders|LenientHost), false)
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200\r\nConnection: keep-alive\r\n\r\nabc"), uint16(20), uint16(8), uint16(0), true)
	f.Add([]byte("HTTP/1.1 204 \r\n\r\nHTTP/1.1 404 Not Found\r\nTransfer-Encoding: a, chunked\r\n\r\n0\r\n\r\n"), uint16(13), uint16(8), uint16(0), true)
	lim := Limits{Head: 600, Target: 80, Fields: 12, ChunkExt: 30}
	f.Fuzz(func(t *testing.T, in []byte, a, b, allow uint16, responses bool) {
		if len(in) > 2000 {
			return
		}
		s := stream{lim, Leniency(allow), responses}
		whole := parse(s, false, in)
		i := int(a) % (len(in) + 1)
		j := i + int(b)%(len(in)-i+1)
		if got := parse(s, false, in[:i], in[i:j], in[j:]); got != whole {
			t.Fatalf("split at %d and %d:\n%s\nwant\n%s", i, j, got, whole)
		}
		if got := parseBytes(s, in); got != whole {
			t.Fatalf("byte by byte:\n%s\nwant\n%s", got, whole)
		}
		if got := parse(s, true, in); got != whole {
			t.Fatalf("pausing:\n%s\nwant\n%s", got, whole)
		}
	})
}

// FuzzNetHTTP checks that what is accepted means the same to net/http.
func FuzzNetHTTP(f *testing.F) {
	f.Add([]byte("GET /a HTTP/1.1\r\nHost: a\r\n\r\n"))
	f.Add([]byte(post("5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n")))
	f.Add([]byte("POST /a?b=c HTTP/1.1\r\nhost: a\r\ncontent-length:  3 \r\n\r\nabc"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var p Parser
		p.Init(Limits{})
		c := &collector{p: &p}
		if _, err := p.Execute(in, c); (err != nil && !c.complete) || !c.complete || c.method == CONNECT {
			return
		}
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(bytes.TrimLeft(in, "\r\n"))))
		if err != nil {
			// net/http wants a target that net/url can parse.
			if strings.Contains(err.Error(), "parse ") || strings.Contains(err.Error(), "Host") {
				return
			}
			t.Fatalf("net/http refuses %q: %v", in, err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			// Its own limits of chunk extensions and trailers are narrower.
			return
		}
		if r.Method != c.method.String() || r.RequestURI != string(c.url) || !bytes.Equal(body, c.body) {
			t.Fatalf("%q:\nnet/http %s %q %q\nours %s %q %q", in, r.Method, r.RequestURI, body, c.method, c.url, c.body)
		}
		if chunked := len(r.TransferEncoding) > 0; chunked != c.chunked {
			t.Fatalf("%q: net/http chunked %v, ours %s", in, chunked, strconv.FormatBool(c.chunked))
		}
	})
}

// collector keeps the first request.
type collector struct {
	nothing
	p                 *Parser
	method            Method
	url, body         []byte
	chunked, complete bool
}

func (c *collector) OnMethod(m Method)      { c.method = m }
func (c *collector) OnURL(b []byte, _ bool) { c.url = append(c.url, b...) }
func (c *collector) OnHeadersComplete()     { c.chunked = c.p.Chunked() }
func (c *collector) OnBody(b []byte)        { c.body = append(c.body, b...) }
func (c *collector) OnMessageComplete() {
	c.complete = true
	c.p.Pause()
}
