package resilience

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var errPipelineTest = errors.New("database is down")

// pipelineStarted builds and starts a pipeline; the test stops it.
func pipelineStarted[T any](tb testing.TB, cfg PipelineConfig[T]) *Pipeline[T] {
	tb.Helper()
	p, err := NewPipeline(cfg)
	require.NoError(tb, err)
	require.NoError(tb, p.Start())
	return p
}

func pipelineIgnore[T any](context.Context, []T) error { return nil }

// pipelineBalanced asserts that no item is unaccounted for.
func pipelineBalanced(tb testing.TB, m PipelineMetrics) {
	tb.Helper()
	require.Equal(tb, m.Put, m.Processed+m.Dropped+m.Failed+uint64(m.QueueDepth+m.InFlight), "%+v", m)
}

func TestPipelineValidateReportsEveryFault(t *testing.T) {
	_, err := NewPipeline(PipelineConfig[int]{MaxQueueSize: -1, BatchSize: -1, BatchTimeout: -1, DropOnFull: 3})
	require.EqualError(t, err, `resilience: PipelineConfig.OnBatch is nil, want the function that takes the batches
resilience: PipelineConfig.MaxQueueSize is -1, want at least 1
resilience: PipelineConfig.BatchSize is -1, want at least 1
resilience: PipelineConfig.BatchTimeout is -1ns, want a positive duration
resilience: PipelineConfig.DropOnFull is 3, want Backpressure, DropNewest or DropOldest`)
	_, err = NewPipeline(PipelineConfig[int]{OnBatch: pipelineIgnore[int], MaxQueueSize: 5, BatchSize: 6})
	require.EqualError(t, err, "resilience: PipelineConfig.BatchSize is 6, want at most MaxQueueSize (5)")
}

func TestPipelineDefaults(t *testing.T) {
	rows := []struct{ queue, batch, wantQueue, wantBatch int }{
		{0, 0, 1000, 100},
		{10, 0, 10, 10},
		{0, 5000, 5000, 5000},
		{500, 50, 500, 50},
	}
	for _, row := range rows {
		got := PipelineConfig[int]{MaxQueueSize: row.queue, BatchSize: row.batch}.withDefaults()
		require.Equal(t, row.wantQueue, got.MaxQueueSize)
		require.Equal(t, row.wantBatch, got.BatchSize)
		require.Equal(t, time.Second, got.BatchTimeout)
	}
}

func TestPipelineBatchesBySizeAndTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var got []pipelineBatch
		p := pipelineStarted(t, PipelineConfig[int]{BatchSize: 3, OnBatch: func(_ context.Context, batch []int) error {
			got = append(got, pipelineBatch{time.Since(start), slices.Clone(batch)})
			return nil
		}})
		for i := range 4 {
			require.NoError(t, p.Put(t.Context(), i))
		}
		time.Sleep(400 * time.Millisecond)
		require.NoError(t, p.Put(t.Context(), 4))
		time.Sleep(10 * time.Second)
		require.NoError(t, p.Put(t.Context(), 5))
		m, err := p.Stop(t.Context(), true)
		require.NoError(t, err)
		require.Equal(t, []pipelineBatch{
			{0, []int{0, 1, 2}},
			{time.Second, []int{3, 4}},
			{10400 * time.Millisecond, []int{5}},
		}, got)
		require.Equal(t, PipelineMetrics{Put: 6, Processed: 6, Batches: 3, PeakQueue: m.PeakQueue}, m)
	})
}

func TestPipelineLifecycle(t *testing.T) {
	ctx := t.Context()
	p, err := NewPipeline(PipelineConfig[int]{OnBatch: pipelineIgnore[int]})
	require.NoError(t, err)
	require.ErrorIs(t, p.Put(ctx, 1), ErrNotStarted)
	require.ErrorIs(t, p.Flush(ctx), ErrNotStarted)
	require.NoError(t, p.Start())
	require.ErrorIs(t, p.Start(), ErrStarted)
	require.NoError(t, p.Put(ctx, 1))
	m, err := p.Stop(ctx, true)
	require.NoError(t, err)
	require.Equal(t, uint64(1), m.Processed)
	require.ErrorIs(t, p.Start(), ErrStopped)
	require.ErrorIs(t, p.Put(ctx, 1), ErrStopped)
	require.NoError(t, p.Flush(ctx), "nothing is left to wait for")
	again, err := p.Stop(ctx, false)
	require.NoError(t, err)
	require.Equal(t, m, again)

	never, err := NewPipeline(PipelineConfig[int]{OnBatch: pipelineIgnore[int]})
	require.NoError(t, err)
	m, err = never.Stop(ctx, true)
	require.NoError(t, err)
	require.Zero(t, m)
	require.ErrorIs(t, never.Start(), ErrStopped)
}

