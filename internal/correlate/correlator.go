// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"net/netip"

	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/timeline"
)

// maxTime keeps every difference of two times in range, whatever comes in.
const maxTime = 1 << 61

// overdueAfter, ns, is how long a connection may be over for one half only.
// It is longer than the kernel tries to get rid of a socket's last bytes.
const overdueAfter = 120_000_000_000

// Correlator joins marks and stamps. It is for one goroutine.
//
// In each round its caller hands in the stamps of all loops, then the lanes of
// the connections that wait (TxAcked first, so that whatever came before an
// ACK is handed in after it), then the lanes of the threads, and then calls
// Advance with an instant before which nothing is missing.
type Correlator struct {
	opt   Options
	stats Stats
	now   int64

	conns map[uint64]*conn
	// oldest and newest end the list of connections by when they were last
	// heard of.
	oldest, newest *conn
	loops          []*loop

	// pending holds the connections with something that may be finished.
	pending []*conn
	// ending holds the connections that are over for one half, in the order
	// in which they became so.
	ending []ending
	// evicted waits for Advance, as nothing is emitted before.
	evicted     []*conn
	evictedHeld int // stamps and marks that those hold

	// missed are the exchanges without a timeline that Advance has to tell of.
	missed missed

	freeConns     []*conn
	freeExchanges []*exchange

	// Scratch of one timeline, kept for its memory.
	view     view
	blockers blockers
	names    names
	// unsupported names the spans that this run cannot show.
	unsupported []string
}

type ending struct {
	cookie uint64
	since  int64
}

// New returns a Correlator.
func New(o Options) *Correlator {
	o.setDefaults()
	c := &Correlator{opt: o, conns: map[uint64]*conn{}}
	c.names = newNames(o.Names)
	c.unsupported = unsupportedSpans(o.Kernel)
	return c
}

// Stats returns the counters.
func (c *Correlator) Stats() Stats {
	s := c.stats
	s.OpenConns = len(c.conns)
	return s
}

// Open says that the kernel's side has a slot for a connection. It may come
// before or after the connection's stamps.
func (c *Correlator) Open(cookie uint64, peer, local netip.AddrPort) {
	k := c.conn(cookie)
	if !k.peer.IsValid() {
		k.peer = peer
	}
	if !k.local.IsValid() {
		k.local = local
	}
}

// Untraced says that an accepted connection has no slot: its kernel side is
// lost.
func (c *Correlator) Untraced(cookie uint64) {
	k := c.conn(cookie)
	k.untraced = true
	c.pend(k)
}

// Lost says that n marks of a lane were lost since the mark before.
func (c *Correlator) Lost(cookie uint64, l mark.Lane, n uint64) {
	if n == 0 || l >= mark.NumLanes {
		return
	}
	c.conn(cookie).lanes[l].lost = true
}

// Mark takes the next mark of a connection's lane.
func (c *Correlator) Mark(cookie uint64, l mark.Lane, m mark.Mark) {
	if l >= mark.NumLanes {
		c.stats.UnmatchedMarks++
		return
	}
	m.At, m.Last = min(max(m.At, 0), maxTime), min(max(m.Last, 0), maxTime)
	k := c.conn(cookie)
	k.marks++
	if l == mark.State {
		c.state(k, m)
		return
	}
	if k.lanes[l].add(m, c.opt.MaxMarksPerLane) {
		c.hold(1)
	} else {
		c.stats.EvictedMarks++
	}
	if l == mark.TxAcked {
		c.pend(k)
	}
}

// state takes a mark of the State lane: what absorbed marks said is gone but
// for the last of them.
func (c *Correlator) state(k *conn, m mark.Mark) {
	l := &k.lanes[mark.State]
	take := func(at int64, word uint64) {
		if len(l.e) < c.opt.MaxMarksPerLane {
			l.e = append(l.e, entry{Mark: mark.Mark{At: at, Off: word}, lost: l.lost})
			c.hold(1)
		} else {
			c.stats.EvictedMarks++
		}
		switch kind, _, _ := mark.Unpack(word); kind {
		case mark.ResetReceived, mark.ResetSent:
			if k.resetAt == 0 {
				k.resetAt, k.resetBy = at, kind
			}
		case mark.Destroyed:
			if k.gone == 0 {
				k.gone = max(at, 1)
				c.ends(k, at)
			}
		}
	}
	if m.At != 0 {
		take(m.At, m.Off)
	}
	if m.Merged > 0 {
		l.lost = l.lost || m.Merged > 1
		take(m.Last, m.LastOff)
	}
	c.pend(k)
}

