package resilience

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// LimiterMaxConcurrent is the largest MaxConcurrent a [SemaphoreLimiter]
// accepts: 1,048,575.
const LimiterMaxConcurrent = 1<<20 - 1

// ErrAcquireTimeout is matched by the error [SemaphoreLimiter.Acquire] returns
// when no permit came free within AcquireTimeout. The error itself is an
// [*AcquireTimeoutError].
var ErrAcquireTimeout = errors.New("resilience: limiter acquire timed out")

// AcquireTimeoutError says how long an acquire waited in vain. It matches
// [ErrAcquireTimeout], and not [context.DeadlineExceeded]: the caller's context
// had not ended.
type AcquireTimeoutError struct {
	Timeout       time.Duration // the limiter's AcquireTimeout
	MaxConcurrent int           // the limit when the wait ended
}

// Error implements error.
func (e *AcquireTimeoutError) Error() string {
	return fmt.Sprintf("resilience: no permit of %d came free within %v", e.MaxConcurrent, e.Timeout)
}

// Is reports whether target is [ErrAcquireTimeout].
func (e *AcquireTimeoutError) Is(target error) bool { return target == ErrAcquireTimeout }

// LimiterConfig configures a [SemaphoreLimiter].
type LimiterConfig struct {
	// MaxConcurrent is the number of permits: from 1 to [LimiterMaxConcurrent].
	// It has no default, because a limit of zero admits nobody and "no limit"
	// needs no limiter.
	MaxConcurrent int

	// AcquireTimeout bounds each wait for a permit. Zero means no bound of the
	// limiter's own: Acquire waits until its context ends, so that behind a service
	// that stalls for 10 s there are 10 callers waiting at 1 req/s, 1,000 at
	// 100 req/s and 100,000 at 10,000 req/s. Negative is refused.
	AcquireTimeout time.Duration
}

// Validate reports every fault of the configuration, joined, or nil.
func (c LimiterConfig) Validate() error {
	var faults configFaults
	fault := faults.of("LimiterConfig")
	fault(c.MaxConcurrent < 1 || c.MaxConcurrent > LimiterMaxConcurrent, "MaxConcurrent is %d, want 1 to %d", c.MaxConcurrent, LimiterMaxConcurrent)
	fault(c.AcquireTimeout < 0, "AcquireTimeout is %v, want a positive duration, or 0 for none", c.AcquireTimeout)
	return errors.Join(faults...)
}

// SemaphoreLimiter admits at most MaxConcurrent callers at once; the others
// wait in arrival order. It starts no goroutine, and no timer unless a caller
// with an AcquireTimeout has to wait.
//
// A SemaphoreLimiter is safe for concurrent use by multiple goroutines and must not
// be copied. Make one with [NewSemaphoreLimiter]; inside a testing/synctest bubble
// use one made in that bubble.
type SemaphoreLimiter struct {
	timeout time.Duration

	mu      sync.Mutex
	metrics LimiterMetrics          // guarded by mu
	queue   waitList[limiterWaiter] // guarded by mu; not empty only while no permit is free

	waiters sync.Pool // of *waitNode[limiterWaiter], this limiter's own
}

// NewSemaphoreLimiter returns a limiter with all its permits free, or the error
// of [LimiterConfig.Validate].
func NewSemaphoreLimiter(cfg LimiterConfig) (*SemaphoreLimiter, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &SemaphoreLimiter{
		timeout: cfg.AcquireTimeout,
		metrics: LimiterMetrics{MaxConcurrent: cfg.MaxConcurrent},
	}, nil
}

// Acquire takes a permit, waiting for one in arrival order. It returns nil when
// the caller holds a permit and must [SemaphoreLimiter.Release] it; otherwise
// the limiter is as if Acquire had not been called, and the error is
//
//   - ctx.Err() if ctx ended. A context that has ended wins every tie: with a
//     free permit, with a permit granted in the same instant, and with the
//     timeout.
//   - an [*AcquireTimeoutError] after AcquireTimeout. A permit granted in the
//     same instant wins over the timeout.
func (l *SemaphoreLimiter) Acquire(ctx context.Context) error {
	err := ctx.Err()
	l.mu.Lock()
	if err != nil {
		l.metrics.Cancellations++
		l.mu.Unlock()
		return err
	}
	if l.free() {
		l.take()
		l.mu.Unlock()
		return nil
	}
	w, _ := l.waiters.Get().(*waitNode[limiterWaiter])
	if w == nil {
		w = &waitNode[limiterWaiter]{value: limiterWaiter{ready: make(chan struct{}, 1)}}
	}
	l.queue.push(w)
	l.mu.Unlock()

	granted := w.value.wait(ctx.Done(), l.timeout)
	if err = ctx.Err(); !granted || err != nil {
		err = l.settle(w, granted, err)
	}
	l.waiters.Put(w)
	return err
}

// TryAcquire takes a permit if one is free and nobody is waiting for it.
func (l *SemaphoreLimiter) TryAcquire() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.free() {
		return false
	}
	l.take()
	return true
}

// Release gives a permit back; the caller that has waited longest gets it. It
// panics if no permit is held.
func (l *SemaphoreLimiter) Release() {
	l.mu.Lock()
	if l.metrics.Active == 0 {
		l.mu.Unlock()
		panic("resilience: limiter: Release without a permit held")
	}
	l.metrics.Active--
	l.grant()
	l.mu.Unlock()
}

// Do runs fn while holding a permit and returns its error, or Acquire's error
// without having run fn. The permit is released however fn ends: by returning,
// by a panic, or by runtime.Goexit.
func (l *SemaphoreLimiter) Do(ctx context.Context, fn func(context.Context) error) error {
	if err := l.Acquire(ctx); err != nil {
		return err
	}
	defer l.Release()
	return fn(ctx)
}

// SetMaxConcurrent changes the number of permits while the limiter is in use; n
// has MaxConcurrent's range and anything else is refused. Raising it admits
// waiting callers at once. Lowering it takes no permit away: callers beyond the
// new limit finish, and nobody is admitted until fewer than n remain.
func (l *SemaphoreLimiter) SetMaxConcurrent(n int) error {
	if err := (LimiterConfig{MaxConcurrent: n}).Validate(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.metrics.MaxConcurrent = n
	l.grant()
	return nil
}

// LimiterMetrics is a snapshot of a [SemaphoreLimiter], taken at one instant.
// Active can exceed MaxConcurrent only after the limit was lowered.
type LimiterMetrics struct {
	MaxConcurrent int    // permits in all
	Active        int    // permits held
	Peak          int    // most permits ever held at once
	Waiting       int    // callers in the queue
	Acquisitions  uint64 // permits ever granted
	Timeouts      uint64 // acquires that ended with ErrAcquireTimeout
	Cancellations uint64 // acquires that ended with their context's error
}

// Metrics returns a snapshot.
func (l *SemaphoreLimiter) Metrics() LimiterMetrics {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.metrics
	m.Waiting = l.queue.len
	return m
}

// free reports whether a permit is free. Then nobody waits for one: whatever
// frees a permit grants it to the queue under the same lock. The caller holds mu.
func (l *SemaphoreLimiter) free() bool { return l.metrics.Active < l.metrics.MaxConcurrent }

// take counts a permit as granted. The caller holds mu.
func (l *SemaphoreLimiter) take() {
	l.metrics.Active++
	l.metrics.Acquisitions++
	l.metrics.Peak = max(l.metrics.Peak, l.metrics.Active)
}
