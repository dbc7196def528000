// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/stamp"
	"github.com/lifetrace/lifetrace/internal/timeline"
)

// The transcripts in testdata are calls and the timelines that they give. A
// command "run" makes a Correlator (kernel=off|all|-LANE,...) and takes one
// call a line, all times in ns:
//
//	s<loop> <at> <code> [k<cookie>] [x<exchange>] [a=] [b=] [aux=] [layer=kind:name] [route=] [text=]
//	k<cookie> <at> <lane> <off> [merged=<n>:<last>:<lastoff>]
//	k<cookie> <at> state <kind> [<a> <b>]
//	t<loop> <at> <lane>
//	lost k<cookie> <lane> <n> | untraced k<cookie> | open k<cookie> | advance <now> | flush <now>
//
// To see what a change does: go test ./internal/correlate -rewrite; git diff.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd != "run" {
				t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
			}
			p := newTranscript(d)
			for _, line := range strings.Split(d.Input, "\n") {
				if err := p.line(strings.Fields(line)); err != nil {
					t.Fatalf("%s: %s: %v", d.Pos, line, err)
				}
			}
			if st := p.c.Stats(); st.Broken != 0 {
				t.Errorf("%s: %d broken timelines", d.Pos, st.Broken)
			}
			return p.out.String()
		})
	})
}

type transcript struct {
	c     *Correlator
	names *stamp.Names
	out   strings.Builder
	known []exchangeKey
}

func newTranscript(d *datadriven.TestData) *transcript {
	p := &transcript{names: stamp.NewNames()}
	o := Options{Kernel: AllSupport, Names: p.names.Name, Emit: p.print}
	for _, a := range d.CmdArgs {
		for _, v := range a.Vals {
			switch {
			case a.Key == "kernel" && v == "off":
				o.Kernel = 0
			case a.Key == "kernel" && v == "-tx_sent":
				o.Kernel &^= TxSent
			default:
				d.Fatalf(nil, "unknown argument %s=%s", a.Key, v)
			}
		}
	}
	p.c = New(o)
	return p
}

