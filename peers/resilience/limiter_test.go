package resilience

import (
	"context"
	"testing"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"golang.org/x/sync/semaphore"
)

// room is more permits than there are callers: nobody waits.
const room = 64

// BenchmarkLimiterFree takes a permit that is free, calls, and gives it back.
func BenchmarkLimiterFree(b *testing.B) {
	ctx := b.Context()
	bench(b, nil, append(baselines, limiters(ctx, room)...)...)
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
	bench(b, errDown, impl{"semaphore", func() error {
		if sem.TryAcquire(1) {
			return nil
		}
		return errDown
	}})
	bench(b, bulkhead.ErrFull, impl{"failsafe", func() error { return executor.Run(succeed) }})
}

func limiters(ctx context.Context, permits uint) []impl {
	sem := semaphore.NewWeighted(int64(permits))
	tokens := make(chan struct{}, permits)
	permit := bulkhead.New[any](permits)
	executor := failsafe.With(bulkhead.New[any](permits))
	return []impl{
		{"semaphore", func() error {
			if err := sem.Acquire(ctx, 1); err != nil {
				return err
			}
			defer sem.Release(1)
			return succeed()
		}},
		{"channel", func() error {
			select {
			case tokens <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			defer func() { <-tokens }()
			return succeed()
		}},
		{"failsafe", func() error { return executor.WithContext(ctx).Run(succeed) }},
		{"failsafe.permits", func() error {
			if err := permit.AcquirePermit(ctx); err != nil {
				return err
			}
			defer permit.ReleasePermit()
			return succeed()
		}},
	}
}