// Put after Close panicked, and Shutdown raced with Put, in two libraries.
func TestPipelinePeerBug24PutRacesWithStop(t *testing.T) {
	for round := range 60 {
		var seen atomic.Uint64
		p := pipelineStarted(t, PipelineConfig[int]{
			MaxQueueSize: 4, BatchSize: 2, BatchTimeout: time.Millisecond,
			OnBatch: func(_ context.Context, batch []int) error { seen.Add(uint64(len(batch))); return nil },
		})
		var put atomic.Uint64
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					switch err := p.Put(context.Background(), 1); {
					case err == nil:
						put.Add(1)
					case errors.Is(err, ErrStopped):
						return
					default:
						t.Errorf("Put: %v", err)
						return
					}
				}
			})
		}
		for range 2 {
			wg.Go(func() {
				time.Sleep(time.Duration(round%5) * 100 * time.Microsecond)
				if _, err := p.Stop(context.Background(), round%2 == 0); err != nil {
					t.Errorf("Stop: %v", err)
				}
			})
		}
		wg.Wait()
		m := p.Metrics()
		require.Equal(t, put.Load(), m.Put, "what Put accepted is what was put")
		require.Equal(t, seen.Load(), m.Processed)
		require.Equal(t, m.Put, m.Processed+m.Dropped+m.Failed)
		if round%2 == 0 {
			require.Zero(t, m.Dropped, "drained")
		}
	}
}

func TestPipelineStopReleasesBlockedPuts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		p := pipelineStarted(t, PipelineConfig[int]{MaxQueueSize: 1, BatchSize: 1, OnBatch: func(context.Context, []int) error {
			<-gate
			return nil
		}})
		require.NoError(t, p.Put(t.Context(), 0))
		synctest.Wait() // 0 is with OnBatch
		require.NoError(t, p.Put(t.Context(), 1))
		errs := make(chan error)
		for i := range 3 {
			go func() { errs <- p.Put(t.Context(), 2+i) }() // ends with Stop
		}
		synctest.Wait()
		time.Sleep(5 * time.Second)
		go func() { time.Sleep(time.Second); close(gate) }() // ends by itself
		m, err := p.Stop(t.Context(), true)
		require.NoError(t, err)
		for range 3 {
			require.ErrorIs(t, <-errs, ErrStopped)
		}
		m.BlockedTime = 0
		require.Equal(t, PipelineMetrics{Put: 2, Processed: 2, Batches: 2, PeakQueue: 1}, m, "refused items were not put")
		require.Equal(t, 15*time.Second, p.Metrics().BlockedTime)
	})
}

// A canceled front waiter must not keep its place, nor an ended context be let in.
func TestPipelinePeerBug23CanceledWaiterLetsTheNextIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var got []int
		p := pipelineStarted(t, PipelineConfig[int]{MaxQueueSize: 1, BatchSize: 1, OnBatch: func(_ context.Context, batch []int) error {
			<-gate
			got = append(got, batch...)
			return nil
		}})
		require.NoError(t, p.Put(t.Context(), 0))
		synctest.Wait()
		require.NoError(t, p.Put(t.Context(), 1))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		front, next := make(chan error, 1), make(chan error, 1)
		go func() { front <- p.Put(ctx, 2) }() // ends with ctx
		synctest.Wait()
		go func() { next <- p.Put(t.Context(), 3) }() // ends when there is room
		synctest.Wait()
		time.Sleep(time.Second)
		require.ErrorIs(t, <-front, context.DeadlineExceeded)
		require.ErrorIs(t, p.Put(ctx, 4), context.DeadlineExceeded)
		close(gate)
		require.NoError(t, <-next)
		m, err := p.Stop(t.Context(), true)
		require.NoError(t, err)
		require.Equal(t, []int{0, 1, 3}, got)
		require.Equal(t, uint64(3), m.Put)
	})
}

