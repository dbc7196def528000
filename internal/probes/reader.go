// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/lifetrace/lifetrace/internal/mark"
)

// Reader turns the mapped memory into marks. It makes no call of bpf(2) and
// needs no capability. It is for one goroutine at a time.
//
// Memory order: BPF stores an entry and then moves the head, and x86 keeps that
// order. On arm64 a head may be seen before its entry; there a Reader must only
// be used some microseconds after the marks it reads, which the collector's
// tick gives it.
type Reader struct {
	m       Memory
	mapped  [][]byte
	slots   []lifetraceSlot
	threads []lifetraceThreadSlot
	free    []lifetraceFreeRing
	counts  []lifetraceCounters
	events  *eventRing

	state   []slotState
	reserve []uint32 // free slots that are in no CPU's ring
	limbo   []released
	taken   []uint32 // per CPU: the tail up to which slots were handed out by Opened
	online  []int    // CPUs whose rings are kept filled
	target  uint32   // how many free slots a ring is kept at
	lost    [mark.NumThreadLanes][]uint32
	read    Totals
}

// slotState is what the reader remembers of a slot between two reads.
type slotState struct {
	merged, lost        [mark.NumLanes]uint32
	index, inEntry      [mark.NumLanes]uint32 // the record that was taken last
	accepted, destroyed bool
}

type released struct {
	slot uint32
	at   int64
}

// grace is how long a slot rests before it is used again, ns. No hook can find
// a destroyed socket's slot any more; one that had found it just before is
// done within microseconds, or after it was preempted for some milliseconds.
const grace = 10e6

// OpenReader maps the memory and gives every slot to BPF for use. There must be
// one Reader for a Memory.
func OpenReader(m Memory) (*Reader, error) {
	r := &Reader{m: m}
	if err := r.mapAll(); err != nil {
		r.Close()
		return nil, err
	}
	online, err := onlineCPUs("/sys/devices/system/cpu/online", m.NumCPU)
	if err != nil {
		r.Close()
		return nil, err
	}
	r.online = online
	// An eighth of the slots lie in the rings, the rest is handed out as it is
	// needed: what lies in one CPU's ring is of no use to the others.
	r.target = uint32(min(freeRoom, max(1, m.NumSlots/(8*len(online)))))
	r.state = make([]slotState, m.NumSlots)
	r.taken = make([]uint32, m.NumCPU)
	for lane := range r.lost {
		r.lost[lane] = make([]uint32, m.NumThreads)
	}
	for i := m.NumSlots - 1; i >= 0; i-- {
		r.reserve = append(r.reserve, uint32(i))
	}
	r.refill()
	return r, nil
}

func (r *Reader) mapAll() error {
	var err error
	keep := func(b []byte, e error) {
		if e == nil {
			r.mapped = append(r.mapped, b)
		} else if err == nil {
			err = e
		}
	}
	var b []byte
	var e error
	r.slots, b, e = mapArray[lifetraceSlot](r.m.Slots, r.m.NumSlots)
	keep(b, e)
	r.threads, b, e = mapArray[lifetraceThreadSlot](r.m.Threads, r.m.NumThreads)
	keep(b, e)
	r.free, b, e = mapArray[lifetraceFreeRing](r.m.FreeRings, r.m.NumCPU)
	keep(b, e)
	r.counts, b, e = mapArray[lifetraceCounters](r.m.Counts, r.m.NumCPU)
	keep(b, e)
	if err != nil {
		return err
	}
	r.events, err = openEventRing(r.m.Events, r.m.EventBytes)
	return err
}

// Close unmaps the memory.
func (r *Reader) Close() {
	for _, b := range r.mapped {
		_ = unix.Munmap(b)
	}
	r.mapped = nil
	if r.events != nil {
		r.events.close()
		r.events = nil
	}
}

// Opened hands every connection that got a slot since the last call to f, and
// gives rested slots back to BPF. now is CLOCK_MONOTONIC.
func (r *Reader) Opened(now int64, f func(mark.Conn)) {
	for cpu := range r.free {
		ring := &r.free[cpu]
		tail := atomic.LoadUint32(&ring.Tail)
		for ; r.taken[cpu] != tail; r.taken[cpu]++ {
			id := ring.Ids[r.taken[cpu]%uint32(freeRoom)]
			s := &r.slots[id]
			f(mark.Conn{
				Slot: id, Cookie: s.Cookie,
				Peer:  address(s.Family, s.Peer, s.PeerPort),
				Local: address(s.Family, s.Local, s.LocalPort),
			})
		}
	}
	n := 0
	for n < len(r.limbo) && now-r.limbo[n].at >= grace {
		r.reserve = append(r.reserve, r.limbo[n].slot)
		n++
	}
	r.limbo = append(r.limbo[:0], r.limbo[n:]...)
	r.refill()
}

