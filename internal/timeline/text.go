// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// TextOptions says how WriteText writes.
type TextOptions struct {
	// Width is how many columns a line may take; 0 means 100. Less than 72
	// is taken as 72.
	Width int
	// Color asks for ANSI colours. The glyphs differ per layer, so a
	// waterfall reads without them too.
	Color bool
}

// The columns of a waterfall: step, layer, name, bar, duration, offset, and a
// blank between any two. The bar takes what the others leave.
const (
	textWidth    = 100
	textMinWidth = 72
	stepCols     = 4
	layerCols    = 7
	nameCols     = 22
	timeCols     = 8
	fixedCols    = stepCols + 1 + layerCols + 1 + nameCols + 1 + 1 + timeCols + 1 + timeCols
)

// layerGlyphs fill the bars. They are ASCII, so that they are the same in
// every locale and in a bug report.
var layerGlyphs = [NumLayers]byte{'?', '#', 'o', '=', '*', '+', '~'}

// layerColors are SGR parameters.
var layerColors = [NumLayers]string{"90", "31", "33", "36", "32", "35", "34"}

var reasonTexts = [...]string{
	"marks or stamps were lost", "a boundary lies inside a range of marks that were merged",
	"a bound on memory was reached", "the connection was there before lifetrace",
	"this run cannot see some kernel steps", "the exchange did not finish",
}

// WriteText writes a timeline as a waterfall, one line for each span. Text
// that came from outside is made inert (see Inert).
func WriteText(w io.Writer, t *Timeline, o TextOptions) error {
	if o.Width <= 0 {
		o.Width = textWidth
	}
	o.Width = max(o.Width, textMinWidth)
	var b bytes.Buffer
	p := textPage{w: &b, t: t, width: o.Width, bar: o.Width - fixedCols, color: o.Color}
	p.header()
	p.waterfall()
	p.footer()
	_, err := w.Write(b.Bytes())
	return err
}

// textPage is one waterfall being written.
type textPage struct {
	w          *bytes.Buffer
	t          *Timeline
	width, bar int // columns
	color      bool
}

// line writes a line, cut to the page's width.
func (p *textPage) line(format string, a ...any) {
	p.w.WriteString(strings.TrimRight(clip(fmt.Sprintf(format, a...), p.width), " "))
	p.w.WriteByte('\n')
}

func (p *textPage) header() {
	t := p.t
	status := "no status"
	if t.Response.Status != 0 {
		status = fmt.Sprint(t.Response.Status)
	}
	state := "complete"
	if t.Incomplete != 0 {
		state = "incomplete"
	}
	method, target := Inert(t.Request.Method), Inert(t.Request.Target)
	if method == "" {
		method, target = "(no request line seen)", ""
	}
	tail := fmt.Sprintf("  %s  %s  %s", status, FormatNS(t.Duration), state)
	p.line("%s%s", clip(strings.TrimRight(method+" "+target, " "), p.width-len(tail)), tail)
	p.line("id %s  connection %d  exchange %d", t.ID, t.Connection.Cookie, t.Connection.Exchange)
	from := ""
	if t.Connection.Peer.IsValid() {
		from = fmt.Sprintf("  %s > %s", addrText(t.Connection.Peer), addrText(t.Connection.Local))
	}
	p.line("start %s%s", t.Started().Format(wallLayout), from)
	route := Inert(t.Request.Route)
	if route == "" {
		route = "unmatched"
	}
	p.line("%s  route %s  request %d B at %d  response %d B at %d", Inert(t.Request.Version), route,
		t.Request.Bytes, t.Request.Offset, t.Response.Bytes, t.Response.Offset)
	p.line("")
}

func (p *textPage) waterfall() {
	p.line("%*s %-*s %-*s %-*s %*s %*s", stepCols, "step", layerCols, "layer", nameCols, "span",
		p.bar, "", timeCols, "duration", timeCols, "offset")
	for i := range p.t.Spans {
		s := &p.t.Spans[i]
		step := "-"
		if s.Step != 0 {
			step = fmt.Sprint(s.Step)
		}
		l := min(s.Layer, NumLayers-1)
		p.row(fmt.Sprintf("%*s %-*s %-*s ", stepCols, step, layerCols, l, nameCols, clip(Inert(s.Name), nameCols)),
			p.barOf(s), l, fmt.Sprintf(" %*s %*s", timeCols, FormatNS(s.Duration), timeCols, FormatNS(s.Start)))
		p.detail(s.Detail)
	}
}

