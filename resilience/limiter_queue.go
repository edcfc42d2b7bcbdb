package resilience

import (
	"context"
	"time"
)

// limiterWaiter is one caller in the queue. It is reused by its own limiter
// only: a channel or timer must not travel between synctest bubbles.
type limiterWaiter struct {
	prev, next *limiterWaiter
	ready      chan struct{} // capacity 1; holds at most one grant
	timer      *time.Timer   // nil until a wait needs it, then kept stopped
	queued     bool          // guarded by the limiter's mutex; false once granted
}

// limiterQueue is a first-in first-out list with removal from the middle.
type limiterQueue struct {
	head, tail *limiterWaiter
	len        int
}

func (q *limiterQueue) push(w *limiterWaiter) {
	w.prev, w.next, w.queued = q.tail, nil, true
	if q.tail == nil {
		q.head = w
	} else {
		q.tail.next = w
	}
	q.tail = w
	q.len++
}

func (q *limiterQueue) remove(w *limiterWaiter) {
	if w.prev == nil {
		q.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next, w.queued = nil, nil, false
	q.len--
}

// tryAcquireSlow is TryAcquire after its fast path has failed for another reason
// than that no permit is free.
func (l *SemaphoreLimiter) tryAcquireSlow() bool {
	if l.takeSpinning() {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.takeLocked(false)
}

// acquireSlow is Acquire after the fast path has failed.
func (l *SemaphoreLimiter) acquireSlow(ctx context.Context) error {
	l.mu.Lock()
	if l.takeLocked(true) {
		l.mu.Unlock()
		return nil
	}
	// takeLocked has set the queued bit: from here on every Release comes
	// through the mutex, so none can slip past the waiter pushed now.
	w, _ := l.waiters.Get().(*limiterWaiter)
	if w == nil {
		w = &limiterWaiter{ready: make(chan struct{}, 1)}
	}
	l.queue.push(w)
	l.mu.Unlock()

	granted := w.wait(ctx.Done(), l.timeout)
	err := ctx.Err()
	if !granted || err != nil {
		err = l.settle(w, granted, err)
	}
	l.waiters.Put(w)
	return err
}

// wait blocks until w is granted (true), or done or the timeout ends the wait
// (false, though the grant may have come meanwhile).
func (w *limiterWaiter) wait(done <-chan struct{}, timeout time.Duration) bool {
	if timeout == 0 {
		if done == nil {
			<-w.ready
			return true
		}
		select {
		case <-w.ready:
			return true
		case <-done:
			return false
		}
	}
	if w.timer == nil {
		w.timer = time.NewTimer(timeout)
	} else {
		w.timer.Reset(timeout)
	}
	defer w.timer.Stop()
	select {
	case <-w.ready:
		return true
	case <-done:
		return false
	case <-w.timer.C:
		return false
	}
}

// settle ends a wait that was cut short, or granted to a context that has
// ended, and decides the ties: the context's error first, then the grant, then
// the timeout.
func (l *SemaphoreLimiter) settle(w *limiterWaiter, granted bool, ctxErr error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !granted {
		if granted = !w.queued; granted {
			<-w.ready // sent before queued was cleared to false under the mutex
		} else {
			l.queue.remove(w)
		}
	}
	// Whatever becomes of w: the next waiter must not miss a permit that w was
	// granted, and the queued bit must not outlive the last waiter.
	defer l.grantLocked()
	switch {
	case ctxErr != nil:
		l.cancellations.Add(1)
		if granted {
			l.carried-- // the grant is taken back: it was no acquisition
			l.state.Add(^(limiterActiveOne - 1))
		}
		return ctxErr
	case granted:
		return nil
	default:
		l.timeouts++
		return &AcquireTimeoutError{Timeout: l.timeout, MaxConcurrent: int(limiterLimit(l.state.Load()))}
	}
}

// takeLocked takes a permit if one is free and nobody waits for it. If it finds
// none and the caller is going to queue, it sets the queued bit in the same
// step.
func (l *SemaphoreLimiter) takeLocked(toQueue bool) bool {
	for {
		s := l.state.Load()
		switch {
		case l.queue.head == nil && limiterActive(s) < limiterLimit(s):
			if l.countLocked(s) {
				return true
			}
		case !toQueue || s&limiterQueued != 0 || l.state.CompareAndSwap(s, s|limiterQueued):
			return false
		}
	}
}

// countLocked moves the state from s to one permit more, unless it has changed.
func (l *SemaphoreLimiter) countLocked(s uint64) bool {
	carry := s & limiterAcqFull
	if !l.state.CompareAndSwap(s, s-carry+limiterActiveOne+limiterAcqOne) {
		return false
	}
	l.carried += carry
	l.notePeak(s)
	return true
}

// grantLocked hands free permits to the queue, front first, and clears the
// queued bit once the queue is empty.
func (l *SemaphoreLimiter) grantLocked() {
	for l.queue.head != nil {
		s := l.state.Load()
		if limiterActive(s) >= limiterLimit(s) {
			return
		}
		if l.countLocked(s) {
			w := l.queue.head
			l.queue.remove(w)
			w.ready <- struct{}{}
		}
	}
	if l.state.Load()&limiterQueued != 0 {
		l.state.And(^limiterQueued)
	}
}

// releaseSlow finishes a Release that found waiters or no permit to give back;
// s is the state it left.
func (l *SemaphoreLimiter) releaseSlow(s uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tooMany := s&limiterBorrowed != 0
	if tooMany {
		l.state.Add(limiterActiveOne)
	}
	l.grantLocked()
	if tooMany {
		panic("resilience: limiter: Release without a permit held")
	}
}
