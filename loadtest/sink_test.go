package loadtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/race"
	"example.com/brunt/resilience"
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

func (l *ledger) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.records)
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
		"sync":     "the sink was the limit: workers waited 8.419s in total (89.4 % of their time) for room in its queue",
		"threaded": "the sink was the limit: workers waited 1m33.01s in total (> 99.9 % of their time) for room in its queue",
		"async":    "the sink was the limit: workers waited 14m54.1s in total (100 % of their time) for room in its queue",
	}
	forClosedLoops(t, func(t *testing.T, c config) {
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
		require.Equal(t, 1000, w.size(), "Record returns when all is written")
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

func TestAFullQueueDropsAndCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, ThreadedConfig{Client: Func(sleep(time.Millisecond))})
		defer closeEngine(t, e)
		w := &ledger{before: slowly(100)}
		s := newSink(t, w, SinkConfig{QueueSize: 50, BatchSize: 10, DropOnFull: true})
		r, err := Record(t.Context(), e, Times(1000), s)
		require.NoError(t, err, "to drop is no error")
		require.Equal(t, 100*time.Millisecond, r.Elapsed, "nobody waits")
		// One batch leaves at the first instant, and the next 100 ms later: when
		// the last request has ended.
		st := r.Sink
		require.EqualValues(t, 1000, st.Put)
		require.Equal(t, st.Put, st.Written+st.Dropped)
		require.Contains(t, []int64{60, 70}, st.Written)
		require.Zero(t, st.Blocked)
		require.Equal(t, 50, st.PeakQueue)
		require.Equal(t, []Warning{{WarnSinkLimit, fmt.Sprintf("%d of 1,000 records dropped: the queue was full", st.Dropped)}}, r.Warnings)
		require.NoError(t, s.Close(t.Context()))
		require.Equal(t, int(st.Written), w.size())
	})
}

func TestAQuickSinkIsNoLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, SyncConfig{Client: Func(sleep(time.Millisecond))})
		defer closeEngine(t, e)
		w := &ledger{}
		s := newSink(t, w, SinkConfig{FlushInterval: 10 * time.Second})
		for i := range 2 { // a sink serves several runs
			r, err := Record(t.Context(), e, Times(2000), s)
			require.NoError(t, err)
			require.Empty(t, r.Warnings)
			require.Equal(t, &SinkStats{Put: 2000, Written: 2000, Batches: 2, PeakQueue: 1024}, r.Sink, "of this run alone")
			require.Equal(t, 2000*(i+1), w.size())
			require.Equal(t, 2*time.Second, r.Elapsed)
		}
		// Without the end of a run, a record waits FlushInterval for company.
		require.NoError(t, s.Put(RequestResult{}))
		time.Sleep(10*time.Second - 1)
		synctest.Wait()
		require.Equal(t, 4000, w.size())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Equal(t, 4001, w.size())
		require.NoError(t, s.Close(t.Context()))
	})
}

// A little waiting is no news.
func TestOnlyALimitIsWarnedOf(t *testing.T) {
	r := &EngineResult{Elapsed: 10 * time.Second, Concurrency: 10, Sink: &SinkStats{Put: 100, Written: 100, Blocked: time.Second - 1}}
	require.Empty(t, r.sinkWarnings())
	r.Sink.Blocked++
	require.Equal(t, []Warning{{WarnSinkLimit, "the sink was the limit: workers waited 1s in total (1 % of their time) for room in its queue"}}, r.sinkWarnings())
	r.Sink.Dropped, r.Sink.Failed = 1, 2
	require.Len(t, r.sinkWarnings(), 2)
	require.Equal(t, "100 of 100 records written in 0 batches, 1 dropped, 2 failed; at most 0 waited; workers blocked for 1s", r.Sink.String())

	back := roundTrip(t, r)
	require.Equal(t, r.Sink, back.Sink)
	other := &EngineResult{}
	other.Merge(back)
	require.Equal(t, r.Sink, other.Sink)
	other.Merge(back)
	require.Equal(t, &SinkStats{Put: 200, Written: 200, Dropped: 2, Failed: 4, Blocked: 2 * time.Second}, other.Sink)
	require.Equal(t, &SinkStats{Put: 100, Written: 100, Dropped: 1, Failed: 2, Blocked: time.Second}, back.Sink, "what is merged is not changed")
	other.Merge(&EngineResult{})
	require.EqualValues(t, 200, other.Sink.Put)
	other = &EngineResult{}
	other.Merge(&EngineResult{})
	require.Nil(t, other.Sink)
}

