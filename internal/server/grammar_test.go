// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"fmt"
	"testing"

	"github.com/lifetrace/lifetrace/internal/stamp"
)

// grammar checks that a loop's stamps follow the rules of package stamp: what
// may follow what, what nests, and that the offsets agree with each other.
type grammar struct {
	at     int64
	polls  bool // between PollEnter and PollReturn
	called bool // a callback has begun since
	conns  map[uint64]*connState
	// closed connections, and exchanges by how they ended.
	closed map[stamp.CloseReason]int
	ended  map[stamp.Code]int
}

type connState struct {
	setup          int // how many of the first stamps were seen
	received, sent uint64
	sending        uint64 // end of the send under way, 0 if none
	r1, t1         uint64
	exchanges      []*exchangeState
	closed         bool
}

type exchangeState struct {
	r0, rh, r1, t0, t1     uint64
	begun, headed, request bool
	complete, content      bool
	composing, composed    bool
	ended, finished        bool
	pressed                bool
	layers                 []uint16        // entered, not returned
	seen                   map[uint16]bool // ever entered
	async                  int
	end                    stamp.Code // KeepAliveReset or Aborted
}

func newGrammar() *grammar {
	return &grammar{conns: map[uint64]*connState{}, closed: map[stamp.CloseReason]int{}, ended: map[stamp.Code]int{}}
}

var setup = []stamp.Code{stamp.Accepted, stamp.Peer, stamp.Local, stamp.Connection, stamp.ParserAttached}

// take checks one stamp.
func (g *grammar) take(s *stamp.Stamp) error {
	if !s.Code.IsText() {
		if s.At < g.at {
			return fmt.Errorf("time goes back by %d", g.at-s.At)
		}
		g.at = s.At
	}
	switch s.Code {
	case stamp.Gap:
		return fmt.Errorf("%d stamps lost: the test needs a larger ring", s.A)
	case stamp.PollEnter:
		if g.polls {
			return fmt.Errorf("polls twice")
		}
		g.polls, g.called = true, false
		return nil
	case stamp.PollReturn:
		if !g.polls {
			return fmt.Errorf("returns from no poll")
		}
		g.polls = false
		return nil
	}
	if g.polls {
		return fmt.Errorf("within a poll")
	}
	if s.Code == stamp.CallbackBegin {
		g.called = true
		if c := g.conns[s.Conn]; s.Conn != 0 && (c == nil || c.closed) {
			return fmt.Errorf("callback of no connection")
		}
		if s.Aux < uint16(stamp.OnAccept) || s.Aux > uint16(stamp.OnOther) {
			return fmt.Errorf("callback of no kind")
		}
		return nil
	}
	if !g.called {
		return fmt.Errorf("outside of a callback")
	}
	c := g.conns[s.Conn]
	if c == nil {
		if s.Code != stamp.Accepted || s.Conn == 0 {
			return fmt.Errorf("no such connection")
		}
		c = &connState{}
		g.conns[s.Conn] = c
	}
	if c.closed {
		return fmt.Errorf("after Closed")
	}
	if c.setup < len(setup) {
		if s.Code != setup[c.setup] {
			return fmt.Errorf("want %s", setup[c.setup])
		}
		c.setup++
		return nil
	}
	if c.sending > 0 && s.Code != stamp.SendReturn {
		return fmt.Errorf("within a send")
	}
	switch s.Code {
	case stamp.RecvReturn, stamp.SendBegin, stamp.SendReturn:
		return c.stream(s)
	case stamp.Closed:
		return g.close(c, s)
	case stamp.MessageBegin:
		if int(s.Exchange) != len(c.exchanges) {
			return fmt.Errorf("exchange %d, want %d", s.Exchange, len(c.exchanges))
		}
		if s.A < c.r1 || s.A > c.received {
			return fmt.Errorf("r0 %d, not in [%d, %d]", s.A, c.r1, c.received)
		}
		c.exchanges = append(c.exchanges, &exchangeState{begun: true, r0: s.A, seen: map[uint16]bool{}})
		return nil
	}
	if int(s.Exchange) >= len(c.exchanges) {
		return fmt.Errorf("no such exchange")
	}
	e := c.exchanges[s.Exchange]
	if e.end != 0 {
		return fmt.Errorf("after %s", e.end)
	}
	if err := e.take(c, s); err != nil {
		return err
	}
	if e.end != 0 {
		g.ended[e.end]++
	}
	return nil
}

