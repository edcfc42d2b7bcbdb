package resilience

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// RetryPolicy runs functions again when they fail for a passing reason: waiting
// longer each time, never more than a budget shared by all its executions allows.
//
// A RetryPolicy is safe for concurrent use by multiple goroutines and starts no
// goroutine. Inside a testing/synctest bubble, build it there.
type RetryPolicy struct {
	cfg    RetryConfig
	budget *retryBudget // nil for none
	share  *retryShare  // the budget's log if it is a share of the requests, else nil
	epoch  time.Time    // instants of the budget count from here

	// The only field a first attempt that succeeds writes to.
	successes atomic.Uint64

	failures   atomic.Uint64
	attempts   atomic.Uint64 // made by other executions that did not succeed at once
	later      atomic.Uint64 // successes among them
	retries    atomic.Uint64
	exhausted  atomic.Uint64
	rejections atomic.Uint64
	totalDelay atomic.Int64
}

// RetryMetrics counts what a policy has done. An execution is counted when it
// ends, however it ends.
type RetryMetrics struct {
	Executions       uint64        // executions that ended: Successes + Failures
	Attempts         uint64        // calls of the function: first ones and retries
	Retries          uint64        // attempts after the first
	Successes        uint64        // executions that returned nil
	Failures         uint64        // executions that returned an error, panicked or called Goexit
	Exhausted        uint64        // failures because MaxAttempts were used up
	BudgetRejections uint64        // failures because the budget was spent
	TotalDelay       time.Duration // waits between attempts, summed
	BudgetInUse      int           // retries begun in the current window, plus those waiting to begin
}

// NewRetryPolicy returns a policy, or the error of [RetryConfig.Validate].
func NewRetryPolicy(cfg RetryConfig) (*RetryPolicy, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	if cfg.IsTransient == nil {
		cfg.IsTransient = IsTransient
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Float64
	}
	p := &RetryPolicy{cfg: cfg, epoch: time.Now()}
	switch {
	case cfg.RetryBudgetRatio > 0:
		p.share = newRetryShare(cfg.RetryBudgetRatio, max(0, cfg.RetryBudgetMinPerSecond), cfg.RetryBudgetWindow)
		p.budget = &retryBudget{log: p.share}
	case cfg.RetryBudget != NoBudget:
		p.budget = newRetryBudget(cfg.RetryBudget, cfg.RetryBudgetWindow)
	}
	return p, nil
}

// ExecuteOption adjusts one call of [RetryPolicy.Execute].
type ExecuteOption struct{ breaker *CircuitBreaker }

// WithBreaker makes every attempt ask the breaker first and report its outcome.
// A rejection ends the execution at once, with an error that matches [ErrOpen];
// a retry so rejected is returned to the budget. A nil breaker is none.
func WithBreaker(b *CircuitBreaker) ExecuteOption { return ExecuteOption{breaker: b} }

// Execute calls fn until it succeeds, fails for good, or the policy allows no
// further attempt.
//
// It returns nil after a success; the error itself when it is not transient,
// without the mark of [Permanent]; and otherwise a [*RetryError] that matches
// both the reason for giving up and fn's last error. It gives up when MaxAttempts
// are used up ([ErrExhausted]), when the budget is spent ([ErrBudgetExceeded]),
// when ctx ends, and, without waiting, when ctx would end during the wait (both
// match ctx's error). A context that has ended already, or whose deadline has
// passed, is returned before fn is called.
//
// With an AttemptTimeout the context that fn gets ends when the attempt's time is
// up; what fn returns then is an [*AttemptTimeoutError], and ctx goes on.
//
// Between attempts Execute waits as [RetryConfig.Delay] says, or as long as a
// [RetryAfterError] asks when that is longer, and never more than MaxDelay.
//
// A panic or runtime.Goexit in fn passes through: what the execution held is
// released and the breaker told of a failure.
func (p *RetryPolicy) Execute(ctx context.Context, fn func(context.Context) error, opts ...ExecuteOption) error {
	run := retryRun{policy: p}
	defer run.end()
	if err := p.admit(ctx); err != nil {
		return err
	}
	breaker := retryBreaker(opts)
	for {
		err := run.attempt(ctx, breaker, fn)
		if err == nil {
			run.succeeded = true
			return nil
		}
		delay, err := run.next(ctx, err)
		if err != nil {
			return err
		}
		if err := run.wait(ctx, delay); err != nil {
			return err
		}
	}
}

// call makes one attempt, within AttemptTimeout if there is one.
func (p *RetryPolicy) call(ctx context.Context, fn func(context.Context) error) error {
	if p.cfg.AttemptTimeout == 0 {
		return fn(ctx)
	}
	return attemptWithin(ctx, p.cfg.AttemptTimeout, fn)
}

// admit counts a request for the budget, or refuses a context that has ended, or whose
// deadline has passed: the timer that ends it may run late.
func (p *RetryPolicy) admit(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= 0 {
		return context.DeadlineExceeded
	}
	if p.share != nil {
		p.share.request(p.now())
	}
	return nil
}

// retryBreaker returns the breaker that opts ask for, or nil.
func retryBreaker(opts []ExecuteOption) (breaker *CircuitBreaker) {
	for _, opt := range opts {
		if opt.breaker != nil {
			breaker = opt.breaker
		}
	}
	return breaker
}

// Retry is [RetryPolicy.Execute] for a function that returns a value. The value
// is the last attempt's, and meaningful only when the error is nil.
func Retry[T any](ctx context.Context, p *RetryPolicy, fn func(context.Context) (T, error), opts ...ExecuteOption) (T, error) {
	var value T
	err := p.Execute(ctx, func(ctx context.Context) (err error) {
		value, err = fn(ctx)
		return err
	}, opts...)
	return value, err
}

// Metrics returns the counts so far. Each is exact; together they may straddle
// an execution that ends meanwhile.
func (p *RetryPolicy) Metrics() RetryMetrics {
	successes, failures := p.successes.Load(), p.failures.Load()
	m := RetryMetrics{
		Executions:       successes + failures,
		Attempts:         successes - min(successes, p.later.Load()) + p.attempts.Load(),
		Retries:          p.retries.Load(),
		Successes:        successes,
		Failures:         failures,
		Exhausted:        p.exhausted.Load(),
		BudgetRejections: p.rejections.Load(),
		TotalDelay:       time.Duration(p.totalDelay.Load()),
	}
	if p.budget != nil {
		m.BudgetInUse = p.budget.inUse(p.now())
	}
	return m
}

func (p *RetryPolicy) now() time.Duration { return time.Since(p.epoch) }
