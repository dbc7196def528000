// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/pflag"

	"github.com/lifetrace/lifetrace/internal/timeline"
)

func TestExitCode(t *testing.T) {
	interrupted, terminated := signalled{syscall.SIGINT}, signalled{syscall.SIGTERM}
	for _, tc := range []struct {
		err, cause error
		want       int
	}{
		{nil, nil, codeDone},
		{errors.New("x"), nil, codeFailure},
		{usageError("x"), nil, codeUsage},
		{fmt.Errorf("run: %w", preflightError("x")), nil, codePreflight},
		{nil, interrupted, codeInterrupted},
		{nil, terminated, codeDone},
		{fmt.Errorf("x: %w", context.Canceled), interrupted, codeInterrupted},
		{fmt.Errorf("x: %w", terminated), terminated, codeInterrupted},
		{errors.New("flush"), terminated, codeFailure}, // not the signal's doing
		{fmt.Errorf("x: %w", context.Canceled), nil, codeFailure},
		{nil, context.Canceled, codeDone}, // the command's own end
	} {
		if got := exitCode(tc.err, tc.cause); got != tc.want {
			t.Errorf("error %v, cause %v: %d, want %d", tc.err, tc.cause, got, tc.want)
		}
	}
}

func TestErrorsUnwrap(t *testing.T) {
	if err := usageError("read: %w", io.ErrUnexpectedEOF); !errors.Is(err, io.ErrUnexpectedEOF) || err.Error() != "read: unexpected EOF" {
		t.Errorf("usage error %v does not wrap its cause", err)
	}
	if got := oneLine("a:\n  b\r\n"); got != "a:;   b" {
		t.Errorf("one line: %q", got)
	}
}

func TestRevision(t *testing.T) {
	for _, tc := range []struct {
		want     string
		settings []debug.BuildSetting
	}{
		{"unknown", nil},
		{"0123456789ab", []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "false"}}},
		{"0123+dirty", []debug.BuildSetting{{Key: "vcs.modified", Value: "true"}, {Key: "vcs.revision", Value: "0123"}}},
	} {
		if got := revisionOf(tc.settings); got != tc.want {
			t.Errorf("%v: %q, want %q", tc.settings, got, tc.want)
		}
	}
}

func TestParseConfig(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n"} {
		cfg := defaultConfig()
		if err := parseConfig(&cfg, []byte(text)); text != "---\n" && err != nil || cfg != defaultConfig() {
			t.Errorf("%q: %+v, %v, want the defaults", text, cfg, err)
		}
	}
	cfg := defaultConfig()
	const all = `
listen: 127.0.0.1:80
admin: "[::1]:9"
app: demo
loops: 2
probes: off
ready-file: /run/ready
slots: 8
window: 9
`
	want := Config{"127.0.0.1:80", "[::1]:9", "demo", 2, probesOff, "/run/ready", 8, 9}
	if err := parseConfig(&cfg, []byte(all)); err != nil || cfg != want {
		t.Errorf("%+v, %v, want %+v", cfg, err, want)
	}
	for text, says := range map[string]string{
		"- a\n":                      "line 1: want settings",
		"just words\n":               "line 1: want settings",
		"loops: 1\nlisen: :80\n":     `line 2: unknown key "lisen"; known are listen, admin,`,
		"loops: 1\n\nloops: 2\n":     "line 3: loops is set twice",
		"loops: [1]\n":               "line 1: loops: want one value",
		"loops:\n":                   "line 1: loops: want one value",
		"loops: many\n":              `line 1: loops: "many" is not a whole number from 1 to 256`,
		"slots: 70000\n":             "from 1 to 65536",
		"listen: 8080\n":             `line 1: listen: "8080" is not an address`,
		"admin: 127.0.0.1:99999\n":   "is not an address",
		"probes: maybe\n":            `"maybe" is not one of auto, require, off`,
		"app: shop\n":                `"shop" is not one of demo`,
		"loops: 1\n---\nloops: 2\n":  "more than one YAML document",
		"listen: \"127.0.0.1:80\n":   "yaml: ",
		"x: &a 1\nlisten: *a\n":      "unknown key",
		"listen: &a :1\nadmin: *a\n": "line 2: admin: want one value",
	} {
		cfg := defaultConfig()
		if err := parseConfig(&cfg, []byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want an error that says %q", text, err, says)
		}
	}
}

