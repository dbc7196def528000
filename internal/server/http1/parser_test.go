// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// The files in testdata are the parser's behaviour: an input in the notation
// of a Go string, one part a line, and the callbacks with their offsets. Each
// is also run split at every byte, byte by byte, and pausing.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd != "parse" && d.Cmd != "parse-responses" {
				t.Fatalf("unknown command %q", d.Cmd)
			}
			s := streamOf(t, d)
			s.responses = d.Cmd == "parse-responses"
			in := []byte(unquote(t, d.Input))
			got := parse(s, false, in)
			for i := range in {
				if split := parse(s, false, in[:i], in[i:]); split != got {
					t.Errorf("%s: split at %d:\n%s\nwant\n%s", d.Pos, i, split, got)
				}
			}
			if single := parseBytes(s, in); single != got {
				t.Errorf("%s: byte by byte:\n%s\nwant\n%s", d.Pos, single, got)
			}
			if paused := parse(s, true, in); paused != got {
				t.Errorf("%s: pausing:\n%s\nwant\n%s", d.Pos, paused, got)
			}
			return got
		})
	})
}

func streamOf(t *testing.T, d *datadriven.TestData) (s stream) {
	for _, arg := range d.CmdArgs {
		switch arg.Key {
		case "head":
			d.ScanArgs(t, "head", &s.limits.Head)
		case "target":
			d.ScanArgs(t, "target", &s.limits.Target)
		case "fields":
			d.ScanArgs(t, "fields", &s.limits.Fields)
		case "ext":
			d.ScanArgs(t, "ext", &s.limits.ChunkExt)
		case "allow":
			for _, name := range arg.Vals {
				l, ok := leniencies["lenient-"+name]
				if !ok {
					t.Fatalf("unknown leniency %q", name)
				}
				s.allow |= l
			}
		default:
			t.Fatalf("unknown argument %q", arg.Key)
		}
	}
	return s
}

