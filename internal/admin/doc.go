// SPDX-License-Identifier: Apache-2.0

// Package admin serves the admin endpoint: metrics, health, and the timelines
// that a window holds.
//
// It only reads, and it is meant for loopback. A web page of another site that
// a user of this host has open can still send requests to loopback; three
// things keep it from reading anything. The Host header must name this host
// (guard.go), so that a foreign name that was made to resolve to 127.0.0.1 gets
// nothing; no answer carries a CORS header; and none may be framed, sniffed or
// stored.
package admin
