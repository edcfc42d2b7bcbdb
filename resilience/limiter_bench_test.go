package resilience_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"example.com/brunt/resilience"
)

// BenchmarkTimeSince is the unit the other benchmarks of this package are read
// in: one clock reading of the machine they ran on.
func BenchmarkTimeSince(b *testing.B) {
	base := time.Now()
	var sum time.Duration
	for b.Loop() {
		sum += time.Since(base)
	}
	_ = sum
}

func benchLimiter(b *testing.B, permits int) *resilience.SemaphoreLimiter {
	b.Helper()
	l, err := resilience.NewSemaphoreLimiter(resilience.LimiterConfig{MaxConcurrent: permits})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	return l
}

func BenchmarkLimiter(b *testing.B) {
	ctx := context.Background()
	b.Run("load=serial", func(b *testing.B) {
		l := benchLimiter(b, 64)
		for b.Loop() {
			if l.Acquire(ctx) == nil {
				l.Release()
			}
		}
	})
	b.Run("load=parallel", func(b *testing.B) {
		l := benchLimiter(b, 64)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if l.Acquire(ctx) == nil {
					l.Release()
				}
			}
		})
	})
	b.Run("load=contended", func(b *testing.B) { // 32 goroutines, 4 permits
		l := benchLimiter(b, 4)
		b.SetParallelism((32 + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if l.Acquire(ctx) == nil {
					runtime.Gosched()
					l.Release()
				}
			}
		})
	})
}
