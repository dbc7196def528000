// SPDX-License-Identifier: Apache-2.0

package http1

// maxChunkDigits bounds a chunk size: no more than 2^60-1 bytes. Leading
// zeros count.
const maxChunkDigits = 15

// content takes a step in content (RFC 9112, 6 and 7.1).
func (p *Parser) content(b []byte, i int, h Handler) (int, *Error) {
	c := b[i]
	switch p.state {
	case stBody:
		i = p.takeData(b, i, h)
		if p.left == 0 {
			p.complete(i, h)
		}
		return i, nil
	case stChunkSize:
		return p.takeChunkSize(c, i)
	case stExtName, stExtValue, stExtToken, stExtQuoted, stExtEscape, stExtQuotedEnd:
		if p.ext == p.lim.ChunkExt {
			return i, errChunkExtLong
		}
		p.ext++
		return p.takeChunkExt(c, i)
	case stChunkLF:
		if c != '\n' {
			return i, errChunkLF
		}
		i++
		p.call(i)
		h.OnChunkHeader(p.left)
		p.digits = 0
		p.state = stChunkData
		if p.left == 0 {
			p.trailer = true
			p.fields = 0
			p.state = stFieldStart
		}
		return i, nil
	case stChunkData:
		i = p.takeData(b, i, h)
		if p.left == 0 {
			p.state = stChunkDataCR
		}
		return i, nil
	case stChunkDataCR:
		if c != '\r' {
			return i, errChunkDataCR
		}
		p.state = stChunkDataLF
		return i + 1, nil
	case stChunkDataLF:
		if c != '\n' {
			return i, errChunkDataLF
		}
		p.call(i + 1)
		h.OnChunkComplete()
		p.state = stChunkSize
		return i + 1, nil
	}
	return i, nil
}

func (p *Parser) takeData(b []byte, i int, h Handler) int {
	n := int(min(uint64(len(b)-i), p.left))
	p.left -= uint64(n)
	p.call(i)
	h.OnBody(b[i : i+n])
	return i + n
}

func (p *Parser) takeChunkSize(c byte, i int) (int, *Error) {
	if d := unhex(c); d >= 0 {
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
	case c == ';':
		p.state = stExtName
		p.digits = 0 // now counts the name's bytes
	default: // whitespace too, which RFC 9112, 7.1.1 lets a recipient refuse
		return i, errChunkSize
	}
	return i + 1, nil
}

// takeChunkExt takes a byte of chunk-ext: *( ";" name [ "=" token-or-quoted ] ).
// Their bytes are checked and otherwise ignored, as nobody knows any.
func (p *Parser) takeChunkExt(c byte, i int) (int, *Error) {
	token := classes[c]&tokenChar != 0
	switch p.state {
	case stExtName, stExtToken:
		switch {
		case token:
			p.digits++
			return i + 1, nil
		case p.digits == 0:
			return i, errChunkExt
		case c == '=' && p.state == stExtName:
			p.state = stExtValue
			return i + 1, nil
		}
	case stExtValue:
		switch {
		case token:
			p.state = stExtToken
		case c == '"':
			p.state = stExtQuoted
		default:
			return i, errChunkExt
		}
		return i + 1, nil
	case stExtQuoted, stExtEscape:
		switch {
		case classes[c]&valueChar == 0:
			return i, errChunkExt
		case p.state == stExtEscape:
			p.state = stExtQuoted
		case c == '\\':
			p.state = stExtEscape
		case c == '"':
			p.state = stExtQuotedEnd
		}
		return i + 1, nil
	}
	// After a name or a value.
	switch c {
	case ';':
		p.state = stExtName
		p.digits = 0
	case '\r':
		p.state = stChunkLF
	default:
		return i, errChunkExt
	}
	return i + 1, nil
}
