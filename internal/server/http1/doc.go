// SPDX-License-Identifier: Apache-2.0

// Package http1 parses HTTP/1.1 requests, and responses, incrementally.
//
// A Parser is a state machine that is fed a connection's bytes in chunks of any
// size and calls back what it finds, as llhttp does (docs/conformance.md has the
// comparison). It keeps nothing of a chunk, never goes back to one, and
// allocates nothing: a name or a value that two chunks share is called back in
// parts, and joining them is the caller's business. Wherever the stream is
// split, the callbacks (with the parts joined), the offsets and the error are
// the same.
//
// It is as strict as RFC 9112 allows, because whatever two parsers read
// differently is a way to smuggle a request past one of them: CRLF alone ends a
// line; no obs-fold; no whitespace before the colon; exactly one Host in
// HTTP/1.1; Content-Length once and digits only; Transfer-Encoding once, exactly
// "chunked", only in HTTP/1.1, and never with Content-Length. After an error the
// parser takes nothing more: the connection has to be closed, as nobody knows
// where the next request begins. What may be let pass all the same has a name
// each, and is off: see Leniency.
//
// It is fast because each state takes its whole run of bytes at once, 8 at a
// time (tables.go), and a line that lies within a chunk goes through all its
// states without leaving one loop (fields.go).
//
// Offsets count the bytes of the connection from 0 in 64 bits.
package http1
