// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"testing"

	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/stamp"
	"github.com/lifetrace/lifetrace/internal/timeline"
)

// pollsAt is a loop with polls that each sleep in [100n+10, 100n+90).
func pollsAt(n int64) *loop {
	l := newLoop(64)
	for i := range n {
		l.polls.push(poll{enter: i*100 + 10, ret: i*100 + 90})
	}
	return l
}

// Wakeups that are missing cast doubt on the polls that may have had them, and
// on no others.
func TestWakeupDoubt(t *testing.T) {
	const never = -1
	for name, tc := range map[string]struct {
		marks []mark.Mark
		lost  int // before which mark some were lost
		want  [4]timeline.Reasons
	}{
		"none":        {[]mark.Mark{{At: 50}, {At: 350}}, never, [4]timeline.Reasons{}},
		"merged":      {[]mark.Mark{{At: 50, Merged: 3, Last: 350}}, never, [4]timeline.Reasons{timeline.Merged, timeline.Merged, timeline.Merged, 0}},
		"merged one":  {[]mark.Mark{{At: 50, Merged: 1, Last: 350}}, never, [4]timeline.Reasons{}},
		"rest merged": {[]mark.Mark{{At: 150}, {Merged: 2, Last: 350}}, never, [4]timeline.Reasons{0, timeline.Merged, timeline.Merged, 0}},
		"lost":        {[]mark.Mark{{At: 150}, {At: 350}}, 1, [4]timeline.Reasons{0, timeline.Lost, timeline.Lost, 0}},
		"lost last":   {[]mark.Mark{{At: 250}}, 1, [4]timeline.Reasons{0, 0, timeline.Lost, timeline.Lost}},
	} {
		t.Run(name, func(t *testing.T) {
			l := pollsAt(4)
			lane := &l.threads[mark.Wakeup]
			for i, m := range tc.marks {
				lane.lost = i == tc.lost
				lane.add(m)
			}
			lane.lost = tc.lost == len(tc.marks)
			l.settle(1000)
			for i := range tc.want {
				if got := l.polls.at(uint64(i)).doubt; got != tc.want[i] {
					t.Errorf("poll %d: %v, want %v", i, got.Names(), tc.want[i].Names())
				}
			}
		})
	}
}

// Of a poll the last sleep counts: the wakeup that ended it and the run that
// came of it. A wakeup of a thread that is on a CPU ends no sleep.
func TestWakeups(t *testing.T) {
	for name, tc := range map[string]struct{ wakes, runs, returns, want []int64 }{
		"one":              {[]int64{30}, []int64{40}, nil, []int64{30, 40}},
		"back to sleep":    {[]int64{30, 60}, []int64{40, 70}, nil, []int64{60, 70}},
		"while on a CPU":   {[]int64{30, 60}, []int64{40}, nil, []int64{30, 40}},
		"twice before":     {[]int64{30, 35}, []int64{40}, nil, []int64{35, 40}},
		"without a wakeup": {nil, []int64{40}, nil, []int64{0, 0}},
		// The Go runtime may let the thread sleep between the system call's
		// return and its caller's.
		"after the return": {[]int64{30, 60}, []int64{40, 70}, []int64{50}, []int64{30, 40}},
	} {
		l := pollsAt(1)
		for _, at := range tc.returns {
			l.threads[mark.PollReturn].add(mark.Mark{At: at})
		}
		for _, at := range tc.wakes {
			l.threads[mark.Wakeup].add(mark.Mark{At: at})
		}
		for _, at := range tc.runs {
			l.threads[mark.Running].add(mark.Mark{At: at})
		}
		l.settle(1000)
		if p := l.polls.at(0); p.wake != tc.want[0] || p.run != tc.want[1] {
			t.Errorf("%s: woken at %d, running at %d, want %v", name, p.wake, p.run, tc.want)
		}
	}
}

// A thread that lost the CPU several times between two Advances got it back
// each time.
func TestPreemptedTwiceBetweenAdvances(t *testing.T) {
	l := newLoop(64)
	for i := range int64(3) {
		l.threads[mark.Preempted].add(mark.Mark{At: 100*i + 10})
		l.threads[mark.Running].add(mark.Mark{At: 100*i + 30})
	}
	l.settle(1000)
	for i := range uint64(3) {
		if got, want := *l.off.at(i), (offCPU{100*int64(i) + 10, 100*int64(i) + 30}); got != want {
			t.Errorf("absence %d: %+v, want %+v", i, got, want)
		}
	}
}

// An exchange that ran while it is not known whether the thread did is flagged;
// the one after it is not.
func TestPreemptedLost(t *testing.T) {
	o, out := collect(Options{Kernel: AllSupport})
	c := New(o)
	for i := range uint32(2) {
		at := int64(i)*1000 + 100
		c.Stamp(0, &stamp.Stamp{At: at, Code: stamp.MessageBegin, Conn: uint64(i) + 1, Exchange: 1})
		c.Stamp(0, &stamp.Stamp{At: at + 500, Code: stamp.Request, Conn: uint64(i) + 1, Exchange: 1})
	}
	c.ThreadMark(0, mark.Preempted, mark.Mark{At: 50})
	c.ThreadMark(0, mark.Running, mark.Mark{At: 60})
	c.ThreadLost(0, mark.Preempted, 2)
	c.ThreadLost(0, mark.PollReturn, 2)
	c.ThreadMark(0, mark.Preempted, mark.Mark{At: 900})
	c.ThreadMark(0, mark.Running, mark.Mark{At: 910, Merged: 5, Last: 920})
	c.ThreadLost(0, mark.Running, 0)
	c.Flush(3000)
	if len(*out) != 2 {
		t.Fatalf("%d emitted", len(*out))
	}
	for i, want := range []bool{true, false} {
		if got := (*out)[i].Incomplete; got&timeline.Lost != 0 != want {
			t.Errorf("exchange %d: %v", i, got.Names())
		}
	}
}

// Where the end of an absence is hidden, so is how long it was.
func TestRunningMerged(t *testing.T) {
	l := newLoop(64)
	l.threads[mark.Preempted].add(mark.Mark{At: 100})
	l.threads[mark.Running].add(mark.Mark{At: 20, Merged: 4, Last: 500})
	l.settle(1000)
	for _, tc := range []struct {
		from, to int64
		want     timeline.Reasons
	}{{0, 100, 0}, {90, 110, timeline.Merged}, {499, 600, timeline.Merged}, {500, 600, 0}} {
		if got := l.doubtful(tc.from, tc.to); got != tc.want {
			t.Errorf("[%d,%d): %v", tc.from, tc.to, got.Names())
		}
	}
}

// A thread lane that is handed more than it may hold counts it as lost.
func TestThreadOverflow(t *testing.T) {
	c := New(Options{MaxLoopHistory: 4})
	for i := range int64(6) {
		c.ThreadMark(0, mark.Wakeup, mark.Mark{At: i + 1})
	}
	if st := c.Stats(); st.EvictedMarks != 2 || !c.loops[0].threads[mark.Wakeup].lost {
		t.Errorf("%+v", st)
	}
}
