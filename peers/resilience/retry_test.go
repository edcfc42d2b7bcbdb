package resilience

import (
	"testing"
	"time"

	avast "github.com/avast/retry-go/v5"
	"github.com/cenkalti/backoff/v5"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
)

// The policy of each: three attempts, from one second to sixty, with jitter.
const (
	attempts  = 3
	baseDelay = time.Second
	maxDelay  = 60 * time.Second
	jitter    = 0.1
)

// BenchmarkRetrySuccess succeeds at the first attempt, as nearly all calls do.
func BenchmarkRetrySuccess(b *testing.B) {
	ctx := b.Context()
	policy := retrypolicy.NewBuilder[any]().
		WithMaxAttempts(attempts).
		WithBackoff(baseDelay, maxDelay).
		WithJitterFactor(jitter).
		Build()
	executor := failsafe.With(policy)
	options := []avast.Option{
		avast.Attempts(attempts), avast.Delay(baseDelay), avast.MaxDelay(maxDelay),
		avast.DelayType(avast.CombineDelay(avast.BackOffDelay, avast.RandomDelay)),
		avast.MaxJitter(time.Duration(jitter * float64(baseDelay))),
		avast.Context(ctx),
	}
	retrier := avast.New(options...)
	bench(b, nil, append(baselines,
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
		impl{"avast.reused", func() error { return retrier.Do(succeed) }},
		impl{"avast", func() error { return avast.New(options...).Do(succeed) }},
	)...)
}
