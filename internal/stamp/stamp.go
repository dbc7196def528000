// SPDX-License-Identifier: Apache-2.0

package stamp

// Stamp is one step of a server.
type Stamp struct {
	At       int64  // ns of CLOCK_MONOTONIC
	Conn     uint64 // socket cookie (SO_COOKIE); 0 for what has no connection
	A, B     uint64 // as the code says
	Exchange uint32 // counted from 0 on each connection
	Code     Code
	Aux      uint16 // as the code says
}

// Code says which step a stamp is.
type Code uint16

// The steps. "off" means a byte offset of the connection's receive or send
// stream, counted from 0.
const (
	_ Code = iota

	// The loop. Conn is 0.

	// PollEnter: the loop is about to call epoll_wait. Aux is 1 if it may
	// sleep. From here the loop is idle until PollReturn.
	PollEnter
	// PollReturn: epoll_wait returned; A is the number of events.
	PollReturn
	// CallbackBegin: the loop begins a callback. Conn is the connection it
	// is for, 0 for others (listener, timer, job). Aux is a Callback. The
	// loop is in that callback until the next CallbackBegin or PollEnter.
	CallbackBegin

	// The connection. Exchange is 0.

	// Accepted: accept4 returned; A is the fd. The first stamp of a connection.
	Accepted
	// Peer and Local: the addresses; A and B are the 16 bytes of the address
	// in network order (IPv4 as ::ffff:a.b.c.d), big-endian; Aux is the port.
	Peer
	Local
	// Connection: the 'connection' event is emitted.
	Connection
	// ParserAttached: the parser is ready for the first byte.
	ParserAttached
	// Closed: the connection is closed by the server; the last stamp of a
	// connection. Aux is a CloseReason, A the bytes read, B the bytes sent.
	Closed

	// The streams of a connection. Exchange is the one being read, or the
	// first one with unsent bytes.

	// RecvReturn: a recv returned bytes; A is the receive off after it, B
	// how many bytes it returned (0: the client's FIN).
	RecvReturn
	// SendBegin: a send is about to be called; A is the send off of its first
	// byte, B how many bytes are handed over.
	SendBegin
	// SendReturn: it returned; A is the send off after it, B how many bytes
	// were accepted. If A is short of what SendBegin announced the send
	// buffer is full, and the rest waits for EPOLLOUT.
	SendReturn

	// The exchange.

	// MessageBegin: the parser saw the first byte of a request; A is its
	// receive off (r0).
	MessageBegin
	// Method and Target: text (see PutText). Target has its query values
	// redacted by whoever stamps.
	Method
	Target
	// HeadersComplete: A is the receive off after the head (rh). B is
	// HTTP major<<8 | minor. Aux is 1 if content follows.
	HeadersComplete
	// Request: the 'request' event; user code is entered next.
	Request
	// Route: a route matched; Aux is the name id of its template.
	Route
	// LayerEnter, LayerNext, LayerReturn: a layer is called, calls next, and
	// returns. Aux is the layer's name id. In LayerEnter A is a LayerKind;
	// in LayerNext A is 1 if an error is passed. Enter and Return nest; Next
	// comes in between them, or after Return for a layer that calls next
	// later.
	LayerEnter
	LayerNext
	LayerReturn
	// BodyComplete: the request is complete; A is the receive off after it
	// (r1).
	BodyComplete
	// AsyncBegin: a handler gave work away and will answer later.
	AsyncBegin
	// AsyncResume: the loop runs what waits for that work.
	AsyncResume
	// ComposeBegin: composing the response head begins.
	ComposeBegin
	// HeadComposed: the head is composed; A is the status.
	HeadComposed
	// ResponseEnd: End was called: no more content will come.
	ResponseEnd
	// Finish: the whole response is in the connection's send stream, at
	// [A, B) (t0, t1), sent or not.
	Finish
	// BackpressureBegin: a write of this response returned false.
	BackpressureBegin
	// Drain: the 'drain' event of this response.
	Drain
	// KeepAliveReset: the exchange is over for the server and the parser is
	// ready for the next one.
	KeepAliveReset
	// Aborted: the exchange will never finish; Aux is a CloseReason.
	Aborted

	// Gap: the ring was full; A stamps were lost before this one. Conn is 0.
	Gap

	numCodes
)

// Callback says what a callback is for.
type Callback uint16

// The callbacks.
const (
	OnAccept Callback = 1 + iota
	OnReadable
	OnWritable
	OnTimer
	OnJob // work off the loop has come back
	OnClose
	OnOther
)

// LayerKind says what kind of layer is entered.
type LayerKind uint8

// The kinds of layer.
const (
	Middleware LayerKind = 1 + iota
	BodyParser
	Handler
	ErrorHandler
)

// CloseReason says why a connection or an exchange ended.
type CloseReason uint16

// The reasons.
const (
	CloseNone        CloseReason = iota
	ClosePeerFIN                 // the client closed after complete exchanges
	CloseByServer                // Connection: close, HTTP/1.0, or a limit on requests
	ClosePeerReset               // ECONNRESET, EPIPE
	CloseParseError              // the request was refused with a 4xx or 5xx
	CloseIdleTimeout             // keep-alive time is over
	CloseTimeout                 // head or request did not come in time
	CloseShutdown                // the server stops
	CloseError                   // any other error of a system call
)

var closeReasons = [...]string{"", "peer_fin", "by_server", "peer_reset", "parse_error", "idle_timeout", "timeout", "shutdown", "error"}

func (r CloseReason) String() string {
	if int(r) < len(closeReasons) {
		return closeReasons[r]
	}
	return "reason?"
}

var codeNames = [numCodes]string{
	"", "poll_enter", "poll_return", "callback_begin",
	"accepted", "peer", "local", "connection", "parser_attached", "closed",
	"recv_return", "send_begin", "send_return",
	"message_begin", "method", "target", "headers_complete", "request", "route",
	"layer_enter", "layer_next", "layer_return", "body_complete",
	"async_begin", "async_resume", "compose_begin", "head_composed", "response_end", "finish",
	"backpressure_begin", "drain", "keepalive_reset", "aborted", "gap",
}

func (c Code) String() string {
	if c < numCodes {
		return codeNames[c]
	}
	return "code?"
}

// ParseCode is the inverse of Code.String; ok is false for an unknown name.
func ParseCode(name string) (c Code, ok bool) {
	for i, n := range codeNames {
		if n == name && n != "" {
			return Code(i), true
		}
	}
	return 0, false
}

// textBytes is how much text one stamp carries: At, A and B, little-endian.
const textBytes = 24

// MaxText is how much of a text is kept.
const MaxText = 512

// Text returns the part of a text that a Method or Target stamp carries. Aux
// is its length; a text longer than one stamp goes on in the next stamp of
// the same code, connection and exchange.
func (s *Stamp) Text(buf *[textBytes]byte) []byte {
	put(buf[0:8], uint64(s.At))
	put(buf[8:16], s.A)
	put(buf[16:24], s.B)
	return buf[:min(int(s.Aux), textBytes)]
}

// IsText reports whether the code's stamps carry text, and so no instant.
func (c Code) IsText() bool { return c == Method || c == Target }
