// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/stamp"
	"github.com/lifetrace/lifetrace/internal/timeline"
)

// Advance says that everything that happened before now has been handed in. It
// emits what can be finished and gives up what is overdue.
func (c *Correlator) Advance(now int64) {
	c.setNow(now)
	for _, k := range c.evicted {
		c.emitAll(k, "evicted")
		c.forget(k)
	}
	clear(c.evicted)
	c.evicted, c.evictedHeld = c.evicted[:0], 0

	kept := c.pending[:0]
	for _, k := range c.pending {
		if k.evicted || !k.pending {
			continue // it is gone
		}
		if c.advance(k) {
			kept = append(kept, k)
		}
	}
	clear(c.pending[len(kept):])
	c.pending = kept

	n := 0
	for ; n < len(c.ending) && c.now-c.ending[n].since > overdueAfter; n++ {
		k := c.conns[c.ending[n].cookie]
		if k == nil || k.ending != c.ending[n].since {
			continue
		}
		c.stats.Overdue++
		for _, x := range k.open {
			x.reasons |= timeline.Lost
		}
		c.emitAll(k, "lost")
		c.drop(k)
	}
	c.ending = c.ending[:copy(c.ending, c.ending[n:])]
	c.tellMissed()
}

// Flush ends the run: everything that began is emitted, what did not finish
// flagged.
func (c *Correlator) Flush(now int64) {
	c.Advance(now)
	for c.oldest != nil {
		k := c.oldest
		c.emitAll(k, "stopped")
		c.drop(k)
	}
	c.pending, c.ending = c.pending[:0], c.ending[:0]
}

func (c *Correlator) setNow(now int64) {
	c.now = max(c.now, min(now, maxTime))
	for _, l := range c.loops {
		if l != nil {
			l.settle(c.now)
		}
	}
}

// advance emits what can be emitted of a connection. It reports whether the
// connection still waits for something.
func (c *Correlator) advance(k *conn) bool {
	over := k.closed != 0 && (k.gone != 0 || !c.sees(k, stateLane))
	for {
		last := -1 // exchanges end in order: what came before is over too
		for i, x := range k.open {
			if over || c.ready(k, x) {
				last = i
			} else if i > 8 {
				break // whatever is ready further on can wait for these
			}
		}
		if last < 0 {
			break
		}
		for range last + 1 {
			x := k.open[0]
			if !over && !c.ready(k, x) {
				x.reasons |= timeline.Lost // the stamp that ends it
			}
			c.emit(k, x, "lost")
			c.release(k, 0)
		}
	}
	if over || k.gone != 0 && k.gone < c.now && k.loop == nil {
		k.pending = false
		c.drop(k)
		return false
	}
	k.pending = k.closed != 0 || k.gone != 0
	for _, x := range k.open {
		k.pending = k.pending || x.finish != 0 || x.over != 0
	}
	return k.pending
}

// sees reports whether any of the marks can be there for a connection.
func (c *Correlator) sees(k *conn, s Support) bool {
	return !k.untraced && c.opt.Kernel&s != 0
}

// ready reports whether an exchange has everything that it will ever have.
func (c *Correlator) ready(k *conn, x *exchange) bool {
	if x.over == 0 || !x.has(stamp.Finish) {
		return false
	}
	if k.sent() < x.t1 && !c.torn(k, x) {
		return false
	}
	return !c.sees(k, TxAcked) || k.lanes[mark.TxAcked].hi >= x.t1
}

// torn reports whether stamps are missing that may have been of an exchange.
func (c *Correlator) torn(k *conn, x *exchange) bool {
	if k.loop == nil {
		return false
	}
	g := &k.loop.gaps
	for pos := g.first(); pos < g.next; pos++ {
		if g.at(pos).to >= x.first {
			return true
		}
	}
	return false
}

// emitAll emits what is open on a connection as it is.
func (c *Correlator) emitAll(k *conn, end string) {
	for len(k.open) > 0 {
		c.emit(k, k.open[0], end)
		c.release(k, 0)
	}
}

// release takes an open exchange out, and what only it needed.
func (c *Correlator) release(k *conn, i int) {
	x := k.open[i]
	k.open = append(k.open[:i], k.open[i+1:]...)
	k.doneRcv, k.doneSnd = max(k.doneRcv, x.r1), max(k.doneSnd, x.t1)
	n := len(x.steps) + c.forgetStreams(k)
	if !k.evicted {
		c.stats.HeldEntries -= n
	}
	c.stats.OpenExchanges--
	if k.loop != nil && k.loop.open.x == x {
		k.loop.open = interval{}
	}
	*x = exchange{steps: x.steps[:0], method: x.method[:0], target: x.target[:0]}
	if len(c.freeExchanges) < maxFree && cap(x.steps) <= maxFreeSteps {
		c.freeExchanges = append(c.freeExchanges, x)
	}
}

// forgetStreams drops what only the bytes of exchanges that are done needed,
// and returns how much that was.
func (c *Correlator) forgetStreams(k *conn) int {
	n := forget(&k.recvs, &k.recvBase, k.doneRcv) + forget(&k.sends, &k.sendBase, k.doneSnd)
	for _, l := range [...]mark.Lane{mark.RxReady, mark.RxRead} {
		n += k.lanes[l].forget(k.doneRcv)
	}
	for _, l := range [...]mark.Lane{mark.TxQueued, mark.TxSent, mark.TxAcked} {
		n += k.lanes[l].forget(k.doneSnd)
	}
	return n
}

// forget drops the transfers that say nothing about bytes from off on. One
// that is going on stays.
func forget(list *[]transfer, base *uint64, off uint64) int {
	n := 0
	for n < len(*list) && (*list)[n].hi <= off && (*list)[n].ret != 0 {
		n++
	}
	if n > 0 {
		*list = (*list)[:copy(*list, (*list)[n:])]
		*base += uint64(n)
	}
	return n
}

// The free lists keep no more than this; what was large goes back to the
// garbage collector.
const (
	maxFree      = 4096
	maxFreeSteps = 256
)

// drop forgets a connection that has nothing open.
func (c *Correlator) drop(k *conn) {
	if k.loop == nil {
		c.stats.NeverAccepted++
		c.stats.UnmatchedMarks += k.marks
	}
	c.stats.HeldEntries -= k.held()
	c.unlink(k)
	delete(c.conns, k.cookie)
	c.forget(k)
}

// forget gives a connection's memory back.
func (c *Correlator) forget(k *conn) {
	if k.loop != nil && k.loop.open.k == k {
		k.loop.open = interval{}
	}
	if k.pending {
		// The pending list still holds it: it is left to the garbage
		// collector, and Advance passes it over.
		k.evicted = true
		return
	}
	fresh := conn{open: k.open[:0], recvs: k.recvs[:0], sends: k.sends[:0]}
	for i := range k.lanes {
		fresh.lanes[i].e = k.lanes[i].e[:0]
	}
	if len(c.freeConns) < maxFree && k.held() == 0 {
		*k = fresh
		c.freeConns = append(c.freeConns, k)
	}
}
