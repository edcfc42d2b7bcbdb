package resilience_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/resilience"
)

// Each test in this file is about a fault that some other library had. The
// numbers are shared with the limiter's tests and leave out what is no concern
// of a breaker.

var errBreakerDown = errors.New("down")

func newBreaker(tb testing.TB, cfg resilience.BreakerConfig) *resilience.CircuitBreaker {
	tb.Helper()
	b, err := resilience.NewCircuitBreaker(cfg)
	require.NoError(tb, err)
	return b
}

func breakerAllow(tb testing.TB, b *resilience.CircuitBreaker) resilience.Permit {
	tb.Helper()
	p, err := b.Allow()
	require.NoError(tb, err)
	return p
}

func breakerReport(tb testing.TB, b *resilience.CircuitBreaker, n int, err error) {
	tb.Helper()
	for range n {
		p, refused := b.Allow()
		if refused != nil { // there are a quarter of a million calls, and require is slow
			require.NoError(tb, refused)
		}
		p.Done(err)
	}
}

// Reading the breaker in its callback deadlocked gobreaker.
func TestBreakerPeerBug01CallbackMayUseTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *resilience.CircuitBreaker
		var seen []string
		b = newBreaker(t, resilience.BreakerConfig{
			FailureThreshold: 1,
			OnStateChange: func(tr resilience.Transition) {
				seen = append(seen, fmt.Sprintf("%v→%v", tr.From, tr.To))
				_, _, _, _ = b.Metrics(), b.State(), b.Timeline(), b.RetryAfter()
				b.RecordLatency(time.Hour)
				require.NoError(t, b.WaitPending(t.Context()), "the call that caused the transition is still pending")
				if tr.To == resilience.StateOpen {
					require.ErrorIs(t, b.Do(t.Context(), func(context.Context) error { return nil }), resilience.ErrOpen)
					b.Reset() // queues another transition
					require.NoError(t, b.Do(t.Context(), func(context.Context) error { return nil }))
				}
			},
		})
		require.ErrorIs(t, b.Do(t.Context(), func(context.Context) error { return errBreakerDown }), errBreakerDown)
		require.Equal(t, []string{"CLOSED→OPEN", "OPEN→CLOSED"}, seen)
		require.Equal(t, resilience.StateClosed, b.State())
	})
}

// In gobreaker a probe that hangs keeps the breaker shut for good.
func TestBreakerPeerBug02HungProbeDoesNotWedge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 1, OpenStateDuration: time.Minute, HalfOpenMaxCalls: 2, ProbeCount: 2})
		breakerReport(t, b, 1, errBreakerDown)
		time.Sleep(time.Minute)
		hung := breakerAllow(t, b)
		time.Sleep(time.Second)
		slow := breakerAllow(t, b)
		_, err := b.Allow()
		require.ErrorIs(t, err, resilience.ErrOpen)
		require.Equal(t, 59*time.Second, b.RetryAfter())
		time.Sleep(59*time.Second - 1)
		_, err = b.Allow()
		require.ErrorIs(t, err, resilience.ErrOpen, "the lease was cut short")
		time.Sleep(time.Nanosecond)
		require.Zero(t, b.RetryAfter())
		second := breakerAllow(t, b) // in the place of the hung one
		require.EqualValues(t, 1, b.Metrics().ExpiredProbes)
		require.Equal(t, 2, b.Metrics().ProbesInFlight)
		require.Equal(t, 3, b.Metrics().Pending)

		hung.Done(errBreakerDown) // wakes up at last: its word no longer counts
		require.Equal(t, resilience.StateHalfOpen, b.State())
		require.EqualValues(t, 1, b.Metrics().TotalLate)
		second.Done(nil)
		slow.Done(nil) // not hung, merely slow: its success does count
		require.Equal(t, resilience.StateClosed, b.State())
		require.Zero(t, b.Metrics().Pending)
	})
}