func (c *connState) stream(s *stamp.Stamp) error {
	switch s.Code {
	case stamp.RecvReturn:
		if s.A != c.received+s.B {
			return fmt.Errorf("receive off %d, want %d", s.A, c.received+s.B)
		}
		c.received = s.A
	case stamp.SendBegin:
		if s.A != c.sent || s.B == 0 {
			return fmt.Errorf("send off %d, want %d", s.A, c.sent)
		}
		if int(s.Exchange) >= len(c.exchanges) {
			return fmt.Errorf("no such exchange")
		}
		if e := c.exchanges[s.Exchange]; e.finished && e.t1 <= c.sent || e.end != 0 {
			return fmt.Errorf("exchange has no unsent bytes")
		}
		c.sending = s.A + s.B
	case stamp.SendReturn:
		if s.A < c.sent || s.A > c.sending || s.A != c.sent+s.B {
			return fmt.Errorf("send off %d, not in [%d, %d]", s.A, c.sent, c.sending)
		}
		c.sent, c.sending = s.A, 0
	}
	return nil
}

func (g *grammar) close(c *connState, s *stamp.Stamp) error {
	c.closed = true
	g.closed[stamp.CloseReason(s.Aux)]++
	if s.Aux == 0 || s.A != c.received || s.B != c.sent {
		return fmt.Errorf("read %d sent %d, want %d and %d, and a reason", s.A, s.B, c.received, c.sent)
	}
	for i, e := range c.exchanges {
		if e.end != 0 {
			continue
		}
		if !e.finished || e.t1 > c.sent {
			return fmt.Errorf("exchange %d has no end", i)
		}
		if i != len(c.exchanges)-1 && c.exchanges[i+1].end != stamp.Aborted {
			return fmt.Errorf("exchange %d ends with the connection, and is not its last", i)
		}
		if len(e.layers) > 0 {
			return fmt.Errorf("exchange %d: layers do not return", i)
		}
		g.ended[stamp.Finish]++
	}
	return nil
}

func (e *exchangeState) take(c *connState, s *stamp.Stamp) error {
	need := func(ok bool, what string) error {
		if !ok {
			return fmt.Errorf("want %s", what)
		}
		return nil
	}
	switch s.Code {
	case stamp.Method, stamp.Target:
		return need(!e.headed, "it before HeadersComplete")
	case stamp.HeadersComplete:
		if e.headed || s.A <= e.r0 || s.A > c.received {
			return fmt.Errorf("rh %d, not in (%d, %d]", s.A, e.r0, c.received)
		}
		e.headed, e.rh, e.content = true, s.A, s.Aux == 1
		c.r1 = s.A
	case stamp.BodyComplete:
		if !e.headed || e.complete || s.A < e.rh || s.A > c.received || (s.A > e.rh) != e.content {
			return fmt.Errorf("r1 %d, not in [%d, %d]", s.A, e.rh, c.received)
		}
		e.complete, e.r1 = true, s.A
		c.r1 = s.A
	case stamp.Request:
		ok := e.headed && !e.request
		e.request = true
		return need(ok, "HeadersComplete, and once")
	case stamp.Route:
		return need(e.request, "Request")
	case stamp.LayerEnter:
		e.layers = append(e.layers, s.Aux)
		e.seen[s.Aux] = true
		return need(e.request && s.A >= uint64(stamp.Middleware) && s.A <= uint64(stamp.ErrorHandler), "Request, and a kind")
	case stamp.LayerNext:
		return need(e.seen[s.Aux], "LayerEnter")
	case stamp.LayerReturn:
		n := len(e.layers)
		if n == 0 || e.layers[n-1] != s.Aux {
			return fmt.Errorf("layers %v do not nest", e.layers)
		}
		e.layers = e.layers[:n-1]
	case stamp.AsyncBegin:
		e.async++
		return need(e.request, "Request")
	case stamp.AsyncResume:
		e.async--
		return need(e.async >= 0, "AsyncBegin")
	case stamp.ComposeBegin:
		ok := !e.composing && !e.finished
		e.composing = true
		return need(ok, "it once before HeadComposed")
	case stamp.HeadComposed:
		ok := e.composing && s.A >= 101 && s.A <= 999
		e.composing, e.composed, e.ended = false, true, false // 400 may stand in for an answer that was not sent
		return need(ok, "ComposeBegin, and a status")
	case stamp.ResponseEnd:
		ok := e.composed && !e.ended
		e.ended = true
		return need(ok, "HeadComposed, and once")
	case stamp.Finish:
		if !e.ended || e.finished || s.A != c.t1 || s.B <= s.A {
			return fmt.Errorf("[%d, %d), want it to begin at %d after ResponseEnd", s.A, s.B, c.t1)
		}
		e.finished, e.t0, e.t1 = true, s.A, s.B
		c.t1 = s.B
	case stamp.BackpressureBegin:
		ok := e.composed && !e.pressed
		e.pressed = true
		return need(ok, "Drain before it comes again")
	case stamp.Drain:
		ok := e.pressed
		e.pressed = false
		return need(ok, "BackpressureBegin")
	case stamp.KeepAliveReset:
		e.end = s.Code
		return need(e.finished && e.complete && e.t1 <= c.sent && len(e.layers) == 0, "the exchange to be over")
	case stamp.Aborted:
		e.end = s.Code
		return need(s.Aux != 0 && !(e.finished && e.t1 <= c.sent), "a reason, and an exchange that is not over")
	default:
		return fmt.Errorf("not expected here")
	}
	return nil
}

