// SPDX-License-Identifier: Apache-2.0

package http1

// Handler is called back with what is found. Byte slices belong to the fed
// chunk. During a callback Parser.Offset is the offset of the slice's first
// byte, or, in callbacks without one, the offset after the last byte that
// belongs to what they report.
type Handler interface {
	// OnMessageBegin: the first byte of a request line or a status line.
	// Offset is its own.
	OnMessageBegin()
	// OnMethod and OnURL are for requests; see StatusHandler.
	OnMethod(m Method)
	// OnURL has a part of the request target; end is true with the last one,
	// which may be empty.
	OnURL(b []byte, end bool)
	OnVersion(major, minor uint8)
	// OnHeaderField and OnHeaderValue: as OnURL. A value has no leading
	// whitespace, but may have trailing whitespace. The fields of the trailer
	// section come the same way; see Parser.Trailer.
	OnHeaderField(b []byte, end bool)
	OnHeaderValue(b []byte, end bool)
	// OnHeadersComplete: the head is complete and its framing is sound.
	OnHeadersComplete()
	// OnBody has a part of the content, without its coding.
	OnBody(b []byte)
	// OnChunkHeader: a chunk of that size follows; 0 is the last one.
	OnChunkHeader(size uint64)
	OnChunkComplete()
	// OnMessageComplete: the request or response is complete.
	OnMessageComplete()
}

// ExtensionHandler is what a Handler may implement too, to be told of chunk
// extensions. They come before the OnChunkHeader of their chunk, in parts as
// OnURL. A quoted value keeps its quotes.
type ExtensionHandler interface {
	OnChunkExtensionName(b []byte, end bool)
	OnChunkExtensionValue(b []byte, end bool)
}

// Limits bound what a parser takes.
type Limits struct {
	// Head bounds a head in bytes, and a trailer section; default 16 KiB.
	Head int
	// Target bounds the request target in bytes; default 8 KiB.
	Target int
	// Fields bounds the number of fields; default 2000.
	Fields int
	// ChunkExt bounds the chunk extensions of a request in bytes; default
	// 16 KiB.
	ChunkExt int
}

func (l Limits) withDefaults() Limits {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&l.Head, 16<<10)
	def(&l.Target, 8<<10)
	def(&l.Fields, 2000)
	def(&l.ChunkExt, 16<<10)
	return l
}

type state uint8

const (
	// The request line, and the empty lines that may precede it.
	stStart state = iota
	stStartLF
	stMethod
	stTargetStart
	stTarget
	stVersion
	stStatus
	stReason
	stLineLF
	// The field section or the trailer section.
	stFieldStart
	stName
	stValueStart
	stValue
	stValueLF
	stFold
	stHeadLF
	// The content.
	stBody
	stBodyEOF
	stChunkSize
	stChunkSizeSpace
	stExtName
	stExtValue
	stExtToken
	stExtQuoted
	stExtEscape
	stExtQuotedEnd
	stChunkLF
	stChunkData
	stChunkDataCR
	stChunkDataLF
	// After the last request, and after an error.
	stClosed
	stDead
)

// Parser parses the requests of one connection, or the responses. Init or
// InitResponses makes it ready.
type Parser struct {
	lim     Limits
	lenient Leniency
	state   state
	paused  bool
	// response: these are responses, else requests.
	response bool
	// sectionEnd is set by the step that takes a section's last byte.
	sectionEnd bool
	err        *Error
	// base is the offset of the present chunk's first byte, at that of the
	// present callback.
	base, at uint64
	head     int // bytes of the present section so far, the request line included

	// message is reset for each request; what follows it needs no reset.
	message
	token    [18]byte   // the first tokenLen bytes of a method or name that chunks share
	value    valueState // of field, unless it is otherField
	valueEnd uint64     // offset behind the value's last byte
}

// message is what is known of the present request.
type message struct {
	// The request line.
	tokenLen     int // may exceed len(token): then it is no name that matters
	targetLen    int
	method       Method
	first        byte  // of the target
	scheme       uint8 // how far it has come in absolute form
	versionIndex uint8
	major, minor uint8
	status       uint16 // of a response

	// The field section.
	field     field
	valueSeen bool // the value has bytes other than leading whitespace
	nameSpace bool // a name had a space (LenientHeaders)
	close     bool // Connection: close
	keepAlive bool // Connection: keep-alive
	upgrade   bool // Connection: upgrade
	protocol  bool // an Upgrade field
	trailer   bool
	fields    int
	hosts     int
	lengths   int
	codings   int

	// The content.
	chunked  bool
	untilEOF bool
	skip     bool
	digits   int
	ext      int
	length   uint64 // Content-Length
	left     uint64 // of it or of the chunk
}