func TestPipelineBackpressureIsFIFO(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []int
		p := pipelineStarted(t, PipelineConfig[int]{MaxQueueSize: 3, BatchSize: 2, OnBatch: func(_ context.Context, batch []int) error {
			time.Sleep(time.Second)
			got = append(got, batch...)
			return nil
		}})
		var wg sync.WaitGroup
		var want []int
		for i := range 25 {
			want = append(want, i)
			wg.Go(func() { _ = p.Put(t.Context(), i) })
			synctest.Wait()
		}
		wg.Wait()
		_, err := p.Stop(t.Context(), true)
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func TestPipelineDropPolicies(t *testing.T) {
	for _, row := range []struct {
		policy DropPolicy
		want   []int
		errs   int
	}{{DropNewest, []int{0, 1, 2, 3}, 3}, {DropOldest, []int{0, 4, 5, 6}, 0}} {
		synctest.Test(t, func(t *testing.T) {
			gate := make(chan struct{})
			var got []int
			p := pipelineStarted(t, PipelineConfig[int]{MaxQueueSize: 3, BatchSize: 1, DropOnFull: row.policy, OnBatch: func(_ context.Context, batch []int) error {
				<-gate
				got = append(got, batch...)
				return nil
			}})
			errs := 0
			for i := range 7 {
				if err := p.Put(t.Context(), i); err != nil {
					require.ErrorIs(t, err, ErrQueueFull)
					errs++
				}
				synctest.Wait()
			}
			close(gate)
			m, err := p.Stop(t.Context(), true)
			require.NoError(t, err)
			require.Equal(t, row.want, got)
			require.Equal(t, row.errs, errs)
			require.Equal(t, uint64(7), m.Put)
			require.Equal(t, uint64(3), m.Dropped)
		})
	}
}

func TestPipelineFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []int
		p := pipelineStarted(t, PipelineConfig[int]{BatchSize: 10, OnBatch: func(_ context.Context, batch []int) error {
			time.Sleep(time.Millisecond)
			got = append(got, batch...)
			return nil
		}})
		require.NoError(t, p.Flush(t.Context()), "an empty pipeline is flushed")
		start := time.Now()
		for i := range 25 {
			require.NoError(t, p.Put(t.Context(), i))
		}
		require.NoError(t, p.Flush(t.Context()))
		require.Equal(t, 3*time.Millisecond, time.Since(start), "no wait for BatchTimeout")
		require.Len(t, got, 25)

		// A batch that is out is waited for too.
		require.NoError(t, p.Put(t.Context(), 25))
		go func() { _ = p.Flush(t.Context()) }() // ends with the batch
		synctest.Wait()
		require.Equal(t, 1, p.Metrics().InFlight)
		require.NoError(t, p.Flush(t.Context()))
		require.Len(t, got, 26)

		require.NoError(t, p.Put(t.Context(), 26))
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, p.Flush(ended), context.Canceled)
		short, cancel := context.WithTimeout(t.Context(), 1)
		defer cancel()
		require.ErrorIs(t, p.Flush(short), context.DeadlineExceeded)
		_, err := p.Stop(t.Context(), true)
		require.NoError(t, err)
	})
}

func TestPipelineStopWithoutDrainTellsFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		p := pipelineStarted(t, PipelineConfig[int]{BatchSize: 1, OnBatch: func(context.Context, []int) error { <-gate; return nil }})
		require.NoError(t, p.Put(t.Context(), 0))
		synctest.Wait()
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { first <- p.Flush(t.Context()) }() // ends with the batch
		synctest.Wait()
		require.NoError(t, p.Put(t.Context(), 1))
		go func() { second <- p.Flush(t.Context()) }() // ends with Stop
		synctest.Wait()
		time.AfterFunc(time.Second, func() { close(gate) })
		m, err := p.Stop(t.Context(), false)
		require.NoError(t, err)
		require.NoError(t, <-first)
		require.ErrorIs(t, <-second, ErrStopped)
		require.Equal(t, PipelineMetrics{Put: 2, Processed: 1, Dropped: 1, Batches: 1, PeakQueue: 1}, m)
	})
}

func TestPipelineStopLosesPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told error
		p := pipelineStarted(t, PipelineConfig[int]{
			BatchSize: 2, MaxQueueSize: 10,
			OnBatch: func(ctx context.Context, _ []int) error { <-ctx.Done(); return ctx.Err() },
			OnError: func(err error, batch []int) { told = err; require.Len(t, batch, 2) },
		})
		for i := range 7 {
			require.NoError(t, p.Put(t.Context(), i))
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		m, err := p.Stop(ctx, true)
		require.Equal(t, 3*time.Second, time.Since(start))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualError(t, err, "resilience: pipeline stopped with 5 items dropped and 2 in flight: context deadline exceeded")
		require.Equal(t, uint64(5), m.Dropped)
		pipelineBalanced(t, m)

		m, err = p.Stop(t.Context(), true)
		require.NoError(t, err, "the worker has ended by now")
		m.PeakQueue = 0 // depends on who runs first
		require.Equal(t, PipelineMetrics{Put: 7, Failed: 2, Dropped: 5, Batches: 1}, m)
		require.ErrorIs(t, told, context.Canceled)
	})
}

