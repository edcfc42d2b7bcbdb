package resilience

import "time"

// limiterWaiter is one caller in the queue. It is reused by its own limiter
// only: a channel or timer must not travel between synctest bubbles.
type limiterWaiter struct {
	ready chan struct{} // capacity 1; holds at most one grant
	timer *time.Timer   // nil until a wait needs it, then kept stopped
}

// wait blocks until w is granted (true), or done or the timeout ends the wait
// (false, though the grant may have come meanwhile).
func (w *limiterWaiter) wait(done <-chan struct{}, timeout time.Duration) bool {
	if timeout == 0 && done == nil { // a receive costs less than a select
		<-w.ready
		return true
	}
	var expired <-chan time.Time // never, without a timeout
	if timeout > 0 {
		if w.timer == nil {
			w.timer = time.NewTimer(timeout)
		} else {
			w.timer.Reset(timeout)
		}
		defer w.timer.Stop()
		expired = w.timer.C
	}
	select {
	case <-w.ready:
		return true
	case <-done:
	case <-expired:
	}
	return false
}

// settle ends a wait that was cut short, or granted to a context that has
// ended, and decides the ties: the context's error first, then the grant, then
// the timeout.
func (l *SemaphoreLimiter) settle(w *waitNode[limiterWaiter], granted bool, ctxErr error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.queued {
		l.queue.remove(w)
	} else if !granted {
		granted = true
		<-w.value.ready // sent before queued was set to false under mu
	}
	switch {
	case ctxErr == nil && granted:
		return nil
	case ctxErr == nil:
		l.metrics.Timeouts++
		return &AcquireTimeoutError{Timeout: l.timeout, MaxConcurrent: l.metrics.MaxConcurrent}
	case granted: // taken back: it was no acquisition, and the next waiter must not miss it
		l.metrics.Acquisitions--
		l.metrics.Active--
		l.grant()
	}
	l.metrics.Cancellations++
	return ctxErr
}

// grant hands free permits to the queue, front first. The caller holds mu.
func (l *SemaphoreLimiter) grant() {
	for l.queue.first != nil && l.free() {
		w := l.queue.first
		l.queue.remove(w)
		l.take()
		w.value.ready <- struct{}{}
	}
}
