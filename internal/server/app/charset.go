// SPDX-License-Identifier: Apache-2.0

package app

import (
	"compress/gzip"
	"compress/zlib"
	"io"
	"strings"
	"unicode/utf16"

	"github.com/lifetrace/lifetrace/internal/server"
)

const latin1 = "iso-8859-1"

// anyCharset reports whether decodeText knows a charset.
func anyCharset(name string) bool {
	switch name {
	case "utf-8", "utf8", "us-ascii", "ascii", latin1, "latin1":
		return true
	}
	return unicodeOnly(name)
}

// unicodeOnly is what JSON may be in (RFC 8259 wants UTF-8; Express is laxer).
func unicodeOnly(name string) bool {
	return name == "utf-8" || name == "utf-16" || name == "utf-16le" || name == "utf-16be"
}

// formCharset is what forms may be in.
func formCharset(name string) bool { return name == "utf-8" || name == latin1 }

// decodeText makes content a string of UTF-8. What is malformed becomes the
// replacement character; a byte order mark is not part of the text.
func decodeText(charset string, b []byte) string {
	switch charset {
	// Each byte is the code point of its value, up to where ASCII ends.
	case latin1, "latin1", "us-ascii", "ascii":
		var out strings.Builder
		for _, c := range b {
			if c >= 0x80 && strings.HasSuffix(charset, "ascii") {
				out.WriteRune('\ufffd')
				continue
			}
			out.WriteRune(rune(c))
		}
		return out.String()
	case "utf-16", "utf-16le", "utf-16be":
		// A byte that is left over at the end is no character.
		units := make([]uint16, 0, len(b)/2)
		big := charset == "utf-16be" || charset == "utf-16" && len(b) > 1 && b[0] == 0xfe && b[1] == 0xff
		for ; len(b) > 1; b = b[2:] {
			u := uint16(b[0]) | uint16(b[1])<<8
			if big {
				u = u>>8 | u<<8
			}
			units = append(units, u)
		}
		return strings.TrimPrefix(string(utf16.Decode(units)), "\ufeff")
	}
	return strings.TrimPrefix(strings.ToValidUTF8(string(b), "\ufffd"), "\ufeff")
}

// inflater reads what a content coding has compressed.
func inflater(coding string, r io.Reader) (io.Reader, error) {
	if coding == "gzip" {
		return gzip.NewReader(r)
	}
	return zlib.NewReader(r)
}

// readUpTo reads all there is, or reports ErrTooLarge beyond a limit.
// One byte more than the limit is read to know that there is more, and no further:
// a few kilobytes can inflate to gigabytes.
func readUpTo(r io.Reader, limit int) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err == nil && len(b) > limit {
		return nil, server.ErrTooLarge
	}
	return b, err
}
