// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"net/netip"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/lifetrace/lifetrace/internal/server"
)

func TestDecodeText(t *testing.T) {
	for _, tt := range []struct{ charset, in, want string }{
		{"utf-8", "\xef\xbb\xbfa\xffb", "a\ufffdb"},
		{"us-ascii", "a\xe9", "a\ufffd"},
		{"latin1", "a\xe9", "aé"},
		{"utf-16le", "a\x00\xe9\x00x", "aé"},
		{"utf-16be", "\x00a\x00\xe9", "aé"},
		{"utf-16", "\xfe\xff\x00a", "a"},
		{"utf-16", "\xff\xfea\x00", "a"},
	} {
		if got := decodeText(tt.charset, []byte(tt.in)); !anyCharset(tt.charset) || got != tt.want {
			t.Errorf("%s %q: %q, want %q", tt.charset, tt.in, got, tt.want)
		}
	}
	if anyCharset("utf-7") || formCharset("utf-16") || unicodeOnly("latin1") {
		t.Error("a charset is taken that is not known")
	}
}

func TestParseMedia(t *testing.T) {
	for in, want := range map[string]media{
		"Text/HTML":                    {name: "text/html"},
		`a/b; X="1;\"2" ; y = 3;x=4;z`: {name: "a/b", params: [][2]string{{"x", `1;"2`}, {"y", "3"}}},
		`a/b;x="`:                      {name: "a/b", params: [][2]string{{"x", `"`}}},
		`a/b;x="plain"`:                {name: "a/b", params: [][2]string{{"x", "plain"}}},
	} {
		if got := parseMedia(in); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := withCharset(`A/b; charset=x; p="q \"r\""`); got != `a/b; charset=utf-8; p="q \"r\""` {
		t.Error(got)
	}
}

func TestTypeMatches(t *testing.T) {
	for _, tt := range []struct {
		word, name string
		want       bool
	}{
		{"json", "application/json", true},
		{"multipart", "multipart/form-data", true},
		{"multipart", "text/html", false},
		{"text/*", "text/html", true},
		{"image/*+xml", "image/svg+xml", true},
		{"image/*+xml", "image/xml", false},
		{"*/*", "junk", false},
		{"nosuch", "application/json", false},
		{"text/html", "text/html/x", false},
		{"text/html", "text/", false},
	} {
		if got := typeMatches(tt.word, tt.name); got != tt.want {
			t.Errorf("%s for %s: %v", tt.word, tt.name, got)
		}
	}
}

func TestChoose(t *testing.T) {
	types := func(m media, offer string) int { return closeType(m, parseMedia(offer)) }
	for _, tt := range []struct {
		field  string
		offers []string
		want   string
	}{
		{"text/*;q=x, a/b;q=0.1", []string{"text/html", "a/b"}, "a/b"},
		{"text/html;level=1;q=1, text/html;q=0.2, a/b;q=0.5", []string{"text/html", "a/b", "text/html;level=1"}, "text/html;level=1"},
		{"a/b, c/d", []string{"c/d", "a/b"}, "a/b"},
		{"*/*", []string{"c/d", "a/b"}, "c/d"},
		{"a/*, */*", []string{"c/d", "a/b"}, "a/b"},
		{`a/b;p="x,y", c/d;q=0.9`, []string{"c/d", "a/b"}, "c/d"},
		{"a/b;q=0", []string{"a/b"}, ""},
		{", ,a/b", []string{"a/b"}, "a/b"},
	} {
		if got := choose(parseList(tt.field), tt.offers, types); got != tt.want {
			t.Errorf("%s of %v: %q, want %q", tt.field, tt.offers, got, tt.want)
		}
	}
}

func TestParseRange(t *testing.T) {
	for field, want := range map[string][]byteRange{
		"bytes=0-1, 4-5 ,2-3": {{0, 5}},
		"bytes=7-8,0-1":       {{0, 1}, {7, 8}},
		"bytes=-3":            {{7, 9}},
		"bytes=8-99":          {{8, 9}},
		"bytes=10-":           {},
		"bytes=-0":            {},
	} {
		got, ok := parseRange(field, 10)
		if len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) || !ok {
			t.Errorf("%s: %v %v", field, got, ok)
		}
	}
	for _, field := range []string{"bytes", "bytes=1", "bytes=a-1", "bytes=1-b", "bytes=-", "bytes=-x", "bytes=1- 2 3", "bytes=0-1,x"} {
		if got, ok := parseRange(field, 10); ok {
			t.Errorf("%s: %v", field, got)
		}
	}
}

