// Package deadline cancels what takes too long, at a price of two atomic operations.
//
// A timer or a context with a deadline for each request would cost more than the rest of
// a load generator together. Instead each worker publishes in a [Slot] when its request
// began, and one goroutine, that of a [Watchdog], wakes when the oldest request in flight
// could be overdue: about once a limit where requests are quick.
//
// Instants are told from a base that worker and watchdog agree upon.
package deadline

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Slot is where a worker publishes its request.
type Slot struct {
	// state is idle between requests, or else the instant at which the request began, in
	// nanoseconds plus one, negated once a watchdog has claimed it.
	state atomic.Int64
	// cancel ends the worker's context. The worker replaces it only after it has
	// seen that the watchdog expired its request, so that whoever wins the swap
	// from a request's stamp to expired holds that request's cancel function.
	cancel atomic.Pointer[context.CancelCauseFunc]
}

const idle = 0

// Renew has the requests from now on canceled by cancel. The worker calls it before its
// first request, and after one that did not end in time.
func (s *Slot) Renew(cancel context.CancelCauseFunc) {
	s.state.Store(idle)
	s.cancel.Store(&cancel)
}

// Close ends the use of the slot, which must have been renewed, and cancels.
func (s *Slot) Close() {
	s.state.Store(idle)
	(*s.cancel.Load())(nil)
}

// Request returns when the request in hand began, if there is one. It may be called by
// any goroutine.
func (s *Slot) Request() (began time.Duration, busy bool) {
	stamp := time.Duration(s.state.Load()).Abs()
	return stamp - 1, stamp != idle
}

// Begin begins a request.
func (s *Slot) Begin(at time.Duration) { s.state.Store(int64(at) + 1) }

// End ends the request, and reports whether it did in time.
func (s *Slot) End(began time.Duration) bool {
	return s.state.CompareAndSwap(int64(began)+1, idle)
}

// Watchdog cancels requests that take longer than Limit.
type Watchdog struct {
	Limit time.Duration
	Clock func() time.Duration // since the base
	Cause error                // what they are canceled with

	mu    sync.Mutex
	slots []*Slot
}

// Add adds a worker's slot. It may be called by any goroutine, at any time.
func (w *Watchdog) Add(s *Slot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slots = append(w.slots, s)
}

// scan cancels what is overdue at now, and returns how long nothing else can be.
func (w *Watchdog) scan(now time.Duration) time.Duration {
	oldest := now // an idle worker may begin a request at once
	w.mu.Lock()
	slots := w.slots
	w.mu.Unlock()
	for _, s := range slots {
		cancel, stamp := s.cancel.Load(), s.state.Load()
		if stamp <= idle {
			continue
		}
		began := time.Duration(stamp - 1)
		if now-began < w.Limit {
			oldest = min(oldest, began)
		} else if s.state.CompareAndSwap(stamp, -stamp) {
			(*cancel)(w.Cause)
		}
	}
	return oldest + w.Limit - now
}

// Watch cancels until stop is closed.
func (w *Watchdog) Watch(stop <-chan struct{}) {
	timer := time.NewTimer(w.Limit)
	defer timer.Stop()
	for {
		select {
		case <-stop:
			return
		case <-timer.C:
			timer.Reset(w.scan(w.Clock()))
		}
	}
}
