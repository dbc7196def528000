// SPDX-License-Identifier: Apache-2.0

package http1

// extension takes a step in chunk extensions (RFC 9112, 7.1.1):
//
//	chunk-ext = *( ";" chunk-ext-name [ "=" ( token / quoted-string ) ] )
//
// It takes no byte beyond what their limit allows, which is for all of a
// request, since each of its chunks may have some. Nobody knows any extension:
// their bytes are checked, because a line's end that one parser sees within one
// and another does not hides a request, and called back to who wants them.
func (p *Parser) extension(b []byte, i int, h Handler) (int, *Error) {
	b = b[:min(len(b), i+p.lim.ChunkExt-p.ext)]
	if i == len(b) {
		return i, errChunkExtLong
	}
	from := i
	var err *Error
	switch p.state {
	case stExtName, stExtToken:
		i, err = p.extensionToken(b, i, h)
	case stExtQuoted, stExtEscape:
		i, err = p.extensionQuoted(b, i, h)
	case stExtValue:
		switch c := b[i]; {
		case classes[c]&tokenChar != 0:
			p.state = stExtToken
		case c == '"':
			p.state = stExtQuoted
			p.extensionValue(b, i, i+1, false, h)
			i++
		default:
			err = errChunkExt
		}
	default: // behind a quoted value
		i, err = p.extensionEnd(b[i], i, h)
	}
	p.ext += i - from
	return i, err
}

// extensionToken takes a name, or a value without quotes. A name must have a
// byte, which may have been in another chunk of the stream: digits counts.
func (p *Parser) extensionToken(b []byte, i int, h Handler) (int, *Error) {
	j := run(b, i, tokenChar)
	p.digits += j - i
	end := j < len(b)
	if p.state == stExtToken {
		p.extensionValue(b, i, j, end, h)
	} else if x, ok := h.(ExtensionHandler); ok && p.digits > 0 {
		p.call(i)
		x.OnChunkExtensionName(b[i:j], end)
	}
	switch {
	case !end:
		return j, nil
	case p.digits == 0:
		return j, errChunkExt
	case b[j] == '=' && p.state == stExtName:
		p.state = stExtValue
		return j + 1, nil
	}
	return p.extensionEnd(b[j], j, h)
}

// extensionQuoted takes a quoted value up to its last quote. A backslash makes
// the next byte, a quote too, part of the value.
func (p *Parser) extensionQuoted(b []byte, i int, h Handler) (int, *Error) {
	for j := i; j < len(b); j++ {
		switch c := b[j]; {
		case classes[c]&valueChar == 0:
			p.extensionValue(b, i, j, false, h)
			return j, errChunkExt
		case p.state == stExtEscape:
			p.state = stExtQuoted
		case c == '\\':
			p.state = stExtEscape
		case c == '"':
			p.state = stExtQuotedEnd
			p.extensionValue(b, i, j+1, true, h)
			return j + 1, nil
		}
	}
	p.extensionValue(b, i, len(b), false, h)
	return len(b), nil
}

// extensionValue calls back a part of a value. Only a request with extensions
// pays for the question whether anybody listens.
func (p *Parser) extensionValue(b []byte, i, j int, end bool, h Handler) {
	if x, ok := h.(ExtensionHandler); ok {
		p.call(i)
		x.OnChunkExtensionValue(b[i:j], end)
	}
}

// extensionEnd takes what is behind a name or a value.
func (p *Parser) extensionEnd(c byte, i int, h Handler) (int, *Error) {
	switch {
	case c == ';':
		p.state = stExtName
		p.digits = 0
	case c == '\r':
		p.state = stChunkLF
	case c == '\n' && p.allows(LenientOptionalCRBeforeLF):
		p.beginChunk(i+1, h)
	default:
		return i, errChunkExt
	}
	return i + 1, nil
}
