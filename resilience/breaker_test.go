package resilience_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/brunt/resilience"
)

func TestBreakerConfigReportsEveryFault(t *testing.T) {
	err := resilience.BreakerConfig{
		FailureThreshold: -2, ErrorRateThreshold: math.NaN(), MinRequests: -1, ConsecutiveFailures: -1, LatencyThresholdMultiplier: 0.5, BaselineLatency: -1,
		OpenStateDuration: -1, HalfOpenMaxCalls: -1, ProbeCount: -1, WindowDuration: -1,
	}.Validate()
	require.Error(t, err)
	for _, field := range []string{
		"FailureThreshold", "ErrorRateThreshold", "LatencyThresholdMultiplier", "BaselineLatency",
		"OpenStateDuration", "HalfOpenMaxCalls", "ProbeCount", "WindowDuration", "MinRequests", "ConsecutiveFailures",
	} {
		require.ErrorContains(t, err, "resilience: BreakerConfig."+field+" is ")
	}
	for _, c := range []struct {
		name string
		cfg  resilience.BreakerConfig
		want string // empty: valid
	}{
		{"zero value", resilience.BreakerConfig{}, ""},
		{"thresholds off", resilience.BreakerConfig{FailureThreshold: resilience.NoThreshold, ErrorRateThreshold: resilience.NoThreshold}, ""},
		{"rate of all", resilience.BreakerConfig{ErrorRateThreshold: 1}, ""},
		{"rate above all", resilience.BreakerConfig{ErrorRateThreshold: math.Nextafter(1, 2)}, "ErrorRateThreshold"},
		{"negative rate", resilience.BreakerConfig{ErrorRateThreshold: -0.1}, "ErrorRateThreshold"},
		{"infinite multiplier", resilience.BreakerConfig{LatencyThresholdMultiplier: math.Inf(1), BaselineLatency: 1}, "LatencyThresholdMultiplier"},
		{"multiplier of nothing", resilience.BreakerConfig{LatencyThresholdMultiplier: 3}, "LatencyThresholdMultiplier is 3, want 0 without a BaselineLatency"},
		{"threshold just beyond time", resilience.BreakerConfig{BaselineLatency: 1 << 62, LatencyThresholdMultiplier: 2}, "beyond any duration"},
		{"threshold beyond time", resilience.BreakerConfig{BaselineLatency: math.MaxInt64 / 2}, "beyond any duration"},
		{"longest everything", resilience.BreakerConfig{BaselineLatency: 1, OpenStateDuration: math.MaxInt64, WindowDuration: math.MaxInt64, ProbeCount: math.MaxInt}, ""},
		{"shortest window", resilience.BreakerConfig{WindowDuration: time.Millisecond}, ""},
		{"shorter window", resilience.BreakerConfig{WindowDuration: time.Millisecond - 1}, "WindowDuration"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := resilience.NewCircuitBreaker(c.cfg)
			if c.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.want)
			}
		})
	}
}

func TestBreakerDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, resilience.BreakerConfig{})
		breakerReport(t, b, 4, errBreakerDown)
		require.Equal(t, resilience.StateClosed, b.State())
		breakerReport(t, b, 1, errBreakerDown)
		require.Equal(t, 30*time.Second, b.RetryAfter())
		time.Sleep(30 * time.Second)
		probe := breakerAllow(t, b)
		_, err := b.Allow()
		require.ErrorIs(t, err, resilience.ErrOpen)
		probe.Done(nil)
		breakerReport(t, b, 1, nil)
		require.Equal(t, resilience.StateHalfOpen, b.State())
		breakerReport(t, b, 1, nil)
		require.Equal(t, resilience.StateClosed, b.State())
		breakerReport(t, b, 6, nil)
		breakerReport(t, b, 4, errBreakerDown)
		require.Equal(t, resilience.StateClosed, b.State(), "4 of 10")
		breakerReport(t, b, 1, errBreakerDown)
		require.Equal(t, resilience.ReasonFailures, b.Timeline()[3].Reason)
	})
}

