package loadtest

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
	"go.uber.org/goleak"

	"example.com/brunt/internal/faketb"
	"example.com/brunt/loadtest/pace"
)

// config makes the configuration of one kind of engine around a client.
type config struct {
	name    string
	workers int
	make    func(Client, time.Duration) EngineConfig
}

// closedLoops are the engines that keep requests in flight; the other one keeps a
// schedule, which all requests of most tests follow in time.
var (
	closedLoops = []config{
		{"sync", 1, func(c Client, d time.Duration) EngineConfig { return SyncConfig{Client: c, Timeout: d} }},
		{"threaded", 10, func(c Client, d time.Duration) EngineConfig { return ThreadedConfig{Client: c, Timeout: d} }},
		{"async", 100, func(c Client, d time.Duration) EngineConfig { return AsyncConfig{Client: c, Timeout: d} }},
	}
	engines = append(slices.Clip(closedLoops), config{"arrival", defaultMaxInFlight, func(c Client, d time.Duration) EngineConfig {
		rate := 1e6
		if virtual(time.Now()) {
			rate = 1000 // each instant has to come
		}
		return ArrivalConfig{Schedule: pace.Constant(rate), Client: c, Timeout: d}
	}})
)

// forEngines runs f in virtual time for each kind of engine.
func forEngines(t *testing.T, f func(t *testing.T, c config)) {
	t.Helper()
	forEach(t, engines, f)
}

// forClosedLoops is forEngines without the one whose requests begin when a schedule says.
func forClosedLoops(t *testing.T, f func(t *testing.T, c config)) {
	t.Helper()
	forEach(t, closedLoops, f)
}

func forEach(t *testing.T, engines []config, f func(t *testing.T, c config)) {
	t.Helper()
	for _, c := range engines {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, c) })
		})
	}
}

// sleep is a server that takes d and heeds its context.
func sleep(d time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		if d <= 0 { // two goroutines at a timer that has ended crash the race detector (golang/go#78156)
			return ctx.Err()
		}
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func newEngine(t *testing.T, cfg EngineConfig) Engine {
	t.Helper()
	e, err := cfg.New()
	require.NoError(t, err)
	return e
}

func closeEngine(t *testing.T, e Engine) {
	t.Helper()
	require.NoError(t, e.Close(t.Context()))
}

// accounted asserts that every request of a source of n is in the result.
func accounted(t *testing.T, n int64, r *EngineResult) {
	t.Helper()
	require.NotNil(t, r)
	require.Equal(t, n, r.Requests+r.Missed+r.Dropped+r.Canceled+r.Unsent, "sent and unsent")
	if r.Engine == "arrival" {
		require.Equal(t, r.Scheduled, r.Requests+r.RejectedCount+r.Missed+r.Dropped+r.Canceled, "no arrival is lost")
	}
	require.Equal(t, r.Requests, r.SuccessCount+r.ErrorCount+r.OtherCount, "outcomes")
	require.Equal(t, r.Requests, r.good.Count()+r.bad.Count(), "latencies")
	var classed int64
	for _, k := range r.Errors {
		classed += k
	}
	require.Equal(t, r.ErrorCount, classed, "classes")
}

func TestEnginesKeepTheirConcurrencyBusy(t *testing.T) {
	forClosedLoops(t, func(t *testing.T, c config) {
		var (
			mu           sync.Mutex
			inside, peak int
		)
		e := newEngine(t, c.make(Func(func(ctx context.Context) error {
			mu.Lock()
			inside++
			peak = max(peak, inside)
			mu.Unlock()
			defer func() {
				mu.Lock()
				inside--
				mu.Unlock()
			}()
			return sleep(10 * time.Millisecond)(ctx)
		}), 0))
		defer closeEngine(t, e)

		r, err := e.Run(t.Context(), Times(1000))
		require.NoError(t, err)
		accounted(t, 1000, r)
		require.EqualValues(t, 1000, r.SuccessCount)
		require.Equal(t, c.workers, peak)
		// A closed loop without overhead: n ÷ concurrency rounds of 10 ms.
		require.Equal(t, 10*time.Millisecond*time.Duration(1000/c.workers), r.Elapsed)
		require.InDelta(t, float64(c.workers)*100, r.RPS(), 1e-6)
		require.Equal(t, 10*time.Millisecond, r.P50())
		require.Equal(t, 10*time.Millisecond, r.P99())
		require.Equal(t, 10*time.Millisecond, r.Quantile(0))
		require.Equal(t, 10*time.Millisecond, r.Mean())
		require.Empty(t, r.Warnings)
		require.Equal(t, c.name, r.Engine)
		require.Equal(t, c.workers, r.Concurrency)
		require.Zero(t, r.ConnectionsOpened)
		require.Positive(t, r.PeakMemory)
	})
}

func TestUnequalRequestsLeaveNoWorkerIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		e := newEngine(t, ThreadedConfig{MaxWorkers: 4, Client: Func(func(context.Context) error {
			// The first 400 take nothing, which makes batches grow; then it gets slow.
			if n.Add(1) > 400 {
				time.Sleep(time.Second)
			}
			return nil
		})})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Times(440))
		require.NoError(t, err)
		accounted(t, 440, r)
		// 40 slow requests on 4 workers take 10 s if shared fairly. One worker may
		// have found nothing left before they became slow; none may sit on a batch.
		require.LessOrEqual(t, r.Elapsed, 15*time.Second)
	})
}

