// SPDX-License-Identifier: Apache-2.0

package http1

// requestLine takes a step in a request line (RFC 9112, 3): one SP between its
// parts and CRLF at its end, nothing else.
func (p *Parser) requestLine(b []byte, i int, h Handler) (int, *Error) {
	c := b[i]
	switch p.state {
	case stStart:
		switch {
		case c == '\r': // an empty line before it is let pass (RFC 9112, 2.2)
			p.state = stStartLF
			return i + 1, nil
		case c == '\n':
			return i, errStartCR
		case classes[c]&tokenChar == 0:
			return i, errMethod
		}
		p.begin()
		p.call(i)
		h.OnMessageBegin()
		p.state = stMethod
	case stStartLF:
		if c != '\n' {
			return i, errStartLF
		}
		p.state = stStart
		return i + 1, nil
	case stMethod:
		return p.takeMethod(b, i, h)
	case stTargetStart:
		if !p.targetMayBegin(c) {
			return i, errURL
		}
		p.first = c
		p.state = stTarget
	case stTarget:
		return p.takeTarget(b, i, h)
	case stVersion:
		return p.takeVersion(b, i, h)
	case stLineLF:
		if c != '\n' {
			return i, errLineLF
		}
		p.state = stFieldStart
		return i + 1, nil
	}
	return i, nil
}

// begin forgets the last request.
func (p *Parser) begin() {
	*p = Parser{lim: p.lim, base: p.base, head: p.head, paused: p.paused}
}

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
		return p.method == OPTIONS
	}
	return c == '/' || classes[c]&alphaChar != 0
}

func (p *Parser) takeTarget(b []byte, i int, h Handler) (int, *Error) {
	c, limit, tooLong := targetChar, p.lim.Target, errURLLong
	switch {
	case p.method == CONNECT:
		c = hostChar
	case p.first == '*':
		limit, tooLong = 1, errURL
	}
	end := min(len(b), i+limit-p.targetLen)
	j := run(b[:end], i, c)
	if p.method != CONNECT && classes[p.first]&alphaChar != 0 {
		j = p.takeScheme(b, i, j)
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

func (p *Parser) takeVersion(b []byte, i int, h Handler) (int, *Error) {
	if p.versionIndex == 0 && len(b)-i >= len(versionText) && string(b[i:i+len(versionText)]) == versionText {
		p.major, p.minor = 1, 1
		p.call(i + len(versionText) - 2)
		h.OnVersion(1, 1)
		p.state = stFieldStart
		return i + len(versionText), nil
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
		}
	case 8:
		if c != '\r' {
			if classes[c]&digitChar != 0 {
				return i, errVersion
			}
			return i, errLineCR
		}
		if p.major != 1 || p.minor > 1 {
			return i, errVersionOther
		}
		p.call(i)
		h.OnVersion(p.major, p.minor)
		p.state = stLineLF
	default:
		if c != versionText[n] {
			return i, errVersion
		}
	}
	p.versionIndex++
	return i + 1, nil
}