// refused are requests that must not be accepted, with the status that answers
// them. Each stands before a request that must not be seen.
var refused = []struct {
	name, in string
	status   int
}{
	{"bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
	{"bare LF after a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
	{"bare LF after the head", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
	{"bare CR in the request line", "GET / HTTP/1.1\rHost: a\r\n\r\n", 400},
	{"bare CR in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400},
	{"bare CR at a field's beginning", "GET / HTTP/1.1\r\nHost: a\r\n\rX: a\r\n\r\n", 400},
	{"bare LF before the request", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"bare CR before the request", "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"space before the request", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"two spaces before the target", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"two spaces before the version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"space after the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
	{"tab in the request line", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"no version", "GET /\r\n\r\n", 400},
	{"no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"relative target", "GET a?b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"scheme without an authority", "GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"scheme without slashes", "GET http:a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"half a scheme", "GET http HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"asterisk but not OPTIONS", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"more than an asterisk", "OPTIONS *a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"control character in the target", "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"DEL in the target", "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"byte above ASCII in the target", "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"fragment in the target", "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"method in lower case", "get / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
	{"unknown method", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
	{"endless method", strings.Repeat("A", 100) + " / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
	{"no token as method", "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"version in lower case", "GET / http/1.1\r\nHost: a\r\n\r\n", 400},
	{"other protocol", "GET / ICAP/1.1\r\nHost: a\r\n\r\n", 400},
	{"long version", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400},
	{"letter as version", "GET / HTTP/1.x\r\nHost: a\r\n\r\n", 400},
	{"short version", "GET / HTTP/1\r\nHost: a\r\n\r\n", 400},
	{"HTTP/2", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
	{"HTTP/0.9", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505},
	{"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505},
	{"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
	{"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
	{"two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400},
	{"a list of Hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
	{"space in Host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
	{"user information in Host", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400},
	{"path in Host", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
	{"space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
	{"tab before the colon", "GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", 400},
	{"line folding", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400},
	{"line folding by tab", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n", 400},
	{"space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
	{"empty field name", "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400},
	{"no colon", "GET / HTTP/1.1\r\nHost: a\r\nabc\r\n\r\n", 400},
	{"no token as field name", "GET / HTTP/1.1\r\nHost: a\r\na{b}: c\r\n\r\n", 400},
	{"NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", 400},
	{"DEL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n", 400},
	{"vertical tab in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \x0bchunked\r\n\r\n", 400},
	{"empty Content-Length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400},
	{"blank Content-Length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \t \r\n\r\n", 400},
	{"signed Content-Length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello", 400},
	{"negative Content-Length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
	{"hexadecimal Content-Length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello", 400},
	{"Content-Length in two parts", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 1\r\n\r\nhello", 400},
	{"Content-Length too big", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n", 400},
	{"Content-Length that wraps", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551621\r\n\r\nhello", 400},
	{"two Content-Lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400},
	{"the same Content-Length twice", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400},
	{"a list of Content-Lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello", 400},
	{"length and coding", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
	{"coding and length", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
	{"coding in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
	{"coding twice", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
	{"coding list", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
	{"chunked twice", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 501},
	{"coding with a parameter", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n", 501},
	{"other coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 501},
	{"coding with a tail", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunkedchunked\r\n\r\n0\r\n\r\n", 501},
	{"coding in two words", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chun ked\r\n\r\n0\r\n\r\n", 501},
	{"empty coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n", 501},
	{"chunk size without digits", post("\r\n\r\n"), 400},
	{"chunk size with a sign", post("+1\r\na\r\n0\r\n\r\n"), 400},
	{"chunk size with 0x", post("0x1\r\na\r\n0\r\n\r\n"), 400},
	{"chunk size with a space after it", post("1 \r\na\r\n0\r\n\r\n"), 400},
	{"chunk size with a space before it", post(" 1\r\na\r\n0\r\n\r\n"), 400},
	{"chunk size of 16 digits", post("0000000000000001\r\na\r\n0\r\n\r\n"), 400},
	{"bare LF after a chunk size", post("1\na\r\n0\r\n\r\n"), 400},
	{"bare CR after a chunk size", post("1\ra\r\n0\r\n\r\n"), 400},
	{"bare LF after chunk data", post("1\r\na\n0\r\n\r\n"), 400},
	{"chunk longer than its size", post("1\r\nab\r\n0\r\n\r\n"), 400},
	{"CR without LF after chunk data", post("1\r\na\rb0\r\n\r\n"), 400},
	{"empty chunk extension", post("1;\r\na\r\n0\r\n\r\n"), 400},
	{"bare LF in a chunk extension", post("1;a=b\n\r\na\r\n0\r\n\r\n"), 400},
	{"bare LF in a quoted chunk extension", post("1;a=\"\n\"\r\na\r\n0\r\n\r\n"), 400},
	{"chunk extension without value", post("1;a=\r\na\r\n0\r\n\r\n"), 400},
	{"text after a quoted chunk extension", post("1;a=\"b\"c\r\na\r\n0\r\n\r\n"), 400},
	{"long chunk extensions", post("1;a=" + strings.Repeat("x", 17<<10) + "\r\na\r\n0\r\n\r\n"), 413},
	{"length in the trailer section", post("0\r\nContent-Length: 5\r\n\r\n"), 400},
	{"coding in the trailer section", post("0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400},
	{"Host in the trailer section", post("0\r\nHost: a\r\n\r\n"), 400},
	{"folding in the trailer section", post("0\r\nA: b\r\n c\r\n\r\n"), 400},
	{"long head", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 17<<10) + "\r\n\r\n", 431},
	{"long field name", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("x", 17<<10) + ": a\r\n\r\n", 431},
	{"long trailer section", post("0\r\nA: " + strings.Repeat("x", 17<<10) + "\r\n\r\n"), 431},
	{"many fields", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("a:b\r\n", 2000) + "\r\n", 431},
	{"long target", "GET /" + strings.Repeat("x", 9<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
	{"endless empty lines", strings.Repeat("\r\n", 9<<10), 431},
}

func post(chunks string) string {
	return "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
}

func TestRefused(t *testing.T) {
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
	for _, tt := range refused {
		t.Run(tt.name, func(t *testing.T) {
			in := []byte(tt.in + smuggled)
			var p Parser
			p.Init(Limits{})
			r := &recorder{p: &p}
			n, err := p.Execute(in, r)
			if err == nil {
				t.Fatalf("accepted:\n%s", strings.Join(r.log, "\n"))
			}
			if err.Status != tt.status {
				t.Errorf("status %d (%s), want %d", err.Status, err.Reason, tt.status)
			}
			if n > len(tt.in) {
				t.Errorf("refused at %d only, in what follows the request of %d bytes", n, len(tt.in))
			}
			whole := parse(stream{}, false, in)
			if strings.Contains(whole, "message complete") {
				t.Errorf("a request was completed:\n%s", whole)
			}
			if got := parseBytes(stream{}, in); got != whole {
				t.Errorf("byte by byte:\n%s\nwant\n%s", got, whole)
			}
			for i := range min(len(in), 300) {
				if got := parse(stream{}, false, in[:i], in[i:]); got != whole {
					t.Fatalf("split at %d:\n%s\nwant\n%s", i, got, whole)
				}
			}
		})
	}
}

func TestMethods(t *testing.T) {
	for m := DELETE; m < numMethods; m++ {
		if got, ok := ParseMethod([]byte(m.String())); !ok || got != m {
			t.Errorf("%s parses to %v, %v", m, got, ok)
		}
		target := "/"
		if m == CONNECT {
			target = "a:443"
		}
		got := parse(stream{}, false, []byte(m.String()+" "+target+" HTTP/1.1\r\nHost: a\r\n\r\n"))
		if !strings.Contains(got, "method "+m.String()) || !strings.Contains(got, "message complete") {
			t.Errorf("%s:\n%s", m, got)
		}
	}
	if _, ok := ParseMethod(nil); ok {
		t.Error("no name is a method")
	}
	if s := Method(200).String(); s != "" {
		t.Errorf("method 200 is %q", s)
	}
}

func TestEveryCodeHasAName(t *testing.T) {
	seen := map[string]bool{}
	for c := Code(1); c < numCodes; c++ {
		if s := c.String(); s == "" || seen[s] {
			t.Errorf("code %d: name %q", c, s)
		} else {
			seen[s] = true
		}
	}
	if Code(200).String() != "" {
		t.Error("code 200 has a name")
	}
}

// trailers counts fields of heads and of trailer sections.
type trailers struct {
	nothing
	p             *Parser
	head, trailer int
}

func (f *trailers) OnHeaderField([]byte, bool) {
	if f.p.Trailer() {
		f.trailer++
	} else {
		f.head++
	}
}

func TestTrailer(t *testing.T) {
	var p Parser
	p.Init(Limits{})
	f := &trailers{p: &p}
	in := post("1\r\na\r\n0\r\nX: y\r\nUpgrade: z\r\n\r\n")
	if _, err := p.Execute([]byte(in+in), f); err != nil || f.head != 4 || f.trailer != 4 {
		t.Fatalf("%d fields of heads, %d of trailer sections, error %v", f.head, f.trailer, err)
	}
}

// skipper ends each request with its head.
type skipper struct {
	nothing
	p        *Parser
	complete []uint64
}

func (s *skipper) OnHeadersComplete() { s.p.SkipBody() }
func (s *skipper) OnMessageComplete() { s.complete = append(s.complete, s.p.Offset()) }

func TestSkipBody(t *testing.T) {
	const sized = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"
	var p Parser
	p.Init(Limits{})
	s := &skipper{p: &p}
	if _, err := p.Execute([]byte(sized+post("")+sized), s); err != nil {
		t.Fatal(err)
	}
	one, two := uint64(len(sized)), uint64(len(sized+post("")))
	if want := []uint64{one, two, one + two}; !slices.Equal(s.complete, want) {
		t.Fatalf("requests end at %d, want %d", s.complete, want)
	}
}

// A member of Connection that is two words is not the option that one of them
// would be.
func TestConnectionOptionIsOneWord(t *testing.T) {
	for _, value := range []string{"close a", "a close", "close\ta, b"} {
		for _, in := range []string{value, " " + value + " "} {
			got := parse(stream{}, false, []byte("GET / HTTP/1.1\r\nHost: a\r\nConnection:"+in+"\r\n\r\n"))
			if !strings.Contains(got, "keep_alive=true") {
				t.Errorf("%q:\n%s", in, got)
			}
		}
	}
}

func TestErrorStays(t *testing.T) {
	var p Parser
	p.Init(Limits{})
	_, err := p.Execute([]byte("GET  "), nothing{})
	if err == nil || err.Error() != "invalid request target" || p.Finish() != err || p.Idle() {
		t.Fatalf("error %v, then %v, idle %v", err, p.Finish(), p.Idle())
	}
}

func TestIdle(t *testing.T) {
	var p Parser
	p.Init(Limits{})
	r := &recorder{p: &p}
	for _, step := range []struct {
		in   string
		idle bool
	}{{"", true}, {"G", false}, {"ET / HTTP/1.1\r\nHost: a\r\n\r", false}, {"\n", true}, {"GET / HTTP/1.0\r\n\r\n", true}, {"\r\n", true}} {
		if _, err := p.Execute([]byte(step.in), r); err != nil || p.Idle() != step.idle {
			t.Fatalf("after %q: idle %v, error %v", step.in, p.Idle(), err)
		}
	}
	if n, err := p.Execute([]byte("\r\nGET"), r); n != 2 || err == nil || err.Code != ClosedConnection {
		t.Fatalf("after the last request: %d taken, error %v", n, err)
	}
}

// browserHead has 662 bytes and curlHead 85.
const (
	browserHead = "GET /assets/catalogue/2026/autumn/blue-kettle-large.jpg?width=1280&format=webp HTTP/1.1\r\n" +
		"Host: www.example.com\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
		"Accept: image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5\r\n" +
		"Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\nAccept-Encoding: gzip, deflate, br\r\n" +
		"Referer: http://www.example.com/catalogue/2026/autumn/\r\nConnection: keep-alive\r\n" +
		"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; basket=0123456789abcdef; consent=01234567890123456789012345678901234567890123456789012345678901234567890\r\n" +
		"If-None-Match: \"68f0a1b2-1c3d5\"\r\nCache-Control: max-age=0\r\n\r\n"
	curlHead = "GET /users/42 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n"
)

// nothing takes callbacks and does nothing.
type nothing struct{}

func (nothing) OnMessageBegin()            {}
func (nothing) OnMethod(Method)            {}
func (nothing) OnURL([]byte, bool)         {}
func (nothing) OnVersion(uint8, uint8)     {}
func (nothing) OnHeaderField([]byte, bool) {}
func (nothing) OnHeaderValue([]byte, bool) {}
func (nothing) OnHeadersComplete()         {}
func (nothing) OnBody([]byte)              {}
func (nothing) OnChunkHeader(uint64)       {}
func (nothing) OnChunkComplete()           {}
func (nothing) OnMessageComplete()         {}

func TestParserAllocatesNothing(t *testing.T) {
	var p Parser
	p.Init(Limits{})
	var h Handler = nothing{}
	in := []byte(browserHead + post("5;a=\"b\"\r\nhello\r\n0\r\nX: y\r\n\r\n"))
	if n := testing.AllocsPerRun(100, func() {
		for i := range in {
			if _, err := p.Execute(in[i:i+1], h); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := p.Execute(in, h); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func BenchmarkBrowserHead(b *testing.B) { benchmarkHead(b, browserHead) }
func BenchmarkCurlHead(b *testing.B)    { benchmarkHead(b, curlHead) }

func benchmarkHead(b *testing.B, head string) {
	var p Parser
	p.Init(Limits{})
	var h Handler = nothing{}
	in := []byte(head)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if _, err := p.Execute(in, h); err != nil {
			b.Fatal(err)
		}
	}
}

// unquote takes lines that are each the inside of a Go string.
func unquote(t *testing.T, in string) string {
	var out strings.Builder
	for line := range strings.SplitSeq(in, "\n") {
		s, err := strconv.Unquote(`"` + strings.ReplaceAll(line, `"`, `\"`) + `"`)
		if err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		out.WriteString(s)
	}
	return out.String()
}