func TestForSendsUntilItsTimeHasPassed(t *testing.T) {
	forClosedLoops(t, func(t *testing.T, c config) {
		e := newEngine(t, c.make(Func(sleep(300*time.Millisecond)), 0))
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), For(time.Second))
		require.NoError(t, err)
		require.EqualValues(t, 4*c.workers, r.Requests, "the fourth round begins at 0.9 s and is finished")
		require.Equal(t, 1200*time.Millisecond, r.Elapsed)
		require.Zero(t, r.ErrorCount)
		require.Zero(t, r.Unsent)
	})
}

func TestTimeoutFiresAtItsInstant(t *testing.T) {
	forEngines(t, func(t *testing.T, c config) {
		var n atomic.Int64
		e := newEngine(t, c.make(Func(func(ctx context.Context) error {
			if n.Add(1)%2 == 0 {
				<-ctx.Done() // hangs
				return ctx.Err()
			}
			return sleep(70 * time.Millisecond)(ctx)
		}), 250*time.Millisecond))
		defer closeEngine(t, e)

		r, err := e.Run(t.Context(), Times(200))
		require.NoError(t, err)
		accounted(t, 200, r)
		require.EqualValues(t, 100, r.SuccessCount, "a timeout must not spoil the requests after it")
		require.Equal(t, map[ErrorClass]int64{ClassTimeout: 100}, r.Errors)
		require.Equal(t, 250*time.Millisecond, r.ErrorQuantile(0))
		require.Equal(t, 250*time.Millisecond, r.ErrorQuantile(1))
		require.Equal(t, 70*time.Millisecond, r.SuccessQuantile(1))
	})
}

func TestTimeoutErrorSaysWhatItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, SyncConfig{Timeout: time.Second, Client: Func(func(ctx context.Context) error {
			<-ctx.Done()
			return context.Cause(ctx)
		})})
		defer closeEngine(t, e)
		var got error
		_, err := e.RunStreaming(t.Context(), Times(1), func(r RequestResult) error { got = r.Err; return nil })
		require.NoError(t, err)
		require.ErrorIs(t, got, context.DeadlineExceeded)
		var timeout interface{ Timeout() bool }
		require.ErrorAs(t, got, &timeout)
		require.True(t, timeout.Timeout())
		var own *TimeoutError
		require.ErrorAs(t, got, &own)
		require.Equal(t, time.Second, own.Limit)
		require.True(t, own.Temporary())
		require.EqualError(t, got, "loadtest: no result within 1s")
	})
}

func TestSuccessAtTheInstantOfTheTimeoutStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, SyncConfig{Timeout: time.Second, Client: Func(func(ctx context.Context) error {
			<-ctx.Done() // overdue, but it has its result
			return nil
		})})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Times(3))
		require.NoError(t, err)
		require.EqualValues(t, 3, r.SuccessCount)
	})
}

