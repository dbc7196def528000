// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/lifetrace/lifetrace/internal/server"
)

// latin1Text is bytes as Node reads those of a head: each is a character.
func latin1Text(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(rune(s[i]))
	}
	return b.String()
}

// utf8Text is bytes as Buffer.toString reads them: a sequence that breaks off
// becomes one replacement character, not one for each of its bytes.
func utf8Text(b []byte) string {
	var s strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		for r == utf8.RuneError && n < len(b) && !utf8.FullRune(b[:n+1]) {
			n++
		}
		s.WriteRune(r)
		b = b[n:]
	}
	return s.String()
}

// appendString appends a string as JSON.stringify writes it: encoding/json
// escapes more.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, c := range s {
		switch c {
		case '"', '\\':
			b = append(b, '\\', byte(c))
		case '\b':
			b = append(b, `\b`...)
		case '\f':
			b = append(b, `\f`...)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			if c < ' ' {
				b = fmt.Appendf(b, `\u%04x`, c)
			} else {
				b = utf8.AppendRune(b, c)
			}
		}
	}
	return append(b, '"')
}

// appendList appends fields as Node's rawHeaders.
func appendList(b []byte, fields []server.Field) []byte {
	b = append(b, '[')
	for i, f := range fields {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(append(appendString(b, f.Name), ','), latin1Text(f.Value))
	}
	return append(b, ']')
}

// appendObject appends joined fields as an object. Keys that are array indexes
// come first in JavaScript, in order. Set-Cookie is always a list.
func appendObject(b []byte, fields []server.Field) []byte {
	slices.SortStableFunc(fields, func(a, b server.Field) int {
		i, isA := arrayIndex(a.Name)
		j, isB := arrayIndex(b.Name)
		switch {
		case isA && isB:
			return cmp.Compare(i, j)
		case isA:
			return -1
		case isB:
			return 1
		}
		return 0
	})
	var cookies []string
	for _, f := range fields {
		if f.Name == "set-cookie" {
			cookies = append(cookies, f.Value)
		}
	}
	first := true
	b = append(b, '{')
	for _, f := range fields {
		if f.Name == "set-cookie" && cookies == nil {
			continue // written already
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(appendString(b, f.Name), ':')
		if f.Name != "set-cookie" {
			b = appendString(b, latin1Text(f.Value))
			continue
		}
		for i, v := range cookies {
			b = append(b, "[,"[min(i, 1)])
			b = appendString(b, latin1Text(v))
		}
		b = append(b, ']')
		cookies = nil
	}
	return append(b, '}')
}

// arrayIndex reports whether a key is one: a number below 2^32-1 without
// leading zeros.
func arrayIndex(key string) (uint64, bool) {
	n, err := strconv.ParseUint(key, 10, 32)
	return n, err == nil && n < 1<<32-1 && strconv.FormatUint(n, 10) == key
}
