// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
)

func text(t *testing.T, tl *Timeline, o TextOptions) string {
	t.Helper()
	var b strings.Builder
	if err := WriteText(&b, tl, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTextGolden(t *testing.T) {
	plain := text(t, sample(), TextOptions{})
	golden(t, "sample.txt", plain)
	colored := text(t, sample(), TextOptions{Color: true})
	if got := regexp.MustCompile("\x1b\\[[0-9]*m").ReplaceAllString(colored, ""); got != plain || colored == plain {
		t.Errorf("colour changes more than colour:\n%s", colored)
	}
}

// No line is wider than asked for, whatever the text; every bar has a cell.
func TestTextWidth(t *testing.T) {
	tl := sample()
	tl.Request.Target = "/" + strings.Repeat("\u00e9x", 300)
	tl.Spans[3].Name = "layer:" + strings.Repeat("n", 50)
	tl.Unsupported = strings.Fields(strings.Repeat("accept.queue tcp.handshake ", 9))
	for _, w := range []int{-1, 1, 72, 80, 100, 200} {
		want := w
		if w < 0 {
			want = 100
		}
		want = max(want, 72)
		lines := strings.Split(text(t, tl, TextOptions{Width: w}), "\n")
		for _, l := range lines {
			if cols(l) > want {
				t.Errorf("width %d: %d columns: %s", w, cols(l), l)
			}
		}
		if !strings.HasSuffix(lines[0], "~  200  155.7us  incomplete") {
			t.Errorf("first line %q", lines[0])
		}
	}
}

func TestTextBars(t *testing.T) {
	out := text(t, sample(), TextOptions{})
	for _, re := range []string{
		`(?m)^   1 kernel  tcp\.handshake +#+ +49\.30us +0ns$`,
		`(?m)^   - unknown unknown +\? +30ns +91\.20us$`,
		`(?m)^  16 loop    keepalive\.reset +o +0ns +155\.7us$`,
	} {
		if !regexp.MustCompile(re).MatchString(out) {
			t.Errorf("%s is not in\n%s", re, out)
		}
	}
}

func TestTextInert(t *testing.T) {
	tl := sample()
	tl.Request.Method = "G\x1b[2JT"
	tl.Request.Target = "/\u202e\x9b\n"
	tl.Spans[3].Name = "layer:\x07"
	tl.Marks[2].Detail = "\x1b"
	out := text(t, tl, TextOptions{})
	for _, bad := range []string{"\x1b", "\x07", "\u202e", "\x9b"} {
		if strings.Contains(out, bad) {
			t.Errorf("%q is in\n%s", bad, out)
		}
	}
	if !strings.HasPrefix(out, `G\x1b[2JT /\u202e\x9b\x0a  200`) {
		t.Errorf("%s", out)
	}
}

// A timeline that knows nothing is still a page.
func TestTextEmpty(t *testing.T) {
	out := text(t, &Timeline{}, TextOptions{})
	if !strings.HasPrefix(out, "(no request line seen)  no status  0ns  complete\n") {
		t.Errorf("%s", out)
	}
}

func TestTextWriteError(t *testing.T) {
	r, w := io.Pipe()
	want := errors.New("gone")
	r.CloseWithError(want)
	if err := WriteText(w, sample(), TextOptions{}); !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
}
