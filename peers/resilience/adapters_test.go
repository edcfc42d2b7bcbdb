package resilience

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	avast "github.com/avast/retry-go/v5"
	"github.com/cenkalti/backoff/v5"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/sony/gobreaker/v2"
	"golang.org/x/sync/semaphore"

	brunt "example.com/brunt/resilience"
	"example.com/brunt/resilience/resiliencetest"
)

// The adapters set each library up for the best it can do.

type bruntBreaker struct{ *brunt.CircuitBreaker }

func (b bruntBreaker) Counts() (successes, failures uint64) {
	m := b.Metrics()
	return m.Successes, m.Failures
}

func bruntBreakers(spec resiliencetest.BreakerSpec) (resiliencetest.Breaker, error) {
	cfg := brunt.BreakerConfig{
		FailureThreshold:   spec.FailureThreshold,
		ErrorRateThreshold: spec.ErrorRateThreshold,
		WindowDuration:     spec.WindowDuration,
		OpenStateDuration:  spec.OpenStateDuration,
		HalfOpenMaxCalls:   spec.HalfOpenMaxCalls,
		ProbeCount:         spec.ProbeCount,
	}
	if spec.OnStateChange != nil {
		name := func(s brunt.State) string {
			return strings.ReplaceAll(strings.ToLower(s.String()), "_", "-")
		}
		cfg.OnStateChange = func(t brunt.Transition) { spec.OnStateChange(name(t.From), name(t.To)) }
	}
	b, err := brunt.NewCircuitBreaker(cfg)
	return bruntBreaker{b}, err
}

type gobreakerAdapter struct {
	*gobreaker.CircuitBreaker[struct{}]
}

func (a gobreakerAdapter) Do(ctx context.Context, fn func(context.Context) error) error {
	_, err := a.Execute(func() (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}

func (a gobreakerAdapter) Counts() (successes, failures uint64) {
	c := a.CircuitBreaker.Counts()
	return uint64(c.TotalSuccesses), uint64(c.TotalFailures)
}

// gobreakers have a rolling window, and exclude what their callers canceled. The
// two thresholds are the adapter's own doing, because gobreaker leaves them to a
// function of its user's. MaxRequests is both the number of probes admitted and
// of successes asked for; where the spec wants them to differ, it is the latter.
func gobreakers(spec resiliencetest.BreakerSpec) (resiliencetest.Breaker, error) {
	settings := gobreaker.Settings{
		Interval:     spec.WindowDuration,
		BucketPeriod: spec.WindowDuration / 10,
		Timeout:      spec.OpenStateDuration,
		MaxRequests:  uint32(spec.HalfOpenMaxCalls),
		ReadyToTrip: func(c gobreaker.Counts) bool {
			calls := c.TotalSuccesses + c.TotalFailures
			return int(c.TotalFailures) >= spec.FailureThreshold ||
				calls >= 10 && float64(c.TotalFailures)/float64(calls) >= spec.ErrorRateThreshold
		},
		IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
	}
	if spec.OnStateChange != nil {
		settings.OnStateChange = func(_ string, from, to gobreaker.State) {
			spec.OnStateChange(from.String(), to.String())
		}
	}
	return gobreakerAdapter{gobreaker.NewCircuitBreaker[struct{}](settings)}, nil
}

type failsafeBreaker struct {
	breaker  circuitbreaker.CircuitBreaker[any]
	executor failsafe.Executor[any]
}

func (a failsafeBreaker) Do(ctx context.Context, fn func(context.Context) error) error {
	return a.executor.WithContext(ctx).Run(func() error { return fn(ctx) })
}

func (a failsafeBreaker) Counts() (successes, failures uint64) {
	m := a.breaker.Metrics()
	return uint64(m.Successes()), uint64(m.Failures())
}

// failsafeBreakers have either of the two thresholds, since the builder takes one
// in place of the other: the rate where the spec asks for one below 1, as then the
// number is out of reach. What a caller canceled is not handled, which is the
// nearest there is to ignoring it: it counts as a success.
func failsafeBreakers(spec resiliencetest.BreakerSpec) (resiliencetest.Breaker, error) {
	builder := circuitbreaker.NewBuilder[any]().
		WithDelay(spec.OpenStateDuration).
		WithSuccessThreshold(uint(spec.HalfOpenMaxCalls)).
		HandleIf(func(_ any, err error) bool { return err != nil && !errors.Is(err, context.Canceled) })
	if spec.ErrorRateThreshold < 1 {
		builder = builder.WithFailureRateThreshold(spec.ErrorRateThreshold, 10, spec.WindowDuration)
	} else {
		builder = builder.WithFailureThresholdPeriod(uint(spec.FailureThreshold), spec.WindowDuration)
	}
	if spec.OnStateChange != nil {
		builder = builder.OnStateChanged(func(e circuitbreaker.StateChangedEvent) {
			spec.OnStateChange(e.OldState.String(), e.NewState.String())
		})
	}
	breaker := builder.Build()
	return failsafeBreaker{breaker, failsafe.With[any](breaker)}, nil
}

func bruntLimiters(spec resiliencetest.LimiterSpec) (resiliencetest.Limiter, error) {
	return brunt.NewSemaphoreLimiter(brunt.LimiterConfig{MaxConcurrent: spec.MaxConcurrent, AcquireTimeout: spec.AcquireTimeout})
}

// semaphores have no timeout of their own; a context with one is how it is done.
func semaphores(spec resiliencetest.LimiterSpec) (resiliencetest.Limiter, error) {
	return semaphoreAdapter{semaphore.NewWeighted(int64(spec.MaxConcurrent)), spec.AcquireTimeout}, nil
}

type semaphoreAdapter struct {
	*semaphore.Weighted
	timeout time.Duration
}

func (a semaphoreAdapter) Acquire(ctx context.Context) error {
	if a.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, a.timeout)
		defer cancel()
	}
	return a.Weighted.Acquire(ctx, 1)
}

