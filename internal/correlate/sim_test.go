// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"cmp"
	"math/rand"
	"net/netip"
	"slices"

	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// sim is a small world whose truth is known: clients that send when they like,
// a kernel, and loops that serve as internal/server does. It produces what the
// two halves would say of it.
type sim struct {
	rnd    *rand.Rand
	loops  []*simLoop
	conns  []*simConn
	names  *stamp.Names
	layers [3]uint16 // a middleware, a body parser, a handler
}

type simLoop struct {
	now     int64
	stamps  []stamp.Stamp
	threads [mark.NumThreadLanes][]mark.Mark
}

type simConn struct {
	loop             int
	cookie           uint64
	syn, established int64
	arrivals         []mark.Mark // what RxReady would say
	lanes            [mark.NumLanes][]mark.Mark
	reqs             []*simReq
	sndbuf           uint64 // how much may be unacknowledged
	rst              int64  // when the client resets; 0 is never
	fin              int64  // when the client's FIN arrives

	accepted, gone     bool
	got, sent, queued  uint64
	acked              []mark.Mark
	parsing, answering int // the requests being read and being sent
}

// simReq is one request and its truth.
type simReq struct {
	r0, rh, r1, t0, t1 uint64
	async              int64 // ns of work off the loop; 0 is none
	done               int64 // when that work is done
	work               int64 // ns that its handler runs
	handled            int64 // when its handler began
	pieces             int
	state              int // 0 unread, 1 head read, 2 complete, 3 waits for work, 4 answered, 5 over
}

func (s *sim) between(lo, hi int64) int64 { return lo + s.rnd.Int63n(hi-lo+1) }

// newSim makes a world of some loops, connections and requests.
func newSim(seed int64, loops, conns, maxReqs int) *sim {
	s := &sim{rnd: rand.New(rand.NewSource(seed)), names: stamp.NewNames()}
	s.layers = [3]uint16{s.names.ID("log"), s.names.ID("json"), s.names.ID("users")}
	for range loops {
		s.loops = append(s.loops, &simLoop{now: 1000})
	}
	for i := range conns {
		c := &simConn{loop: s.rnd.Intn(loops), cookie: uint64(i)*7 + 1, sndbuf: uint64(s.between(300, 5000))}
		c.syn = s.between(1000, 500_000)
		c.established = c.syn + s.between(1000, 90_000)
		s.script(c, 1+s.rnd.Intn(maxReqs))
		s.conns = append(s.conns, c)
	}
	return s
}

// script writes what the client of a connection does.
func (s *sim) script(c *simConn, reqs int) {
	var r, t uint64
	for range reqs {
		q := &simReq{r0: r, t0: t, work: s.between(1, 20_000), pieces: 1}
		q.rh = r + uint64(s.between(18, 300))
		q.r1 = q.rh
		if s.rnd.Intn(3) == 0 {
			q.r1 += uint64(s.between(1, 2000))
		}
		q.t1 = t + uint64(s.between(20, 400))
		if s.rnd.Intn(5) == 0 {
			q.t1 += uint64(s.between(1, 20_000))
		}
		if s.rnd.Intn(4) == 0 {
			q.async = s.between(1, 200_000)
		}
		r, t = q.r1, q.t1
		c.reqs = append(c.reqs, q)
	}
	// The stream arrives in chunks that know nothing of requests.
	at := c.established + s.between(0, 100_000)
	for off := uint64(0); off < r; {
		off = min(r, off+uint64(s.between(1, []int64{40, 700, 5000}[s.rnd.Intn(3)])))
		c.arrivals = append(c.arrivals, mark.Mark{At: at, Off: off})
		at += s.between(1, []int64{50, 2000, 300_000}[s.rnd.Intn(3)])
	}
	c.fin = at + s.between(1, 5_000_000)
	if s.rnd.Intn(5) == 0 {
		c.rst = c.established + s.between(1, c.fin-c.established)
		c.arrivals = slices.DeleteFunc(c.arrivals, func(m mark.Mark) bool { return m.At >= c.rst })
	}
}

func (s *sim) put(l *simLoop, code stamp.Code, c *simConn, x int, aux uint16, a, b uint64) int64 {
	l.now += s.between(1, 900)
	st := stamp.Stamp{At: l.now, Code: code, Aux: aux, A: a, B: b, Exchange: uint32(x)}
	if c != nil {
		st.Conn = c.cookie
	}
	l.stamps = append(l.stamps, st)
	return l.now
}