func num(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

var kinds = map[string]mark.Kind{
	"syn": mark.Syn, "established": mark.Established, "accepted": mark.Accepted, "change": mark.Change, "reset_sent": mark.ResetSent,
	"reset_received": mark.ResetReceived, "retransmit": mark.Retransmit, "destroyed": mark.Destroyed,
}

func laneOf(name string) (mark.Lane, error) {
	for l := range mark.NumLanes {
		if l.String() == name {
			return l, nil
		}
	}
	return 0, fmt.Errorf("unknown lane %s", name)
}

// line makes one call.
func (p *transcript) line(f []string) error {
	if len(f) == 0 || f[0] == "#" {
		return nil
	}
	switch f[0] {
	case "advance":
		p.c.Advance(int64(num(f[1])))
		return nil
	case "flush":
		p.c.Flush(int64(num(f[1])))
		return nil
	case "untraced":
		p.c.Untraced(num(f[1][1:]))
		return nil
	case "open":
		p.c.Open(num(f[1][1:]), simPeer, simLocal)
		return nil
	case "lost":
		l, err := laneOf(f[2])
		p.c.Lost(num(f[1][1:]), l, num(f[3]))
		return err
	}
	who, at := num(f[0][1:]), int64(num(f[1]))
	switch f[0][0] {
	case 's':
		return p.stamp(int(who), at, f[2:])
	case 't':
		for l := range mark.NumThreadLanes {
			if l.String() == f[2] {
				p.c.ThreadMark(int(who), l, mark.Mark{At: at})
				return nil
			}
		}
		return fmt.Errorf("unknown lane %s", f[2])
	case 'k':
		return p.mark(who, at, f[2:])
	}
	return fmt.Errorf("unknown call")
}

func (p *transcript) mark(cookie uint64, at int64, f []string) error {
	l, err := laneOf(f[0])
	if err != nil {
		return err
	}
	m := mark.Mark{At: at}
	if l == mark.State {
		k, ok := kinds[f[1]]
		if !ok {
			return fmt.Errorf("unknown state %s", f[1])
		}
		var a, b uint64
		if len(f) > 3 {
			a, b = num(f[2]), num(f[3])
		}
		m.Off = mark.Word(k, uint32(a), uint32(b))
	} else {
		m.Off = num(f[1])
		if len(f) > 2 {
			v := strings.Split(strings.TrimPrefix(f[2], "merged="), ":")
			m.Merged, m.Last, m.LastOff = uint32(num(v[0])), int64(num(v[1])), num(v[2])
		}
	}
	p.c.Mark(cookie, l, m)
	return nil
}

func (p *transcript) stamp(loop int, at int64, f []string) error {
	code, ok := stamp.ParseCode(f[0])
	if !ok {
		return fmt.Errorf("unknown stamp %s", f[0])
	}
	s := stamp.Stamp{At: at, Code: code}
	text := ""
	for _, w := range f[1:] {
		k, v, set := strings.Cut(w, "=")
		switch {
		case !set && w[0] == 'k':
			s.Conn = num(w[1:])
		case !set && w[0] == 'x':
			s.Exchange = uint32(num(w[1:]))
		case k == "a":
			s.A = num(v)
		case k == "b":
			s.B = num(v)
		case k == "aux":
			s.Aux = uint16(num(v))
		case k == "layer":
			kind, name, _ := strings.Cut(v, ":")
			s.A, s.Aux = num(kind), p.names.ID(name)
		case k == "route":
			s.Aux = p.names.ID(v)
		case k == "text":
			text = v
		default:
			return fmt.Errorf("unknown word %s", w)
		}
	}
	if s.Conn != 0 {
		p.known = append(p.known, exchangeKey{s.Conn, s.Exchange})
	}
	if code.IsText() {
		r := stamp.NewRing(64)
		r.PutText(code, s.Conn, s.Exchange, text)
		r.Read(func(s *stamp.Stamp) { p.c.Stamp(loop, s) })
		return nil
	}
	p.c.Stamp(loop, &s)
	return nil
}

// who names the exchange with an id.
func (p *transcript) who(id timeline.ID) string {
	for _, k := range p.known {
		if p.c.id(k) == id {
			return fmt.Sprintf("k%d/%d", k.conn, k.exchange)
		}
	}
	return id.String()
}

func (p *transcript) print(t *timeline.Timeline) {
	w := &p.out
	if err := t.Check(); err != nil {
		fmt.Fprintf(w, "BROKEN: %v\n", err)
	}
	fmt.Fprintf(w, "k%d/%d %s %s route=%q %d [%d,+%d) [%d,+%d) from %d for %d end=%s %v\n",
		t.Connection.Cookie, t.Connection.Exchange, t.Request.Method, t.Request.Target, t.Request.Route, t.Response.Status,
		t.Request.Offset, t.Request.Bytes, t.Response.Offset, t.Response.Bytes, t.Start, t.Duration, t.End, t.Incomplete.Names())
	if t.Unsupported != nil {
		fmt.Fprintf(w, "  unsupported %v\n", t.Unsupported)
	}
	for _, s := range t.Spans {
		fmt.Fprintf(w, "  %8d %8d %2d %-8v%s", s.Start, s.Duration, s.Step, s.Layer, s.Name)
		if d := s.Detail; d != nil {
			if d.Depth != 0 {
				fmt.Fprintf(w, " depth=%d/%d wait=%d", d.Depth, d.Limit, d.Wait)
			}
			for i, id := range d.BlockedBy {
				fmt.Fprintf(w, " by=%s:%d", p.who(id), d.BlockedNS[i])
			}
			if d.BlockedOther != 0 {
				fmt.Fprintf(w, " by=other:%d", d.BlockedOther)
			}
			if d.Derived {
				w.WriteString(" derived")
			}
			if d.After != 0 {
				fmt.Fprintf(w, " after=%d", d.After)
			}
		}
		w.WriteByte('\n')
	}
	w.WriteString("  marks")
	for _, m := range t.Marks {
		fmt.Fprintf(w, " %s", m.Name)
		if m.Detail != "" {
			fmt.Fprintf(w, "(%s)", m.Detail)
		}
		fmt.Fprintf(w, "@%d%c", m.At, m.Source.String()[0])
	}
	w.WriteByte('\n')
}
