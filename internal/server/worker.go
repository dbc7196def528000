// SPDX-License-Identifier: Apache-2.0

package server

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifetrace/lifetrace/internal/server/loop"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

const (
	recvSize = 64 << 10 // what libuv reads at once

	// acceptBatch bounds the connections taken per readiness of the
	// listener, so that a flood of them does not starve the others.
	acceptBatch = 32

	// What a worker keeps for use again.
	maxSpareOut      = 64
	maxSpareExchange = 256
)

// worker is one loop thread with its listener and its connections.
type worker struct {
	server *Server
	index  int
	loop   *loop.Loop
	ring   *stamp.Ring

	listener loop.Watch
	// local is the listener's address, if that is every connection's.
	local     netip.AddrPort
	listening bool
	draining  bool
	// reserve is a descriptor to let go when there are no others, so that a
	// connection can be accepted and closed: level-triggered epoll would
	// report it for ever otherwise. -1 if it is lost.
	reserve int
	retry   loop.Timer // listens again after a pause

	conns map[*conn]struct{}
	// recvBuf is every connection's: what it holds is parsed before the next
	// recv.
	recvBuf   []byte
	from      rawAddr
	date      dateCache
	outs      [][]byte
	exchanges []*exchange
	target    []byte // scratch for the Target stamp
	answer    []byte // scratch for refusals
}

func newWorker(s *Server, index, fd int, bound netip.AddrPort, ring *stamp.Ring) (*worker, error) {
	l, err := loop.New(ring)
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	w := &worker{
		server: s, index: index, loop: l, ring: ring, reserve: -1, listening: true,
		conns:   map[*conn]struct{}{},
		recvBuf: make([]byte, recvSize),
	}
	w.listener = loop.Watch{FD: fd, Kind: stamp.OnAccept, Handler: acceptor{w}}
	w.retry.F = w.resume
	if !bound.Addr().IsUnspecified() {
		w.local = userAddr(bound)
	}
	if w.reserve, err = openReserve(); err != nil {
		w.close()
		return nil, fmt.Errorf("open reserve descriptor: %w", err)
	}
	if err := l.Add(&w.listener, unix.EPOLLIN); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func openReserve() (int, error) {
	return unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
}

// run is the loop thread.
func (w *worker) run() error {
	// The Go runtime makes an epoll set of its own when its first timer or
	// descriptor needs one, and dies if descriptors have run out by then.
	time.AfterFunc(time.Nanosecond, func() {})
	// The thread ends with the goroutine: it is never unlocked, so that no
	// other goroutine runs on a thread that is being traced as a loop.
	runtime.LockOSThread()
	defer w.close()
	if f := w.server.opts.OnThread; f != nil {
		f(w.index, unix.Gettid())
	}
	err := w.loop.Run()
	if err != nil {
		w.abort()
	}
	return err
}

// close releases the descriptors of a worker that does not run.
func (w *worker) close() {
	w.closeListener()
	if w.reserve >= 0 {
		_ = unix.Close(w.reserve)
		w.reserve = -1
	}
	w.loop.Close()
}

func (w *worker) closeListener() {
	if w.listening {
		w.listening = false
		w.loop.Forget(&w.listener)
		_ = unix.Close(w.listener.FD)
	}
}

// drain begins the graceful end: called on the loop by Shutdown.
func (w *worker) drain() {
	if w.draining {
		return
	}
	w.loop.Disarm(&w.retry)
	// Clients in the accept queue were told that they are connected: closing
	// the listener would reset them.
	for w.listening && w.accept() {
	}
	w.draining = true
	w.closeListener()
	for c := range w.conns {
		// A request may have arrived that the loop has not read yet.
		if c.idle() {
			c.read()
		}
		c.touch()
	}
	w.stopIfDone()
}

// abort ends what drain has not: called on the loop.
func (w *worker) abort() {
	w.draining = true
	w.closeListener()
	for c := range w.conns {
		c.destroy(stamp.CloseShutdown)
	}
	w.stopIfDone()
}

func (w *worker) stopIfDone() {
	if w.draining && len(w.conns) == 0 {
		w.loop.Stop()
	}
}
