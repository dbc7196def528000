// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

func TestShedderFollowsTheQueue(t *testing.T) {
	var s shedder
	step := func(drains, queued int, want uint) {
		t.Helper()
		for range drains {
			s.next(queued)
		}
		if s.level != want {
			t.Errorf("after %d drains with %d queued: level %d, want %d", drains, queued, s.level, want)
		}
	}
	step(1000, shedAbove, 0)
	step(1, shedAbove+1, 1)
	step(raiseEvery-1, shedAbove+1, 1) // until the change shows
	step(1, shedAbove+1, 2)
	step(1000, shedBelow, 2) // it has not caught up
	step(lowerAfter-1, shedBelow-1, 2)
	step(1, shedBelow, 2) // a moment does not count
	step(lowerAfter-1, 0, 2)
	step(1, 0, 1)
	step(lowerAfter, 0, 0)
	step(lowerAfter, 0, 0)
	step(2*maxLevel*raiseEvery, maxQueued, maxLevel)
}

func TestShedderChoosesByConnection(t *testing.T) {
	const n = 1 << 13
	for level := range uint(5) {
		kept := 0
		for cookie := range uint64(n) {
			upper := shedder{level: level + 1}
			s := shedder{level: level}
			if s.keeps(cookie) {
				kept++
			} else if upper.keeps(cookie) {
				t.Fatalf("connection %d is kept at level %d and not at %d", cookie, level+1, level)
			}
		}
		if want := n >> level; kept < want*9/10 || kept > want*11/10 {
			t.Errorf("level %d keeps %d of %d, want about %d", level, kept, n, want)
		}
	}
}

// unlucky returns a connection that level 1 does not keep.
func unlucky() uint64 {
	s := shedder{level: 1}
	for cookie := uint64(1); ; cookie++ {
		if !s.keeps(cookie) {
			return cookie
		}
	}
}

// shedOne is a collector at level 1 with one connection that it does not keep.
func shedOne() (uint64, *script, *stamp.Ring, *Collector) {
	s, ring, c := newScript(time.Hour)
	c.drainer.shedder.level = 1
	cookie := unlucky()
	s.opened = []mark.Conn{{Slot: 1, Cookie: cookie}}
	ring.Put(1, stamp.Accepted, cookie, 0, 0, 0, 0)
	ring.Put(2, stamp.CallbackBegin, cookie, 0, 0, 0, 0)
	return cookie, s, ring, c
}

func grep(lines []string, words ...string) []string {
	return slices.DeleteFunc(lines, func(l string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(l, w) })
	})
}

// Of an exchange that is left out the loop's turn to it stays, and its number;
// one that is not over when the connection closes counts too.
func TestLeftOutAtTheClose(t *testing.T) {
	_, s, ring, c := shedOne()
	cookie := unlucky()
	for i := range uint32(2) {
		ring.Put(3, stamp.RecvReturn, cookie, i, 0, uint64(i)*10, 10)
		ring.PutText(stamp.Method, cookie, i, "GET")
		ring.Put(4, stamp.MessageBegin, cookie, i, 0, uint64(i)*10, 0)
	}
	ring.Put(5, stamp.KeepAliveReset, cookie, 0, 0, 0, 0)
	ring.Put(6, stamp.CallbackBegin, 0, 0, 0, 0, 0)
	ring.Put(7, stamp.SendBegin, cookie, 0, 0, 0, 5)
	ring.Put(8, stamp.Closed, cookie, 0, 0, 0, 0)
	c.Tick(9)
	want(t, grep(s.take(), "stamp", "skip"),
		"stamp 0 accepted", "stamp 0 callback_begin", "stamp 0 callback_begin", "stamp 0 callback_begin",
		"skip 1 from 0 to 2", "stamp 0 closed")
}

// A connection whose exchange is going on is not cut off in it.
func TestLeftOutBetweenExchanges(t *testing.T) {
	_, s, ring, c := shedOne()
	cookie := unlucky()
	c.drainer.shedder.level = 0
	ring.Put(3, stamp.RecvReturn, cookie, 0, 0, 10, 10)
	ring.Put(4, stamp.MessageBegin, cookie, 0, 0, 0, 0)
	c.Tick(5)
	c.drainer.shedder.level = 1
	ring.Put(6, stamp.CallbackBegin, cookie, 0, 0, 0, 0)
	ring.Put(7, stamp.RecvReturn, cookie, 0, 0, 20, 10)
	c.Tick(8)
	ring.Put(9, stamp.BodyComplete, cookie, 0, 0, 20, 0)
	ring.Put(10, stamp.Finish, cookie, 0, 0, 0, 30)
	ring.Put(11, stamp.KeepAliveReset, cookie, 0, 0, 0, 0)
	ring.Put(12, stamp.CallbackBegin, cookie, 0, 0, 0, 0) // to write what is over
	ring.Put(13, stamp.SendReturn, cookie, 0, 0, 30, 30)
	ring.Put(14, stamp.CallbackBegin, cookie, 1, 0, 0, 0)
	ring.Put(15, stamp.RecvReturn, cookie, 1, 0, 30, 10)
	c.Tick(16)
	want(t, grep(s.take(), "stamp"),
		"stamp 0 accepted", "stamp 0 callback_begin", "stamp 0 recv_return", "stamp 0 message_begin",
		"stamp 0 callback_begin", "stamp 0 recv_return", "stamp 0 body_complete", "stamp 0 finish",
		"stamp 0 keepalive_reset", "stamp 0 callback_begin", "stamp 0 send_return", "stamp 0 callback_begin")
}

