// SPDX-License-Identifier: Apache-2.0

package http1

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
	for i < len(b) && classes[b[i]]&c != 0 {
		i++
	}
	return i
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