func TestCanceledContextSendsNothing(t *testing.T) {
	forClosedLoops(t, func(t *testing.T, c config) {
		var calls atomic.Int64
		e := newEngine(t, c.make(Func(func(context.Context) error { calls.Add(1); return nil }), 0))
		defer closeEngine(t, e)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errTest)
		r, err := e.Run(ctx, Times(500))
		require.ErrorIs(t, err, errTest, "the cause")
		accounted(t, 500, r)
		require.Zero(t, calls.Load())
		require.EqualValues(t, 500, r.Unsent)
		require.Zero(t, r.RPS())
		require.Zero(t, r.P99())
	})
}

func TestCancellationCutsRequestsInFlight(t *testing.T) {
	forClosedLoops(t, func(t *testing.T, c config) {
		for name, end := range map[string]func(context.Context) (context.Context, context.CancelFunc){
			"deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, 250*time.Millisecond)
			},
			"cancel": func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(250*time.Millisecond, cancel)
				return ctx, cancel
			},
			"cause": func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeoutCause(ctx, 250*time.Millisecond, errTest)
			},
		} {
			// Whatever error the client makes of it, the class is the same.
			for cause := range 2 {
				e := newEngine(t, c.make(Func(func(ctx context.Context) error {
					err := sleep(100 * time.Millisecond)(ctx)
					if err != nil && cause == 1 {
						err = context.Cause(ctx)
					}
					return err
				}), 0))
				ctx, cancel := end(t.Context())
				r, err := e.Run(ctx, Times(5000))
				cancel()
				require.ErrorIs(t, err, context.Cause(ctx), name)
				accounted(t, 5000, r)
				require.EqualValues(t, 2*c.workers, r.SuccessCount, name)
				require.Equal(t, map[ErrorClass]int64{ClassCanceled: int64(c.workers)}, r.Errors, name)
				require.Equal(t, 250*time.Millisecond, r.Elapsed, name)
				closeEngine(t, e)
			}
		}
	})
}

// That all has begun does not make a run complete: what the context ends is missing.
func TestARunThatIsCutShortInItsLastRequestsSaysSo(t *testing.T) {
	forClosedLoops(t, func(t *testing.T, c config) {
		for name, tt := range map[string]struct {
			req           *Request
			own, err      error // of a request that is canceled, and of the run
			errors        map[ErrorClass]int64
			usersCanceled int
		}{
			"requests": {&Request{}, context.Canceled, context.Canceled, map[ErrorClass]int64{ClassCanceled: int64(c.workers)}, 0},
			"users": {Walk("a", func(_ context.Context, u *User) error {
				return u.Pause(time.Hour)
			}), nil, context.Canceled, nil, c.workers},
			"what has failed by itself": {&Request{}, errTest, nil, map[ErrorClass]int64{ClassOther: int64(c.workers)}, 0},
		} {
			e := newEngine(t, c.make(Func(func(ctx context.Context) error {
				if sleep(time.Second)(ctx) != nil {
					return tt.own
				}
				return nil
			}), 0))
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(250*time.Millisecond, cancel)
			r, err := e.Run(ctx, Times(c.workers, tt.req))
			cancel()
			require.ErrorIs(t, err, tt.err, name)
			require.Zero(t, r.Unsent, name)
			require.Equal(t, tt.errors, r.Errors, name)
			require.EqualValues(t, tt.usersCanceled, r.UsersCanceled, name)
			closeEngine(t, e)
		}
	})
}

func TestCompleteRunIsNoErrorWhenItsContextEndsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		e := newEngine(t, ThreadedConfig{Client: Func(func(context.Context) error { return nil })})
		defer closeEngine(t, e)
		var n atomic.Int64
		r, err := e.RunStreaming(ctx, Times(100), func(RequestResult) error {
			if n.Add(1) == 100 {
				cancel()
			}
			return nil
		})
		require.NoError(t, err)
		require.EqualValues(t, 100, r.SuccessCount)
	})
}

