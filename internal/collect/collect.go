// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

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
	Skip(cookie uint64, from, next uint32, at int64, rcv, snd uint64)
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
	o      Options
	health *Health

	reading sync.Mutex // guards drainer and o.Lanes
	drainer drainer

	joining sync.Mutex // guards o.Join
}

// New returns a collector that has read nothing yet.
func New(o Options) *Collector {
	if o.Sweep == 0 {
		o.Sweep = 50 * time.Millisecond
	}
	c := &Collector{o: o, health: newHealth(len(o.Rings))}
	c.drainer.init(o, c.health)
	return c
}

// The pauses between two drains. An idle drainer is woken by the first stamp; the
// pause bounds how late it reads marks that no stamp comes with.
const (
	busyPause = time.Millisecond
	idlePause = 50 * time.Millisecond
	idleAfter = 20 // drains that found nothing
)

// drainNice is the nice value of the draining thread, setpriority(2).
const drainNice = -15

// maxQueued bounds what was drained and is not applied, in stamps and marks of
// some 64 bytes. Long before that the drainer leaves out exchanges (shed.go).
// When the correlator is that far behind all the same, draining waits, and what
// does not fit into rings and lanes is lost there, where it is counted.
const maxQueued = 1 << 19

// Run drains and applies until ctx is done, then once more, and flushes.
func (c *Collector) Run(ctx context.Context) {
	q := newQueue(maxQueued)
	var applying sync.WaitGroup
	applying.Go(func() {
		for b := q.take(); b != nil; b = q.take() {
			c.apply(b)
			q.done(b)
		}
	})
	// A thread of its own, which sleeps in the kernel while there is work: a Go
	// timer would be seen late, by up to 10 ms, while all of Go's threads are
	// busy. It stays locked, so that it ends with this goroutine and its
	// priority with it.
	runtime.LockOSThread()
	// It runs for microseconds and empties what busy loops fill: it must not
	// wait for its turn behind them. Without the right to, it does.
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), drainNice)
	idle := newIdler(c.o.Rings)
	quiet := 0
	var b *batch
	for stop := false; !stop; {
		stop = ctx.Err() != nil
		if b == nil {
			b = q.empty()
		}
		c.drain(b, clock.Now(), q.size())
		if b.size() > 0 {
			quiet = 0
		} else {
			quiet++
		}
		// The join is woken for nothing now and then only: it ends what is
		// overdue.
		if stop || quiet%idleAfter == 0 {
			q.put(b)
			b = nil
		}
		switch {
		case stop:
		case quiet > idleAfter:
			idle.wait(idlePause)
		default:
			sleep(busyPause)
		}
	}
	q.close()
	applying.Wait()
	c.WithJoin(func() { c.o.Join.Flush(clock.Now()) })
}

// idler sleeps until there is a stamp.
type idler struct {
	rings []*stamp.Ring
	bell  chan struct{}
	timer *time.Timer
}

func newIdler(rings []*stamp.Ring) *idler {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &idler{rings, make(chan struct{}, 1), t}
}

// wait returns when a ring has a stamp, or after d.
func (i *idler) wait(d time.Duration) {
	for _, r := range i.rings {
		r.Alert(i.bell)
	}
	i.timer.Reset(d)
	defer i.timer.Stop()
	select {
	case <-i.bell:
	case <-i.timer.C:
	}
}

// sleep blocks the calling thread. A signal cuts it short, which is fine.
func sleep(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&ts, nil)
}

// drain fills a batch; queued is how much waits to be applied.
func (c *Collector) drain(b *batch, now int64, queued int) {
	c.reading.Lock()
	defer c.reading.Unlock()
	c.drainer.shedder.next(queued)
	c.drainer.fill(b, now)
}

func (c *Collector) apply(b *batch) {
	c.joining.Lock()
	defer c.joining.Unlock()
	b.apply(c.o.Join)
}

// WithJoin runs f while nothing is applied, so that f may look at the
// correlator.
func (c *Collector) WithJoin(f func()) {
	c.joining.Lock()
	defer c.joining.Unlock()
	f()
}

// WithLanes runs f while nothing is drained, so that f may look at the lanes'
// reader.
func (c *Collector) WithLanes(f func()) {
	c.reading.Lock()
	defer c.reading.Unlock()
	f()
}

// Health returns what the collector has seen of the host.
func (c *Collector) Health() *Health { return c.health }

// Traced returns how many connections have a slot now.
func (c *Collector) Traced() (n int) {
	c.WithLanes(func() { n = c.drainer.traced })
	return n
}