func (s *sim) text(l *simLoop, code stamp.Code, c *simConn, x int, text string) {
	r := stamp.NewRing(64)
	r.PutText(code, c.cookie, uint32(x), text)
	r.Read(func(st *stamp.Stamp) { l.stamps = append(l.stamps, *st) })
}

func (c *simConn) state(at int64, k mark.Kind, a, b uint32) {
	c.lanes[mark.State] = append(c.lanes[mark.State], mark.Mark{At: at, Off: mark.Word(k, a, b)})
}

// event is when a connection next needs its loop, 0 if never.
func (c *simConn) event(now int64) int64 {
	if c.gone {
		return 0
	}
	if !c.accepted {
		return c.established
	}
	next := int64(1 << 60)
	if c.rst != 0 {
		next = c.rst
	}
	if i := c.unread(); i < len(c.arrivals) {
		next = min(next, c.arrivals[i].At)
	} else if c.rst == 0 {
		next = min(next, c.fin)
	}
	for _, q := range c.reqs {
		if q.state == 3 {
			next = min(next, q.done)
		}
	}
	if at := c.writable(); at != 0 {
		next = min(next, at)
	}
	return max(next, 1)
}

// unread is the first arrival with bytes that are not read.
func (c *simConn) unread() int {
	i := 0
	for i < len(c.arrivals) && c.arrivals[i].Off <= c.got {
		i++
	}
	return i
}

// writable is when there is room for bytes that wait, 0 if none wait.
func (c *simConn) writable() int64 {
	if c.queued == c.sent {
		return 0
	}
	for _, a := range c.acked {
		if c.sent-a.Off < c.sndbuf {
			return a.At
		}
	}
	return 1
}

// run lets one loop serve until nothing is left to do.
func (s *sim) run(n int) {
	l := s.loops[n]
	var mine []*simConn
	for _, c := range s.conns {
		if c.loop == n {
			mine = append(mine, c)
		}
	}
	for {
		s.put(l, stamp.PollEnter, nil, 0, 1, 0, 0)
		var first int64
		for _, c := range mine {
			if at := c.event(l.now); at != 0 && (first == 0 || at < first) {
				first = at
			}
		}
		if first == 0 {
			return
		}
		if first > l.now {
			l.now = first + s.between(0, 500)
			l.threads[mark.Wakeup] = append(l.threads[mark.Wakeup], mark.Mark{At: l.now})
			l.now += s.between(1, 5000)
			l.threads[mark.Running] = append(l.threads[mark.Running], mark.Mark{At: l.now})
			l.now += s.between(1, 300)
		}
		l.threads[mark.PollReturn] = append(l.threads[mark.PollReturn], mark.Mark{At: l.now, Off: 1})
		ready := l.now
		s.put(l, stamp.PollReturn, nil, 0, 0, 1, 0)
		accepting := false
		for _, c := range mine {
			if !c.accepted && c.established <= ready {
				if !accepting {
					s.put(l, stamp.CallbackBegin, nil, 0, uint16(stamp.OnAccept), 0, 0)
					accepting = true
				}
				s.accept(l, c)
			} else if at := c.event(ready); c.accepted && at != 0 && at <= ready {
				s.serve(l, c, ready)
			}
		}
	}
}

func (s *sim) accept(l *simLoop, c *simConn) {
	c.accepted = true
	c.state(c.syn, mark.Syn, 0, 0)
	c.state(c.established, mark.Established, 1, 511)
	l.now += s.between(1, 300)
	c.state(l.now, mark.Accepted, 9, 0)
	s.put(l, stamp.Accepted, c, 0, 0, 9, 0)
	s.put(l, stamp.Connection, c, 0, 0, 0, 0)
	s.put(l, stamp.ParserAttached, c, 0, 0, 0, 0)
	c.acked = []mark.Mark{{At: 1}}
}