// Each threshold trips by itself, and only where it is not turned off.
func TestBreakerThresholdsOnTheirOwn(t *testing.T) {
	const off = resilience.NoThreshold
	mixed := func(b *resilience.CircuitBreaker) { // one failure in four, never two in a row
		for range 50 {
			breakerReport(t, b, 3, nil)
			breakerReport(t, b, 1, errBreakerDown)
		}
	}
	for _, c := range []struct {
		name   string
		cfg    resilience.BreakerConfig
		calls  func(*resilience.CircuitBreaker)
		reason resilience.Reason // 0: stays closed
	}{
		{"all off", resilience.BreakerConfig{FailureThreshold: off, ErrorRateThreshold: off}, func(b *resilience.CircuitBreaker) {
			breakerReport(t, b, 1000, errBreakerDown)
		}, 0},
		{"count off: a low rate never trips it", resilience.BreakerConfig{FailureThreshold: off}, mixed, 0},
		{"count off: the rate does", resilience.BreakerConfig{FailureThreshold: off}, func(b *resilience.CircuitBreaker) {
			breakerReport(t, b, 10, errBreakerDown)
		}, resilience.ReasonErrorRate},
		{"rate off: nine of ten are 9", resilience.BreakerConfig{FailureThreshold: 10, ErrorRateThreshold: off}, func(b *resilience.CircuitBreaker) {
			breakerReport(t, b, 1, nil)
			breakerReport(t, b, 9, errBreakerDown)
		}, 0},
		{"rate off: the count trips it", resilience.BreakerConfig{FailureThreshold: 10, ErrorRateThreshold: off}, func(b *resilience.CircuitBreaker) {
			breakerReport(t, b, 10, errBreakerDown)
		}, resilience.ReasonFailures},
		{"one call short of MinRequests", resilience.BreakerConfig{FailureThreshold: off, MinRequests: 20}, func(b *resilience.CircuitBreaker) {
			breakerReport(t, b, 19, errBreakerDown)
		}, 0},
		{"MinRequests", resilience.BreakerConfig{FailureThreshold: off, MinRequests: 20}, func(b *resilience.CircuitBreaker) {
			breakerReport(t, b, 20, errBreakerDown)
		}, resilience.ReasonErrorRate},
		{"never in a row", resilience.BreakerConfig{FailureThreshold: off, ErrorRateThreshold: off, ConsecutiveFailures: 2}, mixed, 0},
		{"in a row", resilience.BreakerConfig{FailureThreshold: off, ErrorRateThreshold: off, ConsecutiveFailures: 5}, func(b *resilience.CircuitBreaker) {
			breakerReport(t, b, 4, errBreakerDown)
			breakerReport(t, b, 1, nil)
			breakerReport(t, b, 5, errBreakerDown)
		}, resilience.ReasonConsecutive},
		{"in a row over many windows", resilience.BreakerConfig{ConsecutiveFailures: 3}, func(b *resilience.CircuitBreaker) {
			for range 3 {
				breakerReport(t, b, 1, errBreakerDown)
				time.Sleep(time.Hour)
			}
		}, resilience.ReasonConsecutive},
		{"slow calls in a row", resilience.BreakerConfig{FailureThreshold: off, ConsecutiveFailures: 2, BaselineLatency: time.Second}, func(b *resilience.CircuitBreaker) {
			b.RecordLatency(time.Minute)
			b.RecordLatency(time.Minute)
		}, resilience.ReasonConsecutive},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBreaker(t, c.cfg)
				c.calls(b)
				if c.reason == 0 {
					require.Equal(t, resilience.StateClosed, b.State(), b.Timeline())
					return
				}
				require.Equal(t, resilience.StateOpen, b.State())
				require.Equal(t, c.reason, b.Timeline()[0].Reason)
			})
		})
	}
}

// What its caller canceled neither ends a run of failures nor makes it longer;
// what comes after its generation does not either.
func TestBreakerConsecutiveFailuresCountOnlyWhatCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: resilience.NoThreshold, ConsecutiveFailures: 3})
		late := breakerAllow(t, b)
		breakerReport(t, b, 2, errBreakerDown)
		breakerAllow(t, b).Ignore()
		breakerAllow(t, b).Done(context.Canceled)
		require.EqualValues(t, 2, b.Metrics().ConsecutiveFailures)
		breakerReport(t, b, 1, errBreakerDown)
		require.Equal(t, "CLOSED → OPEN (failures in a row: 3)", b.Timeline()[0].String())
		require.Zero(t, b.Metrics().ConsecutiveFailures)
		b.Reset()
		late.Done(errBreakerDown)
		require.Zero(t, b.Metrics().ConsecutiveFailures)
	})
}

func TestBreakerRefusalSaysWhoAndWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, resilience.BreakerConfig{Name: "api", FailureThreshold: 1})
		breakerReport(t, b, 1, errBreakerDown)
		time.Sleep(10 * time.Second)
		ran := false
		err := b.Do(t.Context(), func(context.Context) error { ran = true; return nil })
		require.False(t, ran)
		require.ErrorIs(t, err, resilience.ErrOpen)
		require.EqualError(t, err, `resilience: circuit breaker "api" is open`)
		var open *resilience.OpenError
		require.ErrorAs(t, err, &open)
		require.Equal(t, "api", open.Name)
		require.Equal(t, resilience.StateOpen, open.State)
		require.Equal(t, 20*time.Second, open.RetryAfter())
		time.Sleep(20 * time.Second)
		p := breakerAllow(t, b)
		_, err = b.Allow()
		require.ErrorIs(t, err, resilience.ErrOpen)
		require.EqualError(t, err, `resilience: circuit breaker "api" is half-open and its probes are out`)
		require.ErrorAs(t, err, &open)
		require.Equal(t, resilience.StateHalfOpen, open.State)
		p.Done(nil)
		require.Zero(t, open.RetryAfter())
		require.Zero(t, new(resilience.OpenError).RetryAfter())
	})
}

func TestBreakerLatency(t *testing.T) {
	cfg := resilience.BreakerConfig{FailureThreshold: 3, BaselineLatency: 100 * time.Millisecond}
	run := func(b *resilience.CircuitBreaker, d time.Duration, err error) error {
		return b.Do(context.Background(), func(context.Context) error { time.Sleep(d); return err })
	}
	t.Run("slow is a failure, the limit itself is not", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker(t, cfg)
			require.NoError(t, run(b, 300*time.Millisecond, nil))
			require.NoError(t, run(b, 300*time.Millisecond+1, nil), "the caller keeps its result")
			m := b.Metrics()
			require.Equal(t, []uint64{1, 1, 1}, []uint64{m.Successes, m.Failures, m.Slow})
			require.NoError(t, run(b, time.Second, nil))
			require.NoError(t, run(b, time.Second, nil))
			require.Equal(t, resilience.StateOpen, b.State())
			require.Equal(t, "CLOSED → OPEN (failure threshold: 3 of 4 failed, 3 too slow)", b.Timeline()[0].String())
		})
	})
	t.Run("failed and slow is one failure", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker(t, cfg)
			require.ErrorIs(t, run(b, time.Second, errBreakerDown), errBreakerDown)
			m := b.Metrics()
			require.Equal(t, []uint64{0, 1, 1}, []uint64{m.Successes, m.Failures, m.Slow})
			require.EqualValues(t, 1, m.TotalFailures)
		})
	})
	t.Run("ignored and slow is ignored", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker(t, cfg)
			p := breakerAllow(t, b)
			time.Sleep(time.Second)
			p.Done(context.Canceled)
			require.Zero(t, b.Metrics().Requests())
		})
	})
	t.Run("a slow probe reopens", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker(t, cfg)
			breakerReport(t, b, 3, errBreakerDown)
			time.Sleep(30 * time.Second)
			require.NoError(t, run(b, time.Second, nil))
			require.Equal(t, resilience.StateOpen, b.State())
			require.Equal(t, resilience.ReasonProbeSlow, b.Timeline()[2].Reason)
		})
	})
	t.Run("multiplier", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			cfg := cfg
			cfg.LatencyThresholdMultiplier = 1.5
			b := newBreaker(t, cfg)
			require.NoError(t, run(b, 150*time.Millisecond, nil))
			require.NoError(t, run(b, 151*time.Millisecond, nil))
			require.EqualValues(t, 1, b.Metrics().Slow)
		})
	})
	t.Run("off without a baseline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker(t, resilience.BreakerConfig{})
			require.NoError(t, run(b, 1000*time.Hour, nil))
			b.RecordLatency(1000 * time.Hour)
			require.EqualValues(t, 1, b.Metrics().Requests())
			require.Zero(t, b.Metrics().Failures)
		})
	})
}

func TestBreakerRecordLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 3, BaselineLatency: time.Second})
		for _, d := range []time.Duration{-1, 0, time.Second, 3 * time.Second} {
			b.RecordLatency(d)
		}
		require.Zero(t, b.Metrics().Requests(), "a normal latency changed the counts")
		inFlight := breakerAllow(t, b)
		b.RecordLatency(3*time.Second + 1)
		b.RecordLatency(time.Hour)
		m := b.Metrics()
		require.Equal(t, []uint64{0, 2, 2}, []uint64{m.Successes, m.Failures, m.Slow})
		require.Equal(t, 1, m.Pending, "a latency passed for the result of a call")
		b.RecordLatency(time.Hour)
		require.Equal(t, resilience.StateOpen, b.State())
		b.RecordLatency(time.Hour) // open: nothing to do
		inFlight.Done(nil)
		time.Sleep(30 * time.Second)
		p := breakerAllow(t, b)
		b.RecordLatency(time.Hour) // half-open: whose would it be?
		require.Equal(t, resilience.StateHalfOpen, b.State())
		p.Done(nil)
		m = b.Metrics()
		require.EqualValues(t, 3, m.TotalFailures)
		require.Zero(t, m.Pending)
	})
}

