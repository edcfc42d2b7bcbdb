package resilience_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/resilience"
)

func newLimiter(tb testing.TB, permits int, timeout time.Duration) *resilience.SemaphoreLimiter {
	tb.Helper()
	l, err := resilience.NewSemaphoreLimiter(resilience.LimiterConfig{MaxConcurrent: permits, AcquireTimeout: timeout})
	require.NoError(tb, err)
	return l
}

func TestLimiterConfigReportsEveryFault(t *testing.T) {
	err := resilience.LimiterConfig{MaxConcurrent: 0, AcquireTimeout: -time.Second}.Validate()
	require.ErrorContains(t, err, "MaxConcurrent is 0")
	require.ErrorContains(t, err, "AcquireTimeout is -1s")
	_, err = resilience.NewSemaphoreLimiter(resilience.LimiterConfig{MaxConcurrent: resilience.LimiterMaxConcurrent + 1})
	require.ErrorContains(t, err, "MaxConcurrent is 1048576")
	require.NoError(t, resilience.LimiterConfig{MaxConcurrent: resilience.LimiterMaxConcurrent}.Validate())
}

func TestLimiterGrantsInArrivalOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, 1, 0)
		require.NoError(t, l.Acquire(t.Context()))
		var order []int
		for i := range 10 {
			go func() {
				if l.Acquire(context.Background()) == nil {
					order = append(order, i) // the permit is the lock
					l.Release()
				}
			}()
			synctest.Wait() // i is queued before i+1 arrives
		}
		require.Equal(t, 10, l.Metrics().Waiting)
		require.False(t, l.TryAcquire(), "a newcomer overtook the queue")
		l.Release()
		synctest.Wait()
		require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, order)
		require.Equal(t, resilience.LimiterMetrics{MaxConcurrent: 1, Peak: 1, Acquisitions: 11}, l.Metrics())
	})
}

func TestLimiterTimesOutExactlyAndLeavesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, 1, 3*time.Second)
		require.True(t, l.TryAcquire())
		for range 2 { // the second wait reuses the first one's timer
			began := time.Now()
			err := l.Acquire(t.Context())
			require.Equal(t, 3*time.Second, time.Since(began))
			require.ErrorIs(t, err, resilience.ErrAcquireTimeout)
			require.NotErrorIs(t, err, context.DeadlineExceeded)
			var typed *resilience.AcquireTimeoutError
			require.ErrorAs(t, err, &typed)
			require.Equal(t, resilience.AcquireTimeoutError{Timeout: 3 * time.Second, MaxConcurrent: 1}, *typed)
			require.EqualError(t, err, "resilience: no permit of 1 came free within 3s")
		}
		require.Equal(t, resilience.LimiterMetrics{MaxConcurrent: 1, Active: 1, Peak: 1, Acquisitions: 1, Timeouts: 2}, l.Metrics())
		l.Release()
		require.True(t, l.TryAcquire(), "a waiter that timed out blocks the queue")
	})
}

func TestLimiterZeroTimeoutWaitsForTheContextAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, 1, 0)
		require.True(t, l.TryAcquire())
		ctx, cancel := context.WithTimeout(t.Context(), 1000*time.Hour)
		defer cancel()
		began := time.Now()
		require.ErrorIs(t, l.Acquire(ctx), context.DeadlineExceeded)
		require.Equal(t, 1000*time.Hour, time.Since(began))
		require.EqualValues(t, 1, l.Metrics().Cancellations)
	})
}

// TestLimiterPeerBug23CanceledFrontWaiterWakesNext is golang/go#37852: the
// permit granted to a waiter that has been canceled must go on to the next.
func TestLimiterPeerBug23CanceledFrontWaiterWakesNext(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiter(t, 1, 0)
			require.True(t, l.TryAcquire())
			ctx, cancel := context.WithCancel(t.Context())
			var first, second error
			go func() { first = l.Acquire(ctx) }()
			synctest.Wait()
			go func() { second = l.Acquire(context.Background()) }()
			synctest.Wait()
			cancel() // and, before the front waiter can run, its grant:
			l.Release()
			synctest.Wait()
			require.ErrorIs(t, first, context.Canceled, "a canceled context loses a tie with its grant")
			require.NoError(t, second)
			require.Equal(t, resilience.LimiterMetrics{MaxConcurrent: 1, Active: 1, Peak: 1, Acquisitions: 2, Cancellations: 1}, l.Metrics())
		})
	}
}

