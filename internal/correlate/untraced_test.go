// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"testing"

	"github.com/lifetrace/lifetrace/internal/stamp"
	"github.com/lifetrace/lifetrace/internal/timeline"
)

// wholeExchange is a connection's first exchange as a server stamps it, without
// times and cookie.
func wholeExchange() []stamp.Stamp {
	return []stamp.Stamp{
		{Code: stamp.Accepted},
		{Code: stamp.ParserAttached},
		{Code: stamp.CallbackBegin, Aux: uint16(stamp.OnReadable)},
		{Code: stamp.RecvReturn, A: 10, B: 10},
		{Code: stamp.MessageBegin},
		{Code: stamp.HeadersComplete, A: 10},
		{Code: stamp.BodyComplete, A: 10},
		{Code: stamp.Request},
		{Code: stamp.HeadComposed, A: 200},
		{Code: stamp.ResponseEnd},
		{Code: stamp.Finish, B: 20},
		{Code: stamp.SendBegin, B: 20},
		{Code: stamp.SendReturn, A: 20, B: 20},
		{Code: stamp.KeepAliveReset},
	}
}

// A connection without a slot has timelines of the server's stamps alone,
// whether that is known before its exchanges or after them.
func TestUntraced(t *testing.T) {
	stamps := wholeExchange()
	for known := range len(stamps) + 1 {
		o, out := collect(Options{Kernel: AllSupport})
		c := New(o)
		at := int64(0)
		for i, s := range stamps {
			if i == known {
				c.Untraced(7)
			}
			at += 100
			s.At, s.Conn = at, 7
			c.Stamp(0, &s)
			c.Advance(at)
		}
		if known == len(stamps) {
			c.Untraced(7)
		}
		c.Advance(at + 1000)
		if len(*out) != 1 {
			t.Errorf("untraced before stamp %d: %d timelines, want 1", known, len(*out))
			continue
		}
		if tl := (*out)[0]; tl.Incomplete != timeline.Lost || tl.End != "sent" {
			t.Errorf("untraced before stamp %d: %v, ended by %q", known, tl.Incomplete.Names(), tl.End)
		}
	}
}
