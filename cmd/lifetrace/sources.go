// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/lifetrace/lifetrace/internal/clock"
	"github.com/lifetrace/lifetrace/internal/correlate"
	"github.com/lifetrace/lifetrace/internal/metrics"
	"github.com/lifetrace/lifetrace/internal/probes"
)

// sources tells the metrics where to look at each scrape.
func (d *daemon) sources() metrics.Sources {
	s := metrics.Sources{
		Probes:        d.probeStats,
		Connections:   d.connections,
		LoopLag:       func() (time.Duration, bool) { return d.col.Health().LoopLag(clock.Now()), true },
		Evictions:     d.evictions,
		NegativeSpans: func() uint64 { return d.joinStats().Negative },
	}
	if d.kernel != nil {
		reasons := d.kernel.probes.ResetReasons()
		s.AcceptQueue = func() (int, int, bool) { return d.col.Health().AcceptQueue() }
		s.Resets = func() []metrics.ResetStat { return d.resets(reasons) }
	}
	if _, ok := listenOverflows(netstatFile); ok {
		s.ListenOverflows = func() uint64 { n, _ := listenOverflows(netstatFile); return n }
	}
	return s
}

func (d *daemon) joinStats() (s correlate.Stats) {
	d.col.WithJoin(func() { s = d.join.Stats() })
	return s
}

// probeStats is the account of every hook, and of the stamps beside them.
func (d *daemon) probeStats() []metrics.ProbeStat {
	stamps := metrics.ProbeStat{Name: "stamps", Up: true, Lost: map[string]uint64{}}
	for _, r := range d.rings {
		stamps.Lost["ring_full"] += r.Lost()
		stamps.Read += r.Produced()
	}
	stamps.Produced = stamps.Read + stamps.Lost["ring_full"]
	out := []metrics.ProbeStat{stamps}
	if d.kernel == nil {
		return out
	}
	var marks []probes.ProbeStat
	d.col.WithLanes(func() { marks = d.kernel.reader.Stats(func(string) bool { return true }) })
	account := map[string]probes.ProbeStat{}
	for _, m := range marks {
		account[m.Name] = m
	}
	for _, h := range d.kernel.probes.States() {
		m := account[h.Point]
		delete(account, h.Point)
		p := metrics.ProbeStat{
			Name: h.Point, Up: h.Err == nil, Produced: m.Produced, Read: m.Read, Merged: m.Merged,
			Lost: map[string]uint64{"lane_full": m.Lost},
		}
		if h.Attach == probes.SockOps {
			p.Name = "sockops"
		}
		if h.Err != nil {
			p.Detail = h.Err.Error()
		}
		out = append(out, p)
	}
	if e, ok := account["events"]; ok {
		out = append(out, metrics.ProbeStat{
			Name: "events", Up: true, Produced: e.Produced, Read: e.Read,
			Lost: map[string]uint64{"ring_full": e.Lost},
		})
	}
	return out
}

func (d *daemon) connections() map[string]int {
	out := map[string]int{"open": int(d.server.Stats().Open)}
	if d.kernel != nil {
		out["traced"] = d.col.Traced()
		out["slots_free"] = d.slotsFree()
	}
	return out
}

func (d *daemon) slotsFree() (n int) {
	d.col.WithLanes(func() { n = d.kernel.reader.Free() })
	return n
}

func (d *daemon) evictions() map[string]uint64 {
	s := d.joinStats()
	out := map[string]uint64{
		"connection": s.EvictedConns, "exchange": s.DroppedExchanges, "stamp": s.EvictedStamps,
		"mark": s.EvictedMarks, "loop_history": s.EvictedHistory, "overdue": s.Overdue,
		"unmatched_stamp": s.UnmatchedStamps, "unmatched_mark": s.UnmatchedMarks, "never_accepted": s.NeverAccepted,
	}
	w := d.window.Stats()
	out["timeline_by_count"], out["timeline_by_bytes"], out["timeline_slow"] = w.EvictedCount, w.EvictedBytes, w.EvictedSlow
	if d.kernel != nil {
		d.col.WithLanes(func() { out["connection_untraced"] = d.kernel.reader.UntracedConns() })
	}
	return out
}

func (d *daemon) resets(reasons map[uint32]string) []metrics.ResetStat {
	sent, received := d.col.Health().Resets()
	out := []metrics.ResetStat{{Direction: "received", Reason: "peer", Count: received}}
	byName := map[string]uint64{}
	for reason, n := range sent {
		name := reasons[reason]
		if name == "" {
			name = "not_specified"
		}
		byName[name] += n
	}
	for name, n := range byName {
		out = append(out, metrics.ResetStat{Direction: "sent", Reason: name, Count: n})
	}
	return out
}

const netstatFile = "/proc/self/net/netstat"

// listenOverflows reads TcpExt's ListenOverflows: accept queues of this network
// namespace that had no room. The file pairs a line of names with one of values.
func listenOverflows(path string) (uint64, bool) {
	f, err := os.Open(path)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	var names []string
	for s := bufio.NewScanner(f); s.Scan(); {
		line, ok := strings.CutPrefix(s.Text(), "TcpExt:")
		if !ok {
			continue
		}
		fields := strings.Fields(line)
		if names == nil {
			names = fields
			continue
		}
		for i, name := range names {
			if name == "ListenOverflows" && i < len(fields) {
				n, err := strconv.ParseUint(fields[i], 10, 64)
				return n, err == nil
			}
		}
	}
	return 0, false
}

func hostOf(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	return host
}
