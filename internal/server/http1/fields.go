// SPDX-License-Identifier: Apache-2.0

package http1

// field is a field that the parser itself must understand.
type field uint8

const (
	otherField field = iota
	hostField
	contentLengthField
	transferEncodingField
	connectionField
)

// fieldOf returns which field a name of any case means.
func fieldOf(name []byte) field {
	switch len(name) {
	case 4:
		if foldEqual(name, "host") {
			return hostField
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

// fieldLine takes a step in a field line (RFC 9112, 5) or the empty line after
// the last one.
func (p *Parser) fieldLine(b []byte, i int, h Handler) (int, *Error) {
	c := b[i]
	switch p.state {
	case stFieldStart:
		switch {
		case c == '\r':
			p.state = stHeadLF
			return i + 1, nil
		case c == ' ' || c == '\t':
			return i, errFold
		case c == ':':
			return i, errNameEmpty
		case p.fields == p.lim.Fields:
			return i, errFieldsMany
		}
		p.fields++
		p.state = stName
	case stName:
		return p.takeName(b, i, h)
	case stValueStart:
		if c == ' ' || c == '\t' {
			return i + 1, nil
		}
		p.value = valueState{}
		p.state = stValue
	case stValue:
		return p.takeValue(b, i, h)
	case stValueLF:
		if c != '\n' {
			return i, errValueLF
		}
		return i + 1, p.endValue(i+1, h)
	case stHeadLF:
		if c != '\n' {
			return i, errHeadLF
		}
		return i + 1, p.endSection(i+1, h)
	}
	return i, nil
}

func (p *Parser) takeName(b []byte, i int, h Handler) (int, *Error) {
	j := run(b, i, tokenChar)
	name := b[i:j]
	if p.tokenLen > 0 || j == len(b) {
		p.remember(name)
		name = p.token[:min(p.tokenLen, len(p.token))]
	}
	done := j < len(b) && b[j] == ':'
	if j > i || done {
		p.call(i)
		h.OnHeaderField(b[i:j], done)
	}
	switch {
	case done:
		// A name that is too long to remember is cut, and then its length
		// differs from that of every name that matters.
		p.field = fieldOf(name)
		p.tokenLen = 0
		p.state = stValueStart
		if p.trailer && p.field != otherField {
			return j, errTrailer
		}
		return j + 1, p.beginValue()
	case j == len(b):
		return j, nil
	}
	return j, errName
}

// beginValue refuses fields that may come once only.
func (p *Parser) beginValue() *Error {
	switch p.field {
	case hostField:
		if p.hosts++; p.hosts > 1 {
			return errHostTwice
		}
	case contentLengthField:
		if p.lengths++; p.lengths > 1 {
			return errLengthTwice
		}
	case transferEncodingField:
		if p.codings++; p.codings > 1 {
			return errCodingTwice
		}
	}
	return nil
}

func (p *Parser) takeValue(b []byte, i int, h Handler) (int, *Error) {
	j := run(b, i, valueChar)
	var bad *Error
	if p.field != otherField {
		for k := i; k < j; k++ {
			if bad = p.valueByte(b[k]); bad != nil {
				j = k
				break
			}
		}
	}
	// With its CRLF in the same chunk, as nearly always, one callback will do.
	whole := bad == nil && j+1 < len(b) && b[j] == '\r' && b[j+1] == '\n'
	if j > i || whole {
		p.call(i)
		h.OnHeaderValue(b[i:j], whole)
	}
	switch {
	case bad != nil:
		return j, bad
	case whole:
		p.state = stFieldStart
		return j + 2, p.checkValue()
	case j == len(b):
		return j, nil
	case b[j] == '\r':
		p.state = stValueLF
		return j + 1, nil
	}
	return j, errValue
}

// endValue is for a value whose CRLF, which ends at i, came in another chunk.
func (p *Parser) endValue(i int, h Handler) *Error {
	p.at = p.base + uint64(i) - 2
	h.OnHeaderValue(nil, true)
	p.state = stFieldStart
	return p.checkValue()
}

// endSection is called after the empty line.
func (p *Parser) endSection(i int, h Handler) *Error {
	p.sectionEnd = true
	p.call(i)
	if p.trailer {
		h.OnChunkComplete()
		p.complete(i, h)
		return nil
	}
	switch {
	case p.hosts == 0 && p.minor == 1:
		return errHostMissing
	case p.codings > 0 && p.minor == 0:
		return errCodingVersion
	case p.codings > 0 && p.lengths > 0:
		return errLengthCoding
	}
	p.chunked = p.codings > 0
	p.left = p.length
	switch {
	case p.chunked:
		p.state = stChunkSize
	case p.length > 0:
		p.state = stBody
	}
	h.OnHeadersComplete()
	if !p.HasContent() {
		p.complete(i, h)
	}
	return nil
}

// complete ends the request at b[:i].
func (p *Parser) complete(i int, h Handler) {
	p.state = stStart
	if !p.KeepAlive() {
		p.state = stClosed
	}
	p.call(i)
	h.OnMessageComplete()
}