func TestWhatAWriterThrowsStopsTheRun(t *testing.T) {
	for name, hit := range map[string]func(){"panic": func() { panic(errTest) }, "Goexit": runtime.Goexit} {
		forEngines(t, func(t *testing.T, c config) {
			e := newEngine(t, c.make(Func(sleep(time.Millisecond)), 0))
			defer closeEngine(t, e)
			n := 0
			w := &ledger{before: func(context.Context, []RequestResult) error {
				if n++; n == 3 {
					hit()
				}
				return nil
			}}
			s := newSink(t, w, SinkConfig{QueueSize: 40, BatchSize: 20})
			r, err := Record(t.Context(), e, Times(100_000), s)
			require.ErrorIs(t, err, ErrSink)
			var panicked *resilience.PanicError
			require.ErrorAs(t, err, &panicked, name)
			accounted(t, 100_000, r)
			require.Positive(t, r.Unsent)
			require.Equal(t, err, s.Close(t.Context()))
			require.Equal(t, 3, n, "a writer that failed is left alone")
			require.Equal(t, 1, w.closed, "but closed")
			st := s.Stats()
			require.EqualValues(t, 40, st.Written)
			require.EqualValues(t, 3, st.Batches)
			require.Equal(t, st.Put, st.Written+st.Failed)
		})
	}
	s := newSink(t, &ledger{after: func() error { panic(errTest) }}, SinkConfig{})
	require.ErrorIs(t, s.Close(t.Context()), errTest)
	s = newSink(t, &ledger{after: func() error { runtime.Goexit(); return nil }}, SinkConfig{})
	require.ErrorIs(t, s.Close(t.Context()), resilience.ErrGoexit)
}

func TestTheLastWriteMayFailToo(t *testing.T) {
	e := newEngine(t, SyncConfig{Client: Func(func(context.Context) error { return nil })})
	defer closeEngine(t, e)
	s := newSink(t, &ledger{before: func(context.Context, []RequestResult) error { return errTest }}, SinkConfig{})
	r, err := Record(t.Context(), e, Times(100), s)
	require.ErrorIs(t, err, errTest, "the run was over before the first write")
	require.EqualValues(t, 100, r.Requests)
	require.Equal(t, &SinkStats{Put: 100, Failed: 100, Batches: 1, PeakQueue: 100}, r.Sink)
	require.ErrorIs(t, s.Close(t.Context()), errTest)
}

func TestClosingASinkThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		w := &ledger{before: func(ctx context.Context, _ []RequestResult) error {
			<-ctx.Done()
			<-release // it does not care
			return nil
		}}
		s := newSink(t, w, SinkConfig{QueueSize: 10, BatchSize: 1})
		for range 11 {
			require.NoError(t, s.Put(RequestResult{}))
		}
		blocked := make(chan error)
		go func() { blocked <- s.Put(RequestResult{}) }() // ends with Close
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		err := s.Close(ctx)
		require.Equal(t, time.Second, time.Since(start))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, ErrSink)
		require.ErrorContains(t, err, "10 items dropped and 1 in flight")
		require.ErrorIs(t, <-blocked, resilience.ErrStopped)
		require.ErrorIs(t, s.Put(RequestResult{}), resilience.ErrStopped)
		require.Zero(t, w.closed, "not while it writes")
		close(release)
		require.Equal(t, err, s.Close(t.Context()), "what was lost stays lost")
		require.Equal(t, 1, w.closed)
		require.Equal(t, SinkStats{Put: 11, Written: 1, Dropped: 10, Batches: 1, PeakQueue: 10}, s.Stats())
	})
}

