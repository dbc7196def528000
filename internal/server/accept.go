// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifetrace/lifetrace/internal/stamp"
)

// acceptPause is how long the listener rests when descriptors have run out and
// the reserve is of no help.
const acceptPause = 100 * time.Millisecond

// acceptor takes connections when the listener is ready.
type acceptor struct{ w *worker }

func (a acceptor) Ready(uint32) {
	for range acceptBatch {
		if !a.w.accept() {
			return
		}
	}
}

// accept takes one connection; false means that there is no further one now.
func (w *worker) accept() bool {
	fd, errno := accept4(w.listener.FD, &w.from)
	switch errno {
	case 0:
		if n := w.server.opts.MaxConnections; n > 0 && w.server.open.Load() >= uint64(n) {
			w.server.refused.Add(1)
			_ = unix.Close(fd)
			return true
		}
		w.connect(fd)
		return true
	case unix.EAGAIN:
		return false
	case unix.EMFILE, unix.ENFILE:
		return w.refuse(errno)
	case unix.EINTR, unix.ECONNABORTED, unix.EPROTO, unix.ENETDOWN, unix.ENOPROTOOPT,
		unix.EHOSTDOWN, unix.ENONET, unix.EHOSTUNREACH, unix.EOPNOTSUPP, unix.ENETUNREACH, unix.EPERM:
		// That connection failed before it was taken; accept(2) says to
		// go on with the next.
		return true
	}
	w.pauseAccept(errno)
	return false
}

// connect is the 'connection' event.
func (w *worker) connect(fd int) {
	at := w.stampNow()
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	if err != nil {
		// Without its identity a connection cannot be told from others.
		w.server.opts.ErrorLog(fmt.Errorf("socket cookie: %w", err))
		_ = unix.Close(fd)
		return
	}
	c := newConn(w, fd, cookie)
	if err := w.loop.Add(&c.watch, unix.EPOLLIN); err != nil {
		w.server.opts.ErrorLog(fmt.Errorf("accept: %w", err))
		_ = unix.Close(fd)
		return
	}
	c.interest = unix.EPOLLIN
	w.server.accepted.Add(1)
	w.server.open.Add(1)
	w.conns[c] = struct{}{}

	c.peer, c.local = w.from.addrPort(), w.local
	if !c.local.IsValid() && getsockname(fd, &w.from) == 0 {
		c.local = w.from.addrPort()
	}
	if w.ring != nil {
		w.ring.Put(at, stamp.Accepted, cookie, 0, 0, uint64(fd), 0)
		w.stampAddr(at, stamp.Peer, cookie, c.peer)
		w.stampAddr(at, stamp.Local, cookie, c.local)
		at = w.ring.Now(stamp.Connection, cookie, 0, 0, 0, 0)
		w.ring.Put(at, stamp.ParserAttached, cookie, 0, 0, 0, 0)
	}
	c.touch()
}

func (w *worker) stampAddr(at int64, code stamp.Code, cookie uint64, a netip.AddrPort) {
	if !a.IsValid() {
		return // the client was gone before it was asked for
	}
	b := a.Addr().As16()
	w.ring.Put(at, code, cookie, 0, a.Port(), binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:]))
}

// refuse takes a connection with the reserve descriptor and closes it.
func (w *worker) refuse(errno unix.Errno) bool {
	if w.reserve < 0 {
		w.pauseAccept(errno)
		return false
	}
	_ = unix.Close(w.reserve)
	w.reserve = -1
	fd, again := accept4(w.listener.FD, &w.from)
	if again == 0 {
		_ = unix.Close(fd)
		w.server.refused.Add(1)
	}
	if r, err := openReserve(); err == nil {
		w.reserve = r
	}
	switch again {
	case 0:
		return true
	case unix.EAGAIN: // it was taken by nobody else, so it has gone by itself
		return false
	}
	w.pauseAccept(again)
	return false
}

// pauseAccept stops polling the listener for a while.
func (w *worker) pauseAccept(errno unix.Errno) {
	w.server.opts.ErrorLog(fmt.Errorf("accept: %w; trying again in %v", errno, acceptPause))
	if err := w.loop.Modify(&w.listener, 0); err != nil {
		w.server.opts.ErrorLog(fmt.Errorf("accept: %w", err))
	}
	w.loop.Arm(&w.retry, acceptPause)
}

// resume is the end of that pause.
func (w *worker) resume() {
	if w.reserve < 0 {
		if r, err := openReserve(); err == nil {
			w.reserve = r
		}
	}
	if err := w.loop.Modify(&w.listener, unix.EPOLLIN); err != nil {
		w.server.opts.ErrorLog(fmt.Errorf("accept: %w", err))
	}
}
