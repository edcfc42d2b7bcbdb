package resilience

import (
	"context"
	"runtime"
	"slices"
	"testing"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"golang.org/x/sync/semaphore"

	brunt "example.com/brunt/resilience"
)

const (
	// room is more permits than there are callers: nobody waits.
	room = 64

	// scarce permits and many callers: nearly everybody waits.
	scarce = 4
	many   = 32
)

func newBruntLimiter(b *testing.B, permits int) *brunt.SemaphoreLimiter {
	b.Helper()
	l, err := brunt.NewSemaphoreLimiter(brunt.LimiterConfig{MaxConcurrent: permits})
	if err != nil {
		b.Fatal(err)
	}
	return l
}

// BenchmarkLimiterFree takes a permit that is free, calls, and gives it back.
func BenchmarkLimiterFree(b *testing.B) {
	bench(b, nil, slices.Concat(baselines, []impl{floor(false, 2)}, limiters(b, room, succeed))...)
}

// BenchmarkLimiterContended has 32 callers want one of 4 permits each. Whoever has
// one yields the processor before giving it back, so that others come and wait;
// impl=gosched does only that, without a limit. failsafe's executor is left out:
// unless it is told how long to wait, it refuses.
func BenchmarkLimiterContended(b *testing.B) {
	yield := func() error { runtime.Gosched(); return nil }
	impls := append([]impl{{"gosched", yield}, clock, clock.again()}, limiters(b, scarce, yield)...)
	for _, i := range impls {
		switch i.name {
		case "failsafe":
			continue
		case "semaphore":
			crowd(b, "32", many, i.again())
		}
		crowd(b, "32", many, i)
	}
}

// BenchmarkLimiterFull is refused a permit at once, where a library can do that.
func BenchmarkLimiterFull(b *testing.B) {
	sem := semaphore.NewWeighted(1)
	if !sem.TryAcquire(1) {
		b.Fatal("the semaphore is not free")
	}
	full := bulkhead.New[any](1)
	if !full.TryAcquirePermit() {
		b.Fatal("the bulkhead is not free")
	}
	executor := failsafe.With(full)
	own := newBruntLimiter(b, 1)
	if !own.TryAcquire() {
		b.Fatal("the limiter is not free")
	}
	bench(b, nil, baselines...)
	bench(b, errDown, impl{"brunt", func() error {
		if own.TryAcquire() {
			return nil
		}
		return errDown
	}})
	bench(b, errDown, impl{"semaphore", func() error {
		if sem.TryAcquire(1) {
			return nil
		}
		return errDown
	}})
	bench(b, bulkhead.ErrFull, impl{"failsafe", func() error { return executor.Run(succeed) }})
}

func limiters(b *testing.B, permits uint, fn func() error) []impl {
	b.Helper()
	ctx := b.Context()
	own, ownDo := newBruntLimiter(b, int(permits)), newBruntLimiter(b, int(permits))
	sem := semaphore.NewWeighted(int64(permits))
	tokens := make(chan struct{}, permits)
	permit := bulkhead.New[any](permits)
	executor := failsafe.With(bulkhead.New[any](permits))
	return []impl{
		{"brunt", func() error {
			if err := own.Acquire(ctx); err != nil {
				return err
			}
			defer own.Release()
			return fn()
		}},
		{"brunt.do", func() error { return ownDo.Do(ctx, func(context.Context) error { return fn() }) }},
		{"semaphore", func() error {
			if err := sem.Acquire(ctx, 1); err != nil {
				return err
			}
			defer sem.Release(1)
			return fn()
		}},
		{"channel", func() error {
			select {
			case tokens <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			defer func() { <-tokens }()
			return fn()
		}},
		{"failsafe", func() error { return executor.WithContext(ctx).Run(fn) }},
		{"failsafe.permits", func() error {
			if err := permit.AcquirePermit(ctx); err != nil {
				return err
			}
			defer permit.ReleasePermit()
			return fn()
		}},
	}
}