func TestClosingAnIdleSinkNeedsNoTime(t *testing.T) {
	w := &ledger{}
	s := newSink(t, w, SinkConfig{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, s.Close(ctx))
	require.Equal(t, 1, w.closed)
	var none context.Context
	require.ErrorIs(t, s.Close(none), ErrNilContext)
	e := newEngine(t, SyncConfig{Client: Func(func(context.Context) error { return nil })})
	defer closeEngine(t, e)
	r, err := Record(t.Context(), e, Times(3), s)
	require.ErrorIs(t, err, resilience.ErrStopped)
	require.ErrorIs(t, err, ErrSink)
	require.EqualValues(t, 2, r.Unsent)
}

// A run that is canceled is recorded to its end, unless the writer hangs.
func TestRecordWhoseContextEnds(t *testing.T) {
	forEngines(t, func(t *testing.T, c config) {
		e := newEngine(t, c.make(Func(sleep(time.Millisecond)), 0))
		defer closeEngine(t, e)
		w := &ledger{before: slowly(1000)}
		s := newSink(t, w, SinkConfig{QueueSize: 500, BatchSize: 100})
		ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second+500*time.Microsecond, errTest)
		defer cancel()
		r, err := Record(ctx, e, Times(1_000_000), s)
		require.ErrorIs(t, err, errTest)
		require.NotErrorIs(t, err, ErrSink)
		accounted(t, 1_000_000, r)
		require.Equal(t, int(r.Requests), w.size())
		require.Equal(t, r.Requests, r.Sink.Written)
		require.NoError(t, s.Close(t.Context()))

		release := make(chan struct{})
		hung := newSink(t, &ledger{before: func(context.Context, []RequestResult) error { <-release; return nil }}, SinkConfig{QueueSize: 500, BatchSize: 100})
		ctx, cancel = context.WithTimeoutCause(t.Context(), 3*time.Second, errTest)
		defer cancel()
		start := time.Now()
		r, err = Record(ctx, e, Times(1_000_000), hung)
		require.Equal(t, 3*time.Second+cancelGrace, time.Since(start))
		require.ErrorIs(t, err, errTest)
		require.ErrorIs(t, err, ErrSink)
		require.EqualValues(t, 600, r.Sink.Put)
		close(release)
		require.NoError(t, hung.Close(t.Context()))
	})
}

func TestRecordPassesOnWhatItsRunThrows(t *testing.T) {
	e := newEngine(t, ThreadedConfig{Client: Func(func(context.Context) error { return nil })})
	defer closeEngine(t, e)
	w := &ledger{}
	s := newSink(t, w, SinkConfig{})
	require.Panics(t, func() {
		_, _ = Record(t.Context(), e, Times(100, &Request{Check: func(Response) error { panic(errTest) }}), s)
	})
	r, err := Record(t.Context(), e, Times(100), s)
	require.NoError(t, err)
	require.EqualValues(t, 100, r.Sink.Written)
	require.NoError(t, s.Close(t.Context()))
}

func TestRecordRefuses(t *testing.T) {
	s := newSink(t, &ledger{}, SinkConfig{})
	e := newEngine(t, SyncConfig{})
	var none context.Context
	_, err := Record(none, e, Times(1), s)
	require.ErrorIs(t, err, ErrNilContext)
	_, err = Record(t.Context(), nil, Times(1), s)
	require.ErrorIs(t, err, ErrConfig)
	_, err = Record(t.Context(), e, Times(1), nil)
	require.ErrorIs(t, err, ErrConfig)
	r, err := Record(t.Context(), e, Source{}, s)
	require.ErrorIs(t, err, ErrEmptySource)
	require.Nil(t, r)
	closeEngine(t, e)
	require.NoError(t, s.Close(t.Context()))
}

