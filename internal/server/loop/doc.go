// SPDX-License-Identifier: Apache-2.0

// Package loop is an event loop with libuv's phases.
//
// One goroutine, locked to its thread by the caller, runs everything:
//
//	┌──► pending   callbacks put off by the last iteration
//	│    poll      epoll: sockets, and jobs posted by other goroutines
//	│    check     SetImmediate
//	│    close     close callbacks
//	└─── timers    SetTimeout
//
// (Timers also run once before the first iteration.) After every callback the
// next-tick queue is drained, then the microtask queue, again until both are
// empty, and then the after-callback tasks run: that is where connections send
// what the callback produced.
//
// A callback that does not return keeps every other one waiting. That is the
// model, not a flaw: package server makes it visible.
//
// The loop stamps its own steps (package stamp) and measures time in
// nanoseconds of CLOCK_MONOTONIC. Only Post may be called from other
// goroutines.
package loop