func TestParseForm(t *testing.T) {
	o := BodyOptions{Extended: true, Parameters: 20, Depth: 3}
	for in, want := range map[string]map[string]any{
		"a[2]=z&a[]=x&a[0]=y":    {"a": []any{"y", "z", "x"}},
		"a[][b]=1":               {"a": []any{map[string]any{"b": "1"}}},
		"a[0]=1&a[x]=2":          {"a": map[string]any{"0": "1", "x": "2"}},
		"a=1&a[]=2":              {"a": []any{"1", "2"}},
		"a[01]=x":                {"a": map[string]any{"01": "x"}},
		"a%5Bb%5d=1+2&c":         {"a": map[string]any{"b": "1 2"}, "c": ""},
		"[a][b][c]=1&&=2":        {"a": map[string]any{"b": map[string]any{"c": "1"}}},
		"a[b]=c=d":               {"a": map[string]any{"b": "c=d"}},
		"a[1000000000000000]=xy": {"a": map[string]any{"1000000000000000": "xy"}},
	} {
		if got, err := o.parseForm(in, false); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"[a][b][c][d]=1", "a[b][c][d][e]=1"} {
		if _, err := o.parseForm(in, false); err == nil {
			t.Errorf("%s: no error", in)
		}
	}
	if got := formLatin1("a+%E9%4a%zz%"); got != "a éJ%zz%" {
		t.Error(got)
	}
}

func TestInflate(t *testing.T) {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write(make([]byte, 1000))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err := inflate("gzip", z.Bytes(), 1000); err != nil || len(b) != 1000 {
		t.Errorf("%d %v", len(b), err)
	}
	if _, err := inflate("gzip", z.Bytes(), 999); !errors.Is(err, server.ErrTooLarge) {
		t.Error(err)
	}
	if _, err := inflate("gzip", z.Bytes()[:z.Len()-9], 1000); err == nil {
		t.Error("a part is taken for the whole")
	}
	if _, err := inflate("deflate", z.Bytes(), 1000); err == nil {
		t.Error("gzip is taken for deflate")
	}
}

// A date that is none is never known to be early enough.
func TestAfter(t *testing.T) {
	const early, late = "Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 02 Jan 2024 00:00:00 GMT"
	for _, tt := range []struct {
		date, other string
		want        bool
	}{{early, late, false}, {late, late, false}, {late, early, true}, {"junk", late, true}, {early, "junk", true}} {
		if got := after(tt.date, tt.other); got != tt.want {
			t.Errorf("%s after %s: %v", tt.date, tt.other, got)
		}
	}
}

// The memory of an answer is used again unless it was a large one; a value that
// has no JSON leaves nothing behind.
func TestEncode(t *testing.T) {
	var e encoded
	first := e.encode("<1>")
	if got := string(first); got != `"<1>"` {
		t.Errorf("%s", got)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("a function has JSON")
			}
		}()
		e.encode(map[string]any{"a": "b", "f": func() {}})
	}()
	if again := e.encode("<2>"); &again[0] != &first[0] || string(again) != `"<2>"` {
		t.Errorf("%s, or in other memory", again)
	}
	if got := e.encode(make([]byte, maxKept)); len(got) < maxKept {
		t.Errorf("%d bytes", len(got))
	}
	if e.encode(3); e.buf.Cap() > maxKept {
		t.Errorf("%d bytes are kept", e.buf.Cap())
	}
}

func TestEscapes(t *testing.T) {
	if got := encodeURL("/a b%20%zz%\xffé<|>"); got != "/a%20b%20%25zz%25%EF%BF%BD%C3%A9%3C|%3E" {
		t.Error(got)
	}
	if got := encodeComponent("a/b é!'()*-._~;"); got != "a%2Fb%20%C3%A9!'()*-._~%3B" {
		t.Error(got)
	}
	if got := escapeHTML(`<a href="'&">`); got != "&lt;a href=&quot;&#39;&amp;&quot;&gt;" {
		t.Error(got)
	}
}

func TestVerifyError(t *testing.T) {
	var e *Error
	if err := verifyError(fs.ErrInvalid); !errors.As(err, &e) || e.Status != 403 || e.Type != "entity.verify.failed" {
		t.Error(err)
	}
	if err := verifyError(NewError(401, "who?")); !errors.As(err, &e) || e.Status != 401 {
		t.Error(err)
	}
}

// A file that has been opened too late for its exchange is closed at once.
func TestOpenAfterTheEnd(t *testing.T) {
	f := &openFile{}
	f.close()
	if err := f.open([]string{filepath.Join(t.TempDir(), ".")}); !errors.Is(err, fs.ErrClosed) {
		t.Error(err)
	}
	if _, err := f.file.Stat(); !errors.Is(err, fs.ErrClosed) {
		t.Error(err)
	}
}

func TestTrust(t *testing.T) {
	addr := netip.MustParseAddr
	nets := TrustNets("loopback", "linklocal", "uniquelocal", "192.0.2.7", "2001:db8::/32")
	for a, want := range map[string]bool{
		"127.1.2.3": true, "::1": true, "169.254.1.1": true, "fe80::1%eth0": true, "10.9.9.9": true, "172.16.0.1": true,
		"172.32.0.1": false, "192.168.1.1": true, "fd00::1": true, "192.0.2.7": true, "192.0.2.8": false, "2001:db8::9": true,
	} {
		if got := nets(addr(a), 5); got != want {
			t.Errorf("%s: %v", a, got)
		}
	}
	if h := TrustHops(2); !h(addr("1.1.1.1"), 1) || h(addr("127.0.0.1"), 2) {
		t.Error("hops are not counted")
	}
	if !TrustAll(addr("1.1.1.1"), 99) {
		t.Error("not all are trusted")
	}
}