// Goexit (t.FailNow) leaked gobreaker's probe, a panic failsafe-go's permits.
func TestBreakerPeerBug03PanicAndGoexitAreFailuresAndRelease(t *testing.T) {
	ends := map[string]func(){
		"panic":  func() { panic("boom") },
		"goexit": runtime.Goexit,
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 2})
				var recovered any
				run := func(generic bool) {
					done := make(chan struct{})
					go func() {
						defer close(done)
						defer func() { recovered = recover() }()
						if generic {
							_, _ = resilience.Call(t.Context(), b, func(context.Context) (int, error) { end(); return 0, nil })
						} else {
							_ = b.Do(t.Context(), func(context.Context) error { end(); return nil })
						}
					}()
					<-done
				}
				run(false)
				require.EqualValues(t, 1, b.Metrics().Failures)
				run(true)
				require.Equal(t, resilience.StateOpen, b.State())
				if name == "panic" {
					require.Equal(t, "boom", recovered, "the panic did not go on")
				}
				time.Sleep(b.RetryAfter())
				run(false) // as a probe
				require.Equal(t, resilience.StateOpen, b.State())
				m := b.Metrics()
				require.Zero(t, m.Pending)
				require.Zero(t, m.ProbesInFlight)
				time.Sleep(m.RetryAfter)
				require.NoError(t, b.Do(t.Context(), func(context.Context) error { return nil }), "the probe's place was lost")
			})
		})
	}
}

// In resilience4j an ignored result kept its probe's place.
func TestBreakerPeerBug04IgnoredResultReturnsProbePlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 1, HalfOpenMaxCalls: 1})
		breakerReport(t, b, 1, errBreakerDown)
		time.Sleep(30 * time.Second)
		for range 5 {
			breakerAllow(t, b).Done(fmt.Errorf("wrapped: %w", context.Canceled))
			breakerAllow(t, b).Ignore()
			ctx, cancel := context.WithCancel(t.Context())
			require.ErrorIs(t, b.Do(ctx, func(ctx context.Context) error { cancel(); return ctx.Err() }), context.Canceled)
		}
		m := b.Metrics()
		require.Equal(t, resilience.StateHalfOpen, m.State)
		require.EqualValues(t, 15, m.TotalIgnored)
		require.Zero(t, m.ProbesInFlight)
		require.Zero(t, m.Pending)
		breakerReport(t, b, 1, nil)
		require.Equal(t, resilience.StateClosed, b.State())
	})
}

// In failsafe-go and circuit the late success of a call admitted while closed
// closed the half-open breaker.
func TestBreakerPeerBug05LateResultsChangeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 1, HalfOpenMaxCalls: 1, OpenStateDuration: time.Second})
		var old []resilience.Permit
		for range 6 {
			old = append(old, breakerAllow(t, b))
		}
		breakerReport(t, b, 1, errBreakerDown)
		old[0].Done(nil) // while open
		old[1].Done(errBreakerDown)
		opened := b.Metrics().OpenedAt
		time.Sleep(time.Second)
		probe := breakerAllow(t, b)
		old[2].Done(nil) // while half-open
		old[3].Done(errBreakerDown)
		require.Equal(t, resilience.StateHalfOpen, b.State())
		require.Equal(t, opened, b.Metrics().OpenedAt)
		_, err := b.Allow()
		require.ErrorIs(t, err, resilience.ErrOpen, "a late result freed a probe's place")
		probe.Done(nil)
		old[4].Done(nil) // closed again, two generations later
		old[5].Done(errBreakerDown)
		m := b.Metrics()
		require.Equal(t, resilience.StateClosed, m.State)
		require.Zero(t, m.Requests())
		require.EqualValues(t, 6, m.TotalLate)
		require.Zero(t, m.Pending)
	})
}