// The second half of peer bug 23: raising the limit while the front waiter is
// being canceled must admit the one behind it.
func TestLimiterPeerBug23CanceledFrontWaiterDuringResize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, 1, 0)
		require.True(t, l.TryAcquire())
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = l.Acquire(ctx) }()
		synctest.Wait()
		var second atomic.Bool
		go func() { second.Store(l.Acquire(context.Background()) == nil) }()
		synctest.Wait()
		cancel()
		require.NoError(t, l.SetMaxConcurrent(2))
		synctest.Wait()
		require.True(t, second.Load())
		require.Equal(t, 2, l.Metrics().Active)
	})
}

// TestLimiterPeerBug23CanceledContextFailsThoughFree is golang/go#63615.
func TestLimiterPeerBug23CanceledContextFailsThoughFree(t *testing.T) {
	l := newLimiter(t, 1, time.Second)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		require.ErrorIs(t, l.Acquire(ctx), context.Canceled)
	}
	require.Equal(t, resilience.LimiterMetrics{MaxConcurrent: 1, Cancellations: 100}, l.Metrics())
	require.ErrorIs(t, l.Do(ctx, func(context.Context) error { panic("ran") }), context.Canceled)
}

// TestLimiterPeerBug03PanicAndGoexitReleasePermit: failsafe-go's bulkhead lost
// its permits this way.
func TestLimiterPeerBug03PanicAndGoexitReleasePermit(t *testing.T) {
	l := newLimiter(t, 1, 0)
	require.PanicsWithValue(t, "boom", func() {
		_ = l.Do(t.Context(), func(context.Context) error { panic("boom") })
	})
	require.Zero(t, l.Metrics().Active)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = l.Do(t.Context(), func(context.Context) error { runtime.Goexit(); return nil })
	}()
	<-done
	require.Zero(t, l.Metrics().Active)
	errBoom := errors.New("boom")
	require.Equal(t, errBoom, l.Do(t.Context(), func(context.Context) error { return errBoom }))
}

// TestLimiterPeerBug27SerialLoopIsNeverRefused: in hystrix-go the ticket came
// back after Do had returned, so a serial loop could find none.
func TestLimiterPeerBug27SerialLoopIsNeverRefused(t *testing.T) {
	l := newLimiter(t, 1, time.Nanosecond)
	for range 10_000 {
		require.NoError(t, l.Do(t.Context(), func(context.Context) error { return nil }))
	}
	require.Equal(t, resilience.LimiterMetrics{MaxConcurrent: 1, Peak: 1, Acquisitions: 10_000}, l.Metrics())
}

func TestLimiterOverReleasePanicsAndHarmsNothing(t *testing.T) {
	l := newLimiter(t, 2, 0)
	over := func() {
		require.PanicsWithValue(t, "resilience: limiter: Release without a permit held", l.Release)
	}
	over()
	require.NoError(t, l.Acquire(t.Context()))
	l.Release()
	over()
	require.Equal(t, resilience.LimiterMetrics{MaxConcurrent: 2, Peak: 1, Acquisitions: 1}, l.Metrics())

	var wg sync.WaitGroup // many at once
	var panics atomic.Int32
	for range 16 {
		wg.Go(func() {
			defer func() {
				if recover() != nil {
					panics.Add(1)
				}
			}()
			l.Release()
		})
	}
	wg.Wait()
	require.EqualValues(t, 16, panics.Load())
	require.Zero(t, l.Metrics().Active)
	require.True(t, l.TryAcquire())
	require.True(t, l.TryAcquire())
	require.False(t, l.TryAcquire())
}

func TestLimiterResizeUpAdmitsWaitersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, 1, time.Minute)
		var admitted atomic.Int32
		for range 5 {
			go func() {
				if l.Acquire(context.Background()) == nil {
					admitted.Add(1)
				}
			}()
		}
		synctest.Wait()
		require.EqualValues(t, 1, admitted.Load())
		require.NoError(t, l.SetMaxConcurrent(4))
		synctest.Wait()
		require.EqualValues(t, 4, admitted.Load())
		require.Equal(t, resilience.LimiterMetrics{MaxConcurrent: 4, Active: 4, Peak: 4, Waiting: 1, Acquisitions: 4}, l.Metrics())
		time.Sleep(time.Minute)
		synctest.Wait()
		require.EqualValues(t, 1, l.Metrics().Timeouts)
	})
}

