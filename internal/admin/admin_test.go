// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lifetrace/lifetrace/internal/metrics"
	"github.com/lifetrace/lifetrace/internal/timeline"
	"github.com/lifetrace/lifetrace/internal/window"
)

// now is the endpoint's wall clock; timeline n began n seconds before it.
var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// filled returns a window of n timelines; id 1 is the newest and fastest.
func filled(n int) *window.Window {
	w := window.New(window.Options{})
	for i := n; i >= 1; i-- {
		t := &timeline.Timeline{Wall: now.Add(-time.Duration(i) * time.Second).UnixNano(), Duration: int64(i) * 1e6}
		t.ID[15] = byte(i)
		t.Request.Method, t.Request.Target, t.Request.Route = "GET", "/users/42", "/users/:id"
		t.Response.Status = 200 + 100*(i%2)
		t.Spans = []timeline.Span{{Name: "unknown", Duration: t.Duration}}
		t.Layers[timeline.Unknown] = t.Duration
		w.Add(t)
	}
	return w
}

func handler(o Options) http.Handler {
	if o.Window == nil {
		o.Window = filled(3)
	}
	o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "some_metric 1\n")
	})
	o.Now = func() time.Time { return now }
	return New(o)
}

func request(h http.Handler, method, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.Host = "127.0.0.1:9190"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestPlainPages(t *testing.T) {
	h := handler(Options{})
	for _, tc := range []struct{ path, kind, want string }{
		{"/", "text/plain", "/api/v1/timelines/{id}"},
		{"/healthz", "text/plain", "ok\n"},
		{"/readyz", "text/plain", "ready\n"},
		{"/metrics", "text/plain", "some_metric 1\n"},
		{"/api/v1/probes", "application/json", "[]\n"},
	} {
		resp := request(h, "GET", tc.path)
		if got := resp.Body.String(); resp.Code != 200 || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %d %q, want 200 and %q", tc.path, resp.Code, got, tc.want)
		}
		if ct := resp.Header().Get("Content-Type"); !strings.HasPrefix(ct, tc.kind) {
			t.Errorf("%s: %s, want %s", tc.path, ct, tc.kind)
		}
	}
}

func TestIndexListsEveryPath(t *testing.T) {
	for _, path := range []string{"/metrics", "/healthz", "/readyz", "/api/v1/timelines", "/api/v1/timelines/{id}", "/api/v1/probes"} {
		if !strings.Contains(index, "\n"+path+" ") {
			t.Errorf("%s is not in the index", path)
		}
	}
	for _, param := range window.Params() {
		if !strings.Contains(index, param+"=") {
			t.Errorf("%s= is not in the index", param)
		}
	}
}

func TestReadyzSaysWhyNot(t *testing.T) {
	resp := request(handler(Options{Ready: func() error { return errors.New("no probe has fired") }}), "GET", "/readyz")
	if got := resp.Body.String(); resp.Code != 503 || got != "not ready: no probe has fired\n" {
		t.Errorf("%d %q", resp.Code, got)
	}
}

func TestProbes(t *testing.T) {
	resp := request(handler(Options{Probes: func() []metrics.ProbeStat {
		return []metrics.ProbeStat{{Name: "tcp_probe", Up: true, Produced: 3, Read: 2, Lost: map[string]uint64{"no_slot": 1}}}
	}}), "GET", "/api/v1/probes")
	const want = `[{"name":"tcp_probe","up":true,"produced":3,"read":2,"merged":0,"lost":{"no_slot":1}}]` + "\n"
	if got := resp.Body.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestTimelines(t *testing.T) {
	h := handler(Options{})
	for _, tc := range []struct {
		query string
		ids   string // the last digits
	}{
		{"", "321"},
		{"?last=2", "21"},
		{"?last=all", "321"},
		{"?slowest=2", "32"},
		{"?status=2xx", "2"},
		{"?status=200,300", "321"},
		{"?min_duration=2ms", "32"},
		{"?since=2s", "21"},
		{"?route=/users/:id&last=1", "1"},
		{"?route=/nothing", ""},
	} {
		resp := request(h, "GET", "/api/v1/timelines"+tc.query)
		var got []struct{ Schema, ID string }
		if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || got == nil {
			t.Errorf("%s: %v, want an array", tc.query, err)
		}
		ids := ""
		for _, tl := range got {
			ids += tl.ID[31:]
			if tl.Schema != timeline.Schema {
				t.Errorf("%s: schema %q", tc.query, tl.Schema)
			}
		}
		if ids != tc.ids || resp.Code != 200 {
			t.Errorf("%s: %d, ids %q, want 200, %q", tc.query, resp.Code, ids, tc.ids)
		}
	}
}

func TestTimelinesWithoutANumberAreBounded(t *testing.T) {
	resp := request(handler(Options{Window: filled(200)}), "GET", "/api/v1/timelines?status=3xx,2xx")
	var got []json.RawMessage
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || len(got) != DefaultLast {
		t.Errorf("%d timelines (%v), want %d", len(got), err, DefaultLast)
	}
}

func TestOneTimeline(t *testing.T) {
	resp := request(handler(Options{}), "GET", "/api/v1/timelines/00000000000000000000000000000002")
	var got timeline.Timeline
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || got.Duration != 2e6 || resp.Code != 200 {
		t.Errorf("%d, %+v (%v), want the timeline of 2 ms", resp.Code, got, err)
	}
}

func TestMistakes(t *testing.T) {
	h := handler(Options{})
	for _, tc := range []struct {
		method, path string
		status       int
		says         string
	}{
		{"GET", "/api/v1/timelines?last=0", 400, "last: "},
		{"GET", "/api/v1/timelines?lats=1", 400, "unknown parameter"},
		{"GET", "/api/v1/timelines?last=%zz", 400, "query: "},
		{"GET", "/api/v1/timelines/12", 400, "32"},
		{"GET", "/api/v1/timelines/0000000000000000000000000000000f", 404, "pushed it out"},
		{"GET", "/api/v1/nothing", 404, "/ lists what there is"},
		{"POST", "/api/v1/timelines", 405, "only GET"},
		{"DELETE", "/metrics", 405, "only GET"},
	} {
		resp := request(h, tc.method, tc.path)
		var e struct{ Error string }
		if err := json.NewDecoder(resp.Body).Decode(&e); err != nil {
			t.Errorf("%s %s: %v, want a JSON error", tc.method, tc.path, err)
		}
		if resp.Code != tc.status || !strings.Contains(e.Error, tc.says) {
			t.Errorf("%s %s: %d %q, want %d and %q", tc.method, tc.path, resp.Code, e.Error, tc.status, tc.says)
		}
		if tc.status == 405 && resp.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s %s: Allow %q", tc.method, tc.path, resp.Header().Get("Allow"))
		}
	}
}

