// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/lifetrace/lifetrace/internal/clock"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newLoop(t *testing.T, ring *stamp.Ring) *Loop {
	t.Helper()
	l, err := New(ring)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// record runs a loop that start has set up, until something calls Stop.
func record(t *testing.T, start func(l *Loop, log func(string))) string {
	t.Helper()
	l := newLoop(t, nil)
	var got []string
	start(l, func(s string) { got = append(got, s) })
	if err := l.Run(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(got, " ")
}

type taskFunc func()

func (f taskFunc) Run() { f() }

func TestPhases(t *testing.T) {
	got := record(t, func(l *Loop, log func(string)) {
		l.Post(func() {
			log("poll")
			l.SetImmediate(func() { log("check") })
			l.Closing(func() { log("close") })
			l.Pending(nil, func() {
				log("pending")
				l.SetTimeout(0, func() {
					log("timer")
					l.Stop()
				})
			})
		})
	})
	if want := "poll check close pending timer"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Ticks come before microtasks, those before after-callback tasks, and all of
// them before the next callback.
func TestQueuesAfterACallback(t *testing.T) {
	got := record(t, func(l *Loop, log func(string)) {
		l.Post(func() {
			log("callback")
			l.After(taskFunc(func() {
				log("after")
				l.NextTick(func() { log("tick3") })
			}))
			l.Microtask(func() {
				log("micro")
				l.NextTick(func() { log("tick2") })
			})
			l.NextTick(func() {
				log("tick1")
				l.Microtask(func() { log("micro2") })
			})
		})
		l.Post(func() {
			log("next")
			l.Stop()
		})
	})
	if want := "callback tick1 micro tick2 micro2 after tick3 next"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What a phase adds to itself waits for the next iteration.
func TestImmediateAddsImmediate(t *testing.T) {
	got := record(t, func(l *Loop, log func(string)) {
		l.SetImmediate(func() {
			log("1")
			l.SetImmediate(func() {
				log("3")
				l.Stop()
			})
			l.Closing(func() { log("2") })
		})
	})
	if want := "1 2 3"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTimersInOrder(t *testing.T) {
	got := record(t, func(l *Loop, log func(string)) {
		l.SetTimeout(6*time.Millisecond, func() {
			log("e")
			l.Stop()
		})
		l.SetTimeout(2*time.Millisecond, func() { log("b") })
		l.SetTimeout(4*time.Millisecond, func() { log("d") })
		l.SetTimeout(2*time.Millisecond, func() { log("c") })
		l.SetTimeout(-time.Second, func() { log("a") })
		never := l.SetTimeout(3*time.Millisecond, func() { log("never") })
		l.Disarm(never)
		l.Disarm(never)
		if never.Armed() {
			t.Error("armed after Disarm")
		}
	})
	if want := "a b c d e"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A timer is never early, by the clock that is not the loop's.
func TestTimerIsNotEarly(t *testing.T) {
	l := newLoop(t, nil)
	for _, d := range []time.Duration{time.Millisecond, 1500 * time.Microsecond, 7 * time.Millisecond} {
		l.SetTimeout(d, func() {
			begin := clock.Now()
			l.now = begin
			l.SetTimeout(d, func() {
				if passed := clock.Now() - begin; passed < int64(d) {
					t.Errorf("%v passed, want %v", time.Duration(passed), d)
				}
				if len(l.timers.heap) == 0 {
					l.Stop()
				}
			})
		})
	}
	if err := l.Run(); err != nil {
		t.Fatal(err)
	}
}

// Arming a timer again puts it off, whether or not the length is the same.
func TestTimerArmedAgain(t *testing.T) {
	got := record(t, func(l *Loop, log func(string)) {
		a := &Timer{F: func() { log("a") }}
		b := &Timer{F: func() {
			log("b")
			l.Stop()
		}}
		l.Arm(a, 5*time.Millisecond)
		l.Arm(b, time.Millisecond)
		l.Arm(b, 8*time.Millisecond)
		again := 0
		var tick func()
		tick = func() {
			if again++; again < 3 {
				l.Arm(a, 5*time.Millisecond)
				l.SetTimeout(time.Millisecond, tick)
			}
		}
		l.SetTimeout(time.Millisecond, tick)
		l.SetTimeout(5*time.Millisecond, func() { log("mark") })
	})
	if !strings.HasPrefix(got, "mark a") || !strings.HasSuffix(got, "b") || len(got) != len("mark a b") {
		t.Errorf("got %q, want the mark first, b last", got)
	}
}

func TestArmingAllocatesNothing(t *testing.T) {
	l := newLoop(t, nil)
	var a, b Timer
	l.Arm(&b, time.Second)
	if n := testing.AllocsPerRun(100, func() {
		l.Arm(&a, time.Second)
		l.Arm(&a, time.Second)
		l.Disarm(&a)
		l.Arm(&a, time.Minute)
		l.Disarm(&a)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestPost(t *testing.T) {
	l := newLoop(t, nil)
	const n, each = 8, 500
	total := 0
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for range each {
				if !l.Post(func() {
					if total++; total == n*each {
						l.Stop()
					}
				}) {
					t.Error("not taken")
				}
			}
		})
	}
	if err := l.Run(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if total != n*each {
		t.Errorf("%d jobs ran, want %d", total, n*each)
	}
	l.Close()
	l.Close()
	if l.Post(func() {}) {
		t.Error("a closed loop takes a job")
	}
}

type readyFunc func(uint32)

func (f readyFunc) Ready(events uint32) { f(events) }

func socketpair(t *testing.T) (a, b int) {
	t.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return p[0], p[1]
}

// An event of a descriptor that an earlier callback of the same batch has
// closed is dropped, even if its number is in use again.
func TestStaleEvent(t *testing.T) {
	l := newLoop(t, nil)
	a1, a2 := socketpair(t)
	b1, b2 := socketpair(t)
	ran := 0
	var watches [2]Watch
	// Whichever comes first closes the other and opens a descriptor, which
	// gets the other's number.
	first := func(own, other *Watch) readyFunc {
		return func(uint32) {
			if ran++; ran > 1 {
				t.Error("a stale event was delivered")
			}
			l.Forget(other)
			_ = unix.Close(other.FD)
			fd, err := unix.Dup(own.FD)
			if err != nil || fd != other.FD {
				t.Errorf("descriptor %d, %v, want %d", fd, err, other.FD)
			}
			w := &Watch{FD: fd, Handler: readyFunc(func(uint32) { t.Error("the new descriptor got the old one's event") })}
			if err := l.Add(w, 0); err != nil {
				t.Error(err)
			}
			l.Forget(own)
			l.Stop()
		}
	}
	watches[0] = Watch{FD: a1, Handler: first(&watches[0], &watches[1])}
	watches[1] = Watch{FD: b1, Handler: first(&watches[1], &watches[0])}
	for i, peer := range []int{a2, b2} {
		if err := l.Add(&watches[i], unix.EPOLLIN); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Write(peer, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Run(); err != nil {
		t.Fatal(err)
	}
	if ran != 1 {
		t.Errorf("%d callbacks, want 1", ran)
	}
	for _, fd := range []int{a1, a2, b1, b2} {
		_ = unix.Close(fd)
	}
}

func TestWatchErrors(t *testing.T) {
	l := newLoop(t, nil)
	w := Watch{FD: -1}
	if err := l.Add(&w, unix.EPOLLIN); err == nil || !strings.Contains(err.Error(), "watch descriptor -1: bad file descriptor") {
		t.Errorf("add: %v", err)
	}
	if err := l.Modify(&w, unix.EPOLLIN); err == nil || !strings.Contains(err.Error(), "change watch of descriptor -1") {
		t.Errorf("modify: %v", err)
	}
	w.FD = 1 << 20
	l.Forget(&w) // never added
	closed := newLoop(t, nil)
	closed.Close()
	if err := closed.Run(); err == nil || !strings.Contains(err.Error(), "epoll_wait: bad file descriptor") {
		t.Errorf("run: %v", err)
	}
}

// What the loop stamps: PollEnter and PollReturn in pairs, none for a look that
// found nothing, and a CallbackBegin for each callback.
func TestStamps(t *testing.T) {
	ring := stamp.NewRing(1 << 10)
	l := newLoop(t, ring)
	a, b := socketpair(t)
	defer func() { _ = unix.Close(b) }()
	w := &Watch{FD: a, Conn: 77}
	step := 0
	w.Handler = readyFunc(func(uint32) {
		switch step++; step {
		case 1:
			if err := l.Modify(w, unix.EPOLLOUT); err != nil {
				t.Error(err)
			}
		case 2:
			if err := l.Modify(w, 0); err != nil {
				t.Error(err)
			}
			l.Pending(w, func() {
				l.Forget(w)
				_ = unix.Close(a)
				l.SetImmediate(func() { l.Closing(l.Stop) })
				l.Arm(&Timer{Conn: 79, F: func() {}}, time.Millisecond)
			})
			l.Pending(w, func() { t.Error("ran for a watch that was forgotten") })
		}
	})
	if err := l.Add(w, unix.EPOLLIN); err != nil {
		t.Fatal(err)
	}
	l.SetTimeout(2*time.Millisecond, func() {
		if _, err := unix.Write(b, []byte("x")); err != nil {
			t.Error(err)
		}
	})
	if err := l.Run(); err != nil {
		t.Fatal(err)
	}
	var got []string
	at := int64(0)
	ring.Read(func(s *stamp.Stamp) {
		if s.At < at {
			t.Errorf("%s: time goes back", s.Code)
		}
		at = s.At
		text := s.Code.String()
		switch s.Code {
		case stamp.PollEnter:
			text += map[uint16]string{0: "", 1: ":sleep"}[s.Aux]
		case stamp.PollReturn:
			text += map[uint64]string{0: ":0", 1: ":1"}[s.A]
		case stamp.CallbackBegin:
			text = map[stamp.Callback]string{
				stamp.OnReadable: "readable", stamp.OnWritable: "writable",
				stamp.OnTimer: "timer", stamp.OnOther: "other", stamp.OnClose: "close",
			}[stamp.Callback(s.Aux)] + ":" + map[uint64]string{0: "0", 77: "77", 79: "79"}[s.Conn]
		}
		got = append(got, text)
	})
	want := "poll_enter:sleep poll_return:0 timer:0 poll_enter poll_return:1 readable:77 poll_enter poll_return:1 writable:77 " +
		"other:77 other:0 close:0"
	if g := strings.Join(got, " "); g != want {
		t.Errorf("got  %s\nwant %s", g, want)
	}
}