func TestBreakerClassifiesErrors(t *testing.T) {
	canceledCtx, cancel := context.WithCancel(context.Background())
	cancel()
	domain := errors.New("no such row")
	const success, failure, ignored = "success", "failure", "ignored"
	for _, c := range []struct {
		name string
		cfg  resilience.BreakerConfig
		err  error
		want string
	}{
		{"nil", resilience.BreakerConfig{}, nil, success},
		{"any error", resilience.BreakerConfig{}, io.EOF, failure},
		{"deadline", resilience.BreakerConfig{}, context.DeadlineExceeded, failure},
		{"canceled", resilience.BreakerConfig{}, canceledCtx.Err(), ignored},
		{"not a failure is a success", resilience.BreakerConfig{IsFailure: func(err error) bool { return !errors.Is(err, domain) }}, domain, success},
		{"a failure by predicate", resilience.BreakerConfig{IsFailure: func(err error) bool { return !errors.Is(err, domain) }}, io.EOF, failure},
		{"canceled is not asked about", resilience.BreakerConfig{IsFailure: func(error) bool { return true }}, context.Canceled, ignored},
		{"ignored by predicate", resilience.BreakerConfig{IsIgnored: func(err error) bool { return errors.Is(err, domain) }}, domain, ignored},
		{"own predicate replaces the default", resilience.BreakerConfig{IsIgnored: func(error) bool { return false }}, context.Canceled, failure},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBreaker(t, c.cfg)
			breakerAllow(t, b).Done(c.err)
			m := b.Metrics()
			got := map[string]uint64{success: m.TotalSuccesses, failure: m.TotalFailures, ignored: m.TotalIgnored}
			want := map[string]uint64{success: 0, failure: 0, ignored: 0}
			want[c.want] = 1
			require.Equal(t, want, got)
			require.Zero(t, m.Pending)
		})
	}
}

func TestBreakerDoIgnoresOnlyTheCallersOwnCancellation(t *testing.T) {
	b := newBreaker(t, resilience.BreakerConfig{})
	require.ErrorIs(t, b.Do(t.Context(), func(context.Context) error { return context.Canceled }), context.Canceled)
	require.EqualValues(t, 1, b.Metrics().TotalFailures, "the service canceled, not the caller")
	ctx, cancel := context.WithCancel(t.Context())
	require.ErrorIs(t, b.Do(ctx, func(ctx context.Context) error { cancel(); return ctx.Err() }), context.Canceled)
	require.EqualValues(t, 1, b.Metrics().TotalIgnored)
	require.ErrorIs(t, b.Do(ctx, func(context.Context) error { panic("ran") }), context.Canceled)
	require.EqualValues(t, 2, b.Metrics().TotalAdmitted, "a context that had ended was admitted")
}

func TestBreakerPredicatePanicDoesNotKeepTheCallPending(t *testing.T) {
	b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 1, IsFailure: func(error) bool { panic("predicate") }})
	require.PanicsWithValue(t, "predicate", func() { breakerAllow(t, b).Done(io.EOF) })
	require.Zero(t, b.Metrics().Pending)
	require.Equal(t, resilience.StateOpen, b.State())
}

func TestBreakerCallReturnsTheValue(t *testing.T) {
	b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 1})
	v, err := resilience.Call(t.Context(), b, func(context.Context) (int, error) { return 42, nil })
	require.NoError(t, err)
	require.Equal(t, 42, v)
	v, err = resilience.Call(t.Context(), b, func(context.Context) (int, error) { return 7, io.EOF })
	require.Equal(t, io.EOF, err)
	require.Equal(t, 7, v)
	v, err = resilience.Call(t.Context(), b, func(context.Context) (int, error) { panic("ran") })
	require.ErrorIs(t, err, resilience.ErrOpen)
	require.Zero(t, v)
}

func TestBreakerZeroPermitDoesNothing(*testing.T) {
	var p resilience.Permit
	p.Done(nil)
	p.Done(io.EOF)
	p.Ignore()
}

func TestBreakerSecondDoneOfAProbeDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 1, HalfOpenMaxCalls: 3, ProbeCount: 2})
		breakerReport(t, b, 1, errBreakerDown)
		time.Sleep(30 * time.Second)
		first, other := breakerAllow(t, b), breakerAllow(t, b)
		first.Done(nil)
		before := b.Metrics()
		first.Done(nil)
		first.Done(errBreakerDown)
		first.Ignore()
		require.Equal(t, before, b.Metrics())
		other.Done(errBreakerDown) // reopens
		before = b.Metrics()
		first.Done(nil)
		other.Done(nil)
		require.Equal(t, before, b.Metrics())
	})
}

func TestBreakerMetricsAndTimeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
		b := newBreaker(t, resilience.BreakerConfig{Name: "db", FailureThreshold: 2, HalfOpenMaxCalls: 1, OpenStateDuration: 10 * time.Second})
		require.Equal(t, resilience.BreakerMetrics{Name: "db", Generation: 1}, b.Metrics())
		require.Equal(t, "no transitions", b.Timeline().String())
		time.Sleep(time.Second)
		breakerReport(t, b, 2, nil)
		breakerReport(t, b, 1, errBreakerDown)
		time.Sleep(time.Second)
		breakerReport(t, b, 1, errBreakerDown)
		time.Sleep(time.Second)
		_, err := b.Allow()
		require.Error(t, err)
		require.Equal(t, resilience.BreakerMetrics{
			Name: "db", State: resilience.StateOpen, Generation: 2,
			TotalAdmitted: 4, TotalSuccesses: 2, TotalFailures: 2, TotalRejected: 1,
			RetryAfter: 9 * time.Second, OpenedAt: at(2), LastFailure: at(2), LastTransition: at(2),
		}, b.Metrics())
		time.Sleep(time.Minute)
		probe := breakerAllow(t, b)
		require.Equal(t, resilience.BreakerMetrics{
			Name: "db", State: resilience.StateHalfOpen, Generation: 3,
			TotalAdmitted: 5, TotalSuccesses: 2, TotalFailures: 2, TotalRejected: 1, Pending: 1, ProbesInFlight: 1,
			RetryAfter: 10 * time.Second, OpenedAt: at(2), LastFailure: at(2), LastTransition: at(63),
		}, b.Metrics())
		time.Sleep(time.Second)
		probe.Done(errBreakerDown)
		time.Sleep(10 * time.Second)
		breakerReport(t, b, 1, nil)
		require.Equal(t, `+2s CLOSED → OPEN (failure threshold: 2 of 4 failed)
+1m3s OPEN → HALF_OPEN (open duration elapsed)
+1m4s HALF_OPEN → OPEN (probe failed)
+1m14s OPEN → HALF_OPEN (open duration elapsed)
+1m14s HALF_OPEN → CLOSED (probes succeeded)`, b.Timeline().String())
		require.Equal(t, at(64), b.Timeline()[2].At)
		require.Equal(t, "db", b.Timeline()[2].Name)

		text, err := json.Marshal(b.Metrics())
		require.NoError(t, err)
		require.Contains(t, string(text), `"State":"CLOSED"`)
	})
}

func TestBreakerTimelineIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 1})
		for i := range 200 {
			breakerReport(t, b, 1, errBreakerDown)
			b.Reset()
			tl := b.Timeline()
			require.Len(t, tl, min(128, 2*(i+1)))
			require.EqualValues(t, 2*(i+1)+1, tl[len(tl)-1].Generation)
			for j := 1; j < len(tl); j++ {
				require.Equal(t, tl[j-1].Generation+1, tl[j].Generation)
			}
			time.Sleep(time.Second)
		}
	})
}

// Whoever resets a breaker has told of it when Reset returns.
func TestBreakerResetTellsOfItsTransition(t *testing.T) {
	var told []resilience.Reason
	b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 1, OnStateChange: func(tr resilience.Transition) { told = append(told, tr.Reason) }})
	b.Reset()
	require.Empty(t, told, "it was closed")
	breakerReport(t, b, 1, errBreakerDown)
	require.Len(t, told, 1)
	b.Reset()
	require.Equal(t, resilience.ReasonReset, told[1])
}