func (a semaphoreAdapter) TryAcquire() bool { return a.Weighted.TryAcquire(1) }

func (a semaphoreAdapter) Release() { a.Weighted.Release(1) }

type bulkheadAdapter struct {
	bulkhead.Bulkhead[any]
	timeout time.Duration
}

func bulkheads(spec resiliencetest.LimiterSpec) (resiliencetest.Limiter, error) {
	return bulkheadAdapter{bulkhead.New[any](uint(spec.MaxConcurrent)), spec.AcquireTimeout}, nil
}

func (a bulkheadAdapter) Acquire(ctx context.Context) error {
	if a.timeout > 0 {
		return a.AcquirePermitWithMaxWait(ctx, a.timeout)
	}
	return a.AcquirePermit(ctx)
}

func (a bulkheadAdapter) TryAcquire() bool { return a.TryAcquirePermit() }

func (a bulkheadAdapter) Release() { a.ReleasePermit() }

// advice asks for a wait. It implements brunt's RetryAfterError.
type advice time.Duration

func (a advice) Error() string { return fmt.Sprintf("come back in %v", time.Duration(a)) }

func (a advice) RetryAfter() (time.Duration, bool) { return time.Duration(a), true }

// heed is what a careful user of a library that leaves the delay to a function
// would write: the schedule's delay, or what the service asks for if that is
// longer, and no longer than the longest delay.
func heed(err error, scheduled, longest time.Duration) (delay time.Duration, advised bool) {
	var a advice
	if !errors.As(err, &a) {
		return scheduled, false
	}
	return min(max(scheduled, time.Duration(a)), longest), true
}

// adviser lets an adapter offer Retry-After.
type adviser struct{}

func (adviser) After(err error, d time.Duration) error { return errors.Join(err, advice(d)) }

type bruntRetrier struct {
	adviser
	policy *brunt.RetryPolicy
}

func bruntRetriers(spec resiliencetest.RetrierSpec) (resiliencetest.Retrier, error) {
	jitter := spec.JitterFactor
	if jitter == 0 {
		jitter = brunt.NoJitter
	}
	policy, err := brunt.NewRetryPolicy(brunt.RetryConfig{
		MaxAttempts: spec.MaxAttempts, BaseDelay: spec.BaseDelay, MaxDelay: spec.MaxDelay, JitterFactor: jitter,
		RetryBudget: 1000,
		IsTransient: func(error) bool { return true },
	})
	return bruntRetrier{policy: policy}, err
}

