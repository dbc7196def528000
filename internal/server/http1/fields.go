// SPDX-License-Identifier: Apache-2.0

package http1

// fieldLines takes field lines up to the end of b or of the section (RFC 9112,
// 5):
//
//	field-line = field-name ":" OWS field-value OWS CRLF
//
// Each state consumes its whole run and falls through to the next, so that a
// line within one chunk goes straight through; what is not so simple leaves to
// a method of its own, which costs a call and nothing else.
func (p *Parser) fieldLines(b []byte, i int, h Handler) (int, *Error) {
	for i < len(b) {
		var err *Error
		switch p.state {
		case stFieldStart:
			if classes[b[i]]&tokenChar == 0 {
				if i, err = p.noField(b, i, h); err != nil || p.sectionEnd {
					return i, err
				}
				continue
			}
			if p.fields == p.lim.Fields {
				return i, errFieldsMany
			}
			// The byte itself is left to the next state, which is the one to
			// come back to when the chunk ends within the name.
			p.fields++
			p.field, p.valueSeen = otherField, false
			p.state = stName
			fallthrough
		case stName:
			// A colon proves that the run is the rest of the name, and no
			// remembered part that it is all of it.
			j := nameRun(b, i)
			if j == len(b) || b[j] != ':' || p.tokenLen > 0 {
				if i, err = p.partOfName(b, i, j, h); err != nil {
					return i, err
				}
				continue
			}
			p.call(i)
			h.OnHeaderField(b[i:j], true)
			if mayMatter(j - i) {
				if err = p.beginField(fieldOf(b[i:j])); err != nil {
					return j + 1, err
				}
			}
			i = j + 1
			p.state = stValueStart
			fallthrough
		case stValueStart:
			// Leading whitespace is no part of the value. Trailing whitespace
			// is called back, as to know it would mean to look ahead.
			for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
				i++
			}
			if i == len(b) {
				return i, nil
			}
			p.state = stValue
			fallthrough
		case stValue:
			j := valueRun(b, i)
			// With its CRLF in the same chunk, as nearly always, one callback
			// will do.
			if j+1 < len(b) && b[j] == '\r' && b[j+1] == '\n' && !p.allows(LenientHeaders) &&
				(p.field == otherField || !p.valueSeen && p.plainValue(b[i:j])) {
				p.call(i)
				h.OnHeaderValue(b[i:j], true)
				i = j + 2
				p.state = stFieldStart
				continue
			}
			i, err = p.partOfValue(b, i, j, h)
		default:
			if i, err = p.lineEnd(b[i], i, h); p.sectionEnd {
				return i, err
			}
		}
		if err != nil {
			return i, err
		}
	}
	return i, nil
}

// noField is for a line that does not begin with a name: the empty one behind
// the last field, or one to refuse. Whitespace would continue the line before
// (obs-fold), which a server has to refuse or to join (RFC 9112, 5.2); before
// the first field it would hide that field from somebody (RFC 9112, 2.2).
func (p *Parser) noField(b []byte, i int, h Handler) (int, *Error) {
	switch c := b[i]; {
	case c == '\r':
		p.state = stHeadLF
		return i + 1, nil
	case c == '\n' && p.allows(LenientOptionalCRBeforeLF):
		return i + 1, p.endSection(i+1, h)
	case c == ' ' && p.fields == 0 && p.allows(LenientHeaders):
		return i + 1, nil
	case c == ' ' || c == '\t':
		return i, errFold
	case c == ':':
		return i, errNameEmpty
	}
	return i, errName
}

// partOfName takes b[i:j] of a name that is not wholly in this chunk, or that
// does not end as names do.
func (p *Parser) partOfName(b []byte, i, j int, h Handler) (int, *Error) {
	p.remember(b[i:j])
	// A space before the colon does not change whose name it is, which is what
	// makes it dangerous. A name with a space within is no name we know.
	if p.nameSpace && j > i {
		p.tokenLen = len(p.token) + 1
	}
	for j < len(b) && b[j] == ' ' && p.allows(LenientHeaders) {
		p.nameSpace = true
		j++
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
		name := p.token[:min(p.tokenLen, len(p.token))]
		p.tokenLen, p.nameSpace = 0, false
		p.state = stValueStart
		return j + 1, p.beginField(fieldOf(name))
	case j == len(b), p.nameSpace && classes[b[j]]&tokenChar != 0:
		return j, nil
	}
	return j, errName
}

// beginField is called behind the colon. It refuses what may not be there:
// a second field of those that frame the message, both kinds of framing at once
// (RFC 9112, 6.1 and 6.3), and fields that frame in a trailer section, where
// they come too late (RFC 9110, 6.5.1).
func (p *Parser) beginField(f field) *Error {
	if p.field = f; f == otherField {
		return nil
	}
	if p.trailer && f != upgradeField {
		return errTrailer
	}
	p.value = valueState{}
	switch f {
	case hostField:
		if p.hosts++; p.hosts > 1 {
			return errHostTwice
		}
	case contentLengthField:
		if p.lengths++; p.lengths > 1 {
			return errLengthTwice
		}
	case transferEncodingField:
		if p.codings++; p.codings > 1 && !p.anyCoding() {
			return errCodingTwice
		}
	case upgradeField:
		p.protocol = true
	}
	if p.lengths > 0 && p.codings > 0 && !p.allows(LenientChunkedLength) {
		return errLengthCoding
	}
	return nil
}