func TestBreakerResetClearsCountsButNotPendingCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 3})
		inFlight := breakerAllow(t, b)
		breakerReport(t, b, 2, errBreakerDown)
		b.Reset() // closed already: a new generation and no transition
		require.Equal(t, resilience.BreakerMetrics{Generation: 2, Pending: 1}, b.Metrics())
		require.Empty(t, b.Timeline())
		breakerReport(t, b, 3, errBreakerDown)
		_, err := b.Allow()
		require.Error(t, err)
		b.Reset()
		m := b.Metrics()
		require.Equal(t, resilience.BreakerMetrics{Generation: 4, Pending: 1, LastTransition: m.LastTransition}, m)
		require.Equal(t, resilience.ReasonReset, b.Timeline()[1].Reason)
		inFlight.Done(errBreakerDown)
		m = b.Metrics()
		require.EqualValues(t, 1, m.TotalLate)
		require.Zero(t, m.Failures)
		require.Zero(t, m.Pending)
	})
}

func TestBreakerResetClearsEveryTotal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 3, OpenStateDuration: time.Minute, ProbeCount: 1})
		round := func() {
			breakerAllow(t, b).Done(nil)
			breakerAllow(t, b).Ignore()
			late := breakerAllow(t, b)
			breakerReport(t, b, 3, errBreakerDown)
			late.Done(nil)
			_, err := b.Allow()
			require.ErrorIs(t, err, resilience.ErrOpen)
			time.Sleep(time.Minute)
			hung := breakerAllow(t, b)
			time.Sleep(time.Hour)
			breakerAllow(t, b).Done(nil)
			hung.Done(nil)
		}
		totals := func() [7]uint64 {
			m := b.Metrics()
			return [...]uint64{m.TotalAdmitted, m.TotalSuccesses, m.TotalFailures, m.TotalIgnored, m.TotalLate, m.TotalRejected, m.ExpiredProbes}
		}
		round()
		first := totals()
		for i, n := range first {
			require.Positive(t, n, i)
		}
		b.Reset()
		require.Zero(t, totals())
		round()
		require.Equal(t, first, totals())
	})
}

// A call that takes as long as it may is not slow, and what happens when the breaker is made
// has happened.
func TestBreakerAtItsExactTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, resilience.BreakerConfig{BaselineLatency: time.Second, LatencyThresholdMultiplier: 2, FailureThreshold: 3})
		made := time.Now()
		breakerReport(t, b, 1, errBreakerDown)
		require.Equal(t, made, b.Metrics().LastFailure)
		for _, err := range []error{nil, errBreakerDown} {
			p := breakerAllow(t, b)
			time.Sleep(2 * time.Second)
			p.Done(err)
			require.Zero(t, b.Metrics().Slow)
		}
		require.Equal(t, resilience.StateClosed, b.State())
	})
}

func TestBreakerStatesHaveNames(t *testing.T) {
	require.Equal(t, "HALF_OPEN", resilience.StateHalfOpen.String())
	require.Equal(t, "State(3)", (resilience.StateHalfOpen + 1).String())
}

func TestBreakerWaitPendingReallyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 2})
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, b.WaitPending(ended), "nothing is pending")
		began := time.Now()
		for i := range 3 { // a success, a failure that trips, a late one
			go func() {
				_ = b.Do(context.Background(), func(context.Context) error {
					time.Sleep(time.Duration(i+1) * time.Second)
					if i == 1 {
						if p, err := b.Allow(); err == nil {
							p.Done(errBreakerDown)
						}
						return errBreakerDown
					}
					return nil
				})
			}()
		}
		synctest.Wait()
		require.ErrorIs(t, b.WaitPending(ended), context.Canceled)
		short, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		require.ErrorIs(t, b.WaitPending(short), context.DeadlineExceeded)
		require.Equal(t, time.Second/2, time.Since(began))
		for range 2 { // several may wait
			go func() { assert.NoError(t, b.WaitPending(context.Background())) }()
		}
		require.NoError(t, b.WaitPending(t.Context()))
		require.Equal(t, 3*time.Second, time.Since(began))
		require.Zero(t, b.Metrics().Pending)
		require.Equal(t, resilience.StateOpen, b.State())
		synctest.Wait()

		time.Sleep(time.Minute) // a hung probe is waited for, its lease notwithstanding
		hung := breakerAllow(t, b)
		time.Sleep(time.Minute)
		breakerReport(t, b, 1, nil)
		go func() { time.Sleep(time.Hour); hung.Done(nil) }()
		began = time.Now()
		require.NoError(t, b.WaitPending(t.Context()))
		require.Equal(t, time.Hour, time.Since(began))
	})
}

