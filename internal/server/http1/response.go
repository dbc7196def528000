// SPDX-License-Identifier: Apache-2.0

package http1

// StatusHandler is what a Handler of responses may implement too, to be told of
// the reason phrase: in parts as OnURL, and before the fields.
type StatusHandler interface {
	OnStatus(b []byte, end bool)
}

// InitResponses makes p ready for the responses of a connection, in the place of
// Init. Where a response ends depends on its request too, which only the caller
// knows: OnHeadersComplete of what answers a HEAD has to call SkipBody, and that
// of what accepts a CONNECT also Pause.
func (p *Parser) InitResponses(lim Limits) {
	p.Init(lim)
	p.response = true
}

// Status returns the status of the present response.
func (p *Parser) Status() int { return int(p.status) }

// statusLine takes a status line (RFC 9112, 4):
//
//	status-line = HTTP-version SP status-code SP [ reason-phrase ] CRLF
//
// The SP before a reason phrase that is not there may be missing too, as some
// servers forget it; where the line ends is beyond doubt.
func (p *Parser) statusLine(b []byte, i int, h Handler) (int, *Error) {
	for i < len(b) && p.state <= stLineLF {
		var err *Error
		switch p.state {
		case stStart, stStartLF:
			i, err = p.takeStart(b[i], i, h)
		case stVersion:
			i, err = p.takeVersion(b, i, h)
		case stStatus:
			i, err = p.takeStatus(b[i], i, h)
		case stReason:
			j := valueRun(b, i)
			if x, ok := h.(StatusHandler); ok && j > i {
				p.call(i)
				x.OnStatus(b[i:j], false)
			}
			if j == len(b) {
				return j, nil
			}
			i, err = p.endReason(b[j], j, h)
		default: // stLineLF
			if b[i] == '\n' {
				i++
			} else if !p.allows(LenientOptionalLFAfterCR) {
				return i, errStatusLF
			}
			p.endStatus(h)
		}
		if err != nil {
			return i, err
		}
	}
	return i, nil
}

// takeStatus takes a byte of the status code, which has three digits, or the
// one behind it.
func (p *Parser) takeStatus(c byte, i int, h Handler) (int, *Error) {
	switch {
	case p.digits < 3 && classes[c]&digitChar != 0:
		p.digits++
		p.status = p.status*10 + uint16(c-'0')
		return i + 1, nil
	case p.digits < 3 || p.status < 100:
		return i, errStatus
	case c == ' ':
		p.state = stReason
		p.digits = 0 // the next to count are those of a chunk's size
		return i + 1, nil
	case c == '\r' || c == '\n':
		p.digits = 0
		return p.endReason(c, i, h)
	}
	return i, errStatus
}

// endReason takes the byte behind the reason phrase.
func (p *Parser) endReason(c byte, i int, h Handler) (int, *Error) {
	p.valueEnd = p.base + uint64(i)
	switch {
	case c == '\r':
		p.state = stLineLF
	case c == '\n' && p.allows(LenientOptionalCRBeforeLF):
		p.endStatus(h)
	default:
		return i, errReason
	}
	return i + 1, nil
}

// endStatus is called behind the line.
func (p *Parser) endStatus(h Handler) {
	p.state = stFieldStart
	if x, ok := h.(StatusHandler); ok {
		p.at = p.valueEnd
		x.OnStatus(nil, true)
	}
}

// bare reports whether a response of its status never has content (RFC 9112,
// 6.3, rule 1), whatever its fields say.
func (p *Parser) bare() bool {
	return p.response && (p.status < 200 || p.status == 204 || p.status == 304)
}
