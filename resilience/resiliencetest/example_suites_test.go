package resiliencetest_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"testing"

	"example.com/brunt/resilience"
	"example.com/brunt/resilience/resiliencetest"
)

func newBreaker(spec resiliencetest.BreakerSpec) (resiliencetest.Breaker, error) {
	if spec.OnStateChange != nil {
		return nil, fmt.Errorf("names of states: %w", errors.ErrUnsupported) // for the sake of a short example
	}
	return resilience.NewCircuitBreaker(resilience.BreakerConfig{
		FailureThreshold: spec.FailureThreshold, ErrorRateThreshold: spec.ErrorRateThreshold, WindowDuration: spec.WindowDuration,
		OpenStateDuration: spec.OpenStateDuration, HalfOpenMaxCalls: spec.HalfOpenMaxCalls, ProbeCount: spec.ProbeCount,
	})
}

func newLimiter(spec resiliencetest.LimiterSpec) (resiliencetest.Limiter, error) {
	return resilience.NewSemaphoreLimiter(resilience.LimiterConfig{MaxConcurrent: spec.MaxConcurrent, AcquireTimeout: spec.AcquireTimeout})
}

type retrier struct{ *resilience.RetryPolicy }

func (r retrier) Execute(ctx context.Context, fn func(context.Context) error) error {
	return r.RetryPolicy.Execute(ctx, fn)
}

func newRetrier(spec resiliencetest.RetrierSpec) (resiliencetest.Retrier, error) {
	policy, err := resilience.NewRetryPolicy(resilience.RetryConfig{
		MaxAttempts: spec.MaxAttempts, BaseDelay: spec.BaseDelay, MaxDelay: spec.MaxDelay,
		JitterFactor: cmp.Or(spec.JitterFactor, resilience.NoJitter),
		IsTransient:  func(error) bool { return true },
	})
	return retrier{policy}, err
}

func ExampleTestBreaker() {
	asTest(func(t *testing.T) { // in a test of yours: t is its own
		resiliencetest.TestBreaker(t, newBreaker)
	})
	// Output: true
}

func ExampleCheckBreaker() {
	asTest(func(t *testing.T) {
		report := resiliencetest.CheckBreaker(t, newBreaker)
		fmt.Println(len(report.Violations()), "violations; open-ends-exactly", report.Status("open-ends-exactly"))
	})
	// Output:
	// 0 violations; open-ends-exactly holds
	// true
}

func ExampleTestLimiter() {
	asTest(func(t *testing.T) {
		resiliencetest.TestLimiter(t, newLimiter)
	})
	// Output: true
}

// channel is a limiter as one writes it in a minute.
type channel chan struct{}

func (c channel) Acquire(ctx context.Context) error {
	select {
	case c <- struct{}{}: // by chance, if the context is canceled too
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c channel) Release() { <-c }

func ExampleCheckLimiter() {
	asTest(func(t *testing.T) {
		report := resiliencetest.CheckLimiter(t, func(spec resiliencetest.LimiterSpec) (resiliencetest.Limiter, error) {
			if spec.AcquireTimeout > 0 {
				return nil, errors.ErrUnsupported
			}
			return make(channel, spec.MaxConcurrent), nil
		})
		for _, r := range report.Violations() {
			fmt.Println(r.Property)
		}
	})
	// Output:
	// canceled-context-fails
	// over-release-panics
	// true
}

func ExampleTestRetrier() {
	asTest(func(t *testing.T) {
		resiliencetest.TestRetrier(t, newRetrier)
	})
	// Output: true
}

func ExampleCheckRetrier() {
	asTest(func(t *testing.T) {
		report := resiliencetest.CheckRetrier(t, newRetrier)
		fmt.Println(len(report.Violations()), "violations; no-delay-after-last", report.Status("no-delay-after-last"))
	})
	// Output:
	// 0 violations; no-delay-after-last holds
	// true
}
