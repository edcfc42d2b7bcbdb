package resilience_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"example.com/brunt/resilience"
)

func benchBreaker(b *testing.B, cfg resilience.BreakerConfig) *resilience.CircuitBreaker {
	b.Helper()
	br, err := resilience.NewCircuitBreaker(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	return br
}

// BenchmarkBreaker is to be read beside BenchmarkTimeSince: a success costs one
// reading of the clock, one with latency tripping two.
func BenchmarkBreaker(b *testing.B) {
	pair := func(br *resilience.CircuitBreaker) {
		if p, err := br.Allow(); err == nil {
			p.Done(nil)
		}
	}
	b.Run("path=success", func(b *testing.B) {
		br := benchBreaker(b, resilience.BreakerConfig{})
		for b.Loop() {
			pair(br)
		}
	})
	b.Run("path=success-after-failures", func(b *testing.B) {
		br := benchBreaker(b, resilience.BreakerConfig{FailureThreshold: 1000, WindowDuration: time.Hour})
		for range 5 {
			p, _ := br.Allow()
			p.Done(errors.New("down"))
		}
		for b.Loop() {
			pair(br)
		}
	})
	b.Run("path=success-parallel", func(b *testing.B) {
		br := benchBreaker(b, resilience.BreakerConfig{})
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				pair(br)
			}
		})
	})
	b.Run("path=latency", func(b *testing.B) {
		br := benchBreaker(b, resilience.BreakerConfig{BaselineLatency: time.Second})
		for b.Loop() {
			pair(br)
		}
	})
	b.Run("path=do", func(b *testing.B) {
		br := benchBreaker(b, resilience.BreakerConfig{})
		fn := func(context.Context) error { return nil }
		for b.Loop() {
			_ = br.Do(b.Context(), fn)
		}
	})
	b.Run("path=rejected", func(b *testing.B) {
		br := benchBreaker(b, resilience.BreakerConfig{FailureThreshold: 1, OpenStateDuration: time.Hour})
		p, _ := br.Allow()
		p.Done(errors.New("down"))
		for b.Loop() {
			pair(br)
		}
	})
}
