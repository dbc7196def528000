// SPDX-License-Identifier: Apache-2.0

package correlate

import "github.com/lifetrace/lifetrace/internal/timeline"

// missed counts exchanges that have no timeline, by why.
type missed struct{ evicted, lost uint64 }

// Skip says that the stamps of a connection's exchanges [from, next) were left
// out, all of them, because there were too many. Those exchanges are over since
// at, and theirs were the bytes up to rcv and snd of the two streams. They are
// counted, once, as evicted.
//
// Whoever leaves out stamps begins and ends between two exchanges, and hands in
// the connection's own stamps all the same. Of its marks those of the
// exchanges that were left out may be missing.
func (c *Correlator) Skip(cookie uint64, from, next uint32, at int64, rcv, snd uint64) {
	k := c.conn(cookie)
	from = max(from, k.next) // what was emitted was counted
	if next <= from {
		return
	}
	c.miss(&c.missed.evicted, uint64(next-from))
	k.next, k.reading = next, max(k.reading, next)
	k.lastReset = min(max(at, 0), maxTime)
	if len(k.open) == 0 {
		k.doneRcv, k.doneSnd = max(k.doneRcv, rcv), max(k.doneSnd, snd)
		c.stats.HeldEntries -= c.forgetStreams(k)
	}
}

// leap notes that the stamps of a connection's exchanges before num were lost:
// exchanges are numbered without holes.
func (c *Correlator) leap(k *conn, num uint32) {
	// Of a connection that was there before, the first ones were not lost.
	if num > k.next && (k.known || k.next > 0) {
		c.miss(&c.missed.lost, uint64(num-k.next))
	}
}

// dropExchange takes a connection's oldest exchange out without a timeline.
func (c *Correlator) dropExchange(k *conn) {
	c.stats.DroppedExchanges++
	if k.open[0].began() {
		c.miss(&c.missed.evicted, 1)
	}
	c.release(k, 0)
}

func (c *Correlator) miss(why *uint64, n uint64) {
	*why += n
	c.stats.Missed += n
}

// tellMissed hands over how many exchanges have no timeline.
func (c *Correlator) tellMissed() {
	if n := c.missed.evicted; n > 0 {
		c.opt.Missed(timeline.Evicted, n)
	}
	if n := c.missed.lost; n > 0 {
		c.opt.Missed(timeline.Lost, n)
	}
	c.missed = missed{}
}
