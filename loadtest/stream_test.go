package loadtest

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/brunt/fixtures"
	"example.com/brunt/internal/faketb"
	"example.com/brunt/internal/race"
)

func TestStreamYieldsEveryOutcomeAndThenTheError(t *testing.T) {
	forEngines(t, func(t *testing.T, c config) {
		e := newEngine(t, c.make(Func(sleep(time.Millisecond)), 0))
		defer closeEngine(t, e)
		stream := Stream(t.Context(), e, Times(100, &Request{Name: "a"}))
		for range 2 { // each range is a run of its own
			n := 0
			for r, err := range stream {
				require.NoError(t, err)
				require.Equal(t, "a", r.Name)
				require.Equal(t, time.Millisecond, r.Latency)
				time.Sleep(time.Second) // nobody's latency
				n++
			}
			require.Equal(t, 100, n)
		}

		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		var sent, cut, last int
		var end error
		for r, err := range Stream(ctx, e, Times(1_000_000)) {
			require.NoError(t, end, "the error comes last")
			switch {
			case err != nil:
				require.Zero(t, r)
				end = err
			case r.Class == ClassCanceled:
				cut++
			default:
				if sent++; sent == 50 {
					cancel(errTest)
				}
			}
			last++
		}
		require.ErrorIs(t, end, errTest)
		require.Equal(t, last, sent+cut+1)
		require.LessOrEqual(t, sent, 50+c.workers)
	})
}

func TestStreamReportsWhatKeepsItFromStarting(t *testing.T) {
	e := newEngine(t, SyncConfig{})
	for name, tt := range map[string]struct {
		ctx    context.Context
		engine Engine
		src    Source
		want   error
	}{
		"nil context":   {nil, e, Times(1), ErrNilContext},
		"nil engine":    {t.Context(), nil, Times(1), ErrConfig},
		"empty source":  {t.Context(), e, Source{}, ErrEmptySource},
		"wrong request": {t.Context(), e, Times(1, &Request{}), ErrInvalidRequest},
	} {
		t.Run(name, func(t *testing.T) {
			var got []error
			for r, err := range Stream(tt.ctx, tt.engine, tt.src) {
				require.Zero(t, r)
				got = append(got, err)
			}
			require.Len(t, got, 1)
			require.ErrorIs(t, got[0], tt.want)
		})
	}
	closeEngine(t, e)
	for _, err := range Stream(t.Context(), e, Times(1, Get("http://127.0.0.1:1/"))) {
		require.ErrorIs(t, err, ErrClosed)
	}
}

// leave ranges over a stream and leaves it in one of four ways after n outcomes.
func leave(t *testing.T, e Engine, src Source, n, way int) (seen int) {
	t.Helper()
	done := make(chan struct{})
	go func() { // ends with the loop
		defer close(done)
		defer func() { _ = recover() }()
		for _, err := range Stream(t.Context(), e, src) {
			if err != nil {
				t.Errorf("error before the end: %v", err)
			}
			if seen++; seen < n {
				continue
			}
			switch way {
			case 0:
				return
			case 1:
				panic("enough")
			case 2:
				runtime.Goexit()
			}
			break
		}
		if way != 3 {
			t.Errorf("the loop went on after way %d", way)
		}
	}()
	<-done
	return seen
}

func TestLeavingAStreamEarlyLeaksNothing(t *testing.T) {
	const workers = 4
	times := 1000
	if race.Enabled && os.Getenv("BRUNT_SOAK") == "" {
		times = 200 // the histograms of each run make it slow
	}
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	srv := fixtures.NewServer(t)
	defer srv.Close()
	e := newEngine(t, AsyncConfig{MaxConcurrent: workers})
	running := e.(interface{ running() int })
	src := Times(1_000_000, Get(srv.URL+"/get"))
	for i := range times {
		n := 1 + i%10
		require.Equal(t, n, leave(t, e, src, n, i%4))
		require.Zero(t, running.running(), "the run has ended before the range statement")
	}
	// A canceled request costs its connection, and the server hears of that a
	// little later.
	require.Eventually(t, func() bool { return srv.OpenConnections() <= workers }, 10*time.Second, time.Millisecond)
	r, err := e.Run(t.Context(), Times(100, Get(srv.URL+"/get")))
	require.NoError(t, err)
	require.EqualValues(t, 100, r.SuccessCount, "the engine can be used again")
	require.LessOrEqual(t, r.ConnectionsOpened, int64(workers))
	closeEngine(t, e)
	require.Eventually(t, func() bool { return srv.OpenConnections() == 0 }, 10*time.Second, time.Millisecond)
}