// More marks came early than are kept: the connection is not taken back before
// the stamps have passed them.
func TestTooManyLateMarks(t *testing.T) {
	cookie, s, ring, c := shedOne()
	c.Tick(3)
	k := c.drainer.conns[cookie]
	f := &k.flow
	for i := range uint64(maxLate + 2) {
		f.leaveOut(&connMark{cookie: cookie, lane: mark.RxReady, Mark: mark.Mark{At: 1, Off: i + 1}})
	}
	f.leaveOut(&connMark{cookie: cookie, lane: mark.TxSent, Mark: mark.Mark{At: 1, Off: 7}})
	f.leaveOut(&connMark{cookie: cookie, lane: mark.TxSent, Mark: mark.Mark{At: 1}}) // not late
	c.drainer.shedder.level = 0
	s.take()
	pass := func(off uint64) {
		ring.Put(4, stamp.RecvReturn, cookie, 0, 0, off, off)
		ring.Put(4, stamp.BodyComplete, cookie, 0, 0, off, 0)
		ring.Put(4, stamp.Finish, cookie, 0, 0, 0, off)
		ring.Put(4, stamp.SendReturn, cookie, 0, 0, off, off)
		ring.Put(4, stamp.KeepAliveReset, cookie, 0, 0, 0, 0)
		c.Tick(5)
	}
	pass(6)
	if !f.shed || len(f.late) != maxLate-6 {
		t.Errorf("shed %v with %d late marks, want it shed with %d", f.shed, len(f.late), maxLate-6)
	}
	pass(maxLate + 1)
	if !f.shed {
		t.Error("it was taken back with a late mark missing")
	}
	pass(maxLate + 2)
	if f.shed || len(f.late) != 0 {
		t.Errorf("shed %v with %d late marks, want it taken back", f.shed, len(f.late))
	}
}

// What is known of a connection whose Closed stamp was lost goes with its
// socket; a server's connections beyond the bound are not followed.
func TestFollowedConnectionsAreBounded(t *testing.T) {
	cookie, s, _, c := shedOne()
	c.Tick(3)
	s.gone[1] = true
	c.drainer.o.Sweep = 1
	c.Tick(10)
	c.Tick(10 + closedTime)
	if len(c.drainer.conns) != 1 {
		t.Fatalf("%d connections are followed, want the one whose stamp may come", len(c.drainer.conns))
	}
	c.Tick(11 + closedTime)
	if len(c.drainer.conns) != 0 || c.drainer.conn(cookie) != nil {
		t.Errorf("%d connections are followed", len(c.drainer.conns))
	}

	_, ring, c := newScript(time.Hour)
	for i := range uint64(maxConns) {
		c.drainer.conns[i+1000] = &conn{cookie: i + 1000}
	}
	ring.Put(1, stamp.Accepted, 7, 0, 0, 0, 0)
	c.drainer.swept = 1
	c.Tick(2)
	if len(c.drainer.conns) != maxConns {
		t.Errorf("%d connections are followed, want at most %d", len(c.drainer.conns), maxConns)
	}
}

// A steady state drains without garbage.
func TestDrainAllocatesNothing(t *testing.T) {
	_, ring, c := newScript(time.Hour)
	c.drainer.o.Lanes = nil
	var b batch
	n := uint32(0)
	drain := func() {
		for cookie := uint64(1); cookie <= 8; cookie++ {
			ring.Put(1, stamp.CallbackBegin, cookie, n, 0, 0, 0)
			ring.Put(1, stamp.KeepAliveReset, cookie, n, 0, 0, 0)
		}
		n++
		c.drain(&b, 5, 0)
	}
	for cookie := uint64(1); cookie <= 8; cookie++ {
		ring.Put(1, stamp.Accepted, cookie, 0, 0, 0, 0)
	}
	drain()
	for _, level := range []uint{0, 1} {
		c.drainer.shedder.level = level
		if a := testing.AllocsPerRun(100, drain); a != 0 {
			t.Errorf("level %d: %v allocations, want 0", level, a)
		}
	}
}
