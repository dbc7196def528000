// SPDX-License-Identifier: Apache-2.0

package http1

// Code names an error as llhttp does.
type Code uint8

// The errors' names.
const (
	CRExpected Code = 1 + iota
	LFExpected
	InvalidMethod
	UnknownMethod
	InvalidURL
	URLOverflow
	InvalidVersion
	UnknownVersion
	InvalidHeaderToken
	InvalidHeaderValue
	HeaderOverflow
	InvalidHost
	InvalidContentLength
	UnexpectedContentLength
	InvalidTransferEncoding
	UnknownTransferEncoding
	InvalidChunkSize
	ChunkExtensionsOverflow
	InvalidTrailer
	InvalidStatus
	ClosedConnection
	InvalidEOFState
	numCodes
)

var codeNames = [numCodes]string{
	"", "CR_EXPECTED", "LF_EXPECTED", "INVALID_METHOD", "UNKNOWN_METHOD", "INVALID_URL", "URL_OVERFLOW",
	"INVALID_VERSION", "UNKNOWN_VERSION", "INVALID_HEADER_TOKEN", "INVALID_HEADER_VALUE", "HEADER_OVERFLOW",
	"INVALID_HOST", "INVALID_CONTENT_LENGTH", "UNEXPECTED_CONTENT_LENGTH", "INVALID_TRANSFER_ENCODING",
	"UNKNOWN_TRANSFER_ENCODING", "INVALID_CHUNK_SIZE", "CHUNK_EXTENSIONS_OVERFLOW", "INVALID_TRAILER",
	"INVALID_STATUS", "CLOSED_CONNECTION", "INVALID_EOF_STATE",
}

func (c Code) String() string {
	if c < numCodes {
		return codeNames[c]
	}
	return ""
}

// Error is why a parser refuses its input. Errors are made once: comparing
// pointers is enough.
type Error struct {
	Code   Code
	Reason string
	// Status is the HTTP status that answers the request. A gateway answers
	// 502 whatever is wrong with a response.
	Status int
}

func (e *Error) Error() string { return e.Reason }

// The errors.
var (
	errStartLF       = &Error{LFExpected, "bare CR before the start line", 400}
	errStartCR       = &Error{CRExpected, "bare LF before the start line", 400}
	errMethod        = &Error{InvalidMethod, "invalid character in the method", 400}
	errMethodUnknown = &Error{UnknownMethod, "unknown method", 501}
	errURL           = &Error{InvalidURL, "invalid request target", 400}
	errURLLong       = &Error{URLOverflow, "request target too long", 414}
	errVersion       = &Error{InvalidVersion, "invalid HTTP version", 400}
	errVersionOther  = &Error{UnknownVersion, "HTTP version not supported", 505}
	errLineCR        = &Error{CRExpected, "missing CR after the version", 400}
	errStatus        = &Error{InvalidStatus, "invalid status code", 502}
	errReason        = &Error{InvalidStatus, "invalid character in the reason phrase", 502}
	errStatusLF      = &Error{LFExpected, "missing LF after the reason phrase", 502}
	errLineLF        = &Error{LFExpected, "missing LF after the version", 400}
	errName          = &Error{InvalidHeaderToken, "invalid character in a field name", 400}
	errNameEmpty     = &Error{InvalidHeaderToken, "empty field name", 400}
	errFold          = &Error{InvalidHeaderToken, "line folding", 400}
	errValue         = &Error{InvalidHeaderValue, "invalid character in a field value", 400}
	errValueCR       = &Error{CRExpected, "missing CR after a field value", 400}
	errValueLF       = &Error{LFExpected, "missing LF after a field value", 400}
	errHeadLF        = &Error{LFExpected, "missing LF after the field section", 400}
	errHeadLong      = &Error{HeaderOverflow, "field section too long", 431}
	errFieldsMany    = &Error{HeaderOverflow, "too many fields", 431}
	errHost          = &Error{InvalidHost, "invalid Host", 400}
	errHostMissing   = &Error{InvalidHost, "missing Host", 400}
	errHostTwice     = &Error{InvalidHost, "more than one Host", 400}
	errLength        = &Error{InvalidContentLength, "invalid Content-Length", 400}
	errLengthTwice   = &Error{UnexpectedContentLength, "more than one Content-Length", 400}
	errLengthCoding  = &Error{UnexpectedContentLength, "Content-Length with Transfer-Encoding", 400}
	errCodingTwice   = &Error{InvalidTransferEncoding, "more than one Transfer-Encoding", 400}
	errCodingVersion = &Error{InvalidTransferEncoding, "Transfer-Encoding in HTTP/1.0", 400}
	errCoding        = &Error{UnknownTransferEncoding, "transfer coding is not chunked", 501}
	errChunkSize     = &Error{InvalidChunkSize, "invalid chunk size", 400}
	errChunkLF       = &Error{LFExpected, "missing LF after the chunk size", 400}
	errChunkDataCR   = &Error{CRExpected, "missing CR after chunk data", 400}
	errChunkDataLF   = &Error{LFExpected, "missing LF after chunk data", 400}
	errChunkExt      = &Error{InvalidChunkSize, "invalid chunk extension", 400}
	errChunkExtLong  = &Error{ChunkExtensionsOverflow, "chunk extensions too long", 413}
	errTrailer       = &Error{InvalidTrailer, "framing field in the trailer section", 400}
	errClosed        = &Error{ClosedConnection, "data after the last request", 400}
	errEOF           = &Error{InvalidEOFState, "the stream ends within a request", 400}
)
