// SPDX-License-Identifier: Apache-2.0

package http1

// requestLine takes a request line (RFC 9112, 3):
//
//	request-line = method SP request-target SP HTTP-version CRLF
//
// One SP and nothing else: RFC 9112 lets a recipient take any whitespace, and
// two that do it differently see different targets.
func (p *Parser) requestLine(b []byte, i int, h Handler) (int, *Error) {
	for i < len(b) && p.state <= stLineLF {
		var err *Error
		switch p.state {
		case stStart, stStartLF:
			i, err = p.takeStart(b[i], i, h)
		case stMethod:
			i, err = p.takeMethod(b, i, h)
		case stTargetStart:
			if !p.targetMayBegin(b[i]) {
				return i, errURL
			}
			p.first = b[i]
			p.state = stTarget
			fallthrough
		case stTarget:
			i, err = p.takeTarget(b, i, h)
		case stVersion:
			i, err = p.takeVersion(b, i, h)
		case stLineLF:
			if b[i] == '\n' {
				i++
			} else if !p.allows(LenientOptionalLFAfterCR) {
				return i, errLineLF
			}
			p.state = stFieldStart
		}
		if err != nil {
			return i, err
		}
	}
	return i, nil
}

// takeStart takes what is before a request line, and begins it. Empty lines
// there count for the limit of the head, or else they could go on forever.
func (p *Parser) takeStart(c byte, i int, h Handler) (int, *Error) {
	switch {
	case p.state == stStartLF:
		p.state = stStart
		switch {
		case c == '\n':
			return i + 1, nil
		case !p.allows(LenientOptionalLFAfterCR):
			return i, errStartLF
		}
		return i, nil
	case c == '\r': // an empty line before it is let pass (RFC 9112, 2.2)
		p.state = stStartLF
		return i + 1, nil
	case c == '\n':
		if !p.allows(LenientOptionalCRBeforeLF) {
			return i, errStartCR
		}
		return i + 1, nil
	case classes[c]&tokenChar == 0:
		return i, errMethod
	}
	p.message = message{}
	p.call(i)
	h.OnMessageBegin()
	p.state = stMethod
	if p.response {
		p.state = stVersion
	}
	return i, nil
}

// takeMethod takes the method. It is called back as a value when it is complete,
// and looked up once: nothing is decided by its first bytes, as any token may
// be a method (RFC 9110, 9.1).
func (p *Parser) takeMethod(b []byte, i int, h Handler) (int, *Error) {
	end := min(len(b), i+len(p.token)-p.tokenLen)
	j := run(b[:end], i, tokenChar)
	name := b[i:j]
	if p.tokenLen > 0 || j == len(b) {
		p.remember(name)
		name = p.token[:p.tokenLen]
	}
	switch {
	case j == len(b):
		return j, nil
	case classes[b[j]]&tokenChar != 0: // longer than any method
		return j, errMethodUnknown
	case b[j] != ' ':
		return j, errMethod
	}
	m, ok := ParseMethod(name)
	if !ok {
		return j, errMethodUnknown
	}
	p.method = m
	p.call(j)
	h.OnMethod(m)
	p.tokenLen = 0
	p.state = stTargetStart
	return j + 1, nil
}

// remember keeps a part of a name for when the rest of it comes.
func (p *Parser) remember(part []byte) {
	if p.tokenLen < len(p.token) {
		copy(p.token[p.tokenLen:], part)
	}
	p.tokenLen += len(part)
}

// targetMayBegin says whether a target's first byte suits one of its forms:
// origin, absolute, asterisk (OPTIONS only), authority (CONNECT only).
func (p *Parser) targetMayBegin(c byte) bool {
	switch {
	case p.method == CONNECT:
		return classes[c]&hostChar != 0
	case c == '*':
		return p.method == OPTIONS || p.allows(LenientTarget)
	}
	return c == '/' || classes[c]&alphaChar != 0
}

