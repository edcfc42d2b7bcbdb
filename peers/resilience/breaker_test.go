package resilience

import (
	"testing"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/sony/gobreaker/v2"
)

// enough failures never come in these benchmarks, except where they are meant to.
const enough = 5

// newGobreaker has a rolling window of ten buckets.
func newGobreaker() *gobreaker.CircuitBreaker[struct{}] {
	return gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Interval:     window,
		BucketPeriod: window / 10,
		Timeout:      window * 1000,
		ReadyToTrip:  func(c gobreaker.Counts) bool { return c.TotalFailures >= enough },
	})
}

func viaGobreaker(cb *gobreaker.CircuitBreaker[struct{}], fn func() error) func() error {
	return func() error {
		_, err := cb.Execute(func() (struct{}, error) { return struct{}{}, fn() })
		return err
	}
}

// newFailsafe has a time window, in ten buckets too.
func newFailsafe() circuitbreaker.CircuitBreaker[any] {
	return circuitbreaker.NewBuilder[any]().
		WithFailureThresholdPeriod(enough, window).
		WithDelay(window * 1000).
		Build()
}

// viaPermits uses the breaker without failsafe's executor, which most callers
// would not, and which is what its own bookkeeping costs.
func viaPermits(cb circuitbreaker.CircuitBreaker[any], fn func() error) func() error {
	return func() error {
		if !cb.TryAcquirePermit() {
			return circuitbreaker.ErrOpen
		}
		err := fn()
		if err != nil {
			cb.RecordError(err)
		} else {
			cb.RecordSuccess()
		}
		return err
	}
}

// BenchmarkBreakerSuccess calls through a closed breaker.
func BenchmarkBreakerSuccess(b *testing.B) {
	executor := failsafe.With(newFailsafe())
	bench(b, nil, append(baselines,
		impl{"gobreaker", viaGobreaker(newGobreaker(), succeed)},
		impl{"failsafe", func() error { return executor.Run(succeed) }},
		impl{"failsafe.permits", viaPermits(newFailsafe(), succeed)},
	)...)
}

// BenchmarkBreakerOpen is refused by an open breaker;
// each library has an error of its own for it.
func BenchmarkBreakerOpen(b *testing.B) {
	gb, fs, permits := newGobreaker(), newFailsafe(), newFailsafe()
	failing := viaGobreaker(gb, fail)
	for range enough {
		_ = failing()
	}
	fs.Open()
	permits.Open()
	executor := failsafe.With(fs)
	bench(b, gobreaker.ErrOpenState, impl{"gobreaker", viaGobreaker(gb, succeed)})
	bench(b, circuitbreaker.ErrOpen,
		impl{"failsafe", func() error { return executor.Run(succeed) }},
		impl{"failsafe.permits", viaPermits(permits, succeed)},
	)
}
