// SPDX-License-Identifier: Apache-2.0

package http1

import "math"

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

// valueByte takes one byte of such a value.
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
		v.bad = v.bad || v.space
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

// endOption ends a member of Connection.
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

// checkValue is called when the value is complete.
func (p *Parser) checkValue() *Error {
	switch p.field {
	case contentLengthField:
		if p.value.n == 0 {
			return errLength
		}
	case transferEncodingField:
		if !p.value.is("chunked") {
			return errCoding
		}
	case connectionField:
		p.endOption()
	}
	return nil
}
