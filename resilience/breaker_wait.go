package resilience

import "context"

// WaitPending waits until every admitted call has reported its result, and
// returns at once if none is pending. It does not stop new calls from being
// admitted; under steady traffic there may never be an instant without one.
// Then, and if a call never reports, it returns ctx.Err() when ctx ends. A call
// that waits for itself, from inside Do, waits that long too.
func (b *CircuitBreaker) WaitPending(ctx context.Context) error {
	// From here on every result looks whether it was the last. One that was
	// recorded before is seen by looking now.
	b.waiting.Add(1)
	defer b.waiting.Add(-1)
	b.core.mu.Lock()
	if b.core.pendingLocked() <= 0 {
		b.core.mu.Unlock()
		return nil
	}
	if b.idle == nil {
		b.idle = make(chan struct{})
	}
	idle := b.idle
	b.core.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-idle: // woken in the same instant
		return nil
	default:
		return ctx.Err()
	}
}

// wakeIfIdle ends every WaitPending if no call is pending.
func (b *CircuitBreaker) wakeIfIdle() {
	b.core.mu.Lock()
	defer b.core.mu.Unlock()
	if b.idle != nil && b.core.pendingLocked() <= 0 {
		close(b.idle)
		b.idle = nil
	}
}