// gobreaker asks only after a failure, so this one goes unnoticed there.
func TestBreakerPeerBug06SuccessCanReachTheErrorRate(t *testing.T) {
	b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 100, ErrorRateThreshold: 0.9})
	breakerReport(t, b, 9, errBreakerDown)
	require.Equal(t, resilience.StateClosed, b.State(), "nine calls are too few for a rate")
	breakerReport(t, b, 1, nil)
	require.Equal(t, resilience.StateOpen, b.State())
	tl := b.Timeline()
	require.Len(t, tl, 1)
	require.Equal(t, resilience.ReasonErrorRate, tl[0].Reason)
	require.EqualValues(t, 9, tl[0].Failures)
	require.EqualValues(t, 1, tl[0].Successes)
}

// goresilience tripped at a tenth of failures with a threshold of nine tenths.
func TestBreakerPeerBug07ThresholdIsOfFailures(t *testing.T) {
	b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 1000, ErrorRateThreshold: 0.9})
	for range 50 {
		breakerReport(t, b, 9, nil)
		breakerReport(t, b, 1, errBreakerDown)
	}
	require.Equal(t, resilience.StateClosed, b.State())
	require.InDelta(t, 0.1, b.Metrics().ErrorRate(), 0)
}

// Computed in floating point 0.57 of 100 is 56.99…, or 57.00…1.
func TestBreakerPeerBug08RateIsExactAtTheThreshold(t *testing.T) {
	for total := 10; total <= 300; total++ {
		for _, failures := range []int{1, total / 7, total / 3, total / 2, total * 57 / 100, total - 1} {
			if failures == 0 {
				continue
			}
			cfg := resilience.BreakerConfig{FailureThreshold: 1 << 30, ErrorRateThreshold: float64(failures) / float64(total)}
			b := newBreaker(t, cfg)
			breakerReport(t, b, total-failures, nil)
			breakerReport(t, b, failures-1, errBreakerDown)
			require.Equal(t, resilience.StateClosed, b.State(), "%d of %d", failures-1, total-1)
			breakerReport(t, b, 1, errBreakerDown)
			require.Equal(t, resilience.StateOpen, b.State(), "%d of %d", failures, total)
		}
	}
}

// Other windows kept stale buckets over an idle gap, or threw away fresh events
// while clearing them. FuzzWindow goes further.
func TestBreakerPeerBug09IdleGapNeitherRevivesNorLoses(t *testing.T) {
	for k := range 30 {
		synctest.Test(t, func(t *testing.T) {
			const window = time.Second
			b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 5, WindowDuration: window})
			breakerReport(t, b, 4, errBreakerDown)
			time.Sleep(window << k)
			require.Zero(t, b.Metrics().Failures)
			breakerReport(t, b, 4, errBreakerDown)
			require.Equal(t, resilience.StateClosed, b.State(), "stale failures came back after 2^%d windows", k)
			require.EqualValues(t, 4, b.Metrics().Failures, "fresh failures were lost after 2^%d windows", k)
			breakerReport(t, b, 1, errBreakerDown)
			require.Equal(t, resilience.StateOpen, b.State())
		})
	}
}

// gobreaker and failsafe-go went on reporting the counts of an hour ago.
func TestBreakerPeerBug10MetricsAreNotStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, resilience.BreakerConfig{})
		breakerReport(t, b, 3, nil)
		breakerReport(t, b, 2, errBreakerDown)
		m := b.Metrics()
		require.Equal(t, []uint64{3, 2}, []uint64{m.Successes, m.Failures})
		time.Sleep(54*time.Second - 1)
		require.EqualValues(t, 5, b.Metrics().Requests(), "nine tenths of the window count at least")
		time.Sleep(time.Hour)
		m = b.Metrics()
		require.Zero(t, m.Requests())
		require.Zero(t, m.ErrorRate())
		require.Equal(t, []uint64{3, 2}, []uint64{m.TotalSuccesses, m.TotalFailures})
	})
}

