package resilience

import (
	"context"
	"testing"
	"time"
)

// path=clock is what one reading of the clock costs here, the yardstick that
// travels between machines.
func BenchmarkRetry(b *testing.B) {
	p, err := NewRetryPolicy(RetryConfig{})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	endless := context.Background()
	fn := func(context.Context) error { return nil }
	b.Run("path=clock", func(b *testing.B) {
		start := time.Now()
		for b.Loop() {
			_ = time.Since(start)
		}
	})
	b.Run("path=success", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = p.Execute(endless, fn)
		}
	})
	b.Run("path=deadline", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = p.Execute(ctx, fn)
		}
	})
	b.Run("path=value", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = Retry(endless, p, func(context.Context) (int, error) { return 1, nil })
		}
	})
	b.Run("path=parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_ = p.Execute(endless, fn)
			}
		})
	})
}

func BenchmarkBudget(b *testing.B) {
	budget := newRetryBudget(10, time.Microsecond)
	b.ReportAllocs()
	for now := time.Duration(0); b.Loop(); now += time.Microsecond {
		if budget.hold(now) {
			budget.begin(now)
		}
	}
}

func BenchmarkRetryBreaker(b *testing.B) {
	p, err := NewRetryPolicy(RetryConfig{})
	if err != nil {
		b.Fatal(err)
	}
	breaker, err := NewCircuitBreaker(BreakerConfig{})
	if err != nil {
		b.Fatal(err)
	}
	fn := func(context.Context) error { return nil }
	option := WithBreaker(breaker)
	b.ReportAllocs()
	for b.Loop() {
		_ = p.Execute(context.Background(), fn, option)
	}
}