// The last result and the beginning of the wait, in every order: none may leave
// the waiter behind. A hang is the failure.
func TestBreakerWaitPendingMissesNoWakeUp(t *testing.T) {
	b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 1 << 30, BaselineLatency: time.Hour, OpenStateDuration: 1})
	for i := range 3000 {
		p := breakerAllow(t, b)
		go func() {
			if i%3 == 0 {
				p.Done(errBreakerDown)
			} else {
				p.Done(nil)
			}
		}()
		if i%2 == 0 {
			runtime.Gosched()
		}
		if i%7 == 0 {
			b.Reset()
		}
		require.NoError(t, b.WaitPending(t.Context()))
		require.Zero(t, b.Metrics().Pending)
	}
}

func TestBreakerPanickingCallbackLosesNothing(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("callback") }, "goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var heard []resilience.State
				var b *resilience.CircuitBreaker
				b = newBreaker(t, resilience.BreakerConfig{
					FailureThreshold: 1, HalfOpenMaxCalls: 1,
					OnStateChange: func(tr resilience.Transition) {
						heard = append(heard, tr.To)
						if tr.To == resilience.StateOpen {
							b.Reset() // queued behind the one that ends badly
						}
						end()
					},
				})
				run := func() { // a call on a goroutine that may die of the callback
					done := make(chan struct{})
					go func() {
						defer close(done)
						defer func() { _ = recover() }()
						_ = b.Do(context.Background(), func(context.Context) error { return errBreakerDown })
					}()
					<-done
				}
				run()
				require.Equal(t, []resilience.State{resilience.StateOpen, resilience.StateClosed}, heard)
				run()
				require.Len(t, heard, 4)
				require.Equal(t, resilience.StateClosed, b.State())
				require.Zero(t, b.Metrics().Pending)
			})
		})
	}
}

// The callback that announces half-open runs on behalf of a probe that has not
// begun. If it panics the probe's place must be free.
func TestBreakerPanickingCallbackReturnsTheProbesPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, resilience.BreakerConfig{
			FailureThreshold: 1,
			OnStateChange: func(tr resilience.Transition) {
				if tr.To == resilience.StateHalfOpen {
					panic("callback")
				}
			},
		})
		breakerReport(t, b, 1, errBreakerDown)
		time.Sleep(30 * time.Second)
		require.PanicsWithValue(t, "callback", func() { _, _ = b.Allow() })
		m := b.Metrics()
		require.Equal(t, resilience.StateHalfOpen, m.State)
		require.Zero(t, m.Pending)
		require.Zero(t, m.ProbesInFlight)
		breakerReport(t, b, 3, nil)
		require.Equal(t, resilience.StateClosed, b.State())
	})
}

// A callback that is still busy keeps nobody else waiting, and the transitions
// made meanwhile follow in order.
func TestBreakerBusyCallbackBlocksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heard := make(chan resilience.State, 3)
		b := newBreaker(t, resilience.BreakerConfig{
			FailureThreshold: 1, HalfOpenMaxCalls: 1, OpenStateDuration: time.Second,
			OnStateChange: func(tr resilience.Transition) {
				time.Sleep(time.Hour)
				heard <- tr.To
			},
		})
		p := breakerAllow(t, b)
		began := time.Now()
		go func() {
			time.Sleep(time.Second)
			p.Done(errBreakerDown)
		}()
		require.NoError(t, b.WaitPending(t.Context()))
		require.Equal(t, time.Second, time.Since(began), "woken only after the callback")
		time.Sleep(time.Second)
		breakerReport(t, b, 1, nil)
		require.Equal(t, 2*time.Second, time.Since(began))
		require.Equal(t, resilience.StateClosed, b.State())
		require.Empty(t, heard)
		require.Equal(t, resilience.StateOpen, <-heard)
		require.Equal(t, resilience.StateHalfOpen, <-heard)
		require.Equal(t, resilience.StateClosed, <-heard)
		require.Equal(t, time.Second+3*time.Hour, time.Since(began))
	})
}

