package resilience

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var errRetryTest = fmt.Errorf("flaky: %w", io.ErrUnexpectedEOF)

// retryPolicy builds a policy without jitter unless cfg says otherwise.
func retryPolicy(t *testing.T, cfg RetryConfig) *RetryPolicy {
	t.Helper()
	if cfg.JitterFactor == 0 {
		cfg.JitterFactor = NoJitter
	}
	p, err := NewRetryPolicy(cfg)
	require.NoError(t, err)
	return p
}

// retryFails returns a function that fails n times and records when it was
// called, counted from the moment of making it.
func retryFails(n int, err error) (fn func(context.Context) error, calls func() []time.Duration) {
	start := time.Now()
	var at []time.Duration
	return func(context.Context) error {
		at = append(at, time.Since(start))
		if len(at) <= n {
			return err
		}
		return nil
	}, func() []time.Duration { return at }
}

func TestRetryValidateReportsEveryFault(t *testing.T) {
	_, err := NewRetryPolicy(RetryConfig{
		MaxAttempts: -1, BaseDelay: -1, MaxDelay: -1, JitterFactor: 1.5, RetryBudget: -2, RetryBudgetWindow: -1,
	})
	require.EqualError(t, err, `resilience: RetryConfig.MaxAttempts is -1, want at least 1
resilience: RetryConfig.BaseDelay is -1ns, want a positive duration
resilience: RetryConfig.MaxDelay is -1ns, want a positive duration
resilience: RetryConfig.JitterFactor is 1.5, want a number in (0, 1] or NoJitter
resilience: RetryConfig.RetryBudget is -2, want 1 to 1048576 or NoBudget
resilience: RetryConfig.RetryBudgetWindow is -1ns, want a positive duration`)

	require.EqualError(t, RetryConfig{BaseDelay: 2 * time.Minute}.Validate(),
		"resilience: RetryConfig.BaseDelay is 2m0s, want at most MaxDelay (1m0s)")
	require.NoError(t, RetryConfig{RetryBudget: maxRetryBudget}.Validate())
	require.NoError(t, RetryConfig{RetryBudgetRatio: 1, RetryBudgetMinPerSecond: maxRetryBudget}.Validate())
	require.Error(t, RetryConfig{RetryBudget: maxRetryBudget + 1}.Validate())
	require.Error(t, RetryConfig{JitterFactor: -0.5}.Validate())
	require.NoError(t, RetryConfig{}.Validate())
	require.NoError(t, RetryConfig{JitterFactor: NoJitter, RetryBudget: NoBudget, MaxAttempts: 1}.Validate())
}

func TestRetryWaitsByTheSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := retryPolicy(t, RetryConfig{MaxAttempts: 5})
		fn, calls := retryFails(3, errRetryTest)
		require.NoError(t, p.Execute(t.Context(), fn))
		require.Equal(t, []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second}, calls())
		require.Equal(t, RetryMetrics{
			Executions: 1, Attempts: 4, Retries: 3, Successes: 1, TotalDelay: 7 * time.Second, BudgetInUse: 3,
		}, p.Metrics())
	})
}

func TestRetryDrawsItsJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := []float64{0, 0.5, 0.75}
		p := retryPolicy(t, RetryConfig{MaxAttempts: 4, JitterFactor: 0.5, Rand: func() float64 {
			next := random[0]
			random = random[1:]
			return next
		}})
		fn, calls := retryFails(3, errRetryTest)
		require.NoError(t, p.Execute(t.Context(), fn))
		require.Equal(t, []time.Duration{0, 500 * time.Millisecond, 2500 * time.Millisecond, 7500 * time.Millisecond}, calls())
	})
}

