package resilience

import (
	"context"
	"testing"

	avast "github.com/avast/retry-go/v5"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"golang.org/x/sync/semaphore"

	brunt "example.com/brunt/resilience"
)

// BenchmarkComposition puts a retry policy around a breaker around a limiter, and
// succeeds at once.
//
// impl=brunt nests the three by hand, as its documentation shows;
// impl=brunt.withbreaker hands the breaker to the policy. impl=failsafe is one
// executor made of three policies, without a context, which would cost it more.
// impl=assembled is what one puts together from three libraries: avast's retrier,
// gobreaker and x/sync's semaphore.
func BenchmarkComposition(b *testing.B) {
	ctx := b.Context()
	policy := newBruntPolicy(b)
	breaker, limiter := newBrunt(b), newBruntLimiter(b, room)
	executor := failsafe.With(newFailsafePolicy(), newFailsafe(), bulkhead.New[any](room))
	retrier := avast.New(avastOptions(ctx)...)
	sem := semaphore.NewWeighted(room)
	limited := func() error {
		if err := sem.Acquire(ctx, 1); err != nil {
			return err
		}
		defer sem.Release(1)
		return succeed()
	}
	guarded := viaGobreaker(newGobreaker(), limited)
	call := func(context.Context) error { return succeed() }
	bench(b, nil, append(baselines, floor(true, 5),
		impl{"brunt", func() error {
			return policy.Execute(ctx, func(ctx context.Context) error {
				return breaker.Do(ctx, func(ctx context.Context) error {
					return limiter.Do(ctx, call)
				})
			})
		}},
		impl{"brunt.withbreaker", func() error {
			return policy.Execute(ctx, func(ctx context.Context) error {
				return limiter.Do(ctx, call)
			}, brunt.WithBreaker(breaker))
		}},
		impl{"failsafe", func() error { return executor.Run(succeed) }},
		impl{"assembled", func() error { return retrier.Do(guarded) }},
	)...)
}