// A window of size one broke resilience4j: the smallest of everything works.
func TestBreakerPeerBug11SmallestOfEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, resilience.BreakerConfig{
			FailureThreshold: 1, ErrorRateThreshold: 5e-324, BaselineLatency: 1, LatencyThresholdMultiplier: 1,
			OpenStateDuration: 1, HalfOpenMaxCalls: 1, ProbeCount: 1, WindowDuration: time.Millisecond,
		})
		for range 3 {
			breakerReport(t, b, 100, nil)
			breakerReport(t, b, 1, errBreakerDown)
			require.Equal(t, resilience.StateOpen, b.State())
			time.Sleep(time.Nanosecond)
			breakerReport(t, b, 1, nil)
			require.Equal(t, resilience.StateClosed, b.State())
		}
	})
	l := newLimiter(t, 1, 1)
	require.True(t, l.TryAcquire())
	require.False(t, l.TryAcquire())
}

// Breakers disagree about this instant; here it is documented.
func TestBreakerPeerBug12AdmitsAtExactlyOpenStateDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 1, OpenStateDuration: time.Minute})
		time.Sleep(time.Hour + 1)
		breakerReport(t, b, 1, errBreakerDown)
		require.Equal(t, time.Minute, b.RetryAfter())
		time.Sleep(time.Minute - 1)
		_, err := b.Allow()
		require.ErrorIs(t, err, resilience.ErrOpen)
		require.EqualValues(t, 1, b.RetryAfter())
		time.Sleep(time.Nanosecond)
		require.Zero(t, b.RetryAfter())
		require.Equal(t, resilience.StateOpen, b.State(), "looking is not calling")
		breakerAllow(t, b).Done(nil)
		require.Equal(t, resilience.StateHalfOpen, b.State())
	})
}

// mercari's and eapache's breakers let all of a hundred callers probe.
func TestBreakerPeerBug13HalfOpenAdmitsProbeCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 1, HalfOpenMaxCalls: 5, ProbeCount: 3})
		breakerReport(t, b, 1, errBreakerDown)
		time.Sleep(30 * time.Second)
		var inside, ran atomic.Int32
		for range 100 {
			go func() {
				_ = b.Do(context.Background(), func(context.Context) error {
					ran.Add(1)
					inside.Add(1)
					time.Sleep(time.Second)
					inside.Add(-1)
					return nil
				})
			}()
		}
		time.Sleep(time.Second / 2)
		require.EqualValues(t, 3, inside.Load(), "at once")
		time.Sleep(time.Minute)
		require.EqualValues(t, 3, ran.Load())
		m := b.Metrics()
		require.EqualValues(t, 97, m.TotalRejected)
		require.Equal(t, 3, m.ProbesPassed)
		breakerReport(t, b, 1, nil)
		require.Equal(t, resilience.StateHalfOpen, b.State(), "closed one success early")
		breakerReport(t, b, 1, nil)
		require.Equal(t, resilience.StateClosed, b.State())
	})
}

// Elsewhere transitions were reported twice or out of order. Many goroutines
// push the breaker round; what the callback hears must be the timeline.
func TestBreakerPeerBug14TransitionsAreExactAndInOrder(t *testing.T) {
	var mu sync.Mutex
	var heard []resilience.Transition
	var busy atomic.Int32
	b := newBreaker(t, resilience.BreakerConfig{
		FailureThreshold: 1, HalfOpenMaxCalls: 1, OpenStateDuration: time.Microsecond,
		OnStateChange: func(tr resilience.Transition) {
			if busy.Add(1) != 1 {
				t.Error("two callbacks at once")
			}
			mu.Lock()
			heard = append(heard, tr)
			mu.Unlock()
			busy.Add(-1)
		},
	})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 300 {
				p, err := b.Allow()
				switch {
				case err != nil:
					runtime.Gosched()
				case (i+g)%2 == 0:
					p.Done(errBreakerDown)
				default:
					p.Done(nil)
				}
				if i%100 == 99 {
					b.Reset()
				}
			}
		})
	}
	wg.Wait()
	require.NotEmpty(t, heard)
	state, generation, elapsed := resilience.StateClosed, uint64(1), time.Duration(0)
	for i, tr := range heard {
		require.Equal(t, state, tr.From, "transition %d does not begin where the last one ended", i)
		require.NotEqual(t, tr.From, tr.To)
		require.Greater(t, tr.Generation, generation)
		require.GreaterOrEqual(t, tr.Elapsed, elapsed)
		state, generation, elapsed = tr.To, tr.Generation, tr.Elapsed
	}
	require.Equal(t, b.State(), state, "a transition was never delivered")
	tl := b.Timeline()
	require.Equal(t, heard[len(heard)-len(tl):], []resilience.Transition(tl))
}