// Libraries slept, or announced a retry, after the last attempt.
func TestRetryPeerBug16NothingAfterTheLastAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []RetryEvent
		p := retryPolicy(t, RetryConfig{OnRetry: func(e RetryEvent) { e.Context = nil; events = append(events, e) }})
		fn, calls := retryFails(99, errRetryTest)
		start := time.Now()
		err := p.Execute(t.Context(), fn)
		require.Equal(t, 3*time.Second, time.Since(start), "two waits for three attempts")
		require.Len(t, calls(), 3)
		require.Equal(t, []RetryEvent{
			{Attempt: 1, Delay: time.Second, Err: errRetryTest},
			{Attempt: 2, Delay: 2 * time.Second, Err: errRetryTest},
		}, events)
		require.ErrorIs(t, err, ErrExhausted)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		var retried *RetryError
		require.ErrorAs(t, err, &retried)
		require.Equal(t, &RetryError{Attempts: 3, TotalDelay: 3 * time.Second, Reason: ErrExhausted, Last: errRetryTest}, retried)
		require.EqualError(t, err, "resilience: gave up after 3 attempts: retry attempts exhausted; last error: flaky: unexpected EOF")
		require.Equal(t, RetryMetrics{
			Executions: 1, Attempts: 3, Retries: 2, Failures: 1, Exhausted: 1, TotalDelay: 3 * time.Second, BudgetInUse: 2,
		}, p.Metrics())
	})
}

func TestRetrySingleAttempt(t *testing.T) {
	p := retryPolicy(t, RetryConfig{MaxAttempts: 1})
	fn, calls := retryFails(1, errRetryTest)
	err := p.Execute(t.Context(), fn)
	require.ErrorIs(t, err, ErrExhausted)
	require.EqualError(t, err, "resilience: gave up after 1 attempt: retry attempts exhausted; last error: flaky: unexpected EOF")
	require.Len(t, calls(), 1)
	require.Zero(t, p.Metrics().BudgetInUse)
}

func TestRetryUnknownErrorIsFinal(t *testing.T) {
	boom := errors.New("boom")
	fn, calls := retryFails(9, boom)
	p := retryPolicy(t, RetryConfig{})
	require.Same(t, boom, p.Execute(t.Context(), fn), "as it is, unwrapped")
	require.Len(t, calls(), 1)

	synctest.Test(t, func(t *testing.T) {
		p := retryPolicy(t, RetryConfig{IsTransient: func(err error) bool { return errors.Is(err, boom) }})
		fn, calls := retryFails(2, boom)
		require.NoError(t, p.Execute(t.Context(), fn))
		require.Len(t, calls(), 3)
	})
}

// A library's wrapper reached the caller, and through it an outer retry.
func TestRetryPeerBug17PermanentDoesNotLeak(t *testing.T) {
	cause := io.ErrUnexpectedEOF // transient, but for the mark
	for _, attempts := range []int{1, 3} {
		p := retryPolicy(t, RetryConfig{MaxAttempts: attempts})
		fn, calls := retryFails(9, Permanent(cause))
		require.Same(t, cause, p.Execute(t.Context(), fn), "MaxAttempts %d", attempts)
		require.Len(t, calls(), 1)
	}
	synctest.Test(t, func(t *testing.T) {
		inner, outer := retryPolicy(t, RetryConfig{}), retryPolicy(t, RetryConfig{})
		calls := 0
		err := outer.Execute(t.Context(), func(ctx context.Context) error {
			return inner.Execute(ctx, func(context.Context) error {
				calls++
				return fmt.Errorf("inner: %w", Permanent(cause))
			})
		})
		require.ErrorIs(t, err, ErrExhausted)
		require.Equal(t, 3, calls, "the mark ends one policy's retries, not the other's")
		require.False(t, isPermanent(err))
	})
}

func TestRetryNestedPoliciesDoNotMultiply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, outer := retryPolicy(t, RetryConfig{}), retryPolicy(t, RetryConfig{})
		fn, calls := retryFails(99, errRetryTest)
		err := outer.Execute(t.Context(), func(ctx context.Context) error { return inner.Execute(ctx, fn) })
		require.ErrorIs(t, err, ErrExhausted)
		require.Len(t, calls(), 3)
	})
}

