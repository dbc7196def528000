// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/stamp"
	"github.com/lifetrace/lifetrace/internal/timeline"
)

// calls reads bytes as calls. Most values are small, so that calls meet; some
// are as wild as 64 bits allow.
type calls struct {
	b   []byte
	now int64
}

func (f *calls) byte() byte {
	if len(f.b) == 0 {
		return 0
	}
	v := f.b[0]
	f.b = f.b[1:]
	return v
}

func (f *calls) value() uint64 {
	v := f.byte()
	switch {
	case v < 250:
		return uint64(v)
	case v == 250:
		return math.MaxUint64
	case v == 251:
		return math.MaxInt64
	case v == 252:
		return 1 << 63
	}
	var w [8]byte
	n := copy(w[:], f.b)
	f.b = f.b[n:]
	return binary.LittleEndian.Uint64(w[:])
}

func (f *calls) time() int64 {
	if v := f.byte(); v < 240 {
		f.now += int64(v)
		return f.now
	}
	return int64(f.value())
}

// feed makes the calls that the bytes say.
func (f *calls) feed(c *Correlator) {
	for len(f.b) > 0 {
		op := f.byte()
		cookie := uint64(op >> 6)
		switch op & 15 {
		case 0, 1, 2, 3, 4, 5, 6, 7:
			c.Stamp(int(int8(f.byte()))%3, &stamp.Stamp{
				At: f.time(), Code: stamp.Code(f.byte() % 40), Conn: cookie,
				A: f.value(), B: f.value(), Exchange: uint32(f.value()), Aux: uint16(f.byte()),
			})
		case 8, 9, 10:
			l := mark.Lane(f.byte() % 8)
			m := mark.Mark{At: f.time(), Off: f.value()}
			if l == mark.State {
				m.Off = mark.Word(mark.Kind(f.byte()%10), uint32(f.byte()), uint32(f.byte()))
			}
			if f.byte()%4 == 0 {
				m.Merged, m.Last, m.LastOff = uint32(f.byte()), f.time(), f.value()
			}
			c.Mark(cookie, l, m)
		case 11:
			c.ThreadMark(int(int8(f.byte()))%3, mark.ThreadLane(f.byte()%6), mark.Mark{At: f.time(), Merged: uint32(f.byte() % 3), Last: f.time()})
		case 12:
			c.Lost(cookie, mark.Lane(f.byte()%8), f.value())
		case 13:
			c.Untraced(cookie)
			c.ThreadLost(int(cookie), mark.ThreadLane(f.byte()%6), f.value())
		case 14:
			c.Open(cookie, simPeer, simLocal)
			if f.byte()%4 == 0 {
				c.Skip(cookie, uint32(f.value()), uint32(f.value()), f.time(), f.value(), f.value())
			}
		case 15:
			c.Advance(f.time())
		}
	}
}

func FuzzCorrelator(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x40\x00\x05\x04\x01\x01\x00\x00\x48\x01\x10\x20\x01\x4f\x20"))
	for seed := int64(1); seed < 8; seed++ {
		f.Add(wild(seed, 600))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<14 {
			return
		}
		fuzzOnce(t, b)
	})
}

// wild is a byte string that is different for each seed.
func wild(seed int64, n int) []byte {
	b := make([]byte, n)
	v := uint64(seed)
	for i := range b {
		v = mix(v)
		b[i] = byte(v)
		if i%3 == 0 {
			b[i] &= 0x4f
		}
	}
	return b
}

func fuzzOnce(t *testing.T, b []byte) {
	o := Options{
		Kernel: AllSupport, MaxConns: 3, MaxExchangesPerConn: 4, MaxStampsPerExchange: 8, MaxMarksPerLane: 6, MaxLoopHistory: 16, MaxHeld: 100,
		Emit: func(tl *timeline.Timeline) {
			if err := tl.Check(); err != nil {
				t.Fatal(err)
			}
		},
	}
	if len(b) > 0 {
		o.Kernel &= Support(b[0])<<4 | Support(b[0])
	}
	c := New(o)
	(&calls{b: b}).feed(c)
	st := c.Stats()
	if st.OpenConns > 3 || st.HeldEntries > 100+8 || len(c.evicted) > 3 || c.evictedHeld > 100 {
		t.Fatalf("bounds are not kept: %+v, %d evicted with %d", st, len(c.evicted), c.evictedHeld)
	}
	held, exchanges := 0, 0
	for _, k := range c.conns {
		held += k.held()
		exchanges += len(k.open)
	}
	for _, k := range c.evicted {
		exchanges += len(k.open)
	}
	if held != st.HeldEntries || exchanges != st.OpenExchanges {
		t.Fatalf("holds %d entries and %d exchanges, counts %d and %d", held, exchanges, st.HeldEntries, st.OpenExchanges)
	}
	c.Flush(math.MaxInt64)
	if st := c.Stats(); st.OpenConns != 0 || st.OpenExchanges != 0 || st.HeldEntries != 0 || st.Broken != 0 {
		t.Fatalf("after the end: %+v", st)
	}
}

// TestWild runs what the fuzzer runs, on fixed inputs.
func TestWild(t *testing.T) {
	for seed := int64(1); seed <= 3000; seed++ {
		fuzzOnce(t, wild(seed, 50+int(seed)%900))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
