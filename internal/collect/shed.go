// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// When stamps come faster than the correlator takes them, the drainer leaves
// some out: all of an exchange's or none, so that what is kept is whole. What
// is left out is chosen by connection. At level n only the connections that
// hash to 1 in 2^n have their exchanges kept; the others' are counted, by
// their numbers, and handed on as that count.

// shedder turns how far the correlator is behind into a level.
type shedder struct {
	level uint
	// calm counts the drains in a row that found little queued; wait those
	// until the level may rise again.
	calm, wait int
}

const (
	// shedAbove and shedBelow bound what is queued, in stamps and marks: a
	// level is added above the one, and taken back below the other.
	shedAbove = maxQueued / 2
	shedBelow = maxQueued / 64
	// raiseEvery and lowerAfter are in drains, so in ms: as long as it takes to
	// see what the last change did, and long enough not to swing.
	raiseEvery = 8
	lowerAfter = 250
	maxLevel   = 16
)

// next takes what is queued at a drain.
func (s *shedder) next(queued int) {
	if s.wait > 0 {
		s.wait--
	}
	switch {
	case queued > shedAbove:
		s.calm = 0
		if s.wait == 0 && s.level < maxLevel {
			s.level++
			s.wait = raiseEvery
		}
	case queued >= shedBelow:
		s.calm = 0
	case s.level > 0:
		if s.calm++; s.calm >= lowerAfter {
			s.calm = 0
			s.level--
		}
	}
}

// keeps reports whether a connection's exchanges are kept. Those kept at a
// level are kept at every lower one.
func (s *shedder) keeps(cookie uint64) bool {
	// A finalizer of splitmix64: cookies count up, and so would their low bits.
	cookie = (cookie ^ cookie>>30) * 0xbf58476d1ce4e5b9
	cookie = (cookie ^ cookie>>27) * 0x94d049bb133111eb
	return (cookie^cookie>>31)&(1<<s.level-1) == 0
}

// flow is what the drainer follows of a connection that a server serves.
type flow struct {
	served bool // its Accepted stamp has come, its Closed has not
	shed   bool // its exchanges are left out
	// drop is set once the marks of the exchanges that were kept have come:
	// from then on marks are left out too.
	drop  bool
	until uint64 // of the send stream: where those exchanges end
	// Exchanges below begun have begun, those below over are over. Those in
	// [from, over) were left out and are not reported.
	begun, over, from uint32
	overAt            int64
	// Offsets: read and sent as far as the server got, parsed and composed as
	// far as exchanges say that the bytes are theirs.
	read, parsed, sent, composed uint64
	// late are the marks of bytes beyond parsed and composed: of an exchange
	// whose stamps have yet to come. holeRx and holeTx are the highest
	// offsets of those that it had no room for.
	late           []connMark
	holeRx, holeTx uint64
}

const maxLate = 32

// between reports whether no exchange is going on, as far as stamps say: none
// is begun or has bytes to send, and no byte waits for the parser.
func (f *flow) between() bool {
	return f.begun == f.over && f.read == f.parsed && f.sent >= f.composed
}

// follow takes a stamp of the connection.
func (f *flow) follow(s *stamp.Stamp) {
	switch s.Code {
	case stamp.RecvReturn:
		f.read = s.A
	case stamp.SendReturn:
		f.sent = s.A
	case stamp.BodyComplete:
		f.parsed = s.A
	case stamp.Finish:
		f.composed = max(s.A, s.B)
	case stamp.KeepAliveReset, stamp.Aborted:
		f.over, f.overAt = max(f.over, s.Exchange+1), s.At
	default:
	}
	if s.Code >= stamp.MessageBegin && s.Code <= stamp.Aborted {
		f.begun = max(f.begun, s.Exchange+1)
	}
}

// ofExchange reports whether a stamp is left out with its exchange. A
// connection's own stamps are always kept.
func ofExchange(c stamp.Code) bool { return c >= stamp.RecvReturn && c <= stamp.Aborted }

// left takes a stamp of a connection and reports whether it is left out.
func (d *drainer) left(loop int, k *conn, s *stamp.Stamp) bool {
	f := &k.flow
	if s.Code == stamp.CallbackBegin && f.served && !f.shed && f.between() && !d.shedder.keeps(k.cookie) {
		f.shed, f.drop, f.from, f.until = true, false, f.over, f.composed
	}
	f.follow(s)
	if f.shed && s.Code == stamp.Closed {
		f.over, f.overAt = f.begun, s.At // what is not over will never be
		d.report(k)
	}
	if !f.shed || s.Code != stamp.CallbackBegin && !ofExchange(s.Code) {
		d.turn[loop] = 0
		return false
	}
	// That the loop turns to the connection is kept: it ends what the loop did
	// before, and others wait for it.
	if d.turn[loop] == k.cookie || s.Code.IsText() {
		return true
	}
	d.turn[loop] = k.cookie
	d.into.stamps = append(d.into.stamps, loopStamp{loop: int32(loop), Stamp: stamp.Stamp{
		At: s.At, Code: stamp.CallbackBegin, Conn: k.cookie, Exchange: f.over, Aux: uint16(stamp.OnOther),
	}})
	return true
}

// report hands on which exchanges were left out.
func (d *drainer) report(k *conn) {
	f := &k.flow
	if f.over == f.from {
		return
	}
	d.into.stamps = append(d.into.stamps, loopStamp{loop: skipped, from: f.from, Stamp: stamp.Stamp{
		At: f.overAt, Conn: k.cookie, Exchange: f.over, A: f.parsed, B: f.composed,
	}})
	f.from = f.over
}

// settle ends a drain for a connection whose exchanges are left out: it reports
// them, and goes back to keeping them if the level and the connection allow it.
// The marks that came early for the next exchange are handed on then.
func (d *drainer) settle(k *conn) {
	f := &k.flow
	d.report(k)
	if !d.shedder.keeps(k.cookie) || !f.between() || f.holeRx > f.parsed || f.holeTx > f.composed {
		return
	}
	f.shed = false
	d.into.marks = append(d.into.marks, f.late...)
	f.late = f.late[:0]
}

// dropping reports whether marks of the connection are left out from its next
// look on. Those of exchanges that were kept are waited for: their last byte's
// acknowledgement comes last. Where the host cannot see it all marks are kept,
// and the correlator forgets them by what was skipped.
func (k *conn) dropping() bool {
	f := &k.flow
	if !f.shed {
		return false
	}
	f.drop = f.drop || k.acked >= f.until
	return f.drop
}

// isLate reports whether a mark is of bytes that the stamps have not come to.
func (f *flow) isLate(m *connMark) bool {
	off := max(m.Off, m.LastOff)
	switch m.lane {
	case mark.RxReady, mark.RxRead:
		return off > f.parsed
	default:
		return off > f.composed
	}
}

// leaveOut takes a mark that is left out, and keeps it for now if it is late.
func (f *flow) leaveOut(m *connMark) {
	switch {
	case !f.isLate(m):
	case len(f.late) < maxLate:
		f.late = append(f.late, *m)
	case m.lane == mark.RxReady || m.lane == mark.RxRead:
		f.holeRx = max(f.holeRx, m.Off, m.LastOff)
	default:
		f.holeTx = max(f.holeTx, m.Off, m.LastOff)
	}
}

// sift lets go of the late marks that the stamps have come to.
func (f *flow) sift() {
	n := 0
	for i := range f.late {
		if f.isLate(&f.late[i]) {
			f.late[n] = f.late[i]
			n++
		}
	}
	f.late = f.late[:n]
}
