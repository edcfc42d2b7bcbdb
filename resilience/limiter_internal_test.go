package resilience

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// The acquisitions field of the state word overflows into carried, on the fast
// path and on the slow one, and taking a cancelled grant back stays right
// across the carry.
func TestLimiterCountsAcquisitionsBeyondItsField(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := NewSemaphoreLimiter(LimiterConfig{MaxConcurrent: 2})
		require.NoError(t, err)
		l.state.Add(limiterAcqFull - 1) // as if so many had been acquired
		for i := range uint64(4) {
			require.NoError(t, l.Acquire(t.Context()))
			l.Release()
			require.Equal(t, LimiterMetrics{MaxConcurrent: 2, Peak: 1, Acquisitions: limiterAcqFull + i}, l.Metrics())
		}
		require.Equal(t, limiterAcqFull, l.carried, "the field was not emptied in time")

		l.state.Add(limiterAcqFull - limiterAcquired(l.state.Load())) // full again
		before := l.Metrics().Acquisitions
		require.True(t, l.TryAcquire())
		require.Equal(t, 2*limiterAcqFull, l.carried)
		require.True(t, l.TryAcquire())
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = l.Acquire(ctx) }()
		synctest.Wait()
		cancel()
		l.Release()
		synctest.Wait()
		require.Equal(t, LimiterMetrics{MaxConcurrent: 2, Active: 1, Peak: 2, Acquisitions: before + 2, Cancellations: 1}, l.Metrics())
	})
}

// Neither a refusal nor a permit that is free waits for whoever holds the mutex.
func TestLimiterTryAcquireNeedsNoMutex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := NewSemaphoreLimiter(LimiterConfig{MaxConcurrent: 1})
		require.NoError(t, err)
		try := func() bool { // hangs if it takes the mutex
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.TryAcquire()
		}
		require.True(t, try())
		require.False(t, try(), "full")
		go func() {
			if l.Acquire(context.Background()) == nil {
				l.Release()
			}
		}()
		synctest.Wait()
		require.False(t, try(), "full, and somebody waits")
		l.Release()
		synctest.Wait()
		require.True(t, try())
	})
}

// An uncontended caller needs neither waiter nor timer, though AcquireTimeout is
// set; a waiter is reused with its timer.
func TestLimiterWaiterExistsOnlyWhileWaiting(t *testing.T) {
	l, err := NewSemaphoreLimiter(LimiterConfig{MaxConcurrent: 1, AcquireTimeout: time.Nanosecond})
	require.NoError(t, err)
	require.NoError(t, l.Acquire(t.Context()))
	require.Nil(t, l.waiters.Get(), "a caller that did not wait made a waiter")
	require.ErrorIs(t, l.Acquire(t.Context()), ErrAcquireTimeout)
	if w, ok := l.waiters.Get().(*limiterWaiter); ok { // the race detector drops some
		require.NotNil(t, w.timer)
		require.False(t, w.timer.Stop(), "the timer was left running")
		require.Empty(t, w.ready)
		require.False(t, w.queued)
	}
}

// The ties of a wait that was cut short at the very instant it was granted:
// between leaving the select and taking the mutex.
func TestLimiterSettlesTies(t *testing.T) {
	for _, c := range []struct {
		name    string
		ctxErr  error
		granted bool
		want    error
		metrics LimiterMetrics
	}{
		{"grant beats timeout", nil, true, nil, LimiterMetrics{Acquisitions: 2, Active: 1}},
		{"timeout without grant", nil, false, ErrAcquireTimeout, LimiterMetrics{Acquisitions: 1, Active: 1, Timeouts: 1}},
		{"context beats grant", context.Canceled, true, context.Canceled, LimiterMetrics{Acquisitions: 1, Cancellations: 1}},
		{"context beats timeout", context.Canceled, false, context.Canceled, LimiterMetrics{Acquisitions: 1, Active: 1, Cancellations: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := NewSemaphoreLimiter(LimiterConfig{MaxConcurrent: 1, AcquireTimeout: time.Second})
			require.NoError(t, err)
			require.True(t, l.TryAcquire())
			w := &limiterWaiter{ready: make(chan struct{}, 1)}
			l.mu.Lock()
			require.False(t, l.takeLocked(true))
			l.queue.push(w)
			l.mu.Unlock()
			if c.granted {
				l.Release()
			}
			require.ErrorIs(t, l.settle(w, false, c.ctxErr), c.want)
			c.metrics.MaxConcurrent, c.metrics.Peak = 1, 1
			require.Equal(t, c.metrics, l.Metrics())
			require.Empty(t, w.ready, "a stale grant would be taken for the next one")
			require.Zero(t, l.state.Load()&limiterQueued)
		})
	}
}

// Release gives its permit back before it takes the mutex to hand it on. A
// newcomer that takes the mutex in between finds a free permit that is spoken
// for.
func TestLimiterNewcomerDoesNotOvertakeAHandOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := NewSemaphoreLimiter(LimiterConfig{MaxConcurrent: 1})
		require.NoError(t, err)
		require.True(t, l.TryAcquire())
		var order []string
		wait := func(name string) {
			go func() {
				if l.Acquire(context.Background()) == nil {
					order = append(order, name)
					l.Release()
				}
			}()
			synctest.Wait()
		}
		wait("first")
		s := l.state.Add(^(limiterActiveOne - 1)) // the first half of Release
		require.False(t, l.TryAcquire())
		wait("newcomer")
		require.Empty(t, order)
		l.releaseSlow(s) // the second
		synctest.Wait()
		require.Equal(t, []string{"first", "newcomer"}, order)
	})
}
