// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// drainer empties rings and lanes into batches.
type drainer struct {
	o      Options
	health *Health
	conns  map[uint64]*conn
	// unacked are the connections that have sent more than was acknowledged
	// by the last look: their lanes are read at each drain.
	unacked map[*conn]struct{}
	touched []*conn // to be read in this drain
	turn    uint64  // counts drains
	swept   int64   // when the lanes of all connections were read last

	// Of the drain that is going on.
	into     *batch
	reading  *conn
	accepted []accepted
}

// accepted is a connection that the server has and that has no slot yet.
type accepted struct {
	cookie uint64
	since  int64 // the drain that saw its stamp
}

// slotTime is how long the slot of an accepted connection may be late, ns. The
// kernel puts a connection into the accept queue just before it establishes
// it, which is when BPF takes the slot; a loop on another CPU can be faster.
const slotTime = 10e6

// conn is a traced connection.
type conn struct {
	cookie      uint64
	slot        uint32
	turn        uint64 // the last drain that read its lanes
	sent, acked uint64 // offsets of the send stream
}

func (d *drainer) init(o Options, h *Health) {
	d.o, d.health = o, h
	d.conns, d.unacked = map[uint64]*conn{}, map[*conn]struct{}{}
}

// fill makes b what was recorded before now and not drained yet.
func (d *drainer) fill(b *batch, now int64) {
	b.reset(now)
	d.into = b
	d.turn++
	for loop, ring := range d.o.Rings {
		ring.Read(func(s *stamp.Stamp) { d.stamp(loop, s) })
	}
	if d.o.Lanes != nil {
		d.lanes(now)
	}
	d.into = nil
}

func (d *drainer) stamp(loop int, s *stamp.Stamp) {
	d.into.stamps = append(d.into.stamps, loopStamp{loop, *s})
	d.health.stamp(loop, s)
	switch {
	case s.Code == stamp.Accepted:
		d.accepted = append(d.accepted, accepted{s.Conn, d.into.now})
	case s.Conn != 0:
		k := d.conns[s.Conn]
		if k != nil && s.Code == stamp.SendReturn {
			k.sent = s.A
		}
		d.touch(k)
	}
}

func (d *drainer) touch(k *conn) {
	if k != nil && k.turn != d.turn {
		k.turn = d.turn
		d.touched = append(d.touched, k)
	}
}

func (d *drainer) lanes(now int64) {
	d.o.Lanes.Opened(now, func(n mark.Conn) {
		k := &conn{cookie: n.Cookie, slot: n.Slot}
		d.conns[n.Cookie] = k
		d.into.opened = append(d.into.opened, n)
		d.touch(k)
	})
	late := d.accepted[:0]
	for _, a := range d.accepted {
		switch {
		case d.conns[a.cookie] != nil:
		case now-a.since < slotTime:
			late = append(late, a)
		default:
			d.into.untraced = append(d.into.untraced, a.cookie)
		}
	}
	d.accepted = late
	for k := range d.unacked {
		d.touch(k)
	}
	if now-d.swept >= int64(d.o.Sweep) {
		d.swept = now
		for _, k := range d.conns {
			d.touch(k)
		}
	}
	for _, k := range d.touched {
		d.read(k, now)
	}
	d.touched = d.touched[:0]
	for loop := range d.o.Rings {
		d.o.Lanes.DrainThread(loop,
			func(l mark.ThreadLane, m mark.Mark) {
				d.into.threads = append(d.into.threads, threadMark{Mark: m, loop: loop, lane: l})
			},
			func(l mark.ThreadLane, n uint64) {
				d.into.threads = append(d.into.threads, threadMark{lost: n, loop: loop, lane: l})
			})
	}
	d.o.Lanes.Events(d.health.event)
}

func (d *drainer) read(k *conn, now int64) {
	d.reading = k
	gone := d.o.Lanes.Drain(k.slot, d)
	switch {
	case gone:
		d.o.Lanes.Release(k.slot, now)
		delete(d.conns, k.cookie)
		delete(d.unacked, k)
	case k.acked < k.sent:
		d.unacked[k] = struct{}{}
	default:
		delete(d.unacked, k)
	}
}

// Mark takes a mark of the connection that is being read.
func (d *drainer) Mark(lane mark.Lane, m mark.Mark) {
	switch lane {
	case mark.State:
		d.health.state(m.Off)
	case mark.TxAcked:
		d.reading.acked = max(d.reading.acked, m.Off, m.LastOff)
	default:
	}
	d.into.marks = append(d.into.marks, connMark{cookie: d.reading.cookie, Mark: m, lane: lane})
}

// Lost takes the loss of n marks of the connection that is being read.
func (d *drainer) Lost(lane mark.Lane, n uint64) {
	d.into.marks = append(d.into.marks, connMark{cookie: d.reading.cookie, lost: n, lane: lane})
}