func TestPipelineStopWithEndedContextAndNothingToDo(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	p := pipelineStarted(t, PipelineConfig[int]{OnBatch: pipelineIgnore[int]})
	_, err := p.Stop(ended, true)
	require.NoError(t, err)

	p = pipelineStarted(t, PipelineConfig[int]{OnBatch: pipelineIgnore[int]})
	require.NoError(t, p.Put(t.Context(), 1))
	m, _ := p.Stop(ended, true)
	m2, err := p.Stop(t.Context(), true)
	require.NoError(t, err)
	pipelineBalanced(t, m)
	require.Equal(t, uint64(1), m2.Processed+m2.Dropped)
}

func TestPipelineErrorGoesToOnError(t *testing.T) {
	var got []int
	p := pipelineStarted(t, PipelineConfig[int]{
		BatchSize: 2,
		OnBatch:   func(context.Context, []int) error { return errPipelineTest },
		OnError: func(err error, batch []int) {
			require.ErrorIs(t, err, errPipelineTest)
			got = append(got, batch...)
		},
	})
	for i := range 5 {
		require.NoError(t, p.Put(t.Context(), i))
	}
	m, err := p.Stop(t.Context(), true)
	require.NoError(t, err, "a failed batch is not a failed stop")
	require.Equal(t, []int{0, 1, 2, 3, 4}, got)
	require.Equal(t, uint64(5), m.Failed)
	require.Equal(t, uint64(3), m.Batches)
}

// A panic or Goexit (t.FailNow in a callback) lost the batch, or the worker.
func TestPipelinePeerBug03PanicAndGoexitLoseNothing(t *testing.T) {
	for name, exit := range map[string]func(){
		"panic":  func() { panic(errPipelineTest) },
		"Goexit": runtime.Goexit,
	} {
		var reports []error
		var failed, got []int
		p := pipelineStarted(t, PipelineConfig[int]{
			BatchSize: 2,
			OnBatch: func(_ context.Context, batch []int) error {
				if batch[0]%4 == 0 {
					exit()
				}
				got = append(got, batch...)
				return nil
			},
			OnError: func(err error, batch []int) {
				reports = append(reports, err)
				failed = append(failed, batch...)
			},
		})
		for i := range 10 {
			require.NoError(t, p.Put(t.Context(), i))
		}
		require.NoError(t, p.Flush(t.Context()), name)
		m, err := p.Stop(t.Context(), true)
		require.NoError(t, err)
		require.Equal(t, []int{0, 1, 4, 5, 8, 9}, failed, name)
		require.Equal(t, []int{2, 3, 6, 7}, got, name)
		require.Equal(t, uint64(6), m.Failed)
		require.Equal(t, uint64(4), m.Processed)
		require.Len(t, reports, 3)
		var panicked *PanicError
		require.ErrorAs(t, reports[0], &panicked)
		require.Contains(t, string(panicked.Stack), "pipeline_test.go", "%s: the stack shows where", name)
		if name == "panic" {
			require.ErrorIs(t, panicked, errPipelineTest)
			require.EqualError(t, panicked, "resilience: panic in OnBatch: database is down")
		} else {
			require.ErrorIs(t, panicked, ErrGoexit)
		}
	}
	require.NoError(t, (&PanicError{Value: 7}).Unwrap())
}

func TestPipelineGoexitInOnError(t *testing.T) {
	p := pipelineStarted(t, PipelineConfig[int]{
		BatchSize: 1,
		OnBatch:   func(context.Context, []int) error { return errPipelineTest },
		OnError:   func(error, []int) { runtime.Goexit() },
	})
	for i := range 5 {
		require.NoError(t, p.Put(t.Context(), i))
	}
	require.NoError(t, p.Flush(t.Context()))
	m, err := p.Stop(t.Context(), true)
	require.NoError(t, err)
	require.Equal(t, uint64(5), m.Failed)
}

// Callbacks run outside the lock: they may look at the pipeline.
func TestPipelinePeerBug01CallbacksMayReadMetrics(t *testing.T) {
	var p *Pipeline[int]
	inFlight := 0
	p, err := NewPipeline(PipelineConfig[int]{
		OnBatch: func(_ context.Context, batch []int) error {
			inFlight = p.Metrics().InFlight
			if batch[0] == 1 {
				return p.Put(context.Background(), 2)
			}
			return errPipelineTest
		},
		OnError: func(error, []int) { pipelineBalanced(t, p.Metrics()) },
	})
	require.NoError(t, err)
	require.NoError(t, p.Start())
	require.NoError(t, p.Put(t.Context(), 1))
	require.NoError(t, p.Flush(t.Context()))
	m, err := p.Stop(t.Context(), true)
	require.NoError(t, err)
	require.Equal(t, 1, inFlight)
	require.Equal(t, uint64(2), m.Put)
	require.Equal(t, uint64(1), m.Failed)
}