func TestCloseAwaitsRequestsInFlight(t *testing.T) {
	forClosedLoops(t, func(t *testing.T, c config) {
		e := newEngine(t, c.make(Func(sleep(time.Second)), 0))
		var (
			r   *EngineResult
			err error
			wg  sync.WaitGroup
		)
		wg.Go(func() { r, err = e.Run(t.Context(), Times(1000)) }) // ends with the run
		time.Sleep(1500 * time.Millisecond)
		start := time.Now()
		require.NoError(t, e.Close(t.Context()))
		require.Equal(t, 500*time.Millisecond, time.Since(start), "the second round is finished, no third begins")
		wg.Wait()
		require.ErrorIs(t, err, ErrClosed)
		accounted(t, 1000, r)
		require.EqualValues(t, 2*c.workers, r.SuccessCount)
		require.Zero(t, r.ErrorCount)

		_, err = e.Run(t.Context(), Times(1))
		require.ErrorIs(t, err, ErrClosed)
		require.NoError(t, e.Close(t.Context()), "again")
	})
}

func TestCloseCancelsWhatOutlastsItsContext(t *testing.T) {
	forClosedLoops(t, func(t *testing.T, c config) {
		var cause atomic.Value
		e := newEngine(t, c.make(Func(func(ctx context.Context) error {
			<-ctx.Done()
			cause.Store(context.Cause(ctx))
			return ctx.Err()
		}), time.Hour))
		var (
			r   *EngineResult
			err error
			wg  sync.WaitGroup
		)
		wg.Go(func() { r, err = e.Run(t.Context(), Times(1000)) }) // ends with the run
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		require.NoError(t, e.Close(ctx))
		require.Equal(t, 2*time.Second, time.Since(start))
		wg.Wait()
		require.ErrorIs(t, err, ErrClosed)
		accounted(t, 1000, r)
		require.Equal(t, map[ErrorClass]int64{ClassCanceled: int64(c.workers)}, r.Errors)
		require.ErrorIs(t, cause.Load().(error), ErrClosed)
	})
}

// Those of all runs, and no more than there are: the third worker of each has ended.
func TestCloseReportsRequestsThatIgnoreTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var calls atomic.Int64
		e := newEngine(t, ThreadedConfig{MaxWorkers: 3, Client: Func(func(context.Context) error {
			if calls.Add(1)%3 != 0 {
				<-release
			}
			return nil
		})})
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { _, _ = e.Run(t.Context(), Times(3)) }) // ends after release
			synctest.Wait()
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		err := e.Close(ctx)
		require.ErrorIs(t, err, ErrLeak)
		require.ErrorContains(t, err, "4 of them for 5s")
		require.Equal(t, cancelGrace, time.Since(start))
		close(release)
		wg.Wait()
		require.NoError(t, e.Close(t.Context()), "once they are gone, it is well")
	})
}

func TestConcurrentCloseAndRunNeverHang(t *testing.T) {
	forEngines(t, func(t *testing.T, c config) {
		e := newEngine(t, c.make(Func(sleep(time.Millisecond)), 0))
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() { // ends with its run
				r, err := e.Run(t.Context(), Times(100*c.workers))
				if r == nil {
					require.ErrorIs(t, err, ErrClosed)
					return
				}
				accounted(t, int64(100*c.workers), r)
				require.True(t, err == nil || errors.Is(err, ErrClosed))
			})
			wg.Go(func() { // ends with Close
				time.Sleep(time.Duration(i) * 17 * time.Millisecond)
				require.NoError(t, e.Close(t.Context()))
			})
		}
		wg.Wait()
	})
}

func TestOverlappingRunsAreIndependent(t *testing.T) {
	forClosedLoops(t, func(t *testing.T, c config) {
		e := newEngine(t, c.make(Func(sleep(10*time.Millisecond)), 0))
		defer closeEngine(t, e)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { // ends with its run
				r, err := e.Run(t.Context(), Times(5*c.workers))
				require.NoError(t, err)
				require.Equal(t, 50*time.Millisecond, r.Elapsed)
				accounted(t, int64(5*c.workers), r)
			})
		}
		wg.Wait()
	})
}

// bookkeeper is a client that counts its sessions.
type bookkeeper struct {
	opened, closed, clientClosed atomic.Int64
	failAfter                    int64
	do                           func(ctx context.Context) error
}

