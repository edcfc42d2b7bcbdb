package resilience

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An uncontended caller needs neither waiter nor timer, though AcquireTimeout is
// set; a waiter is reused with its timer.
func TestLimiterWaiterExistsOnlyWhileWaiting(t *testing.T) {
	l, err := NewSemaphoreLimiter(LimiterConfig{MaxConcurrent: 1, AcquireTimeout: time.Nanosecond})
	require.NoError(t, err)
	require.NoError(t, l.Acquire(t.Context()))
	require.Nil(t, l.waiters.Get(), "a caller that did not wait made a waiter")
	require.ErrorIs(t, l.Acquire(t.Context()), ErrAcquireTimeout)
	if w, ok := l.waiters.Get().(*waitNode[limiterWaiter]); ok { // the race detector drops some
		require.NotNil(t, w.value.timer)
		require.False(t, w.value.timer.Stop(), "the timer was left running")
		require.Empty(t, w.value.ready)
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
			w := &waitNode[limiterWaiter]{value: limiterWaiter{ready: make(chan struct{}, 1)}}
			l.mu.Lock()
			l.queue.push(w)
			l.mu.Unlock()
			if c.granted {
				l.Release()
			}
			require.ErrorIs(t, l.settle(w, false, c.ctxErr), c.want)
			c.metrics.MaxConcurrent, c.metrics.Peak = 1, 1
			require.Equal(t, c.metrics, l.Metrics())
			require.Empty(t, w.value.ready, "a stale grant would be taken for the next one")
		})
	}
}
