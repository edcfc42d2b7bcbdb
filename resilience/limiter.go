package resilience

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// LimiterMaxConcurrent is the largest MaxConcurrent a [SemaphoreLimiter]
// accepts: 1,048,575.
const LimiterMaxConcurrent = 1<<(limiterFieldBits-1) - 1

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
	var faults []error
	if err := limiterCheckMax(c.MaxConcurrent); err != nil {
		faults = append(faults, err)
	}
	if c.AcquireTimeout < 0 {
		faults = append(faults, fmt.Errorf("resilience: limiter: AcquireTimeout is %v, want zero (wait until the context ends) or more", c.AcquireTimeout))
	}
	return errors.Join(faults...)
}

func limiterCheckMax(n int) error {
	if n < 1 || n > LimiterMaxConcurrent {
		return fmt.Errorf("resilience: limiter: MaxConcurrent is %d, want 1 to %d", n, LimiterMaxConcurrent)
	}
	return nil
}

// The whole state of a limiter is one word, so that a permit is taken with one
// compare-and-swap, given back with one addition, and no reader sees half a
// resize:
//
//	active (21 bits) | queued (1) | limit (21) | acquisitions (21)
//
// Active is uppermost: when Release is called once too often the borrow falls
// off the top and touches nothing else, and leaves a number no limit can reach
// (the limit uses one bit less). While queued is set, permits are taken only
// under the mutex; that is what keeps a newcomer from overtaking the queue.
// Acquisitions is the low part of a counter; once its top bit is set, the next
// permit is taken under the mutex, which moves that bit to
// SemaphoreLimiter.carried.
const (
	limiterFieldBits = 21
	limiterFieldMask = 1<<limiterFieldBits - 1

	limiterAcqOne    = uint64(1)
	limiterAcqFull   = uint64(1) << (limiterFieldBits - 1)
	limiterLimitOne  = uint64(1) << limiterFieldBits
	limiterQueued    = uint64(1) << (2 * limiterFieldBits)
	limiterActiveOne = uint64(1) << (2*limiterFieldBits + 1)
	limiterBorrowed  = uint64(1) << 63 // more are active than any limit allows
)

func limiterAcquired(s uint64) uint64 { return s & limiterFieldMask }
func limiterLimit(s uint64) uint64    { return s >> limiterFieldBits & limiterFieldMask }
func limiterActive(s uint64) uint64   { return s >> (2*limiterFieldBits + 1) }

// limiterFree reports whether state s lets a newcomer in without the mutex.
func limiterFree(s uint64) bool {
	return s&(limiterQueued|limiterAcqFull) == 0 && limiterActive(s) < limiterLimit(s)
}

// SemaphoreLimiter admits at most MaxConcurrent callers at once; the others
// wait in arrival order. It starts no goroutine, and no timer unless a caller
// with an AcquireTimeout has to wait.
//
// A SemaphoreLimiter is safe for concurrent use and must not be copied. Make
// one with [NewSemaphoreLimiter]; inside a testing/synctest bubble use one made
// in that bubble.
type SemaphoreLimiter struct {
	state atomic.Uint64
	_     [56]byte // the word all callers write, apart from what they only read

	peak    atomic.Uint64
	timeout time.Duration

	mu            sync.Mutex
	queue         limiterQueue // guarded by mu
	carried       uint64       // guarded by mu: acquisitions beyond the state's field
	timeouts      uint64       // guarded by mu
	cancellations atomic.Uint64

	waiters sync.Pool // of *limiterWaiter, this limiter's own
}

// NewSemaphoreLimiter returns a limiter with all its permits free, or the error
// of [LimiterConfig.Validate].
func NewSemaphoreLimiter(cfg LimiterConfig) (*SemaphoreLimiter, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	l := &SemaphoreLimiter{timeout: cfg.AcquireTimeout}
	l.state.Store(uint64(cfg.MaxConcurrent) * limiterLimitOne)
	return l, nil
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
	if err := ctx.Err(); err != nil {
		l.cancellations.Add(1)
		return err
	}
	if s := l.state.Load(); limiterFree(s) {
		if l.state.CompareAndSwap(s, s+limiterActiveOne+limiterAcqOne) {
			l.notePeak(s)
			return nil
		}
		if l.takeSpinning() {
			return nil
		}
	}
	return l.acquireSlow(ctx)
}

// TryAcquire takes a permit if one is free and nobody is waiting for it.
func (l *SemaphoreLimiter) TryAcquire() bool {
	s := l.state.Load()
	switch {
	case s&limiterQueued != 0 || limiterActive(s) >= limiterLimit(s):
		return false // none is free, or those that are belong to the queue
	case s&limiterAcqFull == 0 && l.state.CompareAndSwap(s, s+limiterActiveOne+limiterAcqOne):
		l.notePeak(s)
		return true
	}
	return l.tryAcquireSlow()
}

// Release gives a permit back; the caller that has waited longest gets it. It
// panics if no permit is held.
func (l *SemaphoreLimiter) Release() {
	if s := l.state.Add(^(limiterActiveOne - 1)); s&(limiterQueued|limiterBorrowed) != 0 {
		l.releaseSlow(s)
	}
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
	if err := limiterCheckMax(n); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		s := l.state.Load()
		if l.state.CompareAndSwap(s, s&^(limiterFieldMask*limiterLimitOne)|uint64(n)*limiterLimitOne) {
			break
		}
	}
	l.grantLocked()
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
	s := l.state.Load()
	m := LimiterMetrics{
		MaxConcurrent: int(limiterLimit(s)),
		Active:        int(limiterActive(s)),
		Waiting:       l.queue.len,
		Acquisitions:  l.carried + limiterAcquired(s),
		Timeouts:      l.timeouts,
		Cancellations: l.cancellations.Load(),
	}
	// A caller between taking its permit and noting the peak is counted too.
	m.Peak = max(int(l.peak.Load()), m.Active)
	return m
}

// takeSpinning takes a permit without the mutex, if that is possible, for a
// caller that has lost the race for the word. That means that another processor
// is using it: standing back for some hundred nanoseconds lets it finish several
// pairs in its own cache, which costs less than fighting over every one of them.
func (l *SemaphoreLimiter) takeSpinning() bool {
	for spins := limiterFirstSpins; spins <= limiterMostSpins; spins *= 2 {
		for range spins {
			limiterSpin()
		}
		s := l.state.Load()
		if !limiterFree(s) {
			return false
		}
		if l.state.CompareAndSwap(s, s+limiterActiveOne+limiterAcqOne) {
			l.notePeak(s)
			return true
		}
	}
	return false
}

const (
	limiterFirstSpins = 256
	limiterMostSpins  = 1024
)

//go:noinline
func limiterSpin() {}

// notePeak notes that one permit more is held than in state s.
func (l *SemaphoreLimiter) notePeak(s uint64) {
	if limiterActive(s) >= l.peak.Load() {
		l.raisePeak(limiterActive(s) + 1)
	}
}

func (l *SemaphoreLimiter) raisePeak(active uint64) {
	for p := l.peak.Load(); active > p; p = l.peak.Load() {
		if l.peak.CompareAndSwap(p, active) {
			return
		}
	}
}