func (b *bookkeeper) Session() (Session, error) {
	if n := b.opened.Add(1); b.failAfter > 0 && n > b.failAfter {
		b.opened.Add(-1)
		return nil, errTest
	}
	return &bookkeeperSession{b: b}, nil
}
func (b *bookkeeper) Close() error { b.clientClosed.Add(1); return nil }

type bookkeeperSession struct {
	b    *bookkeeper
	busy atomic.Bool
}

func (s *bookkeeperSession) Do(ctx context.Context, _ *Request) (Response, error) {
	if !s.busy.CompareAndSwap(false, true) {
		return Response{}, errors.New("session shared by two workers")
	}
	defer s.busy.Store(false)
	return Response{}, s.b.do(ctx)
}
func (s *bookkeeperSession) Close() error { s.b.closed.Add(1); return nil }

func TestEachWorkerHasASessionThatLaterRunsReuse(t *testing.T) {
	forClosedLoops(t, func(t *testing.T, c config) {
		b := &bookkeeper{do: sleep(time.Millisecond)}
		e := newEngine(t, c.make(b, 0))
		for range 3 {
			r, err := e.Run(t.Context(), Times(10*c.workers))
			require.NoError(t, err)
			require.Zero(t, r.ErrorCount, r.String())
			require.EqualValues(t, c.workers, b.opened.Load())
		}
		require.Zero(t, b.closed.Load())
		closeEngine(t, e)
		require.EqualValues(t, c.workers, b.closed.Load())
		require.EqualValues(t, 1, b.clientClosed.Load(), "the engine owns its client")
	})
}

func TestAnEngineDoesNotKeepRunsThatHaveEnded(t *testing.T) {
	e, err := NewSyncEngine(SyncConfig{Client: sleeps(0)})
	require.NoError(t, err)
	defer closeEngine(t, e)
	for range 3 {
		_, err := e.Run(t.Context(), Times(1))
		require.NoError(t, err)
		require.Empty(t, e.runs)
	}
}

func TestSessionsThatComeBackAfterCloseAreClosed(t *testing.T) {
	forClosedLoops(t, func(t *testing.T, c config) {
		b := &bookkeeper{do: sleep(time.Second)}
		e := newEngine(t, c.make(b, 0))
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = e.Run(t.Context(), Times(1000)) }) // ends with Close
		time.Sleep(500 * time.Millisecond)
		closeEngine(t, e)
		wg.Wait()
		require.EqualValues(t, c.workers, b.opened.Load())
		require.EqualValues(t, c.workers, b.closed.Load())
	})
}

func TestFewRequestsStartFewWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bookkeeper{do: sleep(time.Millisecond)}
		e := newEngine(t, AsyncConfig{Client: b})
		defer closeEngine(t, e)
		_, err := e.Run(t.Context(), Times(7))
		require.NoError(t, err)
		require.EqualValues(t, 7, b.opened.Load())
	})
}

func TestSessionThatCannotOpenEndsTheRunAndLosesNone(t *testing.T) {
	b := &bookkeeper{failAfter: 3, do: sleep(0)}
	e := newEngine(t, ThreadedConfig{Client: b})
	r, err := e.Run(t.Context(), Times(100))
	require.ErrorIs(t, err, errTest)
	require.Nil(t, r)
	closeEngine(t, e)
	require.EqualValues(t, 3, b.opened.Load())
	require.EqualValues(t, 3, b.closed.Load())
}

