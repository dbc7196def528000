// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"encoding/binary"
	"net/netip"

	"github.com/lifetrace/lifetrace/internal/stamp"
	"github.com/lifetrace/lifetrace/internal/timeline"
)

// Stamp takes the next stamp of a loop.
func (c *Correlator) Stamp(loop int, s *stamp.Stamp) {
	l := c.loop(loop)
	if l == nil {
		c.stats.UnmatchedStamps++
		return
	}
	if s.Code.IsText() {
		c.text(l, s)
		return
	}
	at := min(max(s.At, 0), maxTime)
	if at < l.prev {
		c.stats.Negative++
		at = l.prev
	}
	prev := l.prev
	l.prev = at
	if s.Code == stamp.Gap {
		// What the loop did since the stamp before is not known.
		l.open.endAt(prev)
		if p := l.polls.last(); p != nil && p.ret == 0 {
			p.ret = prev
		}
		l.gaps.push(gap{prev, at})
		c.occupy(l, prev, other, 0, 0)
		c.occupy(l, at, other, 0, 0)
		return
	}
	l.open.endAt(at)
	switch {
	case s.Code >= stamp.PollEnter && s.Code <= stamp.CallbackBegin:
		c.loopStamp(l, s, at)
	case s.Conn == 0 || s.Code > stamp.Aborted:
		c.stats.UnmatchedStamps++
	case s.Code >= stamp.Accepted && s.Code <= stamp.SendReturn:
		if k := c.server(l, s.Conn, at); k != nil {
			c.connStamp(l, k, s, at, prev)
		}
	case s.Code >= stamp.MessageBegin:
		if k := c.server(l, s.Conn, at); k != nil {
			c.exchangeStamp(l, k, s, at)
		}
	default:
		c.stats.UnmatchedStamps++
	}
}

// server returns the connection of a stamp; nil if it is another loop's.
func (c *Correlator) server(l *loop, cookie uint64, at int64) *conn {
	k := c.conn(cookie)
	if k.loop == nil {
		k.loop, k.first = l, at
	}
	if k.loop != l {
		c.stats.UnmatchedStamps++
		return nil
	}
	return k
}

func (c *Correlator) occupy(l *loop, at int64, kind occupied, conn uint64, exchange uint32) {
	if l.occupy(at, kind, conn, exchange) {
		c.stats.EvictedHistory++
	}
}

// serve notes that from at on a loop works on an exchange.
func (c *Correlator) serve(l *loop, at int64, k *conn, exchange uint32) {
	was := l.past.next
	c.occupy(l, at, served, k.cookie, exchange)
	if l.past.next != was && k.worked != 0 && uint64(exchange)+1 >= k.worked {
		l.past.last().first = true
		k.worked = uint64(exchange) + 2
	}
}

func (c *Correlator) loopStamp(l *loop, s *stamp.Stamp, at int64) {
	switch s.Code {
	case stamp.PollEnter:
		c.occupy(l, at, idle, 0, 0)
		if p := l.polls.last(); p != nil && p.ret == 0 {
			return // the first look found nothing; now it may sleep
		}
		if l.polls.push(poll{enter: at}) {
			c.stats.EvictedHistory++
		}
	case stamp.PollReturn:
		c.occupy(l, at, other, 0, 0)
		if p := l.polls.last(); p != nil && p.ret == 0 {
			p.ret = at
		}
	case stamp.CallbackBegin:
		// A callback is for the exchange that the connection is at; its
		// stamp need not say so.
		if k := c.conns[s.Conn]; k != nil && s.Conn != 0 {
			c.serve(l, at, k, max(s.Exchange, k.reading))
		} else {
			c.occupy(l, at, other, 0, 0)
		}
	}
}

// connStamp takes a stamp of a connection or of its streams.
func (c *Correlator) connStamp(l *loop, k *conn, s *stamp.Stamp, at, prev int64) {
	switch s.Code {
	case stamp.Accepted:
		if k.first == at {
			k.worked = 1 // it is new
		}
		k.known, k.accepting, k.accepted = true, prev, at
		c.setUp(l, k, at)
	case stamp.Peer:
		k.peer = addrPort(s)
		c.setUp(l, k, at)
	case stamp.Local:
		k.local = addrPort(s)
		c.setUp(l, k, at)
	case stamp.Connection:
		k.connection = at
		c.setUp(l, k, at)
	case stamp.ParserAttached:
		k.attached = at
		c.setUp(l, k, at)
	case stamp.Closed:
		k.closed, k.reason = max(at, 1), stamp.CloseReason(s.Aux)
		for _, x := range k.open {
			c.over(k, x, at)
		}
		c.occupy(l, at, other, 0, 0)
		c.ends(k, at)
		c.pend(k)
	case stamp.RecvReturn:
		c.serve(l, at, k, s.Exchange)
		if s.B == 0 {
			return // the client's FIN: no bytes
		}
		c.transfer(k, &k.recvs, transfer{from: prev, begin: prev, ret: at, lo: s.A - min(s.B, s.A), hi: s.A, to: s.A})
		l.open = interval{kind: recvInterval, k: k, pos: k.recvBase + uint64(len(k.recvs)) - 1}
	case stamp.SendBegin:
		c.serve(l, at, k, s.Exchange)
		c.transfer(k, &k.sends, transfer{from: prev, begin: at, lo: s.A, hi: s.A + min(s.B, ^s.A), to: s.A})
	case stamp.SendReturn:
		n := len(k.sends)
		if n == 0 || k.sends[n-1].ret != 0 {
			// Its SendBegin is missing.
			c.transfer(k, &k.sends, transfer{from: at, begin: at, lo: s.A - min(s.B, s.A), hi: s.A, to: s.A})
			n = len(k.sends)
		}
		k.sends[n-1].ret, k.sends[n-1].to = max(at, 1), s.A
		l.open = interval{kind: sendInterval, k: k, pos: k.sendBase + uint64(n) - 1}
		c.pend(k)
	}
}

