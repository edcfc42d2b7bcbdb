package loadtest

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/faketb"
	"example.com/brunt/internal/race"
	"example.com/brunt/resilience"
)

// service is a client whose answers a test scripts.
type service struct {
	hits   atomic.Int64
	answer func(ctx context.Context, hit int64) (Response, error)
}

func (s *service) Session() (Session, error) { return s, nil }
func (s *service) Close() error              { return nil }
func (s *service) Do(ctx context.Context, _ *Request) (Response, error) {
	return s.answer(ctx, s.hits.Add(1))
}

func status(code int, after time.Duration) func(context.Context, int64) (Response, error) {
	return func(ctx context.Context, _ int64) (Response, error) {
		return Response{StatusCode: code}, sleep(after)(ctx)
	}
}

func newBreaker(t *testing.T, cfg resilience.BreakerConfig) *resilience.CircuitBreaker {
	t.Helper()
	b, err := resilience.NewCircuitBreaker(cfg)
	require.NoError(t, err)
	return b
}

func newRetry(t *testing.T, cfg resilience.RetryConfig) *resilience.RetryPolicy {
	t.Helper()
	p, err := resilience.NewRetryPolicy(cfg)
	require.NoError(t, err)
	return p
}

// A failing server is hit at full rate until the breaker trips, then once each
// OpenStateDuration; when it is well again, so is the load.
func TestBreakerProtectsAFailingServerAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var hits [31]atomic.Int64 // by second
		healed := 15 * time.Second
		s := &service{answer: func(ctx context.Context, _ int64) (Response, error) {
			now := time.Since(start)
			hits[int(now/time.Second)].Add(1)
			if now < 5*time.Second || now >= healed {
				return status(200, 10*time.Millisecond)(ctx, 0)
			}
			return status(503, 10*time.Millisecond)(ctx, 0)
		}}
		b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 20, OpenStateDuration: 2 * time.Second, HalfOpenMaxCalls: 3, WindowDuration: 10 * time.Second})
		e := newEngine(t, AsyncConfig{MaxConcurrent: 10, Client: s, Breaker: b})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), For(30*time.Second))
		require.NoError(t, err)
		require.EqualValues(t, 1000, hits[4].Load(), "before: the full rate")
		require.LessOrEqual(t, hits[5].Load(), int64(30), "the failures that trip it, and what was in flight")
		for second := 6; second < 15; second++ {
			require.LessOrEqual(t, hits[second].Load(), int64(1), "open: probes only, second %d", second)
		}
		for second := 18; second < 30; second++ {
			require.EqualValues(t, 1000, hits[second].Load(), "healed: the full rate again, second %d", second)
		}
		require.Equal(t, resilience.StateClosed, b.State())
		require.Positive(t, r.RejectedCount)
		require.Equal(t, s.hits.Load(), r.Requests, "what was rejected is not a request")
		require.Equal(t, r.ErrorCount, r.Errors[ClassStatus])
		require.Equal(t, 10*time.Millisecond, r.Quantile(0), "and flatters no percentile")
		require.EqualValues(t, b.Metrics().TotalRejected, r.RejectedCount)
		require.Contains(t, r.String(), "rejected by the breaker")
		tb := faketb.Run(t, func(tb *faketb.TB) { Check(tb, r, SLO{MaxErrorRate: 1, MaxRejectedRate: 0.001}) })
		require.Contains(t, tb.Text(), "rejected    observed")
	})
}

func TestEveryRequestIsSentRejectedOrUnsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 5, OpenStateDuration: time.Hour})
		e := newEngine(t, AsyncConfig{MaxConcurrent: 4, Client: &service{answer: status(500, time.Millisecond)}, Breaker: b})
		defer closeEngine(t, e)
		var rejected int64
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond+1)
		defer cancel()
		r, err := e.RunStreaming(ctx, Times(1000, &Request{Name: "a"}), func(rr RequestResult) error {
			if rr.Class == ClassRejected {
				rejected++
				require.ErrorIs(t, rr.Err, resilience.ErrOpen)
				require.Zero(t, rr.Attempt)
				require.Zero(t, rr.Latency)
			} else {
				require.Equal(t, 1, rr.Attempt)
			}
			return nil
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualValues(t, 1000, r.Requests+r.RejectedCount+r.Unsent)
		require.Equal(t, rejected, r.RejectedCount)
		require.Equal(t, rejected, r.Endpoints["a"].RejectedCount)
		// Four workers, a rejection every 10 ms each, after two rounds of 1 ms.
		require.EqualValues(t, 40, r.RejectedCount)
		require.EqualValues(t, 8, r.Requests)
		require.InEpsilon(t, 40.0/48, r.RejectedRate(), 1e-9)
		require.InEpsilon(t, 5.0/20, Counts{Requests: 10, RejectedCount: 5, UserRequests: 15, Users: 1, Scheduled: 6, Missed: 5}.RejectedRate(), 1e-9, "of a user's and those that no user came to send")
		require.Equal(t, 92*time.Millisecond, r.Elapsed, "the last rejection belongs to the run")
		require.Equal(t, r.Requests, r.good.Count()+r.bad.Count())

		again := new(EngineResult)
		again.Merge(r)
		again.Merge(r)
		require.EqualValues(t, 80, again.RejectedCount)
		sameResult(t, roundTrip(t, again), again)
	})
}