// partOfValue takes b[i:j] of a value that matters to the framing, that is not
// wholly in this chunk, or that has a byte at j that no strict value has.
func (p *Parser) partOfValue(b []byte, i, j int, h Handler) (int, *Error) {
	// No strict value has the byte at j, so this costs nothing without leniency.
	for j < len(b) && p.valueByteAllowed(b[j]) {
		j = valueRun(b, j+1)
	}
	var bad *Error
	if p.field != otherField {
		for k := i; k < j; k++ {
			if bad = p.valueByte(b[k]); bad != nil {
				j = k
				break
			}
		}
	}
	if j > i {
		p.valueSeen = true
		p.call(i)
		h.OnHeaderValue(b[i:j], false)
	}
	switch {
	case bad != nil:
		return j, bad
	case j == len(b):
		return j, nil
	}
	// The callback that ends the value comes when the line is known to be over,
	// maybe in another chunk, and has this offset.
	p.valueEnd = p.base + uint64(j)
	switch {
	case b[j] == '\r':
		p.state = stValueLF
		return j + 1, nil
	case b[j] == '\n' && p.allows(LenientOptionalCRBeforeLF):
		return j + 1, p.endLine(h)
	case b[j] == '\n' && p.valueSeen:
		return j, errValueCR
	}
	return j, errValue
}

// lineEnd takes what is behind a CR, or behind a line that may be folded.
func (p *Parser) lineEnd(c byte, i int, h Handler) (int, *Error) {
	next := i + 1
	if p.state != stFold && c != '\n' {
		if !p.allows(LenientOptionalLFAfterCR) {
			if p.state == stHeadLF {
				return i, errHeadLF
			}
			return i, errValueLF
		}
		// The CR was enough, and the byte belongs to what follows.
		next = i
	}
	switch p.state {
	case stHeadLF:
		return next, p.endSection(next, h)
	case stValueLF:
		return next, p.endLine(h)
	}
	// stFold: whitespace continues the value, anything else begins a line.
	if c == ' ' || c == '\t' {
		p.state = stValue
		if !p.valueSeen { // what is empty so far has only leading whitespace
			p.state = stValueStart
			return i + 1, nil
		}
		return i, nil
	}
	return i, p.endValue(h)
}

// endLine is called behind a value's line. Where lines may be folded the value
// goes on if the next byte is whitespace.
func (p *Parser) endLine(h Handler) *Error {
	if p.allows(LenientHeaders) {
		p.state = stFold
		return nil
	}
	return p.endValue(h)
}

// endValue is for a value whose end was not reported with its last part.
func (p *Parser) endValue(h Handler) *Error {
	p.at = p.valueEnd
	h.OnHeaderValue(nil, true)
	p.state = stFieldStart
	return p.checkValue()
}

// endSection is called behind the empty line.
func (p *Parser) endSection(i int, h Handler) *Error {
	p.sectionEnd = true
	p.call(i)
	if p.trailer {
		// The last chunk lasts until here: it has no data, but trailers.
		h.OnChunkComplete()
		p.complete(i, h)
		return nil
	}
	if err := p.frame(); err != nil {
		return err
	}
	h.OnHeadersComplete()
	if !p.HasContent() {
		p.complete(i, h)
	}
	return nil
}

// frame decides where the content ends (RFC 9112, 6.3). That a head has one kind
// of framing only is known by now, unless a leniency says otherwise: then the
// coding decides, as RFC 9112 has it.
func (p *Parser) frame() *Error {
	switch {
	case p.hosts == 0 && p.minor == 1 && !p.response && !p.allows(LenientHost):
		return errHostMissing
	case p.codings > 0 && p.minor == 0 && !p.allows(LenientTransferEncoding|LenientChunkedLength):
		return errCodingVersion
	}
	p.left = p.length
	switch {
	case p.bare():
	case p.chunked:
		p.left = 0
		p.state = stChunkSize
	case p.codings > 0, p.response && p.lengths == 0:
		p.untilEOF = true
		p.state = stBodyEOF
	case p.length > 0:
		p.state = stBody
	}
	return nil
}

// complete ends the request at b[:i]. The state is set before the callback, so
// that Idle and Pause mean the right thing within it.
func (p *Parser) complete(i int, h Handler) {
	p.state = stStart
	if !p.KeepAlive() && !p.allows(LenientKeepAlive) {
		p.state = stClosed
	}
	p.call(i)
	h.OnMessageComplete()
}