// row writes one waterfall line; only the bar is coloured.
func (p *textPage) row(left, bar string, l Layer, right string) {
	if p.color {
		n := len(bar) - len(strings.TrimLeft(bar, " "))
		m := len(strings.TrimRight(bar, " "))
		bar = bar[:n] + "\x1b[" + layerColors[l] + "m" + bar[n:m] + "\x1b[0m" + bar[m:]
	}
	p.w.WriteString(left + bar + right + "\n")
}

// barOf draws a span to scale, at least one cell wide: what is too short for
// the scale is seen, at its place.
func (p *textPage) barOf(s *Span) string {
	cells := bytes.Repeat([]byte{' '}, p.bar)
	total := max(p.t.Duration, 1)
	cell := func(ns int64) int {
		return min(max(int(float64(ns)/float64(total)*float64(p.bar)+0.5), 0), p.bar)
	}
	from, to := cell(s.Start), cell(s.Start+s.Duration)
	if to <= from {
		from = min(from, p.bar-1)
		to = from + 1
	}
	for i := from; i < to; i++ {
		cells[i] = layerGlyphs[min(s.Layer, NumLayers-1)]
	}
	return string(cells)
}

// detail writes what a span knows beyond its length, below it.
func (p *textPage) detail(d *Detail) {
	if d == nil {
		return
	}
	var parts []string
	if d.Depth != 0 || d.Limit != 0 {
		parts = append(parts, fmt.Sprintf("depth %d/%d", d.Depth, d.Limit))
	}
	if d.Wait > 0 {
		parts = append(parts, "whole wait "+FormatNS(d.Wait))
	}
	if d.Derived {
		parts = append(parts, "derived, not seen")
	}
	if d.After > 0 {
		parts = append(parts, FormatNS(d.After)+" after the end")
	}
	indent := stepCols + 1 + layerCols + 1
	if len(parts) > 0 {
		p.line("%*s%s", indent+2, "", strings.Join(parts, ", "))
	}
	for i, id := range d.BlockedBy {
		took := ""
		if i < len(d.BlockedNS) {
			took = FormatNS(d.BlockedNS[i])
		}
		p.line("%*sblocked by %s %*s", indent+2, "", id, timeCols, took)
	}
	if d.BlockedOther > 0 {
		p.line("%*sblocked by %-32s %*s", indent+2, "", "others", timeCols, FormatNS(d.BlockedOther))
	}
}

func (p *textPage) footer() {
	t := p.t
	p.line("")
	var sums []string
	for _, l := range [...]Layer{Kernel, Loop, Parser, Code, Stream, Network, Unknown} {
		if l == Unknown && t.Layers[l] == 0 {
			continue
		}
		sums = append(sums, fmt.Sprintf("%c %v %s", layerGlyphs[l], l, FormatNS(t.Layers[l])))
	}
	p.wrap("layers  ", sums, "  ")
	if t.End != "" {
		p.line("ended by %s", Inert(t.End))
	}
	var after []string
	for _, m := range t.Marks {
		if m.At > t.Duration {
			after = append(after, Inert(strings.TrimSpace(m.Name+" "+m.Detail))+" +"+FormatNS(m.At-t.Duration))
		}
	}
	p.wrap("after the end: ", after, ", ")
	var why []string
	for i, name := range reasonNames {
		if t.Incomplete&(1<<i) != 0 {
			why = append(why, name+" ("+reasonTexts[i]+")")
		}
	}
	p.wrap("incomplete: ", why, ", ")
	if len(t.Unsupported) > 0 {
		p.wrap("not to be seen in this run (lifetrace doctor says why): ", t.Unsupported, ", ")
	}
	for _, f := range t.Findings {
		p.line("%s %s", Inert(f.Rule), Inert(f.Summary))
	}
}

// wrap writes words after a title, over as many lines as they need; nothing
// if there are none.
func (p *textPage) wrap(title string, words []string, sep string) {
	if len(words) == 0 {
		return
	}
	line := title
	for i, word := range words {
		if i > 0 {
			line += sep
			if cols(line)+cols(word) > p.width {
				p.line("%s", line)
				line = "        "
			}
		}
		line += word
	}
	p.line("%s", line)
}

// clip cuts text to n columns; a cut text ends in "~".
func clip(s string, n int) string {
	if cols(s) <= n {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if n--; n <= 0 {
			break
		}
		b.WriteRune(r)
	}
	return b.String() + "~"
}

// cols is how many columns a text takes, one for each rune: wide and combining
// runes may shift a line, never break it.
func cols(s string) int { return utf8.RuneCountInString(s) }