func TestPanicsAndGoexitsReachTheCallerOfRun(t *testing.T) {
	ok := func(context.Context) error { return nil }
	bang := func() { panic(errTest) }
	for name, tt := range map[string]struct {
		stack  string // names where it struck
		client func(hit func()) Client
		source func(hit func()) Source
		sink   func(hit func()) func(RequestResult) error
	}{
		"in the function": {stack: "engine_test.go", client: func(hit func()) Client { return Func(func(context.Context) error { hit(); return nil }) }},
		"in a check": {stack: "engine_test.go", source: func(hit func()) Source {
			return Times(1000, &Request{Check: func(Response) error { hit(); return nil }})
		}},
		// iter.Pull moves a panic between goroutines and keeps no stack.
		"in the sequence": {stack: "seqFeed", source: func(hit func()) Source {
			return Seq(func(yield func(*Request) bool) {
				for yield(&Request{}) {
					hit()
				}
			})
		}},
		"in the sink": {stack: "engine_test.go", sink: func(hit func()) func(RequestResult) error {
			return func(RequestResult) error { hit(); return nil }
		}},
	} {
		for _, c := range engines {
			t.Run(fmt.Sprintf("%s/%s", name, c.name), func(t *testing.T) {
				run := func(t *testing.T, hit func()) *bookkeeper {
					t.Helper()
					b := &bookkeeper{do: ok}
					var client Client = b
					src, sink := Times(1000), func(RequestResult) error { return nil }
					if tt.client != nil {
						client = tt.client(hit)
					}
					if tt.source != nil {
						src = tt.source(hit)
					}
					if tt.sink != nil {
						sink = tt.sink(hit)
					}
					e := newEngine(t, c.make(client, 0))
					defer func() { require.NoError(t, e.Close(context.WithoutCancel(t.Context()))) }()
					_, _ = e.RunStreaming(t.Context(), src, sink)
					require.Fail(t, "Run returned")
					return b
				}
				t.Run("panic", func(t *testing.T) {
					defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
					defer func() {
						got, _ := recover().(*PanicError)
						require.NotNil(t, got, "the panic is passed on")
						require.Equal(t, errTest, got.Value)
						require.ErrorIs(t, got, errTest)
						require.ErrorContains(t, got, "test error")
						require.Contains(t, string(got.Stack), tt.stack, "the stack of where it struck")
					}()
					var once sync.Once
					run(t, func() { once.Do(bang) })
				})
				t.Run("FailNow", func(t *testing.T) {
					defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
					after := false
					tb := faketb.Run(t, func(tb *faketb.TB) {
						var n atomic.Int64
						run(t, func() {
							if n.Add(1) == 3 {
								tb.Fatal("enough")
							}
						})
						after = true
					})
					require.True(t, tb.FailedNow())
					require.Equal(t, []string{"enough"}, tb.Errors())
					require.False(t, after, "FailNow ends the goroutine that called Run")
				})
			})
		}
	}
}

func TestPanicErrorOfAPlainValueHasNoCause(t *testing.T) {
	require.NoError(t, (&PanicError{Value: "text"}).Unwrap())
}

func TestSessionsOfACrashedWorkerAreClosed(t *testing.T) {
	b := &bookkeeper{do: func(context.Context) error { panic("boom") }}
	e := newEngine(t, SyncConfig{Client: b})
	require.Panics(t, func() { _, _ = e.Run(t.Context(), Times(1)) })
	require.EqualValues(t, 1, b.closed.Load(), "nobody knows what state it is in")
	closeEngine(t, e)
	require.EqualValues(t, 1, b.closed.Load())
}

func TestStreamingHandsOverEveryOutcomeOneAtATime(t *testing.T) {
	forEngines(t, func(t *testing.T, c config) {
		var n, inside atomic.Int64
		e := newEngine(t, c.make(Func(func(ctx context.Context) error {
			if n.Add(1)%4 == 0 {
				return errTest
			}
			return sleep(time.Millisecond)(ctx)
		}), 0))
		defer closeEngine(t, e)
		start := time.Now()
		var got []RequestResult
		r, err := e.RunStreaming(t.Context(), Times(1000, &Request{Name: "a", URL: "x:"}, &Request{Name: "b"}), func(rr RequestResult) error {
			require.EqualValues(t, 1, inside.Add(1), "sinks do not overlap")
			defer inside.Add(-1)
			got = append(got, rr)
			return nil
		})
		require.NoError(t, err)
		accounted(t, 1000, r)
		require.Len(t, got, 1000)
		var failed, a int64
		for _, rr := range got {
			require.Equal(t, rr.Class != ClassNone, rr.Err != nil)
			require.Equal(t, 1, rr.Attempt)
			require.False(t, rr.Timestamp.Before(start))
			if rr.Err != nil {
				require.ErrorIs(t, rr.Err, errTest)
				require.Equal(t, ClassOther, rr.Class)
				failed++
			} else {
				require.Equal(t, time.Millisecond, rr.Latency)
			}
			if rr.Name == "a" {
				require.Equal(t, "x:", rr.URL)
				a++
			}
		}
		require.EqualValues(t, 250, failed)
		require.EqualValues(t, 250, r.Errors[ClassOther])
		require.EqualValues(t, 500, a)
		require.EqualValues(t, 500, r.Endpoints["a"].Requests)
		require.EqualValues(t, 500, r.Endpoints["b"].Requests)
		require.Equal(t, "test error", r.ErrorExamples[ClassOther])
	})
}

