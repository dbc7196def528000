// SPDX-License-Identifier: Apache-2.0

// Package server is an epoll-based HTTP/1.1 server that is built the way
// Node.js is built, so that each step of a request's lifecycle is a place in
// the code and can be stamped there.
//
// A Server has one or more event loops (package loop), each on a thread of its
// own. A connection (conn.go) belongs to one loop. What it receives (read.go)
// is fed to a parser (package http1), whose callbacks (message.go) build an
// exchange (exchange.go): a Request and a Response. The handler runs on the
// loop when the head is complete. A Response (response.go, head.go) is a
// writable stream: what is written goes into the connection's send stream in
// the order of the requests, and at the end of the callback into the socket
// with as few sends as possible (write.go).
//
// What it answers is Node's byte for byte where RFC 9112 leaves it the choice:
// program nodetwin and docs/conformance.md hold it to that. A connection can
// leave HTTP (tunnel.go), and a peer that is too slow or a handler that heeds
// no backpressure can lose it (pace.go, timeout.go).
//
// Everything that belongs to a connection (Request, Response, their callbacks)
// may be touched on its loop only. Work that would block goes through Async.
//
// The stamps (package stamp) are the product: their order, nesting and offsets
// are part of this package's contract, and its tests check every run against
// that grammar. A nil ring costs a comparison per step.
package server
