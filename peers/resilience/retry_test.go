package resilience

import (
	"context"
	"testing"
	"time"

	avast "github.com/avast/retry-go/v5"
	"github.com/cenkalti/backoff/v5"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	brunt "example.com/brunt/resilience"
)

// The policy of each: three attempts, from one second to sixty, with jitter.
const (
	attempts  = 3
	baseDelay = time.Second
	maxDelay  = 60 * time.Second
	jitter    = 0.1
)

func newBruntPolicy(b *testing.B) *brunt.RetryPolicy {
	b.Helper()
	policy, err := brunt.NewRetryPolicy(brunt.RetryConfig{
		MaxAttempts: attempts, BaseDelay: baseDelay, MaxDelay: maxDelay, JitterFactor: jitter,
	})
	if err != nil {
		b.Fatal(err)
	}
	return policy
}

func newFailsafePolicy() retrypolicy.RetryPolicy[any] {
	return retrypolicy.NewBuilder[any]().
		WithMaxAttempts(attempts).
		WithBackoff(baseDelay, maxDelay).
		WithJitterFactor(jitter).
		Build()
}

func avastOptions(ctx context.Context) []avast.Option {
	return []avast.Option{
		avast.Attempts(attempts), avast.Delay(baseDelay), avast.MaxDelay(maxDelay),
		avast.DelayType(avast.CombineDelay(avast.BackOffDelay, avast.RandomDelay)),
		avast.MaxJitter(time.Duration(jitter * float64(baseDelay))),
		avast.Context(ctx),
	}
}

// BenchmarkRetrySuccess succeeds at the first attempt, as nearly all calls do.
// brunt's policy has a budget besides, which only retries touch.
func BenchmarkRetrySuccess(b *testing.B) {
	ctx := b.Context()
	policy := newBruntPolicy(b)
	executor := failsafe.With(newFailsafePolicy())
	options := avastOptions(ctx)
	retrier := avast.New(options...)
	bench(b, nil, append(baselines, floor(false, 1),
		impl{"brunt", func() error { return policy.Execute(ctx, func(context.Context) error { return succeed() }) }},
		// A BackOff is not to be shared, so each call makes one.
		impl{"backoff", func() error {
			schedule := backoff.NewExponentialBackOff()
			schedule.InitialInterval, schedule.MaxInterval = baseDelay, maxDelay
			schedule.RandomizationFactor = jitter
			_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, succeed() },
				backoff.WithBackOff(schedule), backoff.WithMaxTries(attempts))
			return err
		}},
		impl{"failsafe", func() error { return executor.Run(succeed) }},
		// One retrier for all calls is bound to one context for all of them.
		impl{"avast.reused", func() error { return retrier.Do(succeed) }},
		impl{"avast", func() error { return avast.New(options...).Do(succeed) }},
	)...)
}
