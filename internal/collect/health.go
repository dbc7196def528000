// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"maps"
	"sync"
	"time"

	"github.com/lifetrace/lifetrace/internal/mark"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// Health is what passes through a collector and says something about the host
// rather than about one exchange. Its methods are safe for any goroutine.
type Health struct {
	mu           sync.Mutex
	sent         map[uint32]uint64 // resets by sk_rst_reason
	received     uint64
	depth, limit int
	queueSeen    bool
	busy         []int64 // per loop: since when it runs, 0 while it is idle
}

func newHealth(loops int) *Health {
	return &Health{sent: map[uint32]uint64{}, busy: make([]int64, loops)}
}

// stamp follows whether a loop is idle.
func (h *Health) stamp(loop int, s *stamp.Stamp) {
	switch s.Code {
	case stamp.PollReturn:
		h.mu.Lock()
		h.busy[loop] = s.At
		h.mu.Unlock()
	case stamp.PollEnter:
		h.mu.Lock()
		h.busy[loop] = 0
		h.mu.Unlock()
	default:
	}
}

func (h *Health) state(word uint64) {
	kind, a, b := mark.Unpack(word)
	switch kind {
	case mark.Established:
		h.mu.Lock()
		h.depth, h.limit, h.queueSeen = int(a), int(b), true
		h.mu.Unlock()
	case mark.ResetSent:
		h.mu.Lock()
		h.sent[a]++
		h.mu.Unlock()
	case mark.ResetReceived:
		h.mu.Lock()
		h.received++
		h.mu.Unlock()
	default:
	}
}

func (h *Health) event(e mark.Event) {
	if e.Kind == mark.StrayReset {
		h.mu.Lock()
		h.sent[e.A]++
		h.mu.Unlock()
	}
}

// Resets returns how many resets this host sent on the port, by sk_rst_reason,
// and how many it received on traced connections.
func (h *Health) Resets() (sent map[uint32]uint64, received uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.sent), h.received
}

// AcceptQueue returns the accept queue as the newest connection found it,
// itself included; ok is false before the first.
func (h *Health) AcceptQueue() (depth, limit int, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.depth, h.limit, h.queueSeen
}

// LoopLag returns for how long the loop that is worst off has not been back at
// epoll_wait by now (CLOCK_MONOTONIC): what a new event would have waited.
func (h *Health) LoopLag(now int64) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	var worst int64
	for _, since := range h.busy {
		if since != 0 {
			worst = max(worst, now-since)
		}
	}
	return time.Duration(worst)
}
