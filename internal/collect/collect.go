// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lifetrace/lifetrace/internal/clock"
	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// Lanes is the kernel half as a collector uses it; *probes.Reader is one.
type Lanes interface {
	Opened(now int64, f func(mark.Conn))
	Drain(slot uint32, sink mark.Sink) (gone bool)
	Release(slot uint32, now int64)
	DrainThread(loop int, f func(mark.ThreadLane, mark.Mark), lost func(mark.ThreadLane, uint64))
	Events(f func(mark.Event))
}

// Correlator is the join as a collector feeds it; *correlate.Correlator is one.
type Correlator interface {
	Stamp(loop int, s *stamp.Stamp)
	Open(cookie uint64, peer, local netip.AddrPort)
	Mark(cookie uint64, lane mark.Lane, m mark.Mark)
	ThreadMark(loop int, lane mark.ThreadLane, m mark.Mark)
	ThreadLost(loop int, lane mark.ThreadLane, n uint64)
	Lost(cookie uint64, lane mark.Lane, n uint64)
	Untraced(cookie uint64)
	Waiting(f func(cookie uint64))
	Advance(now int64)
	Flush(now int64)
}

// Options configure a Collector.
type Options struct {
	Rings []*stamp.Ring // one per loop
	Lanes Lanes         // nil: no kernel half
	Join  Correlator
	// Sweep is how often the lanes of every connection are read, whether or
	// not the server said anything about it; 50 ms by default.
	Sweep time.Duration
}

// Collector owns the reading ends of everything that is recorded.
type Collector struct {
	o     Options
	conns map[uint64]*conn
	// touched are the connections to drain in this tick.
	touched  []*conn
	accepted []uint64
	tick     uint64
	swept    int64
	sink     sink
	health   *Health
	took     atomic.Int64

	mu   sync.Mutex // guards Tick against Locked
	work int
}

type conn struct {
	cookie uint64
	slot   uint32
	tick   uint64 // the last tick that drained it
}

// New returns a collector that has read nothing yet.
func New(o Options) *Collector {
	if o.Sweep == 0 {
		o.Sweep = 50 * time.Millisecond
	}
	c := &Collector{o: o, conns: map[uint64]*conn{}, health: newHealth(len(o.Rings))}
	c.sink.c = c
	return c
}

// Idle and busy are the pauses between ticks: how long a timeline is late at
// most, against how often an idle daemon wakes up.
const (
	busyPause = time.Millisecond
	idlePause = 10 * time.Millisecond
)

// Run ticks until ctx is done, then once more, and flushes.
func (c *Collector) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	quiet := 0
	for {
		select {
		case <-ctx.Done():
			c.Tick(clock.Now())
			c.Locked(func() { c.o.Join.Flush(clock.Now()) })
			return
		case <-timer.C:
		}
		before := clock.Now()
		if c.Tick(before) > 0 {
			quiet = 0
		} else {
			quiet++
		}
		c.took.Store(clock.Now() - before)
		pause := busyPause
		if quiet > 20 {
			pause = idlePause
		}
		timer.Reset(pause)
	}
}

// Locked runs f while no tick does, so that f may look at the correlator.
func (c *Collector) Locked(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// Health returns what the collector has seen of the host.
func (c *Collector) Health() *Health { return c.health }

// Traced returns how many connections have a slot now.
func (c *Collector) Traced() (n int) {
	c.Locked(func() { n = len(c.conns) })
	return n
}

// Took returns how long the last tick took, ns.
func (c *Collector) Took() int64 { return c.took.Load() }

// Tick reads everything that was recorded before now (CLOCK_MONOTONIC) and
// returns how many stamps and marks that was.
func (c *Collector) Tick(now int64) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick++
	c.work = 0
	for loop, ring := range c.o.Rings {
		c.work += ring.Read(func(s *stamp.Stamp) { c.stamp(loop, s) })
	}
	if c.o.Lanes != nil {
		c.drain(now)
	}
	c.o.Join.Advance(now)
	return c.work
}

func (c *Collector) stamp(loop int, s *stamp.Stamp) {
	c.o.Join.Stamp(loop, s)
	c.health.stamp(loop, s)
	switch {
	case s.Code == stamp.Accepted:
		c.accepted = append(c.accepted, s.Conn)
	case s.Conn != 0:
		c.touch(c.conns[s.Conn])
	}
}

func (c *Collector) touch(k *conn) {
	if k != nil && k.tick != c.tick {
		k.tick = c.tick
		c.touched = append(c.touched, k)
	}
}

func (c *Collector) drain(now int64) {
	c.o.Lanes.Opened(now, func(n mark.Conn) {
		c.work++
		k := &conn{cookie: n.Cookie, slot: n.Slot}
		c.conns[n.Cookie] = k
		c.o.Join.Open(n.Cookie, n.Peer, n.Local)
		c.touch(k)
	})
	// A connection gets its slot before it can be accepted, so one that was
	// accepted and is not known by now never got one.
	for _, cookie := range c.accepted {
		if c.conns[cookie] == nil {
			c.o.Join.Untraced(cookie)
		}
	}
	c.accepted = c.accepted[:0]

	c.o.Join.Waiting(func(cookie uint64) { c.touch(c.conns[cookie]) })
	if now-c.swept >= int64(c.o.Sweep) {
		c.swept = now
		for _, k := range c.conns {
			c.touch(k)
		}
	}
	for _, k := range c.touched {
		c.sink.cookie = k.cookie
		if c.o.Lanes.Drain(k.slot, &c.sink) {
			c.o.Lanes.Release(k.slot, now)
			delete(c.conns, k.cookie)
		}
	}
	c.touched = c.touched[:0]
	for loop := range c.o.Rings {
		c.o.Lanes.DrainThread(loop,
			func(l mark.ThreadLane, m mark.Mark) { c.o.Join.ThreadMark(loop, l, m) },
			func(l mark.ThreadLane, n uint64) { c.o.Join.ThreadLost(loop, l, n) })
	}
	c.o.Lanes.Events(c.health.event)
}

// sink hands a connection's marks on under its cookie.
type sink struct {
	c      *Collector
	cookie uint64
}

func (s *sink) Mark(lane mark.Lane, m mark.Mark) {
	s.c.work++
	if lane == mark.State {
		s.c.health.state(m.Off)
	}
	s.c.o.Join.Mark(s.cookie, lane, m)
}

func (s *sink) Lost(lane mark.Lane, n uint64) { s.c.o.Join.Lost(s.cookie, lane, n) }
