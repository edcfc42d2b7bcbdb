package resilience

import (
	"context"
	"testing"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/sony/gobreaker/v2"

	brunt "example.com/brunt/resilience"
)

// enough failures never come in these benchmarks, except where they are meant to.
const enough = 5

// newBrunt has a sliding window of ten steps; it counts a rate of failures too,
// which cannot be turned off, and is out of the way at one.
func newBrunt(b *testing.B) *brunt.CircuitBreaker {
	b.Helper()
	cb, err := brunt.NewCircuitBreaker(brunt.BreakerConfig{
		WindowDuration:     window,
		OpenStateDuration:  window * 1000,
		FailureThreshold:   enough,
		ErrorRateThreshold: 1,
	})
	if err != nil {
		b.Fatal(err)
	}
	return cb
}

func viaBrunt(ctx context.Context, cb *brunt.CircuitBreaker, fn func() error) func() error {
	return func() error { return cb.Do(ctx, func(context.Context) error { return fn() }) }
}

// viaBruntPermits leaves out what Do adds: the context and the care for panics.
func viaBruntPermits(cb *brunt.CircuitBreaker, fn func() error) func() error {
	return func() error {
		permit, err := cb.Allow()
		if err != nil {
			return err
		}
		err = fn()
		permit.Done(err)
		return err
	}
}

// settings have a rolling window of ten buckets.
func settings() gobreaker.Settings {
	return gobreaker.Settings{
		Interval:     window,
		BucketPeriod: window / 10,
		Timeout:      window * 1000,
		ReadyToTrip:  func(c gobreaker.Counts) bool { return c.TotalFailures >= enough },
	}
}

func newGobreaker() *gobreaker.CircuitBreaker[struct{}] {
	return gobreaker.NewCircuitBreaker[struct{}](settings())
}

func viaGobreaker(cb *gobreaker.CircuitBreaker[struct{}], fn func() error) func() error {
	return func() error {
		_, err := cb.Execute(func() (struct{}, error) { return struct{}{}, fn() })
		return err
	}
}

func viaTwoStep(cb *gobreaker.TwoStepCircuitBreaker[struct{}], fn func() error) func() error {
	return func() error {
		done, err := cb.Allow()
		if err != nil {
			return err
		}
		err = fn()
		done(err)
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
	twoStep := gobreaker.NewTwoStepCircuitBreaker[struct{}](settings())
	bench(b, nil, append(baselines, floor(true, 2),
		impl{"brunt", viaBrunt(b.Context(), newBrunt(b), succeed)},
		impl{"brunt.permits", viaBruntPermits(newBrunt(b), succeed)},
		impl{"gobreaker", viaGobreaker(newGobreaker(), succeed)},
		impl{"gobreaker.permits", viaTwoStep(twoStep, succeed)},
		impl{"failsafe", func() error { return executor.Run(succeed) }},
		impl{"failsafe.permits", viaPermits(newFailsafe(), succeed)},
	)...)
}

// BenchmarkBreakerOpen is refused by an open breaker;
// each library has an error of its own for it.
func BenchmarkBreakerOpen(b *testing.B) {
	own, ownPermits := newBrunt(b), newBrunt(b)
	gb, gbPermits := newGobreaker(), gobreaker.NewTwoStepCircuitBreaker[struct{}](settings())
	fs, fsPermits := newFailsafe(), newFailsafe()
	for _, failing := range []func() error{
		viaBruntPermits(own, fail), viaBruntPermits(ownPermits, fail),
		viaGobreaker(gb, fail), viaTwoStep(gbPermits, fail),
	} {
		for range enough {
			_ = failing()
		}
	}
	fs.Open()
	fsPermits.Open()
	executor := failsafe.With(fs)
	bench(b, nil, append(baselines, floor(true, 1))...)
	bench(b, brunt.ErrOpen,
		impl{"brunt", viaBrunt(b.Context(), own, succeed)},
		impl{"brunt.permits", viaBruntPermits(ownPermits, succeed)},
	)
	bench(b, gobreaker.ErrOpenState,
		impl{"gobreaker", viaGobreaker(gb, succeed)},
		impl{"gobreaker.permits", viaTwoStep(gbPermits, succeed)},
	)
	bench(b, circuitbreaker.ErrOpen,
		impl{"failsafe", func() error { return executor.Run(succeed) }},
		impl{"failsafe.permits", viaPermits(fsPermits, succeed)},
	)
}
