// SPDX-License-Identifier: Apache-2.0

package stamp

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/lifetrace/lifetrace/internal/clock"
)

// Ring carries the stamps of one loop thread to one reader.
//
// Put and its kin are for the loop thread alone, Read for the reader alone;
// neither waits for the other. A full ring loses stamps, never the loop's time:
// the loss is counted, and a Gap stamp stands where they are missing.
type Ring struct {
	buf  []Stamp
	mask uint64

	_    [64]byte // the two ends must not share a cache line
	head atomic.Uint64
	// seen is the producer's last reading of tail, so that a put needs the
	// reader's cache line only when the ring looks full.
	seen uint64
	gap  uint64 // stamps lost since the last one that fitted
	lost atomic.Uint64

	_    [64]byte
	tail atomic.Uint64

	_ [64]byte
	// bell is who waits for the next stamp; nil most of the time.
	bell atomic.Pointer[chan struct{}]
}

// NewRing returns a ring for at least n stamps; 0 means 65536 (2.5 MiB).
func NewRing(n int) *Ring {
	if n <= 0 {
		n = 1 << 16
	}
	size := 64
	for size < n {
		size <<= 1
	}
	return &Ring{buf: make([]Stamp, size), mask: uint64(size - 1)}
}

// slot returns the place for the next stamp, nil if the ring is full.
func (r *Ring) slot(h uint64) *Stamp {
	if h-r.seen > r.mask {
		r.seen = r.tail.Load()
		if h-r.seen > r.mask {
			return nil
		}
	}
	return &r.buf[h&r.mask]
}

// Put stores one stamp. A nil ring takes and forgets it.
func (r *Ring) Put(at int64, code Code, conn uint64, exchange uint32, aux uint16, a, b uint64) {
	if r == nil {
		return
	}
	h := r.head.Load()
	if r.gap > 0 {
		// Room for the gap's own stamp and this one, or neither.
		if r.slot(h+1) == nil {
			r.lose(1)
			return
		}
		*r.slot(h) = Stamp{At: at, Code: Gap, A: r.gap}
		r.gap = 0
		h++
	}
	s := r.slot(h)
	if s == nil {
		r.lose(1)
		return
	}
	*s = Stamp{At: at, Conn: conn, A: a, B: b, Exchange: exchange, Code: code, Aux: aux}
	r.head.Store(h + 1)
	if r.bell.Load() != nil {
		r.ringBell()
	}
}

// Alert has the next stamp, or a stamp that is unread now, send to c, once. A
// channel that is full is left alone: somebody has rung already. It is for the
// reader, which may then sleep for as long as there is nothing to read.
func (r *Ring) Alert(c chan struct{}) {
	r.bell.Store(&c)
	// A stamp that came just before did not see the bell.
	if r.head.Load() != r.tail.Load() {
		r.ringBell()
	}
}

func (r *Ring) ringBell() {
	if c := r.bell.Swap(nil); c != nil {
		select {
		case *c <- struct{}{}:
		default:
		}
	}
}

// Now stores one stamp with the present time and returns that time.
func (r *Ring) Now(code Code, conn uint64, exchange uint32, aux uint16, a, b uint64) int64 {
	if r == nil {
		return 0
	}
	at := clock.Now()
	r.Put(at, code, conn, exchange, aux, a, b)
	return at
}

// PutText stores a text, of which the first MaxText bytes are kept, in as
// many stamps as it needs.
func (r *Ring) PutText(code Code, conn uint64, exchange uint32, text string) {
	if r == nil {
		return
	}
	if len(text) > MaxText {
		text = text[:MaxText]
	}
	var b [textBytes]byte
	for {
		n := copy(b[:], text)
		clear(b[n:])
		r.Put(int64(binary.LittleEndian.Uint64(b[0:])), code, conn, exchange, uint16(n),
			binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:]))
		text = text[n:]
		if text == "" {
			return
		}
	}
}

func (r *Ring) lose(n uint64) {
	r.gap += n
	r.lost.Add(n)
}

// Read hands the stamps that were there when it was called to f, oldest first,
// and returns how many. The pointer is valid during the call only.
func (r *Ring) Read(f func(*Stamp)) int {
	t, h := r.tail.Load(), r.head.Load()
	for i := t; i != h; i++ {
		f(&r.buf[i&r.mask])
		// Room is given back as it is made, so that a long read does not
		// make a busy loop lose stamps.
		if i&1023 == 1023 {
			r.tail.Store(i + 1)
		}
	}
	r.tail.Store(h)
	return int(h - t)
}

// Lost returns how many stamps did not fit since the ring was made.
func (r *Ring) Lost() uint64 { return r.lost.Load() }

// Produced returns how many stamps were stored since the ring was made, those
// that mark a gap included.
func (r *Ring) Produced() uint64 { return r.head.Load() }

func put(b []byte, v uint64) { binary.LittleEndian.PutUint64(b, v) }