// takeTarget takes a part of the target (RFC 9112, 3.2). Its bytes are checked
// here, its structure only as far as it tells the forms apart.
func (p *Parser) takeTarget(b []byte, i int, h Handler) (int, *Error) {
	c, limit, tooLong := targetChar, p.lim.Target, errURLLong
	switch {
	case p.method == CONNECT:
		c = hostChar
	case p.first == '*':
		limit, tooLong = 1, errURL
	}
	// No byte beyond the limit is looked at, so that the limit strikes at the
	// same byte however the stream is split.
	end := min(len(b), i+limit-p.targetLen)
	var j int
	switch {
	case p.method == CONNECT:
		j = run(b[:end], i, hostChar)
	default:
		j = targetRun(b[:end], i)
		for j < end && b[j] == '#' && p.allows(LenientTarget) {
			j = targetRun(b[:end], j+1)
		}
		if classes[p.first]&alphaChar != 0 {
			j = p.takeScheme(b, i, j)
		}
	}
	p.targetLen += j - i
	done := j < len(b) && b[j] == ' ' && p.scheme != schemeBad
	if j > i || done {
		p.call(i)
		h.OnURL(b[i:j], done)
	}
	switch {
	case done && p.scheme != schemeNone && p.scheme != schemeDone:
		return j, errURL
	case done:
		p.state = stVersion
		return j + 1, nil
	case j == len(b):
		return j, nil
	case p.scheme != schemeBad && classes[b[j]]&c != 0:
		return j, tooLong
	}
	return j, errURL
}

// How far the beginning of a target in absolute form has been seen: the scheme,
// its colon, two slashes, and the first byte of an authority.
const (
	schemeNone = iota // another form
	schemeName
	schemeColon
	schemeSlash
	schemeSlashes
	schemeDone
	schemeBad
)

// takeScheme checks b[i:j] as far as the authority. It returns j, or where the
// target stops to be one.
func (p *Parser) takeScheme(b []byte, i, j int) int {
	for k := i; k < j && p.scheme < schemeDone; k++ {
		c := b[k]
		scheme := classes[c]&(alphaChar|digitChar) != 0 || c == '+' || c == '-' || c == '.'
		switch {
		case p.scheme == schemeNone:
			p.scheme = schemeName // its first byte is known to be a letter
		case p.scheme == schemeName && scheme:
		case p.scheme == schemeName && c == ':',
			p.scheme == schemeColon && c == '/',
			p.scheme == schemeSlash && c == '/',
			p.scheme == schemeSlashes && classes[c]&hostChar != 0:
			p.scheme++
		default:
			p.scheme = schemeBad
			return k
		}
	}
	return j
}

const versionText = "HTTP/1.1\r\n"

// takeVersion takes the version, nearly always with one comparison, else byte by
// byte. A version other than 1.0 and 1.1 is refused at its last digit (505): what
// is behind it may be framed in any way.
func (p *Parser) takeVersion(b []byte, i int, h Handler) (int, *Error) {
	end := i + len(versionText)
	if p.versionIndex == 0 && !p.response && end <= len(b) && string(b[i:end]) == versionText {
		p.major, p.minor = 1, 1
		p.call(end - 2)
		h.OnVersion(1, 1)
		p.state = stFieldStart
		return end, nil
	}
	c := b[i]
	switch n := p.versionIndex; n {
	case 5, 7:
		if classes[c]&digitChar == 0 {
			return i, errVersion
		}
		if n == 5 {
			p.major = c - '0'
		} else {
			p.minor = c - '0'
			if (p.major != 1 || p.minor > 1) && !p.allows(LenientVersion) {
				return i, errVersionOther
			}
		}
	case 8:
		if p.response {
			p.call(i)
			h.OnVersion(p.major, p.minor)
			if c != ' ' {
				return i, errVersion
			}
			p.state = stStatus
			break
		}
		if c != '\r' && (c != '\n' || !p.allows(LenientOptionalCRBeforeLF)) {
			if classes[c]&digitChar != 0 {
				return i, errVersion
			}
			return i, errLineCR
		}
		p.call(i)
		h.OnVersion(p.major, p.minor)
		p.state = stLineLF
		if c == '\n' {
			p.state = stFieldStart
		}
	default:
		if c != versionText[n] {
			return i, errVersion
		}
	}
	p.versionIndex++
	return i + 1, nil
}