func (a bruntRetrier) Execute(ctx context.Context, fn func(context.Context) error) error {
	return a.policy.Execute(ctx, fn)
}

func (bruntRetrier) Permanent(err error) error { return brunt.Permanent(err) }

type backoffAdapter struct{ spec resiliencetest.RetrierSpec }

func backoffs(spec resiliencetest.RetrierSpec) (resiliencetest.Retrier, error) {
	return backoffAdapter{spec}, nil
}

// Execute makes a schedule for each execution, as one must not be shared, and
// does without the limit on the total time, which is 15 minutes by default.
func (a backoffAdapter) Execute(ctx context.Context, fn func(context.Context) error) error {
	schedule := backoff.NewExponentialBackOff()
	schedule.InitialInterval, schedule.MaxInterval = a.spec.BaseDelay, a.spec.MaxDelay
	schedule.Multiplier, schedule.RandomizationFactor = 2, a.spec.JitterFactor
	_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, fn(ctx) },
		backoff.WithBackOff(schedule), backoff.WithMaxTries(uint(a.spec.MaxAttempts)), backoff.WithMaxElapsedTime(0))
	return err
}

func (backoffAdapter) Permanent(err error) error { return backoff.Permanent(err) }

func (backoffAdapter) After(err error, d time.Duration) error {
	return errors.Join(err, &backoff.RetryAfterError{Duration: d})
}

type avastAdapter struct {
	adviser
	spec resiliencetest.RetrierSpec
}

func avasts(spec resiliencetest.RetrierSpec) (resiliencetest.Retrier, error) {
	return avastAdapter{spec: spec}, nil
}

// Execute makes a retrier for each execution, as it is bound to a context. avast's
// jitter is added to the delay, and at most a constant.
func (a avastAdapter) Execute(ctx context.Context, fn func(context.Context) error) error {
	schedule := avast.DelayTypeFunc(avast.BackOffDelay)
	if a.spec.JitterFactor > 0 {
		schedule = avast.CombineDelay(avast.BackOffDelay, avast.RandomDelay)
	}
	return avast.New(
		avast.Context(ctx), avast.Attempts(uint(a.spec.MaxAttempts)),
		avast.Delay(a.spec.BaseDelay), avast.MaxDelay(a.spec.MaxDelay),
		avast.MaxJitter(time.Duration(a.spec.JitterFactor*float64(a.spec.BaseDelay))),
		avast.DelayType(func(n uint, err error, config avast.DelayContext) time.Duration {
			delay, _ := heed(err, schedule(n, err, config), a.spec.MaxDelay)
			return delay
		}),
	).Do(func() error { return fn(ctx) })
}

func (avastAdapter) Permanent(err error) error { return avast.Unrecoverable(err) }

type failsafeRetrier struct {
	adviser
	executor failsafe.Executor[any]
}

// permanent marks what failsafe is told to abort on; it has no mark of its own.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

func failsafeRetriers(spec resiliencetest.RetrierSpec) (resiliencetest.Retrier, error) {
	policy := retrypolicy.NewBuilder[any]().
		WithMaxAttempts(spec.MaxAttempts).
		WithBackoff(spec.BaseDelay, spec.MaxDelay).
		WithJitterFactor(spec.JitterFactor).
		WithDelayFunc(func(exec failsafe.ExecutionAttempt[any]) time.Duration {
			if delay, ok := heed(exec.LastError(), spec.BaseDelay, spec.MaxDelay); ok {
				return delay
			}
			return -1 // as scheduled
		}).
		AbortIf(func(_ any, err error) bool {
			var p permanent
			return errors.As(err, &p)
		}).
		Build()
	return failsafeRetrier{executor: failsafe.With[any](policy)}, nil
}

func (a failsafeRetrier) Execute(ctx context.Context, fn func(context.Context) error) error {
	return a.executor.WithContext(ctx).Run(func() error { return fn(ctx) })
}

func (failsafeRetrier) Permanent(err error) error { return permanent{err} }