func TestSinkConfigReportsEveryFault(t *testing.T) {
	s, err := NewSink(nil, SinkConfig{QueueSize: -1, BatchSize: maxQueueSize + 1, FlushInterval: -1})
	require.Nil(t, s)
	require.ErrorIs(t, err, ErrConfig)
	for _, text := range []string{"without a writer", "QueueSize is -1", "BatchSize is 16777217", "FlushInterval is -"} {
		require.ErrorContains(t, err, text)
	}
	require.ErrorContains(t, SinkConfig{QueueSize: 10, BatchSize: 11}.Validate(), "BatchSize is 11: must be at most QueueSize, which is 10")
	require.Equal(t, SinkConfig{QueueSize: 16_384, BatchSize: 1024, FlushInterval: time.Second}, SinkConfig{}.withDefaults())
	require.Equal(t, 100_000, SinkConfig{BatchSize: 100_000}.withDefaults().QueueSize)
	require.Equal(t, 10, SinkConfig{QueueSize: 10}.withDefaults().BatchSize)
}

// Put hands a record over without allocating.
func TestPutAllocatesNothing(t *testing.T) {
	s := newSink(t, NewJSONL(io.Discard), SinkConfig{})
	r := RequestResult{URL: "http://h/", Timestamp: time.Unix(1_700_000_000, 0)}
	for range 3 * defaultQueueSize {
		require.NoError(t, s.Put(r))
	}
	require.InDelta(t, 0, testing.AllocsPerRun(10_000, func() { _ = s.Put(r) }), 0.1)
	require.NoError(t, s.Close(t.Context()))
}

// heapNow is the memory of live objects and of garbage.
func heapNow() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

func TestTwoMillionRecordsTakeBoundedMemory(t *testing.T) {
	n := 2_000_000
	if race.Enabled || testing.Short() {
		n = 100_000 // kept, 22 MB
	}
	path := filepath.Join(t.TempDir(), "soak.jsonl")
	s, err := CreateJSONL(path, SinkConfig{})
	require.NoError(t, err)
	e := newEngine(t, ThreadedConfig{Client: Func(func(context.Context) error { return nil })})
	defer closeEngine(t, e)
	runtime.GC()
	before, peak := heapNow(), uint64(0)
	stop, watched := make(chan struct{}), make(chan struct{})
	go func() { // ends with the run
		defer close(watched)
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			peak = max(peak, heapNow())
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
			}
		}
	}()
	r, err := Record(t.Context(), e, Times(n, &Request{URL: "http://h/", Name: "soak"}), s)
	close(stop)
	<-watched
	require.NoError(t, err)
	require.NoError(t, s.Close(t.Context()))
	require.EqualValues(t, n, r.Requests)
	require.EqualValues(t, n, s.Stats().Written)
	require.LessOrEqual(t, r.Sink.PeakQueue, defaultQueueSize)
	// The queue takes 4 MB and the histograms 1 MB; kept, the records would take
	// 220 bytes each.
	require.Less(t, peak, before+16<<20)

	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	lines := 0
	for buf := make([]byte, 1<<20); ; {
		k, err := f.Read(buf)
		lines += bytes.Count(buf[:k], []byte("\n"))
		if err != nil {
			break
		}
	}
	require.Equal(t, n, lines)
}

// A writer whose Close hangs, on a file system that does, keeps nobody for ever.
func TestSinkCloseOutlivesAWriterThatDoesNotClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hung := make(chan struct{})
		s, err := NewSink(&ledger{after: func() error { <-hung; return nil }}, SinkConfig{})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		err = s.Close(ctx)
		require.ErrorIs(t, err, ErrSink)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "the writer's Close goes on 5s after its context ended")
		require.Equal(t, 3*time.Second+cancelGrace, time.Since(start))
		close(hung)
		require.NoError(t, s.Close(t.Context()), "it did close in the end")
	})
}
