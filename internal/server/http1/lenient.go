// SPDX-License-Identifier: Apache-2.0

package http1

// Leniency is a set of deviations from the strict grammar that a parser lets
// pass. Each has made some pair of programs disagree about where a request
// ends, so all are off unless somebody knows both programs. The names up to
// LenientHeaderValueRelaxed are llhttp's.
type Leniency uint16

const (
	// LenientHeaders: line folding, spaces before the first name and before a
	// colon, and any byte but CR and LF in a value.
	LenientHeaders Leniency = 1 << iota
	// LenientChunkedLength: Content-Length beside Transfer-Encoding, which then
	// decides. A coding other than chunked ends with the connection.
	LenientChunkedLength
	// LenientKeepAlive: a further request after one that was to be the last.
	LenientKeepAlive
	// LenientTransferEncoding: any transfer codings. The last one decides:
	// what is not chunked ends with the connection.
	LenientTransferEncoding
	// LenientVersion: any digit, dot, digit.
	LenientVersion
	// LenientDataAfterClose: bytes after the last request are dropped.
	LenientDataAfterClose
	// LenientOptionalLFAfterCR: CR alone ends a line.
	LenientOptionalLFAfterCR
	// LenientOptionalCRLFAfterChunk: nothing between a chunk's data and the
	// next size.
	LenientOptionalCRLFAfterChunk
	// LenientOptionalCRBeforeLF: LF alone ends a line.
	LenientOptionalCRBeforeLF
	// LenientSpacesAfterChunkSize: spaces between a chunk's size and the end
	// of its line or its extensions.
	LenientSpacesAfterChunkSize
	// LenientHeaderValueRelaxed: control characters in a value, but not NUL.
	LenientHeaderValueRelaxed
	// LenientHost: HTTP/1.1 without Host. This and the next one are what
	// llhttp never looks at and RFC 9112 wants refused.
	LenientHost
	// LenientTarget: a fragment in a target, and the asterisk with any method.
	LenientTarget
)

// Allow sets what is let pass from the next request on. It is for between Init
// and the first byte.
func (p *Parser) Allow(l Leniency) { p.lenient = l }

func (p *Parser) allows(l Leniency) bool { return p.lenient&l != 0 }

// anyCoding reports whether codings other than chunked may be there. A client
// cannot refuse a response by asking for another one: what is not chunked then
// ends with the connection (RFC 9112, 6.3, rule 4).
func (p *Parser) anyCoding() bool { return p.response || p.allows(LenientTransferEncoding) }

// valueByteAllowed says whether a byte that no strict value has may pass.
func (p *Parser) valueByteAllowed(c byte) bool {
	switch {
	case c == '\r' || c == '\n':
		return false
	case p.allows(LenientHeaders):
		return true
	}
	return c != 0 && p.allows(LenientHeaderValueRelaxed)
}