// refill tops the CPUs' free rings up, a slot each in turn, so that the last
// ones are shared out.
func (r *Reader) refill() {
	for more := true; more && len(r.reserve) > 0; {
		more = false
		for _, cpu := range r.online {
			ring := &r.free[cpu]
			head := ring.Head // only the reader writes it
			// Entries from taken on are still to be read by Opened.
			if len(r.reserve) == 0 || head-r.taken[cpu] >= r.target {
				continue
			}
			id := r.reserve[len(r.reserve)-1]
			r.reserve = r.reserve[:len(r.reserve)-1]
			r.clear(id)
			ring.Ids[head%uint32(freeRoom)] = id
			atomic.StoreUint32(&ring.Head, head+1)
			more = true
		}
	}
}

// clear makes a slot as new. Its marks may stay: heads and tails say that there
// are none.
func (r *Reader) clear(id uint32) {
	s := &r.slots[id]
	s.Cookie, s.Opened, s.Destroyed, s.Accepted, s.AcceptedFd = 0, 0, 0, 0, 0
	s.Retransmits = 0
	s.Head, s.Merged, s.Lost, s.Tail = [6]uint32{}, [6]uint32{}, [6]uint32{}, [6]uint32{}
	clear(s.Last[:])
	s.RxReady, s.RxRead, s.TxQueued, s.TxSent, s.TxAcked = 0, 0, 0, 0, 0
	r.state[id] = slotState{}
}

// Release gives a slot back after its connection was destroyed and drained.
func (r *Reader) Release(slot uint32, now int64) {
	r.limbo = append(r.limbo, released{slot, now})
}

// Free returns how many slots wait for a connection.
func (r *Reader) Free() int {
	n := len(r.reserve)
	for cpu := range r.free {
		n += int(r.free[cpu].Head - atomic.LoadUint32(&r.free[cpu].Tail))
	}
	return n
}

// Drain hands over what the lanes of a slot hold, the acknowledgements first:
// so everything that happened before an acknowledgement that was handed over
// is handed over by the same call. It reports whether the socket is gone, in
// which case there is nothing left to come.
func (r *Reader) Drain(slot uint32, sink mark.Sink) (gone bool) {
	s, st := &r.slots[slot], &r.state[slot]
	destroyed := atomic.LoadUint64(&s.Destroyed)
	for lane := int(mark.NumLanes) - 1; lane >= 0; lane-- {
		r.drainLane(s, st, mark.Lane(lane), sink)
	}
	if at := atomic.LoadUint64(&s.Accepted); at != 0 && !st.accepted {
		st.accepted = true
		r.read.Accepted++
		sink.Mark(mark.State, mark.Mark{At: int64(at), Off: mark.Word(mark.Accepted, s.AcceptedFd, 0)})
	}
	if destroyed != 0 && !st.destroyed {
		st.destroyed = true
		sink.Mark(mark.State, mark.Mark{At: int64(destroyed), Off: mark.Word(mark.Destroyed, 0, 0)})
	}
	return destroyed != 0
}

// drainLane reads one lane. What was absorbed belongs to the entry that the
// record names, which may be one that was read before: a producer that found
// the lane full may still be adding to it while the tail moves.
func (r *Reader) drainLane(s *lifetraceSlot, st *slotState, lane mark.Lane, sink mark.Sink) {
	tail := s.Tail[lane] // only the reader writes it
	// Before the head, so that the entry it names is below the head.
	a := peekAbsorbed(s, st, lane)
	head := atomic.LoadUint32(&s.Head[lane])
	if a.count > 0 {
		r.takeAbsorbed(st, lane, a)
		if a.earlier > 0 && head != tail {
			// An entry before the named one absorbed some, and its record
			// is overwritten: they lie before the first entry here.
			e := &s.Marks[lane][tail%uint32(laneRoom)]
			sink.Mark(lane, mark.Mark{Merged: a.earlier, Last: int64(e.Ts), LastOff: e.Off - 1})
		}
		if int32(a.index-tail) < 0 {
			sink.Mark(lane, a.mark())
		}
	}
	for i := tail; i != head; i++ {
		e := &s.Marks[lane][i%uint32(laneRoom)]
		m := mark.Mark{At: int64(e.Ts), Off: e.Off}
		if a.count > 0 && i == a.index {
			m.Merged, m.Last, m.LastOff = a.count, a.at, a.off
		}
		sink.Mark(lane, m)
	}
	r.read.Lanes[lane] += uint64(head - tail)
	atomic.StoreUint32(&s.Tail[lane], head)

	// What the producer added to an entry that has just been read, at once
	// rather than after marks that came later.
	if late := peekAbsorbed(s, st, lane); late.count > 0 && late.earlier == 0 && int32(late.index-head) < 0 {
		r.takeAbsorbed(st, lane, late)
		sink.Mark(lane, late.mark())
	}
	if lost := atomic.LoadUint32(&s.Lost[lane]) - st.lost[lane]; lost > 0 {
		st.lost[lane] += lost
		r.read.Lost[lane] += uint64(lost)
		sink.Lost(lane, uint64(lost))
	}
}

