package resilience_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"example.com/brunt/resilience"
	"example.com/brunt/resilience/resiliencetest"
)

func TestRetryConforms(t *testing.T) {
	resiliencetest.TestRetrier(t, func(spec resiliencetest.RetrierSpec) (resiliencetest.Retrier, error) {
		jitter := spec.JitterFactor
		if jitter == 0 {
			jitter = resilience.NoJitter
		}
		policy, err := resilience.NewRetryPolicy(resilience.RetryConfig{
			MaxAttempts: spec.MaxAttempts, BaseDelay: spec.BaseDelay, MaxDelay: spec.MaxDelay, JitterFactor: jitter,
			RetryBudget: 1000,
			IsTransient: func(error) bool { return true },
		})
		return retryAdapter{policy}, err
	})
}

type retryAdapter struct{ *resilience.RetryPolicy }

func (a retryAdapter) Execute(ctx context.Context, fn func(context.Context) error) error {
	return a.RetryPolicy.Execute(ctx, fn)
}

func (retryAdapter) Permanent(err error) error { return resilience.Permanent(err) }

func (retryAdapter) After(err error, d time.Duration) error {
	return errors.Join(err, retryAdvice(d))
}

type retryAdvice time.Duration

func (retryAdvice) Error() string                       { return "come back later" }
func (d retryAdvice) RetryAfter() (time.Duration, bool) { return time.Duration(d), true }
