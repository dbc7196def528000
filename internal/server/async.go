// SPDX-License-Identifier: Apache-2.0

package server

import (
	"fmt"
	"sync"

	"github.com/lifetrace/lifetrace/internal/stamp"
)

// Async runs work on a goroutine off the loop and then, on the loop, the
// continuation with what it returned; not if the exchange is over by then. A
// panic in work becomes its error. The number of goroutines is bounded
// (Options.Workers): work beyond that waits its turn.
func Async[T any](res *Response, work func() (T, error), then func(T, error)) {
	ex := res.ex
	ex.async = true
	ex.stamp(stamp.AsyncBegin, 0, 0, 0)
	l := ex.c.w.loop
	ex.c.w.server.pool.run(func() {
		v, err := protect(work)
		// A loop that has ended has aborted its exchanges.
		_ = l.Post(func() { ex.resume(func() { then(v, err) }) })
	})
}

// resume runs the continuation of what was given away.
func (ex *exchange) resume(f func()) {
	if ex.over {
		return
	}
	ex.stamp(stamp.AsyncResume, 0, 0, 0)
	ex.guard(f)
}

func protect[T any](work func() (T, error)) (v T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return work()
}

// pool runs jobs on at most max goroutines, which end when there is nothing to
// do.
type pool struct {
	max int

	mu      sync.Mutex
	running int
	waiting []func()
}

func (p *pool) run(job func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == p.max {
		p.waiting = append(p.waiting, job)
		return
	}
	p.running++
	go p.work(job)
}

func (p *pool) work(job func()) {
	for {
		job()
		p.mu.Lock()
		if len(p.waiting) == 0 {
			p.running--
			p.mu.Unlock()
			return
		}
		job = p.waiting[0]
		p.waiting[0] = nil
		p.waiting = p.waiting[1:]
		p.mu.Unlock()
	}
}
