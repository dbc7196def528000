// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
)

// golden compares got with a file in testdata; LIFETRACE_REWRITE=1 writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/" + name
	if os.Getenv("LIFETRACE_REWRITE") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got:\n%s", path, got)
	}
}

func TestJSONGolden(t *testing.T) {
	b, err := json.MarshalIndent(sample(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "sample.json", string(b)+"\n")
}

func TestJSONRoundTrip(t *testing.T) {
	in := sample()
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out Timeline
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	if !out.Started().Equal(in.Started()) {
		t.Errorf("started %v, want %v", out.Started(), in.Started())
	}
	in.Start, in.Wall = 0, in.Start+in.Wall
	if !reflect.DeepEqual(in, &out) {
		t.Errorf("got  %+v\nwant %+v", out, *in)
	}
}

// An empty timeline has empty lists, never null, and no complaint.
func TestJSONEmpty(t *testing.T) {
	b, err := json.Marshal(&Timeline{})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "null") || !strings.Contains(string(b), `"complete":true,"incomplete":[]`) {
		t.Errorf("%s", b)
	}
	var out Timeline
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	if out.Incomplete != 0 || out.Spans != nil || out.Connection.Peer.IsValid() {
		t.Errorf("%+v", out)
	}
}

func TestJSONInert(t *testing.T) {
	in := sample()
	in.Request.Target = "/\x1b[2J\u202e\xff\u009b"
	in.Marks[1].Detail = "\x07"
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"\x1b", "\u202e", "\xff", "\u009b", `\u001b`, `\u0007`} {
		if strings.Contains(string(b), bad) {
			t.Errorf("%q is in %s", bad, b)
		}
	}
	if want := `"target":"/\\x1b[2J\\u202e\\xff\\u009b"`; !strings.Contains(string(b), want) {
		t.Errorf("%s is not in %s", want, b)
	}
}

func TestJSONRefuses(t *testing.T) {
	good, err := json.Marshal(sample())
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range [][3]string{
		{`"duration_ns":155700`, `"duration_ns":"x"`, "timeline: "},
		{`timeline/v1`, `timeline/v9`, `schema "lifetrace.timeline/v9"`},
		{`"start":"2`, `"start":"x2`, "timeline start: "},
		{`127.0.0.1:60286`, `127.0.0.1`, "timeline peer: "},
		{`127.0.0.1:8080`, `nowhere:1`, "timeline local: "},
		{`"lost"`, `"mislaid"`, `timeline incomplete: unknown word "mislaid"`},
		{`"layer":"kernel","at_ns"`, `"layer":"cellar","at_ns"`, `timeline mark layer: unknown word "cellar"`},
		{`"source":"derived"`, `"source":"hearsay"`, `timeline mark source: unknown word "hearsay"`},
		{`"layer":"kernel","start_ns"`, `"layer":"attic","start_ns"`, `timeline span layer: unknown word "attic"`},
		{`0aff0000`, `0aff00`, "timeline id: 30 digits"},
	} {
		bad := strings.Replace(string(good), tc[0], tc[1], 1)
		if bad == string(good) {
			t.Fatalf("%s is not in %s", tc[0], good)
		}
		out := Timeline{End: "before"}
		err := json.Unmarshal([]byte(bad), &out)
		if err == nil || !strings.Contains(err.Error(), tc[2]) {
			t.Errorf("%s: got %v, want %q", tc[1], err, tc[2])
		}
		if !reflect.DeepEqual(out, Timeline{End: "before"}) {
			t.Errorf("%s: a refused timeline changed the target", tc[1])
		}
	}
}