func TestLeavingAStreamCancelsWhatIsInFlight(t *testing.T) {
	forEngines(t, func(t *testing.T, c config) {
		var first, cut atomic.Int64
		e := newEngine(t, c.make(Func(func(ctx context.Context) error {
			if first.Add(1) == 1 {
				return nil
			}
			<-ctx.Done()
			cut.Add(1)
			return ctx.Err()
		}), time.Hour))
		defer closeEngine(t, e)
		start := time.Now()
		for _, err := range Stream(t.Context(), e, Times(1_000_000)) {
			require.NoError(t, err)
			break
		}
		require.Zero(t, time.Since(start), "nobody waits for an answer")
		require.Equal(t, first.Load()-1, cut.Load())
	})
}

func TestPanicsAndGoexitsReachTheConsumerOfAStream(t *testing.T) {
	for _, c := range engines {
		for _, leaves := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/leaves=%v", c.name, leaves), func(t *testing.T) {
				defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
				consume := func(hit func()) {
					e := newEngine(t, c.make(Func(func(context.Context) error { return nil }), 0))
					defer func() { require.NoError(t, e.Close(context.WithoutCancel(t.Context()))) }()
					var n atomic.Int64
					src := Times(1000, &Request{Check: func(Response) error {
						if n.Add(1) == 3 {
							hit()
						}
						return nil
					}})
					for _, err := range Stream(t.Context(), e, src) {
						require.NoError(t, err)
						for leaves && n.Load() < 3 && c.workers > 1 {
							runtime.Gosched()
						}
						if leaves && c.workers > 1 {
							break
						}
					}
				}
				func() {
					defer func() {
						got, _ := recover().(*PanicError)
						require.NotNil(t, got, "the panic is passed on")
						require.Equal(t, errTest, got.Value)
						require.Contains(t, string(got.Stack), "stream_test.go")
					}()
					consume(func() { panic(errTest) })
				}()
				after := false
				tb := faketb.Run(t, func(tb *faketb.TB) {
					consume(func() { tb.Fatal("enough") })
					after = true
				})
				require.Equal(t, []string{"enough"}, tb.Errors())
				require.False(t, after)
			})
		}
	}
}

// foreign is an engine of another package.
type foreign struct{ Engine }

func TestStreamsAndRecordsTakeForeignEngines(t *testing.T) {
	e := foreign{newEngine(t, ThreadedConfig{Client: Func(func(context.Context) error { return nil })})}
	defer closeEngine(t, e)
	n := 0
	for _, err := range Stream(t.Context(), e, Times(100)) {
		require.NoError(t, err)
		n++
	}
	require.Equal(t, 100, n)

	w := &ledger{}
	s := newSink(t, w, SinkConfig{})
	r, err := Record(t.Context(), e, Times(100), s)
	require.NoError(t, err)
	require.EqualValues(t, 100, r.Sink.Written)
	require.NoError(t, s.Close(t.Context()))

	require.PanicsWithError(t, (&PanicError{Value: "boom"}).Error(), func() {
		defer func() {
			got, _ := recover().(*PanicError)
			got.Stack = nil
			panic(got)
		}()
		for _, err := range Stream(t.Context(), broken{}, Times(1)) {
			require.NoError(t, err)
			require.Fail(t, "nothing is yielded")
		}
	})
}

// broken is a foreign engine that panics outside of its workers.
type broken struct{ Engine }

func (broken) RunStreaming(context.Context, Source, func(RequestResult) error) (*EngineResult, error) {
	panic("boom")
}