// Elsewhere a configuration was read more than once and could change between.
func TestBreakerPeerBug15ConfigIsReadOnce(t *testing.T) {
	cfg := resilience.BreakerConfig{FailureThreshold: 2}
	b := newBreaker(t, cfg)
	cfg.FailureThreshold = 1
	breakerReport(t, b, 1, errBreakerDown)
	require.Equal(t, resilience.StateClosed, b.State())

	asked := 0 // and one error is judged once
	cfg.IsFailure = func(error) bool { asked++; return asked > 1 }
	b = newBreaker(t, cfg)
	breakerReport(t, b, 1, errBreakerDown)
	require.Equal(t, 1, asked)
	require.EqualValues(t, 1, b.Metrics().Successes)
	breakerReport(t, b, 1, errBreakerDown)
	require.Equal(t, 2, asked)
	require.Equal(t, resilience.StateOpen, b.State())
}

// Other breakers leave tickers, sleepers and workers behind. TestMain looks for
// goroutines once more when all is done.
func TestBreakerPeerBug25StartsNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	var keep []any
	for range 100 {
		b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 1, OpenStateDuration: time.Nanosecond})
		breakerReport(t, b, 1, errBreakerDown)
		l := newLimiter(t, 1, time.Nanosecond)
		require.True(t, l.TryAcquire())
		require.Error(t, l.Acquire(t.Context()))
		keep = append(keep, b, l)
	}
	require.LessOrEqual(t, runtime.NumGoroutine(), before)
	runtime.KeepAlive(keep)
}

// Calls in flight when the breaker trips: their failures neither count beyond
// the threshold nor trip it again later.
func TestBreakerPeerBug26FailuresInFlightCountOnlyToTheThreshold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 5})
		for range 100 {
			go func() {
				_ = b.Do(context.Background(), func(context.Context) error {
					time.Sleep(time.Second)
					return errBreakerDown
				})
			}()
		}
		synctest.Wait()
		require.NoError(t, b.WaitPending(t.Context()))
		m := b.Metrics()
		require.EqualValues(t, 100, m.TotalAdmitted)
		require.EqualValues(t, 5, m.TotalFailures)
		require.EqualValues(t, 95, m.TotalLate)
		require.Len(t, b.Timeline(), 1)
		require.EqualValues(t, 5, b.Timeline()[0].Failures)
	})
}

// In hystrix-go the ticket came back after the call had returned, so a serial
// loop could be refused. One probe place must do for one caller.
func TestBreakerPeerBug27SerialProbesAreNeverRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 1, HalfOpenMaxCalls: 10_000, ProbeCount: 1})
		breakerReport(t, b, 1, errBreakerDown)
		time.Sleep(30 * time.Second)
		for range 10_000 {
			require.NoError(t, b.Do(t.Context(), func(context.Context) error { return nil }))
		}
		require.Equal(t, resilience.StateClosed, b.State())
		states := []resilience.State{}
		for _, tr := range b.Timeline() {
			states = append(states, tr.To)
		}
		require.True(t, slices.Equal(states, []resilience.State{resilience.StateOpen, resilience.StateHalfOpen, resilience.StateClosed}))
	})
}