func roundTrip(t *testing.T, r *EngineResult) *EngineResult {
	t.Helper()
	data, err := r.MarshalJSON()
	require.NoError(t, err)
	var back EngineResult
	require.NoError(t, back.UnmarshalJSON(data))
	return &back
}

func TestRetriesAreAttemptsOfOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		s.answer = func(ctx context.Context, hit int64) (Response, error) {
			switch hit % 3 {
			case 1:
				return status(503, 5*time.Millisecond)(ctx, 0)
			case 2:
				return Response{}, syscall.ECONNRESET
			}
			return status(200, 5*time.Millisecond)(ctx, 0)
		}
		retry := newRetry(t, resilience.RetryConfig{
			MaxAttempts: 5, BaseDelay: 100 * time.Millisecond, JitterFactor: resilience.NoJitter, RetryBudget: resilience.NoBudget,
		})
		e := newEngine(t, AsyncConfig{MaxConcurrent: 1, Client: s, Retry: retry})
		defer closeEngine(t, e)
		r, err := e.RunStreaming(t.Context(), Times(10), func(rr RequestResult) error {
			require.NoError(t, rr.Err)
			require.Equal(t, 3, rr.Attempt)
			require.Equal(t, 310*time.Millisecond, rr.Latency, "two sends of 5 ms, waits of 100 and 200")
			return nil
		})
		require.NoError(t, err)
		require.EqualValues(t, 10, r.SuccessCount)
		require.EqualValues(t, 20, r.Retries)
		require.EqualValues(t, 30, r.Attempts())
		require.Equal(t, 310*time.Millisecond, r.Quantile(0))
		require.EqualValues(t, 20, retry.Metrics().Retries)
		require.Contains(t, r.String(), "20 retries")
	})
}

func TestExhaustedRetriesAreTheirLastError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		retry := newRetry(t, resilience.RetryConfig{MaxAttempts: 3, BaseDelay: time.Millisecond, RetryBudget: resilience.NoBudget})
		e := newEngine(t, AsyncConfig{MaxConcurrent: 2, Client: &service{answer: status(503, 0)}, Retry: retry})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Times(10))
		require.NoError(t, err)
		require.Equal(t, map[ErrorClass]int64{ClassStatus: 10}, r.Errors)
		require.Equal(t, map[int]int64{503: 10}, r.StatusCodes, "a request has one outcome")
		require.EqualValues(t, 30, r.Attempts())
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{answer: func(_ context.Context, hit int64) (Response, error) {
			if hit == 1 {
				return Response{StatusCode: 429, Header: http.Header{"Retry-After": {"7"}}}, nil
			}
			return Response{StatusCode: 200}, nil
		}}
		retry := newRetry(t, resilience.RetryConfig{BaseDelay: time.Millisecond, JitterFactor: resilience.NoJitter})
		e := newEngine(t, AsyncConfig{Client: s, Retry: retry})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Times(1))
		require.NoError(t, err)
		require.EqualValues(t, 1, r.SuccessCount)
		require.Equal(t, 7*time.Second, r.P50())
	})
}

func TestTimeoutIsForEachAttemptAndTransient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{answer: func(ctx context.Context, hit int64) (Response, error) {
			if hit == 1 {
				<-ctx.Done()
				return Response{}, ctx.Err()
			}
			return status(200, 900*time.Millisecond)(ctx, 0)
		}}
		retry := newRetry(t, resilience.RetryConfig{BaseDelay: time.Second, JitterFactor: resilience.NoJitter})
		e := newEngine(t, AsyncConfig{Client: s, Retry: retry, Timeout: time.Second})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Times(1))
		require.NoError(t, err)
		require.EqualValues(t, 1, r.SuccessCount)
		require.Equal(t, 2900*time.Millisecond, r.Quantile(1))
	})
}

func TestOpenBreakerEndsRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{answer: status(503, 0)}
		b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 2, OpenStateDuration: time.Hour})
		retry := newRetry(t, resilience.RetryConfig{MaxAttempts: 10, BaseDelay: time.Millisecond, RetryBudget: resilience.NoBudget})
		e := newEngine(t, AsyncConfig{MaxConcurrent: 1, Client: s, Retry: retry, Breaker: b})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Times(5))
		require.NoError(t, err)
		require.EqualValues(t, 2, s.hits.Load(), "an open breaker is not hammered")
		require.EqualValues(t, 1, r.Requests, "sent twice, then cut off: an error of its own")
		require.Equal(t, map[ErrorClass]int64{ClassStatus: 1}, r.Errors)
		require.EqualValues(t, 4, r.RejectedCount)
	})
}