// Libraries called the function with a context that had ended.
func TestRetryPeerBug23EndedContextNeverRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := retryPolicy(t, RetryConfig{})
		fn, calls := retryFails(0, nil)
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, p.Execute(canceled, fn), context.Canceled)
		require.ErrorIs(t, p.Execute(retryLateContext{t.Context()}, fn), context.DeadlineExceeded)
		require.ErrorIs(t, p.Execute(retryLateContext{canceled}, fn), context.Canceled, "its own word comes first")
		require.Empty(t, calls())
		require.Equal(t, RetryMetrics{Executions: 3, Failures: 3}, p.Metrics())
	})
}

// retryLateContext is at its deadline, but nobody has told it yet.
type retryLateContext struct{ context.Context }

func (retryLateContext) Deadline() (time.Time, bool) { return time.Now(), true }

func TestRetryContextEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := retryPolicy(t, RetryConfig{RetryBudget: 1})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(300*time.Millisecond, cancel)
		fn, calls := retryFails(9, errRetryTest)
		start := time.Now()
		err := p.Execute(ctx, fn)
		require.Equal(t, 300*time.Millisecond, time.Since(start))
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Len(t, calls(), 1)
		require.Zero(t, p.Metrics().BudgetInUse, "the retry that never began is refunded")
		require.Zero(t, p.Metrics().Retries)
	})
}

func TestRetryCancellationWinsTheTie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 50 {
			p := retryPolicy(t, RetryConfig{})
			ctx, cancel := context.WithCancel(t.Context())
			fn, calls := retryFails(9, errRetryTest)
			time.AfterFunc(time.Second, cancel)
			done := make(chan error, 1)
			go func() { done <- p.Execute(ctx, fn) }() // ends with Execute
			require.ErrorIs(t, <-done, context.Canceled)
			require.LessOrEqual(t, len(calls()), 2)
			require.Len(t, calls(), 1+int(p.Metrics().Retries))
			require.Equal(t, len(calls())-1, p.Metrics().BudgetInUse)
			cancel()
		}
	})
}

func TestRetryDoesNotWaitBeyondTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, row := range []struct {
			timeout time.Duration
			calls   int
		}{{999 * time.Millisecond, 1}, {time.Second, 1}, {1001 * time.Millisecond, 2}} {
			p := retryPolicy(t, RetryConfig{})
			ctx, cancel := context.WithTimeout(t.Context(), row.timeout)
			fn, calls := retryFails(9, errRetryTest)
			start := time.Now()
			err := p.Execute(ctx, fn)
			require.Equal(t, time.Duration(row.calls-1)*time.Second, time.Since(start), "returns at once, timeout %v", row.timeout)
			require.Len(t, calls(), row.calls)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.Equal(t, row.calls-1, p.Metrics().BudgetInUse)
			cancel()
		}
	})
}

// The function's own deadline is worth a retry; the caller's is not.
func TestRetryTellsDeadlinesApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := retryPolicy(t, RetryConfig{})
		calls := 0
		attempt := func(ctx context.Context) error {
			calls++
			ctx, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
			defer cancel()
			<-ctx.Done()
			return ctx.Err()
		}
		require.ErrorIs(t, p.Execute(t.Context(), attempt), ErrExhausted)
		require.Equal(t, 3, calls)

		calls = 0
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		require.Equal(t, context.DeadlineExceeded, p.Execute(ctx, attempt))
		require.Equal(t, 1, calls)
	})
}