// Every call ends as exactly one thing, whatever happens around it.
func TestBreakerStress(t *testing.T) {
	b := newBreaker(t, resilience.BreakerConfig{
		FailureThreshold: 3, HalfOpenMaxCalls: 2, ProbeCount: 2,
		OpenStateDuration: 20 * time.Microsecond, WindowDuration: time.Millisecond, BaselineLatency: time.Hour,
		OnStateChange: func(resilience.Transition) {},
	})
	var admitted, refused, slow atomic.Uint64
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 500 {
				p, err := b.Allow()
				if err != nil {
					refused.Add(1)
					runtime.Gosched()
					continue
				}
				admitted.Add(1)
				switch (i + g) % 9 {
				case 0:
					p.Done(errBreakerDown)
				case 1:
					p.Ignore()
				case 2:
					runtime.Gosched()
					p.Done(nil)
				default:
					p.Done(nil)
				}
				if (i+g)%37 == 0 {
					b.RecordLatency(4 * time.Hour)
					slow.Add(1)
				}
			}
		})
	}
	wg.Wait()
	m := b.Metrics()
	require.Zero(t, m.Pending)
	require.Zero(t, m.ProbesInFlight)
	require.Equal(t, admitted.Load(), m.TotalAdmitted)
	require.Equal(t, refused.Load(), m.TotalRejected)
	ended := m.TotalSuccesses + m.TotalFailures + m.TotalIgnored + m.TotalLate
	require.GreaterOrEqual(t, ended, admitted.Load())
	require.LessOrEqual(t, ended, admitted.Load()+slow.Load())
	require.NoError(t, b.WaitPending(t.Context()))
}

func TestBreakerAllocatesNothing(t *testing.T) {
	ctx := t.Context()
	pair := func(b *resilience.CircuitBreaker, err error) func() {
		return func() {
			if p, e := b.Allow(); e == nil {
				p.Done(err)
			}
		}
	}
	closed := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 1 << 30, ErrorRateThreshold: 1, BaselineLatency: time.Hour})
	require.Zero(t, testing.AllocsPerRun(1000, pair(closed, nil)), "success")
	require.Zero(t, testing.AllocsPerRun(1000, pair(closed, errBreakerDown)), "failure")
	fn := func(context.Context) error { return nil }
	require.Zero(t, testing.AllocsPerRun(1000, func() { _ = closed.Do(ctx, fn) }), "Do")

	open := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 1})
	breakerReport(t, open, 1, errBreakerDown)
	require.Zero(t, testing.AllocsPerRun(1000, pair(open, nil)), "rejection")
	require.Zero(t, testing.AllocsPerRun(1000, func() { _ = open.Do(ctx, fn) }), "rejected Do")

	half := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 1, OpenStateDuration: time.Nanosecond})
	breakerReport(t, half, 1, errBreakerDown)
	breakerAllow(t, half).Done(nil)
	require.Equal(t, resilience.StateHalfOpen, half.State())
}

func TestBreakerHTTPFailure(t *testing.T) {
	for code := range 700 {
		require.Equal(t, code == 429 || code/100 == 5, resilience.HTTPFailure(code), code)
	}
}

func TestBreakerNamesItsStatesAndReasons(t *testing.T) {
	require.Equal(t, "CLOSED OPEN HALF_OPEN State(9)", resilience.StateClosed.String()+" "+resilience.StateOpen.String()+
		" "+resilience.StateHalfOpen.String()+" "+resilience.State(9).String())
	seen := map[string]bool{}
	for r := resilience.ReasonFailures; r <= resilience.ReasonConsecutive; r++ {
		require.NotContains(t, r.String(), "Reason(")
		require.False(t, seen[r.String()])
		seen[r.String()] = true
	}
	require.Equal(t, "Reason(0)", resilience.Reason(0).String())
}

// A breaker made outside a bubble and used inside finds its clock decades before
// its birth. It must take that for "no time has passed" rather than for a
// bucket at the end of time.
func TestBreakerClockNeverRunsNegative(t *testing.T) {
	b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 2, OpenStateDuration: time.Hour, BaselineLatency: time.Hour})
	breakerReport(t, b, 1, errBreakerDown)
	synctest.Test(t, func(t *testing.T) {
		m := b.Metrics()
		require.EqualValues(t, 1, m.Failures)
		require.Zero(t, m.Slow)
		breakerReport(t, b, 1, errBreakerDown)
		require.Equal(t, resilience.StateOpen, b.State())
		require.LessOrEqual(t, b.RetryAfter(), 2*time.Hour)
	})
	_, err := b.Allow()
	require.ErrorIs(t, err, resilience.ErrOpen)
	tl := b.Timeline()
	require.GreaterOrEqual(t, tl[0].Elapsed, time.Duration(0))
}

// With one of two places taken a call would be admitted now, however long the probe's
// lease still runs.
func TestBreakerRetryAfterIsZeroWhileAProbePlaceIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 1, ProbeCount: 2, HalfOpenMaxCalls: 2})
		breakerReport(t, b, 1, errBreakerDown)
		time.Sleep(b.RetryAfter())
		first := breakerAllow(t, b)
		require.Equal(t, resilience.StateHalfOpen, b.State())
		require.Zero(t, b.RetryAfter())
		breakerAllow(t, b).Ignore()
		first.Ignore()
	})
}
