// SPDX-License-Identifier: Apache-2.0

package http1

import "math"

// field is a field that the parser itself must understand, because it says where
// the request ends or whether another follows. Host is one of them since two
// that read it differently send a request to two places (RFC 9112, 3.2).
type field uint8

const (
	otherField field = iota
	hostField
	contentLengthField
	transferEncodingField
	connectionField
	upgradeField
)

// mayMatter reports whether such a field has a name of that length. Most fields
// of a head are told apart by this alone.
func mayMatter(length int) bool {
	return (1<<4|1<<7|1<<10|1<<14|1<<17)>>uint(length)&1 != 0
}

// fieldOf returns which field a name of any case means.
func fieldOf(name []byte) field {
	switch len(name) {
	case 4:
		if foldEqual(name, "host") {
			return hostField
		}
	case 7:
		if foldEqual(name, "upgrade") {
			return upgradeField
		}
	case 10:
		if foldEqual(name, "connection") {
			return connectionField
		}
	case 14:
		if foldEqual(name, "content-length") {
			return contentLengthField
		}
	case 17:
		if foldEqual(name, "transfer-encoding") {
			return transferEncodingField
		}
	}
	return otherField
}

// foldEqual compares a token with lower-case text of the same length.
func foldEqual(b []byte, lower string) bool {
	for i := range len(lower) {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// valueState is how far the value of a field that matters is understood.
type valueState struct {
	n     int  // bytes other than whitespace
	space bool // whitespace came after them
	bad   bool
	// word is the present list member of Connection, or the whole value of
	// Transfer-Encoding, in lower case. wordLen may exceed it.
	word    [10]byte
	wordLen int
}

// plainValue understands a whole value if it is as values nearly always are.
// Otherwise it changes nothing, and the value has to be taken byte by byte. The
// two must agree, or a split would change the meaning; FuzzSplit sees to it.
func (p *Parser) plainValue(b []byte) bool {
	switch p.field {
	case hostField:
		return run(b, 0, hostChar) == len(b)
	case connectionField:
		switch string(b) {
		case "keep-alive":
			p.keepAlive = true
			return true
		case "close":
			p.close = true
			return true
		}
	case upgradeField:
		return true
	}
	return false
}

// valueByte takes one byte of such a value. It keeps what is needed to go on in
// another chunk, and nothing of the bytes but a word.
func (p *Parser) valueByte(c byte) *Error {
	v := &p.value
	if c == ' ' || c == '\t' {
		v.space = v.n > 0
		return nil
	}
	switch p.field {
	case hostField:
		if v.space || classes[c]&hostChar == 0 {
			return errHost
		}
	case contentLengthField:
		if v.space || classes[c]&digitChar == 0 {
			return errLength
		}
		d := uint64(c - '0')
		if p.length > (math.MaxInt64-d)/10 {
			return errLength
		}
		p.length = p.length*10 + d
	case transferEncodingField:
		if c == ',' && p.anyCoding() {
			v.wordLen, v.bad = 0, false // the last member decides
			break
		}
		v.bad = v.bad || v.space && v.wordLen > 0
		v.add(c)
	case connectionField:
		if c == ',' {
			p.endOption()
			break
		}
		// "a b" is one member that means nothing to us.
		if v.space && v.wordLen > 0 {
			v.bad = true
		}
		v.add(c)
	}
	v.space = false
	v.n++
	return nil
}

// add puts a byte to the word. What is too long for it is no word that matters,
// and its length tells.
func (v *valueState) add(c byte) {
	if c >= 'A' && c <= 'Z' {
		c |= 0x20
	}
	if v.wordLen < len(v.word) {
		v.word[v.wordLen] = c
	}
	v.wordLen++
}

func (v *valueState) is(word string) bool {
	return !v.bad && v.wordLen == len(word) && string(v.word[:v.wordLen]) == word
}

// endOption ends a member of Connection. Options that are not known name fields
// for a proxy to drop (RFC 9110, 7.6.1), and empty members mean nothing.
func (p *Parser) endOption() {
	v := &p.value
	switch {
	case v.is("close"):
		p.close = true
	case v.is("keep-alive"):
		p.keepAlive = true
	case v.is("upgrade"):
		p.upgrade = true
	}
	v.wordLen, v.bad = 0, false
}

// checkValue is called when the value is complete. An empty Host is a sound one
// (RFC 9112, 3.2), an empty length or coding is not.
func (p *Parser) checkValue() *Error {
	switch p.field {
	case contentLengthField:
		if p.value.n == 0 {
			return errLength
		}
	case transferEncodingField:
		p.chunked = p.value.is("chunked")
		if !p.chunked && !p.anyCoding() && !p.allows(LenientChunkedLength) {
			return errCoding
		}
	case connectionField:
		p.endOption()
	}
	return nil
}
