// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"encoding/binary"
	"math/bits"
)

// class is a set of character classes.
type class uint8

const (
	tokenChar  class = 1 << iota // RFC 9110, 5.6.2
	targetChar                   // what a request target may hold
	valueChar                    // field value, SP and HTAB included (RFC 9110, 5.5)
	hostChar                     // uri-host [ ":" port ] (RFC 3986, 3.2.2)
	digitChar
	alphaChar
)

// classes gives the classes of each byte.
var classes = func() (t [256]class) {
	for c := range 256 {
		b := byte(c)
		alpha := b|0x20 >= 'a' && b|0x20 <= 'z'
		digit := b >= '0' && b <= '9'
		if alpha {
			t[c] |= alphaChar
		}
		if digit {
			t[c] |= digitChar
		}
		if alpha || digit || in(b, "!#$%&'*+-.^_`|~") {
			t[c] |= tokenChar
		}
		// RFC 3986 leaves out some of the visible characters, which browsers
		// send in queries all the same. None of them delimits anything in
		// HTTP/1.1; a fragment, though, is not part of a target.
		if b > ' ' && b < 0x7f && b != '#' {
			t[c] |= targetChar
		}
		if b >= ' ' && b != 0x7f || b == '\t' {
			t[c] |= valueChar
		}
		if alpha || digit || in(b, "-._~%!$&'()*+;=:[]") {
			t[c] |= hostChar
		}
	}
	return t
}()

func in(b byte, set string) bool {
	for i := range len(set) {
		if set[i] == b {
			return true
		}
	}
	return false
}

// run returns the end of the run of bytes of class c that begins at b[i].
func run(b []byte, i int, c class) int {
	for k, x := range b[i:] {
		if classes[x]&c == 0 {
			return i + k
		}
	}
	return len(b)
}

// Names, values and targets are most of a head: they are looked at by 8 bytes.
// In a word x of 8 bytes, (x - ones*n) &^ x has the high bit of each byte below
// n, and x ^ ones*c makes the bytes that are c zero. A borrow or a carry may set
// the bit of a byte further up too, so only the lowest one counts.
const (
	ones  = 0x0101010101010101
	highs = ones * 0x80
)

// word returns 8 bytes from b[i] on. The slice says its capacity because Go then
// computes its address without a mask.
func word(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i : i+8 : i+8]) }

// first returns the index of the byte whose high bit is the lowest one set.
func first(stop uint64) int { return bits.TrailingZeros64(stop) / 8 }

// notPlain has bits for what is neither a letter nor a dash, which is what
// names are made of.
func notPlain(x uint64) uint64 {
	lower := (x | ones*0x20) &^ highs
	letter := (lower + ones*(0x80-'a')) &^ (lower + ones*(0x80-'z'-1))
	dash := ^((x^ones*'-')&^highs + ones*0x7f)
	return ^(letter|dash)&highs | x&highs
}

// nameRun is run for tokenChar.
func nameRun(b []byte, i int) int {
	for len(b)-i >= 8 {
		stop := notPlain(word(b, i))
		if stop == 0 {
			i += 8
			continue
		}
		if i += first(stop); b[i] == ':' {
			return i
		}
		break
	}
	return run(b, i, tokenChar)
}

// notValue has bits for what no value has, and for tabs.
func notValue(x uint64) uint64 {
	del := x ^ ones*0x7f
	return ((x-ones*' ')&^x | (del-ones)&^del) & highs
}

// valueRun is run for valueChar.
func valueRun(b []byte, i int) int {
	for len(b)-i >= 8 {
		x := word(b, i)
		// Adding 1 sets the high bit of 0x7f. This is cheaper, and stops at
		// bytes above ASCII too.
		if ((x-ones*' ')|(x+ones)|x)&highs == 0 {
			i += 8
			continue
		}
		stop := notValue(x)
		if stop == 0 {
			i += 8
			continue
		}
		if i += first(stop); b[i] != '\t' {
			return i
		}
		i++
	}
	return run(b, i, valueChar)
}

// targetRun is run for targetChar.
func targetRun(b []byte, i int) int {
	for len(b)-i >= 8 {
		x := word(b, i)
		hash := x ^ ones*'#'
		if stop := ((x-ones*'!')&^x | x | (x + ones) | (hash-ones)&^hash) & highs; stop != 0 {
			return i + first(stop)
		}
		i += 8
	}
	return run(b, i, targetChar)
}

// unhex returns the value of a hex digit, -1 for other bytes.
func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