func TestHeaders(t *testing.T) {
	h := handler(Options{})
	for _, path := range []string{"/", "/metrics", "/nothing", "/api/v1/timelines"} {
		resp := request(h, "GET", path)
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
			"Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Access-Control-Allow-Origin": "",
		} {
			if got := resp.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
}

func TestHostNames(t *testing.T) {
	h := handler(Options{Host: "trace.example"})
	for _, tc := range []struct {
		host, local string
		status      int
	}{
		{"localhost:9190", "127.0.0.1:9190", 200},
		{"LOCALHOST", "127.0.0.1:9190", 200},
		{"127.0.0.1", "127.0.0.1:9190", 200},
		{"[::1]:9190", "[::1]:9190", 200},
		{"[::1]", "[::1]:9190", 200},
		{"trace.example:9190", "127.0.0.1:9190", 200},
		{"evil.example:9190", "127.0.0.1:9190", 421},
		{"evil.example:9190", "[::1]:9190", 421},
		{"evil.example:9190", "[::ffff:127.0.0.1]:9190", 421},
		{"localhost.evil.example", "127.0.0.1:9190", 421},
		{"", "127.0.0.1:9190", 421},
		{"evil.example:9190", "", 421},
		{"node7.example:9190", "192.0.2.7:9190", 200}, // a scrape from outside
	} {
		r := httptest.NewRequest("GET", "/healthz", nil)
		r.Host = tc.host
		if tc.local != "" {
			a, err := net.ResolveTCPAddr("tcp", tc.local)
			if err != nil {
				t.Fatal(err)
			}
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, a))
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tc.status {
			t.Errorf("host %q at %q: %d, want %d", tc.host, tc.local, w.Code, tc.status)
		}
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/healthz", nil)
	r.Host = ""
	handler(Options{}).ServeHTTP(w, r)
	if w.Code != 421 {
		t.Errorf("no host, none configured: %d, want 421", w.Code)
	}
}

// cutWriter is a client that goes away after some bytes.
type cutWriter struct {
	*httptest.ResponseRecorder
	left int
}

func (c *cutWriter) Write(b []byte) (int, error) {
	if c.left -= len(b); c.left < 0 {
		return 0, errors.New("gone")
	}
	return c.ResponseRecorder.Write(b)
}

// A client that has gone must not have timelines encoded for it, and an array
// that was cut must not look whole.
func TestTimelinesClientGone(t *testing.T) {
	r := httptest.NewRequest("GET", "/api/v1/timelines", nil)
	r.Host = "localhost"
	w := &cutWriter{httptest.NewRecorder(), 1}
	handler(Options{}).ServeHTTP(w, r)
	if got := w.Body.String(); got != "[" {
		t.Errorf("body %q, want the beginning of an array", got)
	}
}

func TestOverARealConnection(t *testing.T) {
	s := httptest.NewServer(handler(Options{}))
	defer s.Close()
	resp, err := s.Client().Get(s.URL + "/api/v1/timelines?last=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || !strings.Contains(string(got), "/users/42") {
		t.Errorf("%d %q (%v)", resp.StatusCode, got, err)
	}
	req, err := http.NewRequest("GET", s.URL+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "evil.example"
	resp, err = s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 421 {
		t.Errorf("foreign name on loopback: %d, want 421", resp.StatusCode)
	}
}