// absorbed is what a lane's entries absorbed since it was taken last.
type absorbed struct {
	total          uint32 // the lane's counter, for the next time
	index          uint32 // the entry that absorbed last
	inEntry        uint32 // that entry's counter
	count, earlier uint32 // new ones: by that entry, by entries before it
	at             int64  // the newest
	off            uint64
}

// mark is the form for an entry that was handed over earlier.
func (a *absorbed) mark() mark.Mark {
	return mark.Mark{Merged: a.count, Last: a.at, LastOff: a.off}
}

// peekAbsorbed reads a lane's record; count is 0 if nothing is new. The producer
// zeroes the time while it writes, and counts after it.
func peekAbsorbed(s *lifetraceSlot, st *slotState, lane mark.Lane) absorbed {
	last := &s.Last[lane]
	for {
		total := atomic.LoadUint32(&s.Merged[lane])
		if total == st.merged[lane] {
			return absorbed{}
		}
		a := absorbed{total: total, at: int64(atomic.LoadUint64(&last.Ts))}
		a.off = atomic.LoadUint64(&last.Off)
		a.index, a.inEntry = atomic.LoadUint32(&last.Index), atomic.LoadUint32(&last.Count)
		if a.at == 0 || uint64(a.at) != atomic.LoadUint64(&last.Ts) || total != atomic.LoadUint32(&s.Merged[lane]) {
			continue
		}
		a.count = a.inEntry
		if a.index == st.index[lane] {
			a.count -= st.inEntry[lane]
		}
		// The record may be one mark ahead of the counter.
		a.count = min(a.count, total-st.merged[lane])
		a.earlier = total - st.merged[lane] - a.count
		return a
	}
}

func (r *Reader) takeAbsorbed(st *slotState, lane mark.Lane, a absorbed) {
	if a.index != st.index[lane] {
		st.index[lane], st.inEntry[lane] = a.index, 0
	}
	st.inEntry[lane] += a.count
	st.merged[lane] = a.total
	r.read.Merged[lane] += uint64(a.count + a.earlier)
}

// DrainThread hands over what the lanes of a loop thread hold, in order within
// each lane; lost is called before the marks of a lane that lost some.
func (r *Reader) DrainThread(loop int, f func(mark.ThreadLane, mark.Mark), lost func(mark.ThreadLane, uint64)) {
	t := &r.threads[loop]
	for lane := range mark.NumThreadLanes {
		head := atomic.LoadUint32(&t.Head[lane])
		for i := t.Tail[lane]; i != head; i++ {
			e := &t.Marks[lane][i%uint32(threadRoom)]
			f(lane, mark.Mark{At: int64(e.Ts), Off: e.Off})
		}
		r.read.Threads[lane] += uint64(head - t.Tail[lane])
		atomic.StoreUint32(&t.Tail[lane], head)
		if n := atomic.LoadUint32(&t.Lost[lane]) - r.lost[lane][loop]; n > 0 {
			r.lost[lane][loop] += n
			r.read.ThreadsLost[lane] += uint64(n)
			lost(lane, uint64(n))
		}
	}
}

// Events hands over the events since the last call.
func (r *Reader) Events(f func(mark.Event)) {
	r.read.Events += uint64(r.events.read(func(b []byte) {
		f(mark.Event{
			At:     int64(binary.NativeEndian.Uint64(b[0:])),
			Cookie: binary.NativeEndian.Uint64(b[8:]),
			Kind:   mark.EventKind(binary.NativeEndian.Uint32(b[16:])),
			A:      binary.NativeEndian.Uint32(b[20:]),
		})
	}))
}

func address(family uint16, b [16]byte, port uint16) netip.AddrPort {
	if family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[:4])), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(b).Unmap(), port)
}

// onlineCPUs reads a list like "0-3,6" and keeps what is below n.
func onlineCPUs(path string, n int) ([]int, error) {
	list, err := readCPUList(path)
	if err != nil {
		return nil, fmt.Errorf("list online CPUs: %w", err)
	}
	var out []int
	for _, c := range list {
		if c < n && c < math.MaxInt32 {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("list online CPUs: %s names none", path)
	}
	return out, nil
}
