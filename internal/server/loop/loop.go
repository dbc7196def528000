// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/lifetrace/lifetrace/internal/clock"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// maxEvents is how many events one epoll_wait may return, as in libuv.
const maxEvents = 1024

// Loop is an event loop. It belongs to the goroutine that calls Run.
type Loop struct {
	epfd int
	ring *stamp.Ring // nil: no stamps

	now     int64 // loop time: read once per poll and once per iteration
	fresh   bool  // nothing ran since l.now was read
	stopped bool

	events  []unix.EpollEvent
	watches []*Watch // by descriptor
	gen     int32
	timers  timers

	pending, check, closing queue[entry]
	ticks, microtasks       queue[func()]
	after                   queue[Task]

	wake Watch // the eventfd that Post writes

	mu      sync.Mutex // guards what follows
	jobs    []func()
	running []func() // spare memory for jobs
	woken   bool
	closed  bool
}

// New returns a loop that puts its stamps into ring, which may be nil.
func New(ring *stamp.Ring) (*Loop, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	wakefd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(epfd)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	l := &Loop{
		epfd: epfd, ring: ring, now: clock.Now(),
		events: make([]unix.EpollEvent, maxEvents),
		timers: timers{lists: map[int64]*timerList{}},
	}
	l.wake = Watch{FD: wakefd, Kind: stamp.OnJob, Handler: jobsHandler{l}}
	if err := l.Add(&l.wake, unix.EPOLLIN); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Run runs the loop until Stop is called or epoll fails. The caller locks the
// goroutine to its thread if the thread is to be traced.
func (l *Loop) Run() error {
	l.now = clock.Now()
	l.runTimers()
	for !l.stopped {
		l.phase(&l.pending, stamp.OnOther)
		if err := l.poll(); err != nil {
			return err
		}
		l.phase(&l.check, stamp.OnOther)
		l.phase(&l.closing, stamp.OnClose)
		l.now = clock.Now()
		l.runTimers()
	}
	return nil
}

// Stop ends Run after the present iteration.
func (l *Loop) Stop() { l.stopped = true }

// Close releases the loop's descriptors after Run has returned. Jobs that did
// not run are dropped.
func (l *Loop) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	l.jobs = nil
	_ = unix.Close(l.wake.FD)
	_ = unix.Close(l.epfd)
}

// Now returns the loop's time, ns of CLOCK_MONOTONIC: when the present
// iteration began or its poll returned, not the present instant.
func (l *Loop) Now() int64 { return l.now }

// begin stamps the beginning of a callback.
func (l *Loop) begin(kind stamp.Callback, conn uint64) {
	if l.ring == nil {
		return
	}
	at := l.now
	if !l.fresh {
		at = clock.Now()
	}
	l.fresh = false
	l.ring.Put(at, stamp.CallbackBegin, conn, 0, uint16(kind), 0, 0)
}