// setUp notes that the loop works on a new connection, which is part of its
// exchange 0.
func (c *Correlator) setUp(l *loop, k *conn, at int64) {
	c.serve(l, at, k, 0)
	l.open = interval{kind: setUpInterval, k: k}
}

// transfer appends to one of a connection's lists of reads and writes. A full
// list keeps its newest as its last.
func (c *Correlator) transfer(k *conn, list *[]transfer, t transfer) {
	if n := len(*list); n >= c.opt.MaxStampsPerExchange {
		(*list)[n-1] = t
		c.stats.EvictedStamps++
		for _, x := range k.open {
			x.reasons |= timeline.Evicted
		}
		return
	}
	*list = append(*list, t)
	c.hold(1)
}

// exchangeStamp takes a stamp of an exchange.
func (c *Correlator) exchangeStamp(l *loop, k *conn, s *stamp.Stamp, at int64) {
	x := c.exchange(k, s.Exchange)
	if x == nil {
		c.occupy(l, at, other, 0, 0)
		c.stats.UnmatchedStamps++
		return
	}
	c.serve(l, at, k, x.num)
	if x.first == 0 {
		x.first = max(at, 1)
	}
	x.last = at
	x.seen |= 1 << s.Code
	switch s.Code {
	case stamp.MessageBegin:
		x.r0, x.begin = s.A, at
		x.rh, x.r1 = max(x.rh, s.A), max(x.r1, s.A)
		x.prevOver = k.lastReset
		k.reading = max(k.reading, x.num)
	case stamp.HeadersComplete:
		x.rh, x.version, x.hasContent = s.A, s.B, s.Aux != 0
		x.r1 = max(x.r1, s.A)
	case stamp.Request:
		x.request = at
	case stamp.Route:
		x.route = s.Aux
	case stamp.BodyComplete:
		x.r1 = max(s.A, x.r0)
		k.reading = max(k.reading, min(x.num, 1<<32-2)+1)
	case stamp.HeadComposed:
		x.status = s.A
	case stamp.Finish:
		x.finish, x.t0, x.t1 = at, s.A, max(s.A, s.B)
		c.pend(k)
	case stamp.KeepAliveReset, stamp.Aborted:
		c.over(k, x, at)
		c.pend(k)
	}
	if len(x.steps) >= c.opt.MaxStampsPerExchange {
		c.stats.EvictedStamps++
		x.reasons |= timeline.Evicted
		return
	}
	arg := uint16(min(s.A, 0xffff))
	x.steps = append(x.steps, step{at: at, code: s.Code, aux: s.Aux, arg: arg})
	l.open = interval{kind: stepInterval, x: x, pos: uint64(len(x.steps)) - 1}
	c.hold(1)
}

// over notes that the server is done with an exchange.
func (c *Correlator) over(k *conn, x *exchange, at int64) {
	if x.over == 0 {
		x.over = max(at, 1)
		k.lastReset = x.over
	}
}

// exchange returns an exchange of a connection, a new one if it has not begun,
// nil if it is emitted already.
func (c *Correlator) exchange(k *conn, num uint32) *exchange {
	if x := k.find(num); x != nil {
		return x
	}
	if num < k.next {
		return nil
	}
	if n := len(k.open); n > 0 && k.open[n-1].num > num {
		return nil // its beginning was lost, and later ones have begun
	}
	if len(k.open) >= c.opt.MaxExchangesPerConn {
		c.dropExchange(k)
	}
	c.leap(k, num)
	var x *exchange
	if n := len(c.freeExchanges); n > 0 {
		x, c.freeExchanges = c.freeExchanges[n-1], c.freeExchanges[:n-1]
	} else {
		x = new(exchange)
	}
	x.num = num
	// Until its own stamps say better, it begins where the one before ended.
	x.r0, x.t0 = k.doneRcv, k.doneSnd
	if n := len(k.open); n > 0 {
		x.r0, x.t0 = k.open[n-1].r1, k.open[n-1].t1
	}
	x.rh, x.r1, x.t1 = x.r0, x.r0, x.t0
	k.open = append(k.open, x)
	k.next = max(k.next, min(num, 1<<32-2)+1)
	c.stats.OpenExchanges++
	return x
}

// text takes a part of a request's method or target. It is no instant.
func (c *Correlator) text(l *loop, s *stamp.Stamp) {
	if s.Conn == 0 {
		c.stats.UnmatchedStamps++
		return
	}
	k := c.server(l, s.Conn, l.prev)
	if k == nil {
		return
	}
	x := c.exchange(k, s.Exchange)
	if x == nil {
		c.stats.UnmatchedStamps++
		return
	}
	var buf [24]byte
	dst := &x.target
	if s.Code == stamp.Method {
		dst = &x.method
	}
	part := s.Text(&buf)
	*dst = append(*dst, part[:min(len(part), stamp.MaxText-len(*dst))]...)
}

// addrPort reads the address of a Peer or Local stamp.
func addrPort(s *stamp.Stamp) netip.AddrPort {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], s.A)
	binary.BigEndian.PutUint64(b[8:], s.B)
	return netip.AddrPortFrom(netip.AddrFrom16(b).Unmap(), s.Aux)
}