func TestAdminAddresses(t *testing.T) {
	for admin, want := range map[string]string{
		"127.0.0.1:9190":          "http://127.0.0.1:9190",
		":9190":                   "http://127.0.0.1:9190",
		"0.0.0.0:9190":            "http://127.0.0.1:9190",
		"[::]:9190":               "http://127.0.0.1:9190",
		"[::1]:9190":              "http://[::1]:9190",
		"localhost:9190":          "http://localhost:9190",
		"https://trace.example/x": "https://trace.example/x",
	} {
		c, err := newAdminClient(admin)
		if err != nil || c.base.String() != want {
			t.Errorf("%s: %v, %v, want %s", admin, c, err, want)
		}
	}
	for _, admin := range []string{"", "localhost", "ftp://host:1", "http://", ":x", "a b:1"} {
		if _, err := newAdminClient(admin); exitCode(err, nil) != codeUsage {
			t.Errorf("%q: %v, want a usage error", admin, err)
		}
	}
}

// brokenPipe takes some writes and refuses the next.
type brokenPipe struct{ left int }

func (b *brokenPipe) Write(p []byte) (int, error) {
	if b.left--; b.left < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

func TestWritersSayThatTheyCannotWrite(t *testing.T) {
	raw, err := json.Marshal(&timeline.Timeline{})
	if err != nil {
		t.Fatal(err)
	}
	two := []json.RawMessage{raw, raw}
	texts := func(w io.Writer, all []json.RawMessage) error { return writeTexts(w, all, timeline.TextOptions{}) }
	for name, write := range map[string]func(io.Writer, []json.RawMessage) error{"text": texts, "json": writeArray, "jsonl": writeLines} {
		for left := range 2 {
			if name == "json" && left > 0 {
				continue // one write does it
			}
			if err := write(&brokenPipe{left}, two); !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("%s after %d writes: %v, want the pipe's error", name, left, err)
			}
		}
	}
	if err := writeLines(io.Discard, []json.RawMessage{[]byte("{")}); err == nil {
		t.Error("a cut timeline was written as a line")
	}
}

func TestTextOptionsWithoutATerminal(t *testing.T) {
	if o := textOptions(io.Discard, false); o != (timeline.TextOptions{}) {
		t.Errorf("%+v, want no colour and no width", o)
	}
}

func TestManPageHasEveryCommandAndFlag(t *testing.T) {
	root := newRoot(deps{})
	page := manPage(root)
	for _, c := range root.Commands() {
		if c.Name() != "help" && !strings.Contains(page, ".SS lifetrace "+roff(c.Use)+"\n") {
			t.Errorf("%s is not in the manual page", c.Name())
		}
	}
	for _, s := range settings() {
		if !strings.Contains(page, `\fB`+roff("--"+s.name)+`\fR`) {
			t.Errorf("--%s is not in the manual page", s.name)
		}
	}
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "'") {
			t.Errorf("line %q is a request to roff", line)
		}
	}
	if got := roff(".a-b\\c"); got != `\&.a\-b\ec` {
		t.Errorf("roff: %q", got)
	}
}

// A flag that the documentation does not have is one that nobody finds.
func TestDocumentationHasEveryFlag(t *testing.T) {
	doc, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range newRoot(deps{}).Commands() {
		if !strings.Contains(string(doc), "lifetrace "+c.Name()) && !strings.Contains(string(doc), ", "+c.Name()) && c.Name() != "help" {
			t.Errorf("lifetrace %s is not in docs/cli.md", c.Name())
		}
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if !strings.Contains(string(doc), "`--"+f.Name) {
				t.Errorf("lifetrace %s --%s is not in docs/cli.md", c.Name(), f.Name)
			}
		})
	}
	d := defaultConfig()
	for _, s := range settings() {
		row := regexp.MustCompile("(?m)^\\| `--" + s.name + " .*$").FindString(string(doc))
		if !strings.Contains(row, s.get(&d)) {
			t.Errorf("docs/cli.md: %q does not have the default %q", row, s.get(&d))
		}
	}
}

// Every field that a timeline can have is explained.
func TestDocumentationHasEveryField(t *testing.T) {
	doc, err := os.ReadFile("../../docs/timeline.md")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(&timeline.Timeline{
		Marks: []timeline.Mark{{Detail: "auth"}},
		Spans: []timeline.Span{{Detail: &timeline.Detail{
			Depth: 1, Limit: 1, Wait: 1, BlockedBy: []timeline.ID{{}}, BlockedNS: []int64{1}, BlockedOther: 1, Derived: true, After: 1,
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range regexp.MustCompile(`"([a-z_]+)":`).FindAllStringSubmatch(string(raw), -1) {
		if !regexp.MustCompile("[`\".]" + key[1] + "[`\"]").Match(doc) {
			t.Errorf("%s is not in docs/timeline.md", key[1])
		}
	}
}
