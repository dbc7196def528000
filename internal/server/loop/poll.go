// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/lifetrace/lifetrace/internal/clock"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// Handler is called in the poll phase when its descriptor is ready. Events are
// the EPOLL bits.
type Handler interface{ Ready(events uint32) }

// Watch is a descriptor that the loop polls, level-triggered. It can be part of
// another struct and must not be copied while it is added.
type Watch struct {
	FD      int
	Handler Handler
	// Conn is the connection that callbacks are for, 0 for none.
	Conn uint64
	// Kind says what callbacks are for; 0 means OnReadable or OnWritable,
	// by the events.
	Kind stamp.Callback

	gen int32 // tells a descriptor from the one that had its number before
}

// Add starts to poll w for the events.
func (l *Loop) Add(w *Watch, events uint32) error {
	l.gen++
	w.gen = l.gen
	if err := l.ctl(unix.EPOLL_CTL_ADD, w, events); err != nil {
		return fmt.Errorf("watch descriptor %d: %w", w.FD, err)
	}
	for w.FD >= len(l.watches) {
		l.watches = append(l.watches, make([]*Watch, max(64, w.FD+1-len(l.watches)))...)
	}
	l.watches[w.FD] = w
	return nil
}

// Modify changes the events that w is polled for. With none, errors and
// hang-ups are still reported.
func (l *Loop) Modify(w *Watch, events uint32) error {
	if err := l.ctl(unix.EPOLL_CTL_MOD, w, events); err != nil {
		return fmt.Errorf("change watch of descriptor %d: %w", w.FD, err)
	}
	return nil
}

// Forget ends the polling of w, whose descriptor the caller closes next: that
// takes it out of the epoll set without another system call. Events that
// were returned already are dropped.
func (l *Loop) Forget(w *Watch) {
	if l.watched(w) {
		l.watches[w.FD] = nil
	}
}

// watched reports whether w was added and not forgotten.
func (l *Loop) watched(w *Watch) bool { return w.FD < len(l.watches) && l.watches[w.FD] == w }

func (l *Loop) ctl(op int, w *Watch, events uint32) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(w.FD), Pad: w.gen}
	// epoll_ctl cannot block.
	if _, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(l.epfd), uintptr(op), uintptr(w.FD),
		uintptr(unsafe.Pointer(&ev)), 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// poll waits for events and handles them. The wait has two parts: what is ready
// now is taken by a raw system call, which cannot block with a timeout of 0 and
// costs less; only an idle loop makes the call that the Go runtime is told
// of.
func (l *Loop) poll() error {
	wait := l.timeout()
	enter := int64(0)
	if l.ring != nil {
		enter = clock.Now()
	}
	n, errno := l.epoll(false, 0)
	if n == 0 && errno == 0 && wait != 0 {
		l.ring.Put(enter, stamp.PollEnter, 0, 0, 1, 0, 0)
		n, errno = l.epoll(true, wait)
		l.now = clock.Now()
		l.ring.Put(l.now, stamp.PollReturn, 0, 0, 0, uint64(n), 0)
	} else {
		l.now = clock.Now()
		if n > 0 { // an empty look is not worth two stamps
			l.ring.Put(enter, stamp.PollEnter, 0, 0, 0, 0, 0)
			l.ring.Put(l.now, stamp.PollReturn, 0, 0, 0, uint64(n), 0)
		}
	}
	if errno != 0 && errno != unix.EINTR {
		return fmt.Errorf("epoll_wait: %w", errno)
	}
	l.fresh = true
	for i := range n {
		l.dispatch(&l.events[i])
	}
	l.fresh = false
	return nil
}

// epoll returns the number of events, 0 with every error.
func (l *Loop) epoll(block bool, ms int) (int, unix.Errno) {
	var n uintptr
	var errno unix.Errno
	args := [4]uintptr{uintptr(l.epfd), uintptr(unsafe.Pointer(&l.events[0])), uintptr(len(l.events)), uintptr(ms)}
	if block {
		n, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT, args[0], args[1], args[2], args[3], 0, 0)
	} else {
		n, _, errno = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, args[0], args[1], args[2], args[3], 0, 0)
	}
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

func (l *Loop) dispatch(ev *unix.EpollEvent) {
	w := l.watches[ev.Fd]
	if w == nil || w.gen != ev.Pad {
		return // an earlier callback of this batch closed it
	}
	kind := w.Kind
	if kind == 0 {
		kind = stamp.OnReadable
		if ev.Events&(unix.EPOLLIN|unix.EPOLLOUT) == unix.EPOLLOUT {
			kind = stamp.OnWritable
		}
	}
	l.begin(kind, w.Conn)
	w.Handler.Ready(ev.Events)
	l.drain()
}

// timeout is how long poll may wait, ms; -1 for as long as it takes.
func (l *Loop) timeout() int {
	if l.stopped || l.pending.len() > 0 || l.check.len() > 0 || l.closing.len() > 0 {
		return 0
	}
	at, ok := l.timers.next()
	if !ok {
		return -1
	}
	d := at - l.now
	if d <= 0 {
		return 0
	}
	// Rounded up: waking early would mean spinning until the time has come.
	ms := (d + int64(time.Millisecond) - 1) / int64(time.Millisecond)
	return int(min(ms, 1<<30))
}
