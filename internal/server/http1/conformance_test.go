// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// conformanceDir is where the public cases are, seen from the repository's root.
const (
	root           = "../../.."
	conformanceDir = "../shared/conformance"
	conformanceEnv = "LIFETRACE_CONFORMANCE"
	conformanceDoc = "docs/conformance.md"
)

// llhttpCase is one of llhttp's own tests.
type llhttpCase struct {
	Name  string   `json:"name"`
	Kind  string   `json:"kind"`
	Input []byte   `json:"input_base64"`
	Log   []string `json:"log"`
}

func readCases(t *testing.T) []llhttpCase {
	dir := os.Getenv(conformanceEnv)
	if dir == "" {
		dir = filepath.Join(root, conformanceDir)
	}
	text, err := os.ReadFile(filepath.Join(dir, "llhttp.json"))
	if os.IsNotExist(err) && os.Getenv("LIFETRACE_REQUIRE_CONFORMANCE") != "1" {
		t.Skipf("no cases: %v; %s names their folder", err, conformanceEnv)
	}
	if err != nil {
		t.Fatal(err)
	}
	var cases []llhttpCase
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatalf("no cases in %s", dir)
	}
	for i := range cases {
		cases[i].Input = asFed(cases[i].Input)
	}
	return cases
}

// asFed undoes the recording, which has one byte for each character of a
// document: llhttp was fed the UTF-8 of it, and counts that.
func asFed(recorded []byte) []byte {
	runes := make([]rune, len(recorded))
	for i, c := range recorded {
		runes[i] = rune(c)
	}
	return []byte(string(runes))
}

// leniencies are those that kinds are named for.
var leniencies = map[string]Leniency{
	"lenient-headers": LenientHeaders, "lenient-chunked-length": LenientChunkedLength,
	"lenient-keep-alive": LenientKeepAlive, "lenient-transfer-encoding": LenientTransferEncoding,
	"lenient-version": LenientVersion, "lenient-data-after-close": LenientDataAfterClose,
	"lenient-optional-lf-after-cr":      LenientOptionalLFAfterCR,
	"lenient-optional-crlf-after-chunk": LenientOptionalCRLFAfterChunk,
	"lenient-optional-cr-before-lf":     LenientOptionalCRBeforeLF,
	"lenient-spaces-after-chunk-size":   LenientSpacesAfterChunkSize,
	"lenient-header-value-relaxed":      LenientHeaderValueRelaxed,
	"lenient-host":                      LenientHost,
	"lenient-target":                    LenientTarget,
	"lenient-all":                       LenientHeaderValueRelaxed<<1 - 1,
}

var errorLine = regexp.MustCompile(`^off=(\d+) error code=(\d+) `)

// outcome is what a case came to.
type outcome struct {
	log []string
	err *Error
	at  int // offset of err
}

func (o outcome) String() string {
	text := strings.Join(o.log, "\n")
	if o.err != nil {
		text += fmt.Sprintf("\noff=%d %s %s", o.at, o.err.Code, o.err.Reason)
	}
	return text
}

// name is how docs/conformance.md calls the end of it.
func (o outcome) name() string {
	if o.err == nil {
		return "accepted"
	}
	return o.err.Code.String()
}

func (c *llhttpCase) run(allow Leniency, cuts ...int) (o outcome) {
	skip := slices.ContainsFunc(c.Log, func(s string) bool { return strings.HasSuffix(s, " skip body") })
	o.log, o.err, o.at = runLLHTTP(allow, strings.HasPrefix(c.Kind, "response"), skip, strings.HasSuffix(c.Kind, "-finish"), c.Input, cuts...)
	o.log = comparable(o.log, o.err != nil)
	return o
}