func TestRetryPeerBug19RetryAfterIsAFloorUnderTheCap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, row := range []struct{ advice, want time.Duration }{
			{0, time.Second},
			{-time.Hour, time.Second},
			{500 * time.Millisecond, time.Second},
			{5 * time.Second, 5 * time.Second},
			{1<<63 - 1, time.Minute},
		} {
			p := retryPolicy(t, RetryConfig{MaxAttempts: 2})
			fn, calls := retryFails(1, fmt.Errorf("call: %w", &StatusError{Code: 429, After: row.advice}))
			require.NoError(t, p.Execute(t.Context(), fn))
			require.Equal(t, []time.Duration{0, row.want}, calls(), "advice %v", row.advice)
		}
	})
}

func TestRetryBudgetIsSharedAndSlides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := retryPolicy(t, RetryConfig{MaxAttempts: 2, RetryBudget: 2, RetryBudgetWindow: 10 * time.Second})
		try := func() error {
			fn, _ := retryFails(9, errRetryTest)
			return p.Execute(t.Context(), fn)
		}
		require.ErrorIs(t, try(), ErrExhausted) // retry at 1 s
		require.ErrorIs(t, try(), ErrExhausted) // retry at 2 s
		err := try()
		require.ErrorIs(t, err, ErrBudgetExceeded)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Equal(t, uint64(1), p.Metrics().BudgetRejections)
		time.Sleep(9*time.Second - 1) // 11 s less a nanosecond: the first is still inside
		require.ErrorIs(t, try(), ErrBudgetExceeded)
		time.Sleep(time.Nanosecond)
		require.Equal(t, 1, p.Metrics().BudgetInUse)
		require.ErrorIs(t, try(), ErrExhausted)
	})
}

// A spent budget refuses new retries. It never touches executions under way,
// nor first attempts.
func TestRetryPeerBug22SpentBudgetHarmsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := retryPolicy(t, RetryConfig{MaxAttempts: 2, RetryBudget: 1})
		waiting, calls := retryFails(1, errRetryTest)
		done := make(chan error, 1)
		go func() { done <- p.Execute(t.Context(), waiting) }() // ends with Execute
		synctest.Wait()
		refused, _ := retryFails(1, errRetryTest)
		require.ErrorIs(t, p.Execute(t.Context(), refused), ErrBudgetExceeded)
		require.NoError(t, p.Execute(t.Context(), func(context.Context) error { return nil }))
		require.NoError(t, <-done)
		require.Equal(t, []time.Duration{0, time.Second}, calls())
	})
}

func TestRetryNoBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := retryPolicy(t, RetryConfig{MaxAttempts: 100, RetryBudget: NoBudget})
		fn, calls := retryFails(99, errRetryTest)
		require.NoError(t, p.Execute(t.Context(), fn))
		require.Len(t, calls(), 100)
	})
}

// The budget must hold in every window, not only in those that start at a
// round number.
func TestRetryBudgetHoldsInAnyWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const budget, window = 5, 3 * time.Second
		p := retryPolicy(t, RetryConfig{
			MaxAttempts: 6, BaseDelay: 100 * time.Millisecond, MaxDelay: 2 * time.Second, JitterFactor: 1,
			RetryBudget: budget, RetryBudgetWindow: window, Rand: retryLockedRand(1),
		})
		var mu sync.Mutex
		var retries []time.Time
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				for j := range 30 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+(i*7+j*13)%40)*100*time.Millisecond)
					attempt := 0
					_ = p.Execute(ctx, func(context.Context) error {
						if attempt++; attempt > 1 {
							mu.Lock()
							retries = append(retries, time.Now())
							mu.Unlock()
						}
						return errRetryTest
					})
					cancel()
					time.Sleep(time.Duration(100+i*j%17) * 10 * time.Millisecond)
				}
			})
		}
		wg.Wait()
		for i := range retries {
			if i+budget < len(retries) {
				require.GreaterOrEqual(t, retries[i+budget].Sub(retries[i]), window, "retries %d to %d", i, i+budget)
			}
		}
		require.Greater(t, len(retries), 2*budget, "the budget was refilled")
		time.Sleep(window)
		require.Zero(t, p.Metrics().BudgetInUse, "nothing leaked")
	})
}