// serve runs one connection's callbacks.
func (s *sim) serve(l *simLoop, c *simConn, ready int64) {
	if c.rst != 0 && c.rst <= ready {
		s.put(l, stamp.CallbackBegin, c, 0, uint16(stamp.OnReadable), 0, 0)
		for i, q := range c.reqs {
			if q.state > 0 && q.state < 5 || i == c.parsing && c.got > q.r0 && q.state == 0 {
				s.put(l, stamp.Aborted, c, i, uint16(stamp.ClosePeerReset), 0, 0)
			}
		}
		s.put(l, stamp.Closed, c, 0, uint16(stamp.ClosePeerReset), c.got, c.sent)
		c.state(c.rst, mark.ResetReceived, 0, 0)
		s.destroy(l, c)
		return
	}
	for i, q := range c.reqs {
		if q.state == 3 && q.done <= ready {
			s.put(l, stamp.CallbackBegin, c, i, uint16(stamp.OnJob), 0, 0)
			s.put(l, stamp.AsyncResume, c, i, 0, 0, 0)
			s.answer(l, c, i)
			s.flush(l, c)
		}
	}
	if at := c.writable(); at != 0 && at <= ready {
		s.put(l, stamp.CallbackBegin, c, c.answering, uint16(stamp.OnWritable), 0, 0)
		s.flush(l, c)
	}
	if i := c.unread(); i < len(c.arrivals) && c.arrivals[i].At <= ready {
		s.put(l, stamp.CallbackBegin, c, c.parsing, uint16(stamp.OnReadable), 0, 0)
		s.read(l, c)
		s.flush(l, c)
	} else if i == len(c.arrivals) && c.rst == 0 && c.fin <= ready && c.idle() {
		s.put(l, stamp.CallbackBegin, c, 0, uint16(stamp.OnReadable), 0, 0)
		s.put(l, stamp.RecvReturn, c, c.parsing, 0, c.got, 0)
		s.put(l, stamp.Closed, c, 0, uint16(stamp.ClosePeerFIN), c.got, c.sent)
		c.state(c.fin, mark.Change, mark.TCPEstablished, mark.TCPCloseWait)
		s.destroy(l, c)
	} else if i == len(c.arrivals) && c.fin <= ready {
		c.fin = l.now + s.between(1, 50_000) // it is not over yet
	}
}

func (c *simConn) idle() bool {
	return !slices.ContainsFunc(c.reqs, func(q *simReq) bool { return q.state != 5 }) && c.sent == c.queued
}

func (s *sim) destroy(l *simLoop, c *simConn) {
	at := l.now
	for i := range c.lanes {
		for _, m := range c.lanes[i] {
			at = max(at, m.At)
		}
	}
	c.state(at+s.between(1, 50_000), mark.Destroyed, 0, 0)
	c.gone = true
}

// read reads what is there, as far as its buffer goes, and parses it.
func (s *sim) read(l *simLoop, c *simConn) {
	var have uint64
	for _, m := range c.arrivals {
		if m.At <= l.now {
			have = m.Off
		}
	}
	lo := c.got
	c.got = min(have, c.got+uint64(s.between(1, 6000)))
	l.now += s.between(1, 900)
	c.lanes[mark.RxRead] = append(c.lanes[mark.RxRead], mark.Mark{At: l.now, Off: c.got})
	s.put(l, stamp.RecvReturn, c, c.parsing, 0, c.got, c.got-lo)
	for c.parsing < len(c.reqs) {
		i, q := c.parsing, c.reqs[c.parsing]
		if lo <= q.r0 && c.got > q.r0 {
			s.put(l, stamp.MessageBegin, c, i, 0, q.r0, 0)
		}
		if q.state == 0 && c.got >= q.rh {
			q.state = 1
			s.text(l, stamp.Method, c, i, "GET")
			s.text(l, stamp.Target, c, i, "/users/42/with/a/rather/long/path")
			var content uint16
			if q.r1 > q.rh {
				content = 1
			}
			s.put(l, stamp.HeadersComplete, c, i, content, q.rh, 1<<8|1)
			s.put(l, stamp.Request, c, i, 0, 0, 0)
			s.put(l, stamp.LayerEnter, c, i, s.layers[0], uint64(stamp.Middleware), 0)
			s.put(l, stamp.LayerNext, c, i, s.layers[0], 0, 0)
			s.put(l, stamp.LayerEnter, c, i, s.layers[1], uint64(stamp.BodyParser), 0)
			if c.got < q.r1 {
				s.put(l, stamp.LayerReturn, c, i, s.layers[1], 0, 0)
				s.put(l, stamp.LayerReturn, c, i, s.layers[0], 0, 0)
			}
		}
		if q.state != 1 || c.got < q.r1 {
			return
		}
		later := q.r1 > q.rh && lo >= q.rh // its layers have returned
		s.put(l, stamp.BodyComplete, c, i, 0, q.r1, 0)
		s.put(l, stamp.LayerNext, c, i, s.layers[1], 0, 0)
		q.handled = s.put(l, stamp.LayerEnter, c, i, s.layers[2], uint64(stamp.Handler), 0)
		l.now += q.work
		q.state = 2
		if q.async > 0 {
			s.put(l, stamp.AsyncBegin, c, i, 0, 0, 0)
			q.state, q.done = 3, l.now+q.async
		} else {
			s.answer(l, c, i)
		}
		s.put(l, stamp.LayerReturn, c, i, s.layers[2], 0, 0)
		if !later {
			s.put(l, stamp.LayerReturn, c, i, s.layers[1], 0, 0)
			s.put(l, stamp.LayerReturn, c, i, s.layers[0], 0, 0)
		}
		c.parsing++
	}
}