func TestLimiterResizeDownAdmitsNobodyBeyondTheNewLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, 4, 0)
		for range 4 {
			require.True(t, l.TryAcquire())
		}
		require.NoError(t, l.SetMaxConcurrent(2))
		var admitted atomic.Int32
		go func() {
			if l.Acquire(context.Background()) == nil {
				admitted.Add(1)
			}
		}()
		synctest.Wait()
		for _, want := range []struct{ active, admitted int }{{3, 0}, {2, 0}, {2, 1}} {
			l.Release()
			synctest.Wait()
			require.Equal(t, want.active, l.Metrics().Active)
			require.EqualValues(t, want.admitted, admitted.Load())
		}
		require.False(t, l.TryAcquire())
		require.ErrorContains(t, l.SetMaxConcurrent(0), "MaxConcurrent is 0")
		require.Equal(t, 2, l.Metrics().MaxConcurrent, "a refused resize changed the limit")
		require.Equal(t, 4, l.Metrics().Peak)
	})
}

// Nobody may ever find more than the limit inside, nor a permit be lost, while
// callers come, give up and time out and the limit moves.
func TestLimiterStress(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	const most = 6
	l := newLimiter(t, most, 50*time.Microsecond)
	var inside, seen atomic.Int64
	var granted, failed atomic.Uint64
	var wg sync.WaitGroup
	for g := range 24 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(g)))
			for range 400 {
				ctx, cancel := context.WithCancel(context.Background())
				switch r.IntN(4) {
				case 0:
					cancel()
				case 1:
					go cancel()
				}
				if l.Acquire(ctx) != nil {
					failed.Add(1)
				} else {
					granted.Add(1)
					n := inside.Add(1)
					for s := seen.Load(); n > s; s = seen.Load() {
						seen.CompareAndSwap(s, n)
					}
					if r.IntN(2) == 0 {
						runtime.Gosched()
					}
					inside.Add(-1)
					l.Release()
				}
				if r.IntN(50) == 0 {
					if err := l.SetMaxConcurrent(1 + r.IntN(most)); err != nil {
						t.Error(err)
					}
				}
				cancel()
			}
		})
	}
	wg.Wait()
	m := l.Metrics()
	require.Zero(t, m.Active, "a permit was lost")
	require.Zero(t, m.Waiting)
	require.Equal(t, granted.Load(), m.Acquisitions)
	require.Equal(t, failed.Load(), m.Timeouts+m.Cancellations)
	require.LessOrEqual(t, seen.Load(), int64(m.Peak))
	require.LessOrEqual(t, m.Peak, most)
	require.NoError(t, l.SetMaxConcurrent(most))
	for range most {
		require.True(t, l.TryAcquire(), "a permit was lost")
	}
	require.False(t, l.TryAcquire())
}

// Peak is the exact maximum: all goroutines are inside at once, once.
func TestLimiterPeakIsExact(t *testing.T) {
	const n = 32
	l := newLimiter(t, 2*n, 0)
	for range 100 {
		require.True(t, l.TryAcquire())
		l.Release()
	}
	require.Equal(t, 1, l.Metrics().Peak)
	var in, out sync.WaitGroup
	in.Add(n)
	leave := make(chan struct{})
	for range n {
		out.Go(func() {
			if err := l.Acquire(context.Background()); err != nil {
				t.Error(err)
			}
			in.Done()
			<-leave
			l.Release()
		})
	}
	in.Wait()
	close(leave)
	out.Wait()
	require.Equal(t, n, l.Metrics().Peak)
}

func TestLimiterAllocatesNothing(t *testing.T) {
	l := newLimiter(t, 1, time.Hour)
	ctx := t.Context()
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		if l.Acquire(ctx) == nil {
			l.Release()
		}
	}))
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		if l.TryAcquire() {
			l.Release()
		}
	}))
	fn := func(context.Context) error { return nil }
	require.Zero(t, testing.AllocsPerRun(1000, func() { _ = l.Do(ctx, fn) }))
}

// A waiter that is granted a permit at the instant at which its context ends gives it back.
func TestLimiterAWaiterThatIsGrantedAndCanceledAtOnceHoldsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := resilience.NewSemaphoreLimiter(resilience.LimiterConfig{MaxConcurrent: 1})
		require.NoError(t, err)
		for range 200 { // the waiter may see either first, or the permit alone
			require.True(t, l.TryAcquire())
			ctx, cancel := context.WithCancel(t.Context())
			got := make(chan error, 1)
			go func() { got <- l.Acquire(ctx) }() // ends with ctx
			synctest.Wait()
			l.Release()
			cancel()
			if err := <-got; err == nil {
				l.Release()
			} else {
				require.ErrorIs(t, err, context.Canceled)
			}
			require.Zero(t, l.Metrics().Active)
		}
	})
}
