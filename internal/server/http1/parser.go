// SPDX-License-Identifier: Apache-2.0

package http1

// Handler is called back with what is found. Byte slices belong to the fed
// chunk. During a callback Parser.Offset is the offset of the slice's first
// byte, or, in callbacks without one, the offset after the last byte that
// belongs to what they report.
type Handler interface {
	// OnMessageBegin: the first byte of a request line. Offset is its own.
	OnMessageBegin()
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
	// OnMessageComplete: the request is complete.
	OnMessageComplete()
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
	stLineLF
	// The field section or the trailer section.
	stFieldStart
	stName
	stValueStart
	stValue
	stValueLF
	stHeadLF
	// The content.
	stBody
	stChunkSize
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

// Parser parses the requests of one connection. Init makes it ready.
type Parser struct {
	lim    Limits
	state  state
	paused bool
	err    *Error
	// base is the offset of the present chunk's first byte, at that of the
	// present callback.
	base, at uint64

	// The request line.
	method       Method
	token        [18]byte // method or field name that chunks share, lower case for names
	tokenLen     int      // may exceed len(token): then it is no name that matters
	targetLen    int
	first        byte  // of the target
	scheme       uint8 // how far it has come in absolute form
	versionIndex int
	major, minor uint8

	// The field section.
	head      int // bytes of it so far, the request line included
	fields    int
	field     field
	hosts     int
	lengths   int
	codings   int
	value     valueState
	close     bool // Connection: close
	keepAlive bool // Connection: keep-alive
	upgrade   bool // Connection: upgrade
	trailer   bool
	// sectionEnd is set by the step that takes a section's last byte.
	sectionEnd bool

	// The content.
	length  uint64 // Content-Length
	left    uint64 // of it or of the chunk
	digits  int
	ext     int
	chunked bool
}

// Init makes p ready for the first byte of a connection. Zero limits mean the
// defaults.
func (p *Parser) Init(lim Limits) { *p = Parser{lim: lim.withDefaults()} }

// Offset returns the offset of the present callback, and after Execute the
// offset of the first byte that was not taken.
func (p *Parser) Offset() uint64 { return p.at }

// Method returns the method of the present request, 0 before it is known.
func (p *Parser) Method() Method { return p.method }

// HasContent reports, from OnHeadersComplete on, whether content follows.
func (p *Parser) HasContent() bool { return p.chunked || p.length > 0 }

// Chunked reports whether the content is chunked.
func (p *Parser) Chunked() bool { return p.chunked }

// ContentLength returns the length of content that is not chunked.
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
// a request.
func (p *Parser) Finish() *Error {
	switch {
	case p.state == stDead:
		return p.err
	case p.state == stStart || p.state == stClosed:
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
		case p.state == stClosed && (b[i] == '\r' || b[i] == '\n'):
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

// section takes a step in a head or a trailer section, and no byte beyond what
// its limit allows, so that the limit strikes at the same byte however the
// stream is split.
func (p *Parser) section(b []byte, i int, h Handler) (int, *Error) {
	b = b[:min(len(b), i+p.lim.Head-p.head)]
	from := i
	var err *Error
	if p.state <= stLineLF {
		i, err = p.requestLine(b, i, h)
	} else {
		i, err = p.fieldLine(b, i, h)
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
