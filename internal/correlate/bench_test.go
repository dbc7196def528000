// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"testing"

	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/stamp"
	"github.com/lifetrace/lifetrace/internal/timeline"
)

// BenchmarkKeepAlive is a loop with 64 keep-alive connections, each with one
// request in each batch, all probes on.
func BenchmarkKeepAlive(b *testing.B) {
	const conns = 64
	names := stamp.NewNames()
	layers := []uint16{names.ID("log"), names.ID("json"), names.ID("users")}
	var done, complete int
	c := New(Options{Kernel: AllSupport, Names: names.Name, Emit: func(t *timeline.Timeline) {
		done++
		if t.Incomplete == 0 {
			complete++
		}
	}})
	at := int64(1000)
	put := func(code stamp.Code, conn uint64, x uint32, aux uint16, a, b uint64) {
		at += 100
		c.Stamp(0, &stamp.Stamp{At: at, Code: code, Conn: conn, Exchange: x, Aux: aux, A: a, B: b})
	}
	text := stamp.NewRing(64)
	for i := range uint64(conns) {
		put(stamp.Accepted, i+1, 0, 0, 0, 0)
		c.Mark(i+1, mark.State, mark.Mark{At: 10, Off: mark.Word(mark.Syn, 0, 0)})
		c.Mark(i+1, mark.State, mark.Mark{At: 20, Off: mark.Word(mark.Established, 1, 511)})
	}
	b.ReportAllocs()
	x := uint32(0)
	for n := 0; b.Loop(); n++ {
		conn := uint64(n%conns) + 1
		if conn == 1 {
			if n > 0 {
				x++
			}
			put(stamp.PollEnter, 0, 0, 1, 0, 0)
			for i := range uint64(conns) {
				c.Mark(i+1, mark.RxReady, mark.Mark{At: at + 50, Off: uint64(x+1) * 79})
			}
			c.ThreadMark(0, mark.Wakeup, mark.Mark{At: at + 55})
			c.ThreadMark(0, mark.Running, mark.Mark{At: at + 60})
			put(stamp.PollReturn, 0, 0, 0, conns, 0)
		}
		r0, t0 := uint64(x)*79, uint64(x)*82
		put(stamp.CallbackBegin, conn, x, uint16(stamp.OnReadable), 0, 0)
		c.Mark(conn, mark.RxRead, mark.Mark{At: at + 50, Off: r0 + 79})
		put(stamp.RecvReturn, conn, x, 0, r0+79, 79)
		put(stamp.MessageBegin, conn, x, 0, r0, 0)
		text.PutText(stamp.Method, conn, x, "GET")
		text.PutText(stamp.Target, conn, x, "/users/42")
		text.Read(func(s *stamp.Stamp) { c.Stamp(0, s) })
		put(stamp.HeadersComplete, conn, x, 0, r0+79, 257)
		put(stamp.BodyComplete, conn, x, 0, r0+79, 0)
		put(stamp.Request, conn, x, 0, 0, 0)
		for i, l := range layers {
			put(stamp.LayerEnter, conn, x, l, uint64(i)+1, 0)
			if i < 2 {
				put(stamp.LayerNext, conn, x, l, 0, 0)
			}
		}
		put(stamp.ComposeBegin, conn, x, 0, 0, 0)
		put(stamp.HeadComposed, conn, x, 0, 200, 0)
		put(stamp.ResponseEnd, conn, x, 0, 0, 0)
		put(stamp.Finish, conn, x, 0, t0, t0+82)
		for i := range layers {
			put(stamp.LayerReturn, conn, x, layers[2-i], 0, 0)
		}
		put(stamp.SendBegin, conn, x, 0, t0, 82)
		c.Mark(conn, mark.TxSent, mark.Mark{At: at + 30, Off: t0 + 82})
		c.Mark(conn, mark.TxAcked, mark.Mark{At: at + 50, Off: t0 + 82})
		c.Mark(conn, mark.TxQueued, mark.Mark{At: at + 70, Off: t0 + 82})
		put(stamp.SendReturn, conn, x, 0, t0+82, 82)
		put(stamp.KeepAliveReset, conn, x, 0, 0, 0)
		if conn == conns {
			c.Advance(at)
		}
	}
	if done == 0 && b.N >= conns || done != complete {
		b.Fatalf("%d timelines, %d complete", done, complete)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "exchanges/s")
}
