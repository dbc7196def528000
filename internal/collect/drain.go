// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// drainer empties rings and lanes into batches.
type drainer struct {
	o       Options
	health  *Health
	shedder shedder
	// conns are the connections that have a slot or are served.
	conns  map[uint64]*conn
	last   *conn // the one of the newest stamp
	traced int   // how many have a slot
	// unacked are the connections that have sent more than was acknowledged
	// by the last look: their lanes are read at each drain.
	unacked []*conn
	touched []*conn // to be looked at in this drain
	turn    []uint64
	count   uint64 // of drains
	swept   int64  // when all connections were looked at last

	// Of the drain that is going on.
	into     *batch
	reading  *conn
	dropping bool // marks of the connection that is being read are left out
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

// conn is a connection.
type conn struct {
	cookie uint64
	looked uint64 // the last drain that looked at it
	flow   flow

	traced bool // it has a slot
	slot   uint32
	gone   int64  // when its slot was given back; 0 is not yet
	acked  uint64 // offset of the send stream
}

const (
	// maxConns bounds the connections that are followed because a server
	// serves them. The exchanges of those beyond are always kept.
	maxConns = 1 << 17
	// closedTime, ns, is how long after its socket a connection's Closed stamp
	// may come. A later one was lost.
	closedTime = 1e9
)

func (d *drainer) init(o Options, h *Health) {
	d.o, d.health = o, h
	d.conns = map[uint64]*conn{}
	d.turn = make([]uint64, len(o.Rings))
}

// fill makes b what was recorded before now and not drained yet.
func (d *drainer) fill(b *batch, now int64) {
	b.reset(now)
	d.into = b
	d.count++
	for loop, ring := range d.o.Rings {
		ring.Read(func(s *stamp.Stamp) { d.stamp(loop, s) })
	}
	if now-d.swept >= int64(d.o.Sweep) {
		d.swept = now
		for _, k := range d.conns {
			d.touch(k)
			if k.gone != 0 && now-k.gone > closedTime {
				k.flow.served = false
				d.forget(k)
			}
		}
	}
	if d.o.Lanes != nil {
		d.lanes(now)
	}
	for _, k := range d.touched {
		if k.flow.shed {
			d.settle(k)
		}
	}
	d.touched = d.touched[:0]
	d.into = nil
}

func (d *drainer) stamp(loop int, s *stamp.Stamp) {
	k := d.conn(s.Conn)
	if s.Code == stamp.Accepted {
		if d.o.Lanes != nil {
			d.accepted = append(d.accepted, accepted{s.Conn, d.into.now})
		}
		if k == nil && len(d.conns) < maxConns {
			k = &conn{cookie: s.Conn}
			d.conns[s.Conn], d.last = k, k
		}
		if k != nil {
			k.flow.served = true
		}
	}
	if k == nil {
		d.turn[loop] = 0
		d.health.stamp(loop, s)
	} else {
		d.touch(k)
		if d.left(loop, k, s) {
			return
		}
		if s.Code == stamp.Closed {
			k.flow.served = false
			d.forget(k)
		}
	}
	d.into.stamps = append(d.into.stamps, loopStamp{loop: int32(loop), Stamp: *s})
}

// conn returns a connection by its cookie, nil if it is not followed.
func (d *drainer) conn(cookie uint64) *conn {
	if cookie == 0 {
		return nil
	}
	if d.last == nil || d.last.cookie != cookie {
		k := d.conns[cookie]
		if k == nil {
			return nil
		}
		d.last = k
	}
	return d.last
}

// forget lets go of a connection that is over for both halves.
func (d *drainer) forget(k *conn) {
	if k.traced || k.flow.served {
		return
	}
	delete(d.conns, k.cookie)
	if d.last == k {
		d.last = nil
	}
}

func (d *drainer) touch(k *conn) {
	if k.looked != d.count {
		k.looked = d.count
		d.touched = append(d.touched, k)
	}
}

func (d *drainer) lanes(now int64) {
	d.o.Lanes.Opened(now, func(n mark.Conn) {
		k := d.conns[n.Cookie]
		if k == nil {
			k = &conn{cookie: n.Cookie}
			d.conns[n.Cookie] = k
		}
		k.traced, k.slot = true, n.Slot
		d.traced++
		d.into.opened = append(d.into.opened, n)
		d.touch(k)
	})
	late := d.accepted[:0]
	for _, a := range d.accepted {
		k := d.conns[a.cookie]
		switch {
		case k != nil && (k.traced || k.gone != 0):
		case now-a.since < slotTime:
			late = append(late, a)
		default:
			d.into.untraced = append(d.into.untraced, a.cookie)
		}
	}
	d.accepted = late
	for _, k := range d.unacked {
		d.touch(k)
	}
	d.unacked = d.unacked[:0]
	for _, k := range d.touched {
		if k.traced {
			d.read(k, now)
		}
	}
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
	d.reading, d.dropping = k, k.dropping()
	gone := d.o.Lanes.Drain(k.slot, d)
	if k.flow.shed {
		k.flow.sift()
	}
	switch {
	case gone:
		d.o.Lanes.Release(k.slot, now)
		k.traced, k.gone = false, now
		d.traced--
		d.forget(k)
	case k.acked < k.flow.sent:
		d.unacked = append(d.unacked, k)
	}
}

// Mark takes a mark of the connection that is being read.
func (d *drainer) Mark(lane mark.Lane, m mark.Mark) {
	k := d.reading
	taken := connMark{cookie: k.cookie, Mark: m, lane: lane}
	switch lane {
	case mark.State:
		d.health.state(m.Off)
	case mark.TxAcked:
		k.acked = max(k.acked, m.Off, m.LastOff)
	default:
	}
	if d.dropping && lane != mark.State {
		k.flow.leaveOut(&taken)
		return
	}
	d.into.marks = append(d.into.marks, taken)
}

// Lost takes the loss of n marks of the connection that is being read.
func (d *drainer) Lost(lane mark.Lane, n uint64) {
	d.into.marks = append(d.into.marks, connMark{cookie: d.reading.cookie, lost: n, lane: lane})
}
