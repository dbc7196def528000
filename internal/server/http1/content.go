// SPDX-License-Identifier: Apache-2.0

package http1

// maxChunkDigits bounds a chunk size: no more than 2^60-1 bytes. Leading
// zeros count.
const maxChunkDigits = 15

// content takes a step in content (RFC 9112, 6), which is a number of bytes or
// chunked (RFC 9112, 7.1):
//
//	chunked-body = *( chunk-size [ chunk-ext ] CRLF chunk-data CRLF )
//	               1*"0" [ chunk-ext ] CRLF trailer-section CRLF
//
// States that end a chunk's data leave the switch, to end the chunk.
func (p *Parser) content(b []byte, i int, h Handler) (int, *Error) {
	c := b[i]
	switch p.state {
	case stBody:
		i = p.takeData(b, i, h)
		if p.left == 0 {
			p.complete(i, h)
		}
		return i, nil
	case stBodyEOF:
		p.call(i)
		h.OnBody(b[i:])
		return len(b), nil
	case stChunkSize, stChunkSizeSpace:
		return p.takeChunkSize(c, i, h)
	case stExtName, stExtValue, stExtToken, stExtQuoted, stExtEscape, stExtQuotedEnd:
		return p.extension(b, i, h)
	case stChunkLF:
		if c != '\n' {
			if !p.allows(LenientOptionalLFAfterCR) {
				return i, errChunkLF
			}
			i-- // the CR was enough, and the byte is the chunk's
		}
		p.beginChunk(i+1, h)
		return i + 1, nil
	case stChunkData:
		i = p.takeData(b, i, h)
		if p.left == 0 {
			p.state = stChunkDataCR
		}
		return i, nil
	case stChunkDataCR:
		switch {
		case c == '\r':
			p.state = stChunkDataLF
			return i + 1, nil
		case c == '\n' && p.allows(LenientOptionalCRBeforeLF):
			i++
		case !p.allows(LenientOptionalCRLFAfterChunk):
			return i, errChunkDataCR
		}
	case stChunkDataLF:
		switch {
		case c == '\n':
			i++
		case !p.allows(LenientOptionalLFAfterCR):
			return i, errChunkDataLF
		}
	}
	p.call(i)
	h.OnChunkComplete()
	p.state = stChunkSize
	return i, nil
}

// takeData calls back what there is of the content or of a chunk.
func (p *Parser) takeData(b []byte, i int, h Handler) int {
	n := int(min(uint64(len(b)-i), p.left))
	p.left -= uint64(n)
	p.call(i)
	h.OnBody(b[i : i+n])
	return i + n
}

// takeChunkSize takes a byte of a chunk's size, or the one behind it. Signs, 0x
// and whitespace are what some number parsers take and others do not.
func (p *Parser) takeChunkSize(c byte, i int, h Handler) (int, *Error) {
	if d := unhex(c); d >= 0 && p.state == stChunkSize {
		if p.digits == maxChunkDigits {
			return i, errChunkSize
		}
		p.digits++
		p.left = p.left<<4 | uint64(d)
		return i + 1, nil
	}
	switch {
	case p.digits == 0:
		return i, errChunkSize
	case c == '\r':
		p.state = stChunkLF
	case c == '\n' && p.allows(LenientOptionalCRBeforeLF):
		p.beginChunk(i+1, h)
	case c == ';':
		p.state = stExtName
		p.digits = 0 // now counts the name's bytes
	case c == ' ' && p.allows(LenientSpacesAfterChunkSize):
		p.state = stChunkSizeSpace
	default: // whitespace too, which RFC 9112, 7.1.1 lets a recipient refuse
		return i, errChunkSize
	}
	return i + 1, nil
}

// beginChunk is called behind the line of a chunk's size. The trailer section
// has limits of its own, equal to those of the head.
func (p *Parser) beginChunk(i int, h Handler) {
	p.call(i)
	h.OnChunkHeader(p.left)
	p.digits = 0
	p.state = stChunkData
	if p.left == 0 {
		p.trailer = true
		p.fields = 0
		p.state = stFieldStart
	}
}
