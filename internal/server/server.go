// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/lifetrace/lifetrace/internal/stamp"
)

// Server serves HTTP/1.1 on one address.
type Server struct {
	opts    Options
	addr    netip.AddrPort
	backlog int
	workers []*worker
	pool    pool

	wg      sync.WaitGroup // loop threads
	started atomic.Bool
	done    chan struct{} // closed when all loops have ended

	mu  sync.Mutex
	err error // the first loop's failure

	accepted, open, refused atomic.Uint64
}

// Stats are counters since the start.
type Stats struct {
	Accepted uint64 // connections
	Open     uint64 // of them, now
	Refused  uint64 // connections closed at once: descriptors had run out, or Options.MaxConnections was reached
}

// New returns a server whose address is taken; it listens once it is started.
// So whoever traces it knows its port before the first connection.
func New(opts Options) (*Server, error) {
	opts = opts.withDefaults()
	if opts.Handler == nil {
		return nil, errors.New("server: no handler")
	}
	s := &Server{opts: opts, done: make(chan struct{})}
	s.pool.max = opts.Workers
	addr, err := parseListen(opts.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", opts.Listen, err)
	}
	if n, ok := opts.Handler.(Namer); ok {
		n.UseNames(opts.Names)
	}
	for i := range opts.Loops {
		fd, bound, err := bind(addr, opts.Loops > 1)
		if err != nil {
			s.closeWorkers()
			return nil, fmt.Errorf("listen on %q: %w", opts.Listen, err)
		}
		addr, s.addr = bound, userAddr(bound) // the other loops take the same port
		var ring *stamp.Ring
		if opts.Rings != nil {
			ring = opts.Rings(i)
		}
		w, err := newWorker(s, i, fd, bound, ring)
		if err != nil {
			s.closeWorkers()
			return nil, fmt.Errorf("loop %d: %w", i, err)
		}
		s.workers = append(s.workers, w)
	}
	s.backlog = effectiveBacklog()
	return s, nil
}

func (s *Server) closeWorkers() {
	for _, w := range s.workers {
		w.close()
	}
}

// Addr returns the address that the server has. The unspecified address is
// [::] when it means IPv4 too.
func (s *Server) Addr() netip.AddrPort { return s.addr }

// Backlog returns the limit of the accept queue: what is asked for, cut by
// the kernel to net.core.somaxconn.
func (s *Server) Backlog() int { return s.backlog }

// Names returns the table of the names in stamps.
func (s *Server) Names() *stamp.Names { return s.opts.Names }

// Stats may be called from any goroutine.
func (s *Server) Stats() Stats {
	return Stats{Accepted: s.accepted.Load(), Open: s.open.Load(), Refused: s.refused.Load()}
}

// Start listens and begins to serve. It returns at once.
func (s *Server) Start() error {
	if !s.started.CompareAndSwap(false, true) {
		return errors.New("server: started before")
	}
	if err := s.listen(); err != nil {
		s.closeWorkers()
		close(s.done)
		return err
	}
	for _, w := range s.workers {
		s.wg.Go(func() {
			if err := w.run(); err != nil {
				s.mu.Lock()
				if s.err == nil {
					s.err = fmt.Errorf("loop %d: %w", w.index, err)
				}
				s.mu.Unlock()
			}
		})
	}
	go func() {
		s.wg.Wait()
		close(s.done)
	}()
	return nil
}

func (s *Server) listen() error {
	for _, w := range s.workers {
		if err := unix.Listen(w.listener.FD, backlog); err != nil {
			return fmt.Errorf("listen on %q: %w", s.opts.Listen, err)
		}
	}
	return nil
}

// Run serves until ctx is done, then shuts down gracefully within
// Options.ShutdownTimeout.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Start(); err != nil {
		return err
	}
	select {
	case <-s.done:
		return s.loopErr()
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opts.ShutdownTimeout)
	defer cancel()
	return s.Shutdown(grace)
}

// Shutdown stops accepting, closes idle connections, lets running exchanges
// finish and sends every byte of their responses. When ctx is done before
// that, what is left is aborted and ctx's error returned.
func (s *Server) Shutdown(ctx context.Context) error {
	if !s.started.Load() {
		// Nothing runs: only the listeners are to be closed, once.
		if s.started.CompareAndSwap(false, true) {
			s.closeWorkers()
			close(s.done)
		}
		return nil
	}
	for _, w := range s.workers {
		w.loop.Post(w.drain)
	}
	select {
	case <-s.done:
		return s.loopErr()
	case <-ctx.Done():
	}
	for _, w := range s.workers {
		w.loop.Post(w.abort)
	}
	// A handler that blocks its loop cannot be aborted, so nobody waits.
	return fmt.Errorf("shut down: %w", ctx.Err())
}

// Done is closed when all loops have ended.
func (s *Server) Done() <-chan struct{} { return s.done }

func (s *Server) loopErr() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
