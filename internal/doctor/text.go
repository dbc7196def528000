// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"io"
	"strings"
)

// WriteText writes the report for people, in at most 100 columns but for what
// the kernel said.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "kernel %s, %s\n\n", r.Kernel, r.Arch)
	for _, c := range r.Checks {
		fmt.Fprintf(&b, "  %-4s %-14s %s\n", word(c.OK), c.Name, c.Value)
		if c.Fix != "" {
			fmt.Fprintf(&b, "       %-14s fix: %s\n", "", c.Fix)
		}
	}
	fmt.Fprintf(&b, "\n  %-4s %-6s %-23s %s\n", "", "STEPS", "HOOK", "ATTACHED AS")
	up := 0
	for _, h := range r.Hooks {
		if h.Up {
			up++
		}
		fmt.Fprintf(&b, "  %-4s %-6s %-23s %s\n", word(h.Up), h.Steps, h.Point, h.Attach)
		if !h.Up && h.Why != NotTried {
			need := "lost"
			if h.Required {
				need = "required; lost"
			}
			fmt.Fprintf(&b, "       %-6s why: %s\n       %-6s %s: %s\n", "", firstLine(h.Why), "", need, h.Without)
		}
	}
	b.WriteByte('\n')
	switch {
	case !r.Able:
		fmt.Fprintf(&b, "The kernel's side cannot be traced here: %s.\n", firstLine(r.Reason))
	case up < len(r.Hooks):
		fmt.Fprintf(&b, "%d of %d hooks are up: timelines will say unsupported for what is lost.\n", up, len(r.Hooks))
	default:
		fmt.Fprintf(&b, "All %d hooks are up: every one of the sixteen steps can be seen.\n", up)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func word(ok bool) string {
	if ok {
		return "ok"
	}
	return "--"
}

// firstLine drops the verifier's log behind an error.
func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
