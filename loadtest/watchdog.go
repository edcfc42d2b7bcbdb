package loadtest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A timer or a context with a deadline for each request would cost more than
// the rest of the engine together. Instead each worker publishes when its
// request began, which costs two uncontended atomic operations, and one
// goroutine a run, the watchdog, wakes when the oldest request in flight could
// be overdue: about once a Timeout where requests are quick.

// slot is where a worker publishes its request. It holds the instant at which
// the request began, as nanoseconds since the run's base plus one; idle between
// requests; or that stamp negated once the watchdog has claimed the request.
type slot struct {
	state atomic.Int64
	// cancel ends the worker's context. The worker replaces it only after it has
	// seen that the watchdog expired its request, so that whoever wins the swap
	// from a request's stamp to expired holds that request's cancel function.
	cancel atomic.Pointer[context.CancelCauseFunc]
}

const slotIdle = 0

// request returns when the request in hand began, if there is one.
func (s *slot) request() (began time.Duration, busy bool) {
	stamp := time.Duration(s.state.Load()).Abs()
	return stamp - 1, stamp != slotIdle
}

func (s *slot) begin(at time.Duration) { s.state.Store(int64(at) + 1) }

// end reports whether the request ended in time.
func (s *slot) end(began time.Duration) bool {
	return s.state.CompareAndSwap(int64(began)+1, slotIdle)
}

// watchdog cancels requests that take longer than limit.
type watchdog struct {
	limit time.Duration
	clock func() time.Duration

	mu    sync.Mutex
	slots []*slot
}

// watchFor adds a worker's slot.
func (w *watchdog) watchFor(s *slot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slots = append(w.slots, s)
}

// scan cancels what is overdue at now, and returns how long nothing else can be.
func (w *watchdog) scan(now time.Duration) time.Duration {
	oldest := now // an idle worker may begin a request at once
	w.mu.Lock()
	slots := w.slots
	w.mu.Unlock()
	for _, s := range slots {
		cancel, stamp := s.cancel.Load(), s.state.Load()
		if stamp <= slotIdle {
			continue
		}
		began := time.Duration(stamp - 1)
		if now-began < w.limit {
			oldest = min(oldest, began)
		} else if s.state.CompareAndSwap(stamp, -stamp) {
			(*cancel)(&TimeoutError{Limit: w.limit})
		}
	}
	return oldest + w.limit - now
}

// watch scans until stop is closed.
func (w *watchdog) watch(stop <-chan struct{}) {
	timer := time.NewTimer(w.limit)
	defer timer.Stop()
	for {
		select {
		case <-stop:
			return
		case <-timer.C:
			timer.Reset(w.scan(w.clock()))
		}
	}
}