// ThreadMark takes the next mark of a loop thread's lane.
func (c *Correlator) ThreadMark(loop int, l mark.ThreadLane, m mark.Mark) {
	lp := c.loop(loop)
	if lp == nil || l >= mark.NumThreadLanes {
		c.stats.UnmatchedMarks++
		return
	}
	m.At, m.Last = min(max(m.At, 0), maxTime), min(max(m.Last, 0), maxTime)
	t := &lp.threads[l]
	if len(t.pending) >= c.opt.MaxLoopHistory {
		c.stats.EvictedMarks++
		t.lost = true
		return
	}
	t.add(m)
}

// loop returns a loop by its number, nil if that is out of bounds.
func (c *Correlator) loop(n int) *loop {
	if n < 0 || n >= maxLoops {
		return nil
	}
	for len(c.loops) <= n {
		c.loops = append(c.loops, nil)
	}
	if c.loops[n] == nil {
		c.loops[n] = newLoop(c.opt.MaxLoopHistory)
	}
	return c.loops[n]
}

// conn returns the connection with a cookie, a new one if there is none, and
// notes that it was heard of.
func (c *Correlator) conn(cookie uint64) *conn {
	if c.newest != nil && c.newest.cookie == cookie {
		return c.newest // stamps come in runs
	}
	if k := c.conns[cookie]; k != nil {
		c.unlink(k)
		c.link(k)
		return k
	}
	if len(c.conns) >= c.opt.MaxConns {
		c.evict(c.oldest)
	}
	var k *conn
	if n := len(c.freeConns); n > 0 {
		k, c.freeConns = c.freeConns[n-1], c.freeConns[:n-1]
	} else {
		k = new(conn)
	}
	k.cookie = cookie
	c.conns[cookie] = k
	c.link(k)
	return k
}

func (c *Correlator) link(k *conn) {
	k.older, k.newer = c.newest, nil
	if c.newest != nil {
		c.newest.newer = k
	} else {
		c.oldest = k
	}
	c.newest = k
}

func (c *Correlator) unlink(k *conn) {
	if k.older != nil {
		k.older.newer = k.newer
	} else {
		c.oldest = k.newer
	}
	if k.newer != nil {
		k.newer.older = k.older
	} else {
		c.newest = k.older
	}
	k.older, k.newer = nil, nil
}

// hold counts stamps and marks that are kept, and makes room if they are too
// many.
func (c *Correlator) hold(n int) {
	c.stats.HeldEntries += n
	for c.stats.HeldEntries > c.opt.MaxHeld && c.oldest != nil && c.oldest != c.newest {
		c.evict(c.oldest)
	}
}

// pend puts a connection into the list of those that Advance looks at.
func (c *Correlator) pend(k *conn) {
	if !k.pending {
		k.pending = true
		c.pending = append(c.pending, k)
	}
}

// ends notes that a connection is over for one half.
func (c *Correlator) ends(k *conn, at int64) {
	if k.ending == 0 {
		k.ending = max(at, 1)
		c.ending = append(c.ending, ending{k.cookie, k.ending})
	}
}

// evict takes a connection out to make room. What had begun on it is emitted
// by the next Advance.
func (c *Correlator) evict(k *conn) {
	c.stats.EvictedConns++
	c.unlink(k)
	delete(c.conns, k.cookie)
	for _, x := range k.open {
		x.reasons |= timeline.Evicted
	}
	k.evicted = true
	held := k.held()
	c.stats.HeldEntries -= held
	if len(k.open) > 0 && len(c.evicted) < c.opt.MaxConns && c.evictedHeld+held <= c.opt.MaxHeld {
		c.evicted = append(c.evicted, k)
		c.evictedHeld += held
		return
	}
	for len(k.open) > 0 {
		c.dropExchange(k)
	}
	c.forget(k)
}