// Init makes p ready for the first byte of a connection. Zero limits mean the
// defaults.
func (p *Parser) Init(lim Limits) { *p = Parser{lim: lim.withDefaults()} }

// Offset returns the offset of the present callback, and after Execute the
// offset of the first byte that was not taken.
func (p *Parser) Offset() uint64 { return p.at }

// Method returns the method of the present request, 0 before it is known.
func (p *Parser) Method() Method { return p.method }

// HasContent reports, from OnHeadersComplete on, whether content follows, or may
// follow if only the end of the stream can tell.
func (p *Parser) HasContent() bool {
	return !p.skip && !p.bare() && (p.chunked || p.untilEOF || p.length > 0)
}

// SkipBody is for a callback of OnHeadersComplete: the request ends with its
// head whatever its framing says, as that of a CONNECT does.
func (p *Parser) SkipBody() { p.skip = true }

// Chunked reports whether there is content that is chunked.
func (p *Parser) Chunked() bool { return p.chunked && p.HasContent() }

// ContentLength returns the value of Content-Length, 0 without one.
func (p *Parser) ContentLength() uint64 { return p.length }

// KeepAlive reports, from OnHeadersComplete on, whether the client lets the
// connection persist after the request (RFC 9112, 9.3).
func (p *Parser) KeepAlive() bool {
	return !p.close && (p.keepAlive || p.major == 1 && p.minor == 1)
}

// Upgrade reports whether the Connection field has the option "upgrade".
func (p *Parser) Upgrade() bool { return p.upgrade }

// Trailer reports whether fields are those of the trailer section.
func (p *Parser) Trailer() bool { return p.trailer }

// Idle reports whether the parser is between requests.
func (p *Parser) Idle() bool { return p.state == stStart || p.state == stClosed }

// Pause makes Execute return after the present request, before the next one.
func (p *Parser) Pause() { p.paused = true }

// Finish says that no byte will follow. It returns an error if that is within
// a request. Content that lasts until there is complete then, without a
// callback.
func (p *Parser) Finish() *Error {
	switch {
	case p.state == stDead:
		return p.err
	case p.state == stStart || p.state == stClosed || p.state == stBodyEOF:
		return nil
	}
	return p.fail(errEOF)
}

// Execute takes the next bytes. It returns how many were taken: all of them
// unless there is an error or Pause was called. After an error it takes
// nothing and returns the same error.
func (p *Parser) Execute(b []byte, h Handler) (int, *Error) {
	p.paused = false
	i := 0
	for i < len(b) {
		var err *Error
		switch {
		case p.state <= stHeadLF:
			i, err = p.section(b, i, h)
		case p.state <= stChunkDataLF:
			i, err = p.content(b, i, h)
		case p.state == stClosed && (b[i] == '\r' || b[i] == '\n' || p.allows(LenientDataAfterClose)):
			i++
		case p.state == stClosed:
			err = errClosed
		default:
			err = p.err
		}
		if err != nil {
			p.at = p.base + uint64(i)
			p.base = p.at
			return i, p.fail(err)
		}
		if p.paused && (p.state == stStart || p.state == stClosed) {
			break
		}
	}
	p.base += uint64(i)
	p.at = p.base
	return i, nil
}

func (p *Parser) fail(err *Error) *Error {
	p.state, p.err = stDead, err
	return err
}

// section takes a head or a trailer section as far as b goes, and no byte beyond
// what its limit allows, so that the limit strikes at the same byte however the
// stream is split.
func (p *Parser) section(b []byte, i int, h Handler) (int, *Error) {
	b = b[:min(len(b), i+p.lim.Head-p.head)]
	from := i
	var err *Error
	switch {
	case p.state > stLineLF:
	case p.response:
		i, err = p.statusLine(b, i, h)
	default:
		i, err = p.requestLine(b, i, h)
	}
	if err == nil && p.state > stLineLF {
		i, err = p.fieldLines(b, i, h)
	}
	if err != nil {
		return i, err
	}
	if p.sectionEnd {
		p.sectionEnd, p.head = false, 0
		return i, nil
	}
	if p.head += i - from; p.head >= p.lim.Head {
		return i, errHeadLong
	}
	return i, nil
}

// call sets the offset for callbacks about b[i:].
func (p *Parser) call(i int) { p.at = p.base + uint64(i) }
