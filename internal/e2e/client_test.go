// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/lifetrace/lifetrace/internal/timeline"
)

type bufReader = bufio.Reader

func newBufReader(r io.Reader) *bufReader { return bufio.NewReaderSize(r, 64<<10) }

// response reads one response and returns its status and content.
func (c *client) response() (int, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n" }

func sortByExchange(ts []*timeline.Timeline) {
	slices.SortFunc(ts, func(a, b *timeline.Timeline) int {
		if a.Connection.Cookie != b.Connection.Cookie {
			return int(a.Connection.Cookie) - int(b.Connection.Cookie)
		}
		return int(a.Connection.Exchange) - int(b.Connection.Exchange)
	})
}

// causes lists marks that cannot come in another order.
var causes = [][]string{
	{"tcp.syn", "tcp.established", "accept", "connection", "parser.attached"},
	{"data.first", "recv.first", "headers.complete", "request", "layer.enter"},
	{"data.first", "data.last", "recv.last"},
	{"request", "head.composed", "response.end"},
	{"send.first", "xmit.first", "ack.first", "ack.last"},
	{"send.first", "send.last"},
	{"xmit.last", "ack.last"},
}

// check holds what must be true of every timeline.
func check(t testing.TB, tl *timeline.Timeline) {
	t.Helper()
	if err := tl.Check(); err != nil {
		t.Error(err)
	}
	wakeUps(t, tl)
	for _, chain := range causes {
		last, name := int64(-1), ""
		for _, m := range chain {
			at, ok := at(tl, m)
			if !ok {
				continue
			}
			if at < last {
				t.Errorf("%v %s: %s at %d ns is before %s at %d ns", tl.ID, tl.Request.Target, m, at, name, last)
			}
			last, name = at, m
		}
	}
}

// wakeUps holds that a loop that runs was woken before, and returned after: the
// marks of one epoll_wait in a row. A loop that was not asleep has the return
// only, and what came before the timeline's start is not in it.
func wakeUps(t testing.TB, tl *timeline.Timeline) {
	t.Helper()
	before := map[string][]string{
		"epoll.wake":   {"", "epoll.return"},
		"loop.running": {"", "epoll.wake"},
		"epoll.return": {"", "epoll.return", "epoll.wake", "loop.running"},
	}
	last := ""
	for _, m := range tl.Marks {
		if allowed, ok := before[m.Name]; ok {
			if !slices.Contains(allowed, last) {
				t.Errorf("%v %s: %s at %d ns comes after %q", tl.ID, tl.Request.Target, m.Name, m.At, last)
			}
			last = m.Name
		}
	}
}

// at returns the first mark with a name, ns from the timeline's start.
func at(tl *timeline.Timeline, name string) (int64, bool) {
	for _, m := range tl.Marks {
		if m.Name == name {
			return m.At, true
		}
	}
	return 0, false
}

// spent returns the time in all spans with a name, ns.
func spent(tl *timeline.Timeline, names ...string) (ns int64) {
	for _, s := range tl.Spans {
		if slices.Contains(names, s.Name) {
			ns += s.Duration
		}
	}
	return ns
}

// steps returns which of the sixteen steps have a span.
func steps(tl *timeline.Timeline) map[int]bool {
	out := map[int]bool{}
	for _, s := range tl.Spans {
		out[int(s.Step)] = true
	}
	return out
}

func complete(t testing.TB, tl *timeline.Timeline) {
	t.Helper()
	if tl.Incomplete != 0 || tl.End != "ack" {
		t.Errorf("%s %s (exchange %d): incomplete %v, ended by %q, want a complete one ended by the ACK",
			tl.Request.Method, tl.Request.Target, tl.Connection.Exchange, tl.Incomplete.Names(), tl.End)
	}
}