// agrees reports whether llhttp comes to the same.
func (c *llhttpCase) agrees(o outcome) bool {
	want := c.Log
	code, at := 0, 0
	if n := len(want); n > 0 {
		// An upgrade is an error to llhttp only, and stays a line.
		if m := errorLine.FindStringSubmatch(want[n-1]); m != nil && m[2] != "22" {
			want = want[:n-1]
			at, _ = strconv.Atoi(m[1])
			code, _ = strconv.Atoi(m[2])
		}
	}
	if !slices.Equal(o.log, comparable(want, code != 0)) {
		return false
	}
	if o.err == nil || code == 0 {
		return o.err == nil && code == 0
	}
	// llhttp counts the refused byte as consumed in some of its errors.
	return slices.Contains(llhttpCodes[o.err.Code], code) && (at == o.at || at == o.at+1)
}

// allowed is what a kind runs with.
func (c *llhttpCase) allowed(t *testing.T) Leniency {
	_, kind, _ := strings.Cut(c.Kind, "-")
	if kind == "" || kind == "finish" {
		return 0
	}
	l, ok := leniencies[kind]
	if !ok {
		t.Fatalf("no leniency for the kind %q", c.Kind)
	}
	return l
}

// beyond are the two rules that llhttp has not at all. With them nearly none of
// its documents would say anything, as they lack Host.
const beyond = LenientHost | LenientTarget

// TestLLHTTP compares with llhttp, whole and split at every byte.
func TestLLHTTP(t *testing.T) {
	listed := readDifferences(t)
	for _, c := range readCases(t) {
		if c.Kind == "url" {
			continue
		}
		want, ok := listed[c.Name]
		delete(listed, c.Name)
		t.Run(c.Name, func(t *testing.T) {
			got := c.run(c.allowed(t) | beyond)
			switch agrees := c.agrees(got); {
			case agrees && ok:
				t.Errorf("%s lists a difference, and there is none", conformanceDoc)
			case !agrees && !ok:
				t.Errorf("%s lists no difference:\n%q\n%s\nllhttp:\n%s", conformanceDoc, c.Input, got, strings.Join(c.Log, "\n"))
			case ok && got.name() != want:
				t.Errorf("%s says %s, but it is %s", conformanceDoc, want, got.name())
			}
			for i := range c.Input {
				if split := c.run(c.allowed(t)|beyond, i); split.String() != got.String() {
					t.Fatalf("split at %d:\n%s\nwhole:\n%s", i, split, got)
				}
			}
		})
	}
	if os.Getenv(conformanceEnv) == "" {
		for name := range listed {
			t.Errorf("%s lists %q, which is no case", conformanceDoc, name)
		}
	}
}

// TestBeyondLLHTTP: what a parser with every rule does differently is to refuse,
// and for these rules only.
func TestBeyondLLHTTP(t *testing.T) {
	for _, c := range readCases(t) {
		if c.Kind == "url" {
			continue
		}
		got, strict := c.run(c.allowed(t)|beyond), c.run(c.allowed(t))
		if strict.err == errHostMissing || strict.err == errURL {
			continue
		}
		if strict.String() != got.String() {
			t.Errorf("%s:\n%s\nwith leniency:\n%s", c.Name, strict, got)
		}
	}
}

// readDifferences reads the table of the section "Parser": the cases, and how
// each ends here.
func readDifferences(t *testing.T) map[string]string {
	text, err := os.ReadFile(filepath.Join(root, conformanceDoc))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n## Parser\n")
	if !ok {
		t.Fatalf("%s has no section Parser", conformanceDoc)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	listed := map[string]string{}
	for line := range strings.SplitSeq(section, "\n") {
		cells := strings.Split(line, " | ")
		name := strings.TrimPrefix(cells[0], "| ")
		if name == line || !strings.Contains(name, ".md:") {
			continue
		}
		if len(cells) != 3 || len(cells[2]) < 20 {
			t.Errorf("no case, outcome and reason: %s", line)
			continue
		}
		if listed[name] != "" {
			t.Errorf("listed twice: %s", name)
		}
		listed[name] = strings.Trim(cells[1], "`")
	}
	return listed
}
