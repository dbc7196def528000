// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/lifetrace/lifetrace/internal/mark"
)

// Totals is what a Reader has taken from the lanes since it was opened.
type Totals struct {
	Lanes, Merged, Lost  [mark.NumLanes]uint64
	Accepted             uint64
	Threads, ThreadsLost [mark.NumThreadLanes]uint64
	Events               uint64
}

// ProbeStat is the account of one hook. When everything is drained,
// Produced = Read + Merged + Lost, where Produced is counted by BPF per CPU,
// apart from the lanes that the other three come from.
type ProbeStat struct {
	Name                         string
	Up                           bool
	Produced, Read, Merged, Lost uint64
}

// Stats returns the account of every hook that makes marks. up tells which
// hooks are attached, by the name of their tracepoint.
func (r *Reader) Stats(up func(point string) bool) []ProbeStat {
	var c lifetraceCounters
	for i := range r.counts {
		per := &r.counts[i]
		for l := range c.Lane {
			c.Lane[l] += atomic.LoadUint64(&per.Lane[l])
		}
		for l := range c.Thread {
			c.Thread[l] += atomic.LoadUint64(&per.Thread[l])
		}
		c.Accepted += atomic.LoadUint64(&per.Accepted)
		c.Events += atomic.LoadUint64(&per.Events)
		c.EventsLost += atomic.LoadUint64(&per.EventsLost)
	}
	t := &r.read
	lane := func(point string, l mark.Lane) ProbeStat {
		return ProbeStat{point, up(point), c.Lane[l], t.Lanes[l], t.Merged[l], t.Lost[l]}
	}
	thread := func(s *ProbeStat, l mark.ThreadLane) {
		s.Produced += c.Thread[l]
		s.Read += t.Threads[l]
		s.Lost += t.ThreadsLost[l]
	}
	wake := ProbeStat{Name: "sched_waking", Up: up("sched_wakeup")}
	thread(&wake, mark.Wakeup)
	sched := ProbeStat{Name: "sched_switch", Up: up("sched_switch")}
	thread(&sched, mark.Running)
	thread(&sched, mark.Preempted)
	exit := ProbeStat{"sys_exit", up("sys_exit"), c.Accepted, t.Accepted, 0, 0}
	thread(&exit, mark.PollReturn)
	return []ProbeStat{
		lane("inet_sock_set_state", mark.State),
		lane("sk_data_ready", mark.RxReady),
		wake, sched, exit,
		lane("sock_recv_length", mark.RxRead),
		lane("sock_send_length", mark.TxQueued),
		lane("net_dev_start_xmit", mark.TxSent),
		lane("tcp_probe", mark.TxAcked),
		{"events", true, c.Events, t.Events, 0, c.EventsLost},
	}
}

// UntracedConns returns how many connections found no slot.
func (r *Reader) UntracedConns() uint64 {
	var n uint64
	for i := range r.counts {
		n += atomic.LoadUint64(&r.counts[i].Untraced)
	}
	return n
}

// readCPUList reads a file in the kernel's list format, "0-3,6".
func readCPUList(path string) ([]int, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []int
	for part := range strings.SplitSeq(strings.TrimSpace(string(b)), ",") {
		lo, hi, isRange := strings.Cut(part, "-")
		if !isRange {
			hi = lo
		}
		a, err := strconv.Atoi(lo)
		if err != nil {
			return nil, fmt.Errorf("%s: %q is not a CPU list", path, b)
		}
		z, err := strconv.Atoi(hi)
		if err != nil || z < a {
			return nil, fmt.Errorf("%s: %q is not a CPU list", path, b)
		}
		for c := a; c <= z; c++ {
			out = append(out, c)
		}
	}
	return out, nil
}