// check runs the grammar over stamps and fails with what led to a violation.
func (g *grammar) check(t *testing.T, stamps []stamp.Stamp) {
	t.Helper()
	for i := range stamps {
		if err := g.take(&stamps[i]); err != nil {
			for _, s := range stamps[max(0, i-40) : i+1] {
				t.Logf("%d conn %d exchange %d %s aux %d a %d b %d", s.At, s.Conn, s.Exchange, s.Code, s.Aux, s.A, s.B)
			}
			t.Fatalf("stamp %d, %s: %v", i, stamps[i].Code, err)
		}
	}
}

// finish demands that every connection has ended.
func (g *grammar) finish(t *testing.T) {
	t.Helper()
	for cookie, c := range g.conns {
		if !c.closed {
			t.Errorf("connection %d was not closed", cookie)
		}
	}
}

// A checker that finds nothing proves nothing: each of these streams has to be
// refused.
func TestGrammarRefuses(t *testing.T) {
	good := []stamp.Stamp{
		{Code: stamp.PollEnter},
		{Code: stamp.PollReturn},
		{Code: stamp.CallbackBegin, Aux: uint16(stamp.OnAccept)},
		{Code: stamp.Accepted, Conn: 1},
		{Code: stamp.Peer, Conn: 1},
		{Code: stamp.Local, Conn: 1},
		{Code: stamp.Connection, Conn: 1},
		{Code: stamp.ParserAttached, Conn: 1},
		{Code: stamp.RecvReturn, Conn: 1, A: 30, B: 30},
		{Code: stamp.MessageBegin, Conn: 1},
		{Code: stamp.HeadersComplete, Conn: 1, A: 30},
		{Code: stamp.BodyComplete, Conn: 1, A: 30},
		{Code: stamp.Request, Conn: 1},
		{Code: stamp.LayerEnter, Conn: 1, Aux: 1, A: 1},
		{Code: stamp.LayerNext, Conn: 1, Aux: 1},
		{Code: stamp.ComposeBegin, Conn: 1},
		{Code: stamp.HeadComposed, Conn: 1, A: 200},
		{Code: stamp.ResponseEnd, Conn: 1},
		{Code: stamp.Finish, Conn: 1, B: 50},
		{Code: stamp.LayerReturn, Conn: 1, Aux: 1},
		{Code: stamp.SendBegin, Conn: 1, B: 50},
		{Code: stamp.SendReturn, Conn: 1, A: 50, B: 50},
		{Code: stamp.KeepAliveReset, Conn: 1},
		{Code: stamp.Closed, Conn: 1, Aux: 1, A: 30, B: 50},
	}
	newGrammar().check(t, good)
	// Without any one of these, or with it twice, the rest is wrong.
	for i, s := range good {
		switch s.Code {
		case stamp.LayerNext, stamp.RecvReturn, stamp.LayerReturn, stamp.PollEnter, stamp.PollReturn:
			continue // may be missing, or comes to light elsewhere
		}
		without := append(append([]stamp.Stamp{}, good[:i]...), good[i+1:]...)
		if s.Code != stamp.Closed && s.Code != stamp.KeepAliveReset && s.Code != stamp.CallbackBegin && passes(without) {
			t.Errorf("passes without %s", s.Code)
		}
		twice := append(append([]stamp.Stamp{}, good[:i+1]...), good[i:]...)
		if s.Code != stamp.CallbackBegin && passes(twice) {
			t.Errorf("passes with %s twice", s.Code)
		}
	}
}

func passes(stamps []stamp.Stamp) bool {
	g := newGrammar()
	for i := range stamps {
		if g.take(&stamps[i]) != nil {
			return false
		}
	}
	return true
}