func TestBreakerHearsOfLatencyAndOfWhatIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := newBreaker(t, resilience.BreakerConfig{BaselineLatency: 10 * time.Millisecond, LatencyThresholdMultiplier: 2, FailureThreshold: 5, OpenStateDuration: time.Hour})
		e := newEngine(t, AsyncConfig{MaxConcurrent: 1, Client: &service{answer: status(200, 21*time.Millisecond)}, Breaker: slow})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Times(8))
		require.NoError(t, err)
		require.Equal(t, resilience.StateOpen, slow.State(), "slow successes trip it")
		require.EqualValues(t, 5, r.SuccessCount)
		require.EqualValues(t, 3, r.RejectedCount)

		b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 1})
		e = newEngine(t, AsyncConfig{MaxConcurrent: 1, Client: &service{answer: status(404, 0)}, Breaker: b})
		defer closeEngine(t, e)
		r, err = e.Run(t.Context(), Times(50, &Request{}))
		require.NoError(t, err)
		require.EqualValues(t, 50, r.ErrorCount)
		require.Equal(t, resilience.StateClosed, b.State(), "404 is the caller's fault")
	})
}

func TestEndOfTheRunIsNoFailureOfTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 1})
		retry := newRetry(t, resilience.RetryConfig{})
		s := &service{answer: func(ctx context.Context, _ int64) (Response, error) {
			<-ctx.Done()
			return Response{}, context.Cause(ctx)
		}}
		e := newEngine(t, AsyncConfig{MaxConcurrent: 3, Client: s, Breaker: b, Retry: retry})
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errTest)
		defer cancel()
		r, err := e.Run(ctx, Times(9))
		require.ErrorIs(t, err, errTest)
		accounted(t, 9, r)
		require.Equal(t, map[ErrorClass]int64{ClassCanceled: 3}, r.Errors)
		require.Equal(t, resilience.StateClosed, b.State())
		require.EqualValues(t, 3, b.Metrics().TotalIgnored)
		closeEngine(t, e)
		require.Zero(t, b.Metrics().Pending, "nothing is left to report once the engine is closed")
	})
}

func TestClosingCutsWaitsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 1000})
		retry := newRetry(t, resilience.RetryConfig{BaseDelay: time.Hour, MaxDelay: time.Hour, RetryBudget: resilience.NoBudget})
		e := newEngine(t, AsyncConfig{MaxConcurrent: 3, Client: &service{answer: status(503, 0)}, Breaker: b, Retry: retry})
		done := make(chan *EngineResult)
		go func() { // ends with the run
			r, err := e.Run(t.Context(), Times(9))
			if !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
			done <- r
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		require.NoError(t, e.Close(ctx))
		require.Equal(t, time.Second, time.Since(start))
		r := <-done
		accounted(t, 9, r)
		require.Equal(t, map[ErrorClass]int64{ClassStatus: 3}, r.Errors, "they had failed before they waited")
		require.Zero(t, b.Metrics().Pending)
		require.Zero(t, retry.Metrics().BudgetInUse)
	})
}

func TestPanicsReleaseThePermit(t *testing.T) {
	b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 1000})
	retry := newRetry(t, resilience.RetryConfig{})
	for _, cfg := range []AsyncConfig{{Breaker: b}, {Breaker: b, Retry: retry}, {Retry: retry}} {
		cfg.Client = Func(func(context.Context) error { panic("boom") })
		e := newEngine(t, cfg)
		require.Panics(t, func() { _, _ = e.Run(t.Context(), Times(10)) })
		closeEngine(t, e)
		require.Zero(t, b.Metrics().Pending)
		b.Reset() // that many failures open it

		cfg.Client = Func(nop)
		tb := faketb.Run(t, func(tb *faketb.TB) {
			_, _ = Start(tb, cfg).Run(t.Context(), Times(10, &Request{Check: func(Response) error { tb.FailNow(); return nil }}))
			tb.Errorf("Run returned")
		})
		require.True(t, tb.FailedNow())
		require.Empty(t, tb.Errors())
	}
	require.Zero(t, b.Metrics().Pending)
}

func TestAGuardedRequestAllocatesNothing(t *testing.T) {
	cfg := AsyncConfig{
		Client:  Func(nop),
		Breaker: newBreaker(t, resilience.BreakerConfig{}),
		Retry:   newRetry(t, resilience.RetryConfig{}),
	}
	e := Start(t, cfg)
	allocs := func(n int) float64 {
		return testing.AllocsPerRun(3, func() {
			if _, err := e.Run(t.Context(), Times(n)); err != nil {
				t.Error(err)
			}
		})
	}
	small, large := allocs(1000+race.Fewer(50_000)), allocs(1000+2*race.Fewer(50_000))
	require.Less(t, large-small, ofTheRun)
}