func retryLockedRand(seed uint64) func() float64 {
	var mu sync.Mutex
	source := rand.New(rand.NewPCG(seed, seed))
	return func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return source.Float64()
	}
}

func TestRetryBreakerIsAskedEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := NewCircuitBreaker(BreakerConfig{FailureThreshold: 2, OpenStateDuration: time.Hour})
		require.NoError(t, err)
		p := retryPolicy(t, RetryConfig{MaxAttempts: 10})
		fn, calls := retryFails(99, errRetryTest)
		err = p.Execute(t.Context(), fn, WithBreaker(b))
		made := len(calls())
		require.ErrorIs(t, err, ErrOpen)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, "the last real error is there too")
		require.Less(t, made, 10)
		var retried *RetryError
		require.ErrorAs(t, err, &retried)
		require.Equal(t, made, retried.Attempts)
		require.Equal(t, made-1, p.Metrics().BudgetInUse, "the rejected retry is refunded")

		// Not hammered: an open breaker ends the execution at once.
		start := time.Now()
		err = p.Execute(t.Context(), fn, WithBreaker(b))
		require.ErrorIs(t, err, ErrOpen)
		require.Zero(t, time.Since(start))
		require.Len(t, calls(), made)

		require.NoError(t, p.Execute(t.Context(), func(context.Context) error { return nil }, WithBreaker(nil)))
	})
}

func TestRetryBreakerNeverSeesThePermanentMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := NewCircuitBreaker(BreakerConfig{FailureThreshold: 1, OpenStateDuration: time.Minute})
		require.NoError(t, err)
		p := retryPolicy(t, RetryConfig{})
		require.Same(t, io.EOF, p.Execute(t.Context(), func(context.Context) error { return Permanent(io.EOF) }, WithBreaker(b)))
		require.Equal(t, RetryMetrics{Executions: 1, Attempts: 1, Failures: 1}, p.Metrics())
	})
}

// A panic or Goexit (t.FailNow inside the function) leaked permits and budgets.
func TestRetryPeerBug03PanicAndGoexitReleaseEverything(t *testing.T) {
	exits := map[string]func(){"panic": func() { panic("boom") }, "Goexit": runtime.Goexit}
	for name, exit := range exits {
		for _, where := range []string{"first", "retry", "OnRetry", "IsTransient", "Rand"} {
			for _, guarded := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					cfg := RetryConfig{RetryBudget: 1}
					switch where {
					case "OnRetry":
						cfg.OnRetry = func(RetryEvent) { exit() }
					case "IsTransient":
						cfg.IsTransient = func(error) bool { exit(); return true }
					case "Rand":
						cfg.JitterFactor = 0.1
						cfg.Rand = func() float64 { exit(); return 0 }
					}
					p := retryPolicy(t, cfg)
					b, err := NewCircuitBreaker(BreakerConfig{FailureThreshold: 1000, OpenStateDuration: time.Hour})
					require.NoError(t, err)
					var opts []ExecuteOption
					if guarded {
						opts = append(opts, WithBreaker(b))
					}
					calls := 0
					var wg sync.WaitGroup
					wg.Add(1)
					go func() { // ends with Execute, by whatever exit
						defer wg.Done()
						defer func() { _ = recover() }()
						_ = p.Execute(t.Context(), func(context.Context) error {
							calls++
							if where == "first" || calls == 2 {
								exit()
							}
							return errRetryTest
						}, opts...)
					}()
					wg.Wait()
					m := p.Metrics()
					require.Equal(t, uint64(1), m.Executions, "%s in %s", name, where)
					require.Equal(t, uint64(1), m.Failures)
					require.Equal(t, uint64(calls), m.Attempts)
					time.Sleep(time.Minute)
					require.Zero(t, p.Metrics().BudgetInUse, "%s in %s", name, where)
					require.NoError(t, p.Execute(t.Context(), func(context.Context) error { return nil }, opts...))
				})
			}
		}
	}
}