func TestSinkErrorStopsTheRun(t *testing.T) {
	forEngines(t, func(t *testing.T, c config) {
		e := newEngine(t, c.make(Func(sleep(time.Millisecond)), 0))
		defer closeEngine(t, e)
		calls := 0
		r, err := e.RunStreaming(t.Context(), Times(10_000), func(RequestResult) error {
			if calls++; calls == 5 {
				return errTest
			}
			return nil
		})
		require.ErrorIs(t, err, errTest)
		accounted(t, 10_000, r)
		require.Equal(t, 5, calls, "nothing is handed over after the error")
		require.GreaterOrEqual(t, r.Requests, int64(5))
		require.LessOrEqual(t, r.Requests, int64(5+2*c.workers), "only what was in flight is finished")
	})
}

func TestTimeInTheSinkIsNotLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, SyncConfig{Client: Func(sleep(time.Millisecond))})
		defer closeEngine(t, e)
		r, err := e.RunStreaming(t.Context(), Times(10), func(RequestResult) error { time.Sleep(time.Second); return nil })
		require.NoError(t, err)
		require.Equal(t, time.Millisecond, r.Quantile(1))
	})
}

func TestTimeInACheckIsNotLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, SyncConfig{Timeout: 100 * time.Millisecond, Client: Func(sleep(time.Millisecond))})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Times(10, &Request{Check: func(Response) error { time.Sleep(time.Second); return nil }}))
		require.NoError(t, err)
		require.EqualValues(t, 10, r.SuccessCount, "nor does it time out")
		require.Equal(t, time.Millisecond, r.Quantile(1))
	})
}

func TestFailedCheckIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, ThreadedConfig{Client: Func(func(context.Context) error { return nil })})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Times(100, &Request{}, &Request{Check: func(Response) error { return errTest }}))
		require.NoError(t, err)
		require.Equal(t, map[ErrorClass]int64{ClassCheck: 50}, r.Errors)
		require.EqualValues(t, 50, r.SuccessCount)
	})
}

func TestSeqRunsAndReportsItsFault(t *testing.T) {
	forEngines(t, func(t *testing.T, c config) {
		e := newEngine(t, c.make(Func(sleep(time.Millisecond)), 0))
		defer closeEngine(t, e)
		reqs := slices.Repeat([]*Request{{}}, 300)
		r, err := e.Run(t.Context(), Seq(slices.Values(reqs)))
		require.NoError(t, err)
		require.EqualValues(t, 300, r.SuccessCount)
		require.Zero(t, r.Unsent)

		reqs[150] = nil
		r, err = e.Run(t.Context(), Seq(slices.Values(reqs)))
		require.ErrorIs(t, err, ErrInvalidRequest)
		require.EqualValues(t, 150, r.SuccessCount)
	})
}

func TestRunRefusesBadInput(t *testing.T) {
	e := newEngine(t, SyncConfig{})
	defer closeEngine(t, e)
	var none context.Context
	_, err := e.Run(none, URLs("http://127.0.0.1:1/"))
	require.ErrorIs(t, err, ErrNilContext)
	require.ErrorIs(t, e.Close(none), ErrNilContext)
	_, err = e.Run(t.Context(), Source{})
	require.ErrorIs(t, err, ErrEmptySource)
	_, err = e.Run(t.Context(), URLs("::"))
	require.ErrorIs(t, err, ErrInvalidRequest)
	_, err = e.RunStreaming(t.Context(), URLs("http://127.0.0.1:1/"), nil)
	require.ErrorContains(t, err, "without a sink")
}

