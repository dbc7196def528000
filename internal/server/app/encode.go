// SPDX-License-Identifier: Apache-2.0

package app

import (
	"strings"
	"unicode/utf8"
)

// escapeHTML escapes what HTML gives a meaning, in Express's words.
func escapeHTML(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;").Replace(s)
}

const hexDigits = "0123456789ABCDEF"

// encodeURL escapes what may not stand in a URL and leaves escapes that are
// there. A byte that is not of UTF-8 becomes the replacement character.
func encodeURL(s string) string {
	return escape(s, func(s string, i int) bool {
		if c := s[i]; c == '%' {
			return i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2])
		} else {
			return c > ' ' && c < 0x7f && strings.IndexByte("\"<>`{}", c) < 0
		}
	})
}

// encodeComponent is JavaScript's encodeURIComponent.
func encodeComponent(s string) string {
	return escape(s, func(s string, i int) bool {
		c := s[i]
		return c >= '0' && c <= '9' || lowerByte(c) >= 'a' && lowerByte(c) <= 'z' || strings.IndexByte("-_.!~*'()", c) >= 0
	})
}

// escape escapes the bytes of a text that may not stay.
func escape(s string, stays func(s string, i int) bool) string {
	// Nearly all texts need no escape, and no memory then.
	clean := true
	for i := 0; clean && i < len(s); i++ {
		clean = stays(s, i)
	}
	if clean {
		return s
	}
	// What is not UTF-8 cannot be a character of a URL.
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	var b strings.Builder
	for i := range len(s) {
		if stays(s, i) {
			b.WriteByte(s[i])
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hexDigits[s[i]>>4])
		b.WriteByte(hexDigits[s[i]&15])
	}
	return b.String()
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || lowerByte(c) >= 'a' && lowerByte(c) <= 'f'
}
