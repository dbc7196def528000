// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// metric sums the samples of a metric whose labels contain a text.
func (d *daemon) metric(name, labels string) (sum float64) {
	d.t.Helper()
	for s := bufio.NewScanner(strings.NewReader(d.get("/metrics"))); s.Scan(); {
		key, value, ok := strings.Cut(s.Text(), " ")
		if !ok || !strings.HasPrefix(key, name) || !strings.Contains(key, labels) ||
			len(key) > len(name) && key[len(name)] != '{' {
			continue
		}
		v, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
		if err != nil {
			d.t.Fatalf("%s: %v", s.Text(), err)
		}
		sum += v
	}
	return sum
}

// balance waits until the readers have caught up and checks the loss equation.
func (d *daemon) balance() {
	d.t.Helper()
	type probe struct {
		Name                   string
		Up                     bool
		Produced, Read, Merged uint64
		Lost                   map[string]uint64
	}
	var wrong string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var ps []probe
		if err := json.Unmarshal([]byte(d.get("/api/v1/probes")), &ps); err != nil {
			d.t.Fatal(err)
		}
		wrong = ""
		marks := uint64(0)
		for _, p := range ps {
			lost := uint64(0)
			for _, n := range p.Lost {
				lost += n
			}
			if p.Produced != p.Read+p.Merged+lost {
				wrong += fmt.Sprintf("%s: produced %d, read %d + merged %d + lost %d\n", p.Name, p.Produced, p.Read, p.Merged, lost)
			}
			if !p.Up {
				wrong += p.Name + " is not up\n"
			}
			marks += p.Produced
		}
		if marks == 0 {
			d.t.Fatal("no marks at all")
		}
		if wrong == "" {
			return
		}
	}
	d.t.Errorf("marks do not balance:\n%s", wrong)
}

// rss returns the daemon's resident memory, bytes.
func (d *daemon) rss() int {
	d.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	if err != nil {
		d.t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

var wrkRequests = regexp.MustCompile(`(\d+) requests in`)

// loadSeconds is how long wrk runs; LIFETRACE_LOAD_SECONDS changes it.
func loadSeconds(t *testing.T) int {
	s := os.Getenv("LIFETRACE_LOAD_SECONDS")
	if s == "" {
		return 30
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 2 {
		t.Fatalf("LIFETRACE_LOAD_SECONDS=%q is not a number of at least 2", s)
	}
	return n
}

// wrk runs a load and returns how many requests were answered.
func (d *daemon) wrk(args ...string) float64 {
	d.t.Helper()
	out, err := exec.Command("wrk", append(args, "http://"+d.listen+"/users/42")...).CombinedOutput()
	if err != nil {
		d.t.Fatalf("wrk: %v\n%s", err, out)
	}
	m := wrkRequests.FindSubmatch(out)
	if m == nil || strings.Contains(string(out), "Non-2xx") || strings.Contains(string(out), "Socket errors") {
		d.t.Fatalf("wrk said:\n%s", out)
	}
	n, _ := strconv.ParseFloat(string(m[1]), 64)
	return n
}

// finished waits until there are as many timelines as requests and returns how
// many there are, and how many of them are complete or were cut off.
func (d *daemon) finished(sent float64) (total, whole float64) {
	d.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		total = d.metric("lifetrace_timelines_total", "")
		if total >= sent || time.Now().After(deadline) {
			break
		}
	}
	d.balance()
	total = d.metric("lifetrace_timelines_total", "")
	return total, d.metric("lifetrace_timelines_total", `outcome="complete"`) + d.metric("lifetrace_timelines_total", `outcome="aborted"`)
}

// Every request of every kind of load has its timeline: a connection each, and
// two loops with more threads than CPUs.
func TestOtherLoads(t *testing.T) {
	for name, c := range map[string]struct{ run, wrk []string }{
		"connection per request": {nil, []string{"-t1", "-c32", "-d3s", "-H", "Connection: close"}},
		"two loops":              {[]string{"--loops=2"}, []string{"-t1", "-c32", "-d3s"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := start(t, c.run...)
			sent := d.wrk(c.wrk...)
			total, whole := d.finished(sent)
			t.Logf("%.0f requests, %.0f timelines, %.0f whole", sent, total, whole)
			if total < sent || total > sent+64 {
				t.Errorf("%.0f timelines, want wrk's %.0f and at most 64 that were on their way", total, sent)
			}
			// More busy threads than CPUs: the drainer is late now and then.
			if whole < 0.98*total {
				t.Errorf("%.2f %% are whole", 100*whole/total)
			}
		})
	}
}

// 64 keep-alive connections as fast as they go: every request has a timeline,
// at least 99.9 % of them complete, the rest flagged, and memory is flat.
func TestLoad(t *testing.T) {
	d := start(t)
	const conns = 64
	seconds := loadSeconds(t)
	wrk := func(seconds int) float64 {
		t.Helper()
		return d.wrk("-t1", fmt.Sprintf("-c%d", conns), fmt.Sprintf("-d%ds", seconds))
	}
	// After this much everything that is bounded has reached its bound.
	sent := wrk(max(2, seconds/3))
	before := d.rss()
	sent += wrk(seconds)
	after := d.rss()

	total, whole := d.finished(sent)
	complete := d.metric("lifetrace_timelines_total", `outcome="complete"`)
	t.Logf("%.0f requests, %.0f timelines, %.0f complete (%.4f %%), resident %d MiB, then %d MiB",
		sent, total, complete, 100*complete/total, before>>20, after>>20)
	// Each run of wrk stops with up to a request per connection on its way.
	if total < sent || total > sent+2*conns {
		t.Errorf("%.0f timelines, want wrk's %.0f and at most %d that were on their way", total, sent, 2*conns)
	}
	if aborted := d.metric("lifetrace_timelines_total", `outcome="aborted"`); aborted > 2*conns {
		t.Errorf("%.0f timelines are aborted, want at most the %d on their way", aborted, 2*conns)
	} else if whole < 0.999*total {
		t.Errorf("%.4f %% of the timelines are complete, want at least 99.9", 100*whole/total)
	}
	if grown := after - before; grown > before/4 {
		t.Errorf("resident memory grew by %d MiB from %d MiB under the same load", grown>>20, before>>20)
	}
}
