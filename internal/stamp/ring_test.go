// SPDX-License-Identifier: Apache-2.0

package stamp

import (
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestRingKeepsOrderAndCountsLoss(t *testing.T) {
	r := NewRing(64)
	for i := range 100 {
		r.Put(int64(i), Request, 7, uint32(i), 0, 0, 0)
	}
	if got := r.Lost(); got != 36 {
		t.Fatalf("lost %d, want 36", got)
	}
	next := uint32(0)
	if n := r.Read(func(s *Stamp) {
		if s.Exchange != next {
			t.Fatalf("exchange %d, want %d", s.Exchange, next)
		}
		next++
	}); n != 64 {
		t.Fatalf("read %d, want 64", n)
	}
	r.Put(100, Request, 7, 100, 0, 0, 0)
	var got []Stamp
	r.Read(func(s *Stamp) { got = append(got, *s) })
	if len(got) != 2 || got[0].Code != Gap || got[0].A != 36 || got[1].Exchange != 100 {
		t.Fatalf("after a loss: %+v, want a gap of 36 and exchange 100", got)
	}
}

// Whatever the interleaving: what is read plus what the gaps say is what was put.
func TestRingConcurrentAccounting(t *testing.T) {
	const n = 300_000
	r := NewRing(256)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range n {
			r.Put(int64(i), Request, 1, uint32(i), 0, uint64(i), 0)
			if i%512 == 0 {
				runtime.Gosched()
			}
		}
	})
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	read, gaps, next := uint64(0), uint64(0), uint64(0)
	take := func(s *Stamp) {
		if s.Code == Gap {
			gaps += s.A
			next += s.A
			return
		}
		if s.A != next {
			t.Fatalf("stamp %d, want %d", s.A, next)
		}
		next++
		read++
	}
	for stop := false; !stop; {
		select {
		case <-done:
			stop = true
		default:
		}
		r.Read(take)
		runtime.Gosched()
	}
	// The last loss has no later stamp to stand before.
	if read+r.Lost() != n || gaps > r.Lost() {
		t.Fatalf("read %d + lost %d != %d (gaps say %d)", read, r.Lost(), n, gaps)
	}
}

func TestText(t *testing.T) {
	for _, want := range []string{"", "GET", strings.Repeat("x", 24), "/a/" + strings.Repeat("long", 40), strings.Repeat("y", MaxText+9)} {
		r := NewRing(64)
		r.PutText(Target, 3, 4, want)
		var got []byte
		r.Read(func(s *Stamp) {
			if s.Code != Target || s.Conn != 3 || s.Exchange != 4 {
				t.Fatalf("stamp %+v", s)
			}
			var buf [24]byte
			got = append(got, s.Text(&buf)...)
		})
		if len(want) > MaxText {
			want = want[:MaxText]
		}
		if string(got) != want {
			t.Errorf("text %q, want %q", got, want)
		}
	}
}

// The bell rings once, for the first stamp, and for one that is there already.
func TestAlert(t *testing.T) {
	r := NewRing(64)
	bell := make(chan struct{}, 1)
	rung := func() bool {
		select {
		case <-bell:
			return true
		default:
			return false
		}
	}
	r.Alert(bell)
	if rung() {
		t.Error("it rang for nothing")
	}
	r.Put(1, Request, 1, 0, 0, 0, 0)
	if !rung() {
		t.Error("it did not ring for a stamp")
	}
	r.Put(2, Request, 1, 0, 0, 0, 0)
	if rung() {
		t.Error("it rang twice")
	}
	r.Alert(bell)
	if !rung() {
		t.Error("it did not ring for a stamp that was there")
	}
	// Nobody takes it: the loop does not wait for that.
	bell <- struct{}{}
	r.Alert(bell)
	r.Put(3, Request, 1, 0, 0, 0, 0)
}

// Whatever the interleaving, a reader that sleeps until the bell misses nothing.
func TestAlertMissesNothing(t *testing.T) {
	const n = 20_000
	r := NewRing(1 << 15)
	go func() {
		for i := range n {
			r.Put(int64(i), Request, 1, 0, 0, 0, 0)
			if i%64 == 0 {
				runtime.Gosched()
			}
		}
	}()
	bell := make(chan struct{}, 1)
	for read := 0; read < n; {
		r.Alert(bell)
		select {
		case <-bell:
		case <-time.After(10 * time.Second):
			t.Fatalf("no bell after %d of %d", read, n)
		}
		read += r.Read(func(*Stamp) {})
	}
}

func TestPutAllocatesNothing(t *testing.T) {
	r := NewRing(1 << 12)
	if n := testing.AllocsPerRun(1000, func() {
		r.Now(Request, 1, 2, 0, 0, 0)
		r.PutText(Target, 1, 2, "/users/42")
	}); n != 0 {
		t.Fatalf("%v allocations a stamp", n)
	}
}

func TestNilRingForgets(t *testing.T) {
	var r *Ring
	r.Now(Request, 1, 2, 0, 0, 0)
	r.PutText(Target, 1, 2, "/")
}

func TestNames(t *testing.T) {
	n := NewNames()
	a, b := n.ID("json"), n.ID("auth")
	if a == b || n.ID("json") != a || n.Name(a) != "json" || n.Name(b) != "auth" || n.ID("") != 0 || n.Name(999) != "" {
		t.Fatal("names and numbers disagree")
	}
	for i := range 70000 {
		n.ID(strings.Repeat("n", i%7) + string(rune('a'+i%26)) + strconv.Itoa(i))
	}
	if id := n.ID("one too many"); id != 0 {
		t.Fatalf("a full table gave %d, want 0", id)
	}
}

func TestEveryCodeHasAName(t *testing.T) {
	for c := Code(1); c < numCodes; c++ {
		if got, ok := ParseCode(c.String()); !ok || got != c {
			t.Errorf("code %d: name %q parses to %d, %v", c, c.String(), got, ok)
		}
	}
}

func BenchmarkPut(b *testing.B) {
	r := NewRing(1 << 12)
	for i := 0; b.Loop(); i++ {
		r.Now(Request, 1, 2, 0, 0, 0)
		if i&1023 == 0 {
			r.Read(func(*Stamp) {})
		}
	}
}