// No item is lost and none is seen twice, whatever the sizes, errors, panics
// and stops.
func TestPipelineConservesItems(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for seed := range rounds {
		random := rand.New(rand.NewPCG(uint64(seed), 3))
		queue := 1 + random.IntN(50)
		policy := DropPolicy(random.IntN(3))
		drain, patience := random.IntN(2) == 0, time.Duration(random.IntN(3))*300*time.Microsecond
		trouble := random.IntN(6)
		var failures, seen atomic.Uint64
		var mu sync.Mutex
		twice := map[int]int{}
		p := pipelineStarted(t, PipelineConfig[int]{
			MaxQueueSize: queue, BatchSize: 1 + random.IntN(queue), BatchTimeout: time.Duration(1+random.IntN(500)) * time.Microsecond,
			DropOnFull: policy,
			OnBatch: func(_ context.Context, batch []int) error {
				mu.Lock()
				for _, item := range batch {
					twice[item]++
				}
				mu.Unlock()
				seen.Add(uint64(len(batch)))
				switch batch[0] % 20 {
				case trouble:
					panic("trouble")
				case trouble + 1:
					runtime.Goexit()
				case trouble + 2:
					return errPipelineTest
				case trouble + 3:
					time.Sleep(200 * time.Microsecond)
				}
				return nil
			},
			OnError: func(_ error, batch []int) { failures.Add(uint64(len(batch))) },
		})
		var put atomic.Uint64
		var wg sync.WaitGroup
		for producer := range 4 {
			wg.Go(func() {
				for i := range 300 {
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(50+i)*10*time.Microsecond)
					err := p.Put(ctx, producer*1000+i)
					cancel()
					if err == nil || errors.Is(err, ErrQueueFull) {
						put.Add(1)
					}
					if i == 150 {
						pipelineBalanced(t, p.Metrics())
					}
				}
			})
		}
		wg.Go(func() {
			time.Sleep(time.Duration(random.IntN(4)) * time.Millisecond)
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			m, _ := p.Stop(ctx, drain)
			pipelineBalanced(t, m)
		})
		wg.Wait()
		m, err := p.Stop(context.Background(), true)
		require.NoError(t, err)
		require.Equal(t, put.Load(), m.Put)
		require.Equal(t, m.Put, m.Processed+m.Dropped+m.Failed, "seed %d: %+v", seed, m)
		require.Equal(t, failures.Load(), m.Failed)
		require.Equal(t, seen.Load(), m.Processed+m.Failed)
		require.LessOrEqual(t, m.PeakQueue, queue)
		for item, times := range twice {
			require.Equal(t, 1, times, "seed %d item %d", seed, item)
		}
	}
}

// The goroutine is gone when Stop returns, without a grace period.
func TestPipelinePeerBug25NoGoroutineLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a bubble with a goroutine left fails
		p := pipelineStarted(t, PipelineConfig[int]{OnBatch: func(context.Context, []int) error { runtime.Goexit(); return nil }})
		require.NoError(t, p.Put(t.Context(), 1))
		_, err := p.Stop(t.Context(), true)
		require.NoError(t, err)
	})
}

// Items must not be kept alive by the ring or the batch buffer.
func TestPipelineForgetsItems(t *testing.T) {
	p := pipelineStarted(t, PipelineConfig[*int]{BatchSize: 3, MaxQueueSize: 8, OnBatch: pipelineIgnore[*int]})
	for i := range 20 {
		require.NoError(t, p.Put(t.Context(), &i))
	}
	require.NoError(t, p.Flush(t.Context()))
	_, err := p.Stop(t.Context(), true)
	require.NoError(t, err)
	for _, item := range p.queue.ring {
		require.Nil(t, item)
	}
	for _, item := range p.batch[:cap(p.batch)] {
		require.Nil(t, item)
	}
}

func TestPipelinePutAllocatesNothing(t *testing.T) {
	p := pipelineStarted(t, PipelineConfig[[4]int]{MaxQueueSize: 256, OnBatch: pipelineIgnore[[4]int]})
	ctx := t.Context()
	for range 2000 { // grow the ring and the batch
		require.NoError(t, p.Put(ctx, [4]int{}))
	}
	require.Zero(t, testing.AllocsPerRun(5000, func() { _ = p.Put(ctx, [4]int{}) }))
	_, err := p.Stop(ctx, true)
	require.NoError(t, err)
}