// answer composes the response of a request, and those that waited for it.
func (s *sim) answer(l *simLoop, c *simConn, i int) {
	q := c.reqs[i]
	s.put(l, stamp.ComposeBegin, c, i, 0, 0, 0)
	s.put(l, stamp.HeadComposed, c, i, 0, 200, 0)
	s.put(l, stamp.ResponseEnd, c, i, 0, 0, 0)
	q.state = 4
	for ; c.answering < len(c.reqs) && c.reqs[c.answering].state == 4; c.answering++ {
		q := c.reqs[c.answering]
		c.queued = q.t1
		s.put(l, stamp.Finish, c, c.answering, 0, q.t0, q.t1)
		s.put(l, stamp.KeepAliveReset, c, c.answering, 0, 0, 0)
		q.state = 5
	}
}

// flush sends what is queued; the kernel takes what fits and the network has
// its own pace.
func (s *sim) flush(l *simLoop, c *simConn) {
	if c.queued == c.sent {
		return
	}
	lo := c.sent
	s.put(l, stamp.SendBegin, c, c.answering, 0, lo, c.queued-lo)
	var unacked uint64
	for _, a := range c.acked {
		if a.At <= l.now {
			unacked = lo - a.Off
		}
	}
	n := min(c.queued-lo, c.sndbuf-min(unacked, c.sndbuf))
	if n == 0 {
		s.put(l, stamp.SendReturn, c, c.answering, 0, lo, 0)
		return
	}
	c.sent += n
	at := max(l.now, c.acked[len(c.acked)-1].At)
	if sent := c.lanes[mark.TxSent]; len(sent) > 0 {
		at = max(at, sent[len(sent)-1].At)
	}
	lastAck := at
	for off := lo; off < c.sent; {
		off = min(c.sent, off+uint64(s.between(1, 1500)))
		at += s.between(1, 2000)
		c.lanes[mark.TxSent] = append(c.lanes[mark.TxSent], mark.Mark{At: at, Off: off})
		if off == c.sent || s.rnd.Intn(3) == 0 {
			lastAck = max(lastAck, at) + s.between(1, 100_000)
			if s.rnd.Intn(2) == 0 {
				lastAck = at + 1 // loopback: inside the send
			}
			last := &c.acked[len(c.acked)-1]
			lastAck = max(lastAck, last.At+1)
			c.acked = append(c.acked, mark.Mark{At: lastAck, Off: off})
		}
	}
	l.now += s.between(1, 3000)
	c.lanes[mark.TxQueued] = append(c.lanes[mark.TxQueued], mark.Mark{At: l.now, Off: c.sent})
	s.put(l, stamp.SendReturn, c, c.answering, 0, c.sent, n)
}

// finish puts the kernel's lanes together as the kernel would have them.
func (s *sim) finish() {
	for i := range s.loops {
		s.run(i)
	}
	for _, c := range s.conns {
		c.lanes[mark.RxReady] = c.arrivals
		if len(c.acked) > 0 {
			c.lanes[mark.TxAcked] = c.acked[1:]
		}
		var end int64
		for _, m := range c.lanes[mark.State] {
			if k, _, _ := mark.Unpack(m.Off); k == mark.Destroyed {
				end = m.At
			}
		}
		if c.rst != 0 {
			end = c.rst
		}
		// Nothing is acknowledged or sent after the end.
		for _, l := range []mark.Lane{mark.TxSent, mark.TxAcked} {
			c.lanes[l] = slices.DeleteFunc(c.lanes[l], func(m mark.Mark) bool { return m.At > end })
		}
		slices.SortStableFunc(c.lanes[mark.State], func(a, b mark.Mark) int { return cmp.Compare(a.At, b.At) })
	}
}

var (
	simPeer  = netip.MustParseAddrPort("127.0.0.1:60286")
	simLocal = netip.MustParseAddrPort("127.0.0.1:8080")
)

// laneOrder is the order in which a caller must read lanes.
var laneOrder = [...]mark.Lane{mark.TxAcked, mark.State, mark.RxReady, mark.RxRead, mark.TxQueued, mark.TxSent}
