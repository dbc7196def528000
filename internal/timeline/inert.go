// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Inert returns text that came from outside so that it can do nothing to
// whoever shows it: control characters (ESC among them), invalid UTF-8, marks
// that reorder or hide text (bidi, zero width, line separators) come out as a
// visible escape like \x1b or \u202e. Inert text comes out as it is, so doing
// it twice changes nothing.
func Inert(s string) string {
	first := -1
	for i, r := range s {
		if !plain(s[i:], r) {
			first = i
			break
		}
	}
	if first < 0 {
		return s
	}
	var b strings.Builder
	b.WriteString(s[:first])
	for i := first; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case plain(s[i:], r):
			b.WriteString(s[i : i+n])
		case r == utf8.RuneError && n == 1, r < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += n
	}
	return b.String()
}

// plain reports whether the first rune r of s may be shown as it is.
func plain(s string, r rune) bool {
	if r >= ' ' && r < 0x7f {
		return true
	}
	if r == utf8.RuneError {
		_, n := utf8.DecodeRuneInString(s)
		return n > 1 // a real U+FFFD
	}
	// Not printable to Go: Cc, Cf (bidi and zero-width marks), Co, Cs, and all
	// spaces and separators but the ASCII space.
	return unicode.IsPrint(r)
}
