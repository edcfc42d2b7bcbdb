package resilience

import (
	"context"
	"errors"
	"time"
)

// retryRun is one execution: it counts attempts and holds at most one slot of
// the budget, which end gives back however the execution ends.
type retryRun struct {
	policy    *RetryPolicy
	attempts  int
	delay     time.Duration // waits so far, summed
	last      error         // why the latest attempt failed
	holding   bool
	succeeded bool
}

// begin marks the start of an attempt; a retry's slot becomes a stamp.
func (r *retryRun) begin() {
	r.attempts++
	if r.holding {
		r.holding = false
		r.policy.budget.begin(r.policy.now())
	}
}

// attempt calls fn, if the breaker, which may be nil, lets it through, and tells
// the breaker the outcome. The deferred call keeps a panic or Goexit from keeping
// the permit.
func (r *retryRun) attempt(ctx context.Context, b *CircuitBreaker, fn func(context.Context) error) (err error) {
	if b == nil {
		r.begin()
		return r.policy.call(ctx, fn)
	}
	permit, err := b.Allow()
	if err != nil {
		return err
	}
	var outcome error
	returned := false
	defer func() { permit.report(ctx, returned, outcome) }()
	r.begin()
	err = r.policy.call(ctx, fn)
	outcome = unmarkPermanent(err) // asks err's own As, which may panic
	returned = true
	return err
}

// next decides what follows a failed attempt: a wait for another, whose slot of
// the budget is then held, or the error that ends the execution.
func (r *retryRun) next(ctx context.Context, err error) (time.Duration, error) {
	p := r.policy
	previous := r.last
	switch {
	case isPermanent(err):
		return 0, unmarkPermanent(err)
	case errors.Is(err, ErrOpen):
		if previous == nil {
			return 0, err
		}
		return 0, r.giveUp(err)
	}
	r.last = err
	if ctxErr := ctx.Err(); ctxErr != nil {
		if errors.Is(err, ctxErr) {
			return 0, err
		}
		return 0, r.giveUp(ctxErr)
	}
	if !p.cfg.IsTransient(err) {
		return 0, err
	}
	if r.attempts >= p.cfg.MaxAttempts {
		p.exhausted.Add(1)
		return 0, r.giveUp(ErrExhausted)
	}
	delay := r.backoff(err)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= delay {
		return 0, r.giveUp(errRetryTooLate)
	}
	if p.budget != nil {
		if !p.budget.hold(p.now()) {
			p.rejections.Add(1)
			return 0, r.giveUp(ErrBudgetExceeded)
		}
		r.holding = true
	}
	return delay, nil
}

// backoff returns the wait before the next attempt: the schedule's, or what the
// failure itself advises when that is longer.
func (r *retryRun) backoff(err error) time.Duration {
	c := &r.policy.cfg
	random := 0.5
	if c.JitterFactor > 0 {
		random = c.Rand()
	}
	delay := backoffDelay(c.BaseDelay, c.MaxDelay, c.JitterFactor, r.attempts, random)
	var advised RetryAfterError
	if errors.As(err, &advised) {
		if after, ok := advised.RetryAfter(); ok {
			delay = max(delay, min(after, c.MaxDelay))
		}
	}
	return delay
}

// wait tells OnRetry and sleeps. When ctx ends first, or at the same moment, it
// returns the error that ends the execution.
func (r *retryRun) wait(ctx context.Context, delay time.Duration) error {
	if notify := r.policy.cfg.OnRetry; notify != nil {
		notify(RetryEvent{Context: ctx, Attempt: r.attempts, Delay: delay, Err: r.last})
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		r.delay += delay
	case <-ctx.Done():
	}
	if err := ctx.Err(); err != nil {
		return r.giveUp(err)
	}
	return nil
}

func (r *retryRun) giveUp(reason error) error {
	return &RetryError{Attempts: r.attempts, TotalDelay: r.delay, Reason: reason, Last: r.last}
}

// end counts the execution and gives back what it still holds.
func (r *retryRun) end() {
	p := r.policy
	if r.succeeded {
		p.successes.Add(1)
		if r.attempts == 1 {
			return
		}
		p.later.Add(1)
	} else {
		p.failures.Add(1)
	}
	if r.holding { // the retry it was held for never began
		p.budget.refund()
	}
	p.attempts.Add(uint64(r.attempts))
	p.retries.Add(uint64(max(r.attempts-1, 0)))
	p.totalDelay.Add(int64(r.delay))
}