func TestConfigsReportEveryFault(t *testing.T) {
	nop := Func(func(context.Context) error { return nil })
	for _, tt := range []struct {
		name  string
		cfg   EngineConfig
		texts []string
	}{
		{"negative values", ThreadedConfig{MaxWorkers: -1, Timeout: -1, Conn: ConnectionConfig{MaxConnections: -1, Timeout: -2, MaxKeepaliveConnections: -3, KeepaliveExpiry: -4, MaxRedirects: -5, MaxResponseBytes: -6, Pooling: 7}}, []string{
			"MaxWorkers is -1", "Timeout is -1ns: must be 0 for the default, or positive", "Conn.MaxConnections", "Conn.Timeout", "Conn.MaxKeepaliveConnections",
			"Conn.KeepaliveExpiry", "Conn.MaxRedirects", "Conn.MaxResponseBytes", "Conn.Pooling is 7",
		}},
		{"slip of the pen", AsyncConfig{MaxConcurrent: 2_000_000}, []string{"MaxConcurrent is 2000000: must be from 1 to 1000000"}},
		{"two clients", SyncConfig{Client: nop, Conn: ConnectionConfig{MaxConnections: 1}}, []string{"set it where Client is made"}},
		{"bad client", AsyncConfig{Client: NetHTTP(ConnectionConfig{Timeout: -1})}, []string{"Conn.Timeout is -1ns"}},
		{"no function", SyncConfig{Client: Func(nil)}, []string{"Func(nil)"}},
		{"host above total", SyncConfig{Conn: ConnectionConfig{MaxConnections: 2, MaxKeepaliveConnections: 3}}, []string{"MaxKeepaliveConnections is 3: must be at most Conn.MaxConnections, which is 2"}},
		{"foreign transport", SyncConfig{Conn: ConnectionConfig{Transport: roundTripper(nil), MaxConnections: 3}}, []string{"Conn.Transport is set"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.cfg.Validate()
			require.ErrorIs(t, err, ErrConfig)
			for _, text := range tt.texts {
				require.ErrorContains(t, err, text)
			}
			e, newErr := tt.cfg.New()
			require.EqualError(t, newErr, err.Error())
			if e != nil { // testify would let a nil pointer pass
				t.Errorf("got %T", e)
			}
		})
	}
	for _, cfg := range []EngineConfig{SyncConfig{}, ThreadedConfig{}, AsyncConfig{}} {
		require.NoError(t, cfg.Validate(), "the zero value is ready to use")
	}
}

// The batches and the per-worker buffers must not lose or double a request at
// any of their edges.
func TestEveryRequestIsCountedWhateverTheirNumber(t *testing.T) {
	for _, workers := range []int{1, 2, 3, 64} {
		var calls atomic.Int64
		e := newEngine(t, AsyncConfig{MaxConcurrent: workers, Client: Func(func(context.Context) error { calls.Add(1); return nil })})
		for _, n := range []int64{1, 2, 127, 128, 129, 1000, 4095, 4096, 4097, 20011} {
			calls.Store(0)
			r, err := e.Run(t.Context(), Times(int(n), &Request{Name: "a"}, &Request{}))
			require.NoError(t, err)
			accounted(t, n, r)
			require.Equal(t, n, calls.Load())
			require.Equal(t, n, r.SuccessCount)
			require.Equal(t, (n+1)/2, r.Endpoints["a"].SuccessCount)
		}
		closeEngine(t, e)
	}
}

func TestGoexitInsideACheckDoesNotDependOnTheScheduler(t *testing.T) {
	for range 20 {
		tb := faketb.Run(t, func(tb *faketb.TB) {
			e := Start(tb, AsyncConfig{Client: Func(func(context.Context) error { runtime.Gosched(); return nil })})
			_, _ = e.Run(t.Context(), Times(10_000, &Request{Check: func(Response) error { tb.FailNow(); return nil }}))
			tb.Errorf("Run returned")
		})
		require.True(t, tb.FailedNow())
		require.Empty(t, tb.Errors())
	}
}
