package loadtest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ledger is a BatchWriter that keeps what it is given.
type ledger struct {
	before func(ctx context.Context, batch []RequestResult) error // of each write
	after  func() error                                           // of Close

	mu      sync.Mutex
	records []RequestResult
	batches []int
	closed  int
}

func (l *ledger) WriteBatch(ctx context.Context, batch []RequestResult) error {
	if l.before != nil {
		if err := l.before(ctx, batch); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, batch...)
	l.batches = append(l.batches, len(batch))
	return nil
}

func (l *ledger) Close() error {
	l.mu.Lock()
	l.closed++
	l.mu.Unlock()
	if l.after != nil {
		return l.after()
	}
	return nil
}

func newSink(t *testing.T, w BatchWriter, cfg SinkConfig) *Sink {
	t.Helper()
	s, err := NewSink(w, cfg)
	require.NoError(t, err)
	return s
}

// slowly writes perSecond records a second.
func slowly(perSecond int) func(context.Context, []RequestResult) error {
	return func(_ context.Context, batch []RequestResult) error {
		time.Sleep(time.Duration(len(batch)) * time.Second / time.Duration(perSecond))
		return nil
	}
}

func TestASlowSinkHoldsTheRunBackAndSaysSo(t *testing.T) {
	texts := map[string]string{
		"sync":     "the sink was the limit: workers waited 8.42 s in total (89.4 % of their time) for room in its queue",
		"threaded": "the sink was the limit: workers waited 93 s in total (100 % of their time) for room in its queue",
		"async":    "the sink was the limit: workers waited 894 s in total (100 % of their time) for room in its queue",
	}
	forEngines(t, func(t *testing.T, c config) {
		e := newEngine(t, c.make(Func(sleep(time.Millisecond)), 0))
		defer closeEngine(t, e)
		w := &ledger{before: slowly(100)}
		s := newSink(t, w, SinkConfig{QueueSize: 50, BatchSize: 10})
		start := time.Now()
		r, err := Record(t.Context(), e, Times(1000), s)
		require.NoError(t, err)
		// The tenth record is there after one round of the workers; from then on
		// the writer is never idle.
		first := 10 * time.Millisecond / time.Duration(min(c.workers, 10))
		require.Equal(t, first+10*time.Second, time.Since(start))
		accounted(t, 1000, r)
		require.Len(t, w.records, 1000, "Record returns when all is written")
		require.Zero(t, w.closed, "Record leaves the sink open")

		require.Equal(t, &SinkStats{Put: 1000, Written: 1000, Batches: 100, PeakQueue: 50, Blocked: r.Sink.Blocked}, r.Sink)
		if c.workers == 1 {
			require.Equal(t, r.Elapsed-1000*time.Millisecond, r.Sink.Blocked, "what is not request is waiting")
		}
		require.Equal(t, time.Millisecond, r.Quantile(1), "waiting for the sink is not latency")
		require.Equal(t, []Warning{{WarnSinkLimit, texts[c.name]}}, r.Warnings)
		require.Contains(t, r.String(), "\n  sink      1,000 of 1,000 records written in 100 batches; at most 50 waited; workers blocked for ")
		require.Contains(t, r.String(), "\n  warning   "+texts[c.name])

		require.NoError(t, s.Close(t.Context()))
		require.NoError(t, s.Close(t.Context()))
		require.Equal(t, 1, w.closed)
		require.Equal(t, *r.Sink, s.Stats())
	})
}
