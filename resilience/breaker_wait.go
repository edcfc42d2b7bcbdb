package resilience

import "context"

// WaitPending waits until every admitted call has reported its result, and
// returns at once if none is pending. It does not stop new calls from being
// admitted; under steady traffic there may never be an instant without one.
// Then, and if a call never reports, it returns ctx.Err() when ctx ends. A call
// that waits for itself, from inside Do, waits that long too.
func (b *CircuitBreaker) WaitPending(ctx context.Context) error {
	b.waitMu.Lock()
	if b.idle == nil {
		b.idle = make(chan struct{})
	}
	idle := b.idle
	b.waiters++
	b.draining.Store(true)
	b.waitMu.Unlock()

	// From here on every result looks whether it was the last. One that was
	// recorded before draining was set is seen by looking now.
	b.wakeIfIdle()
	select {
	case <-idle:
		return nil
	default:
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
	}

	b.waitMu.Lock()
	defer b.waitMu.Unlock()
	if b.idle != idle {
		return nil // woken in the same instant
	}
	if b.waiters--; b.waiters == 0 {
		b.idle = nil
		b.draining.Store(false)
	}
	return ctx.Err()
}

// wakeIfIdle ends every WaitPending if no call is pending. The question is
// asked under waitMu, so the answer is younger than everyone who waits for it.
func (b *CircuitBreaker) wakeIfIdle() {
	b.waitMu.Lock()
	defer b.waitMu.Unlock()
	if b.idle == nil {
		return
	}
	b.core.mu.Lock()
	pending := b.core.pendingLocked()
	b.core.mu.Unlock()
	if pending > 0 {
		return
	}
	close(b.idle)
	b.idle, b.waiters = nil, 0
	b.draining.Store(false)
}