// A callback that reads the metrics deadlocked where callbacks ran under a lock.
func TestRetryPeerBug01CallbackMayReadMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p *RetryPolicy
		inUse := 0
		p = retryPolicy(t, RetryConfig{MaxAttempts: 2, OnRetry: func(e RetryEvent) {
			inUse = p.Metrics().BudgetInUse
			require.NoError(t, e.Context.Err())
		}})
		fn, _ := retryFails(1, errRetryTest)
		require.NoError(t, p.Execute(t.Context(), fn))
		require.Equal(t, 1, inUse, "a waiting retry is in use")
	})
}

// Other libraries started a goroutine per policy, or one per sleep that stayed.
func TestRetryPeerBug25NoGoroutineLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a bubble with a goroutine left fails
		for range 20 {
			p := retryPolicy(t, RetryConfig{})
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Millisecond, cancel)
			fn, _ := retryFails(9, errRetryTest)
			require.ErrorIs(t, p.Execute(ctx, fn), context.Canceled)
		}
	})
}

func TestRetryValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := retryPolicy(t, RetryConfig{})
		calls := 0
		got, err := Retry(t.Context(), p, func(context.Context) (string, error) {
			if calls++; calls < 3 {
				return "no", errRetryTest
			}
			return "yes", nil
		})
		require.NoError(t, err)
		require.Equal(t, "yes", got)
	})
}

func TestRetryManyAtOnce(t *testing.T) {
	p := retryPolicy(t, RetryConfig{BaseDelay: time.Microsecond, MaxDelay: time.Millisecond, RetryBudget: 50, RetryBudgetWindow: 5 * time.Millisecond})
	var calls, failed atomic.Uint64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 1))
			for range 300 {
				err := p.Execute(t.Context(), func(context.Context) error {
					calls.Add(1)
					if random.IntN(3) == 0 {
						return errRetryTest
					}
					return nil
				})
				if err != nil {
					failed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	m := p.Metrics()
	require.Equal(t, uint64(2400), m.Executions)
	require.Equal(t, failed.Load(), m.Failures)
	require.Equal(t, calls.Load(), m.Attempts)
	require.Equal(t, m.Attempts, m.Executions+m.Retries)
	require.LessOrEqual(t, m.BudgetInUse, 50)
}

func TestRetryAllocatesNothingOnSuccess(t *testing.T) {
	p := retryPolicy(t, RetryConfig{})
	ctx := context.Background()
	b, err := NewCircuitBreaker(BreakerConfig{FailureThreshold: 5, OpenStateDuration: time.Hour})
	require.NoError(t, err)
	fn := func(context.Context) error { return nil }
	require.Zero(t, testing.AllocsPerRun(1000, func() { _ = p.Execute(ctx, fn) }))
	require.Zero(t, testing.AllocsPerRun(1000, func() { _ = p.Execute(ctx, fn, WithBreaker(b)) }), "with a breaker")
	value := 7
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		_, _ = Retry(ctx, p, func(context.Context) (int, error) { return value, nil })
	}), "with a value")
}

// panickyError is an error whose methods are no better than the rest of user code.
type panickyError struct{}

func (panickyError) Error() string { return "down" }
func (panickyError) As(any) bool   { panic("as") }

func TestRetryReportsToTheBreakerThoughAnErrorPanics(t *testing.T) {
	p, err := NewRetryPolicy(RetryConfig{})
	require.NoError(t, err)
	b, err := NewCircuitBreaker(BreakerConfig{})
	require.NoError(t, err)
	require.PanicsWithValue(t, "as", func() {
		_ = p.Execute(t.Context(), func(context.Context) error { return panickyError{} }, WithBreaker(b))
	})
	m := b.Metrics()
	require.Zero(t, m.Pending, "the permit was kept")
	require.EqualValues(t, 1, m.TotalFailures)
	require.EqualValues(t, 1, p.Metrics().Failures)
}
