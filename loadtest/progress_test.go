package loadtest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/brunt/internal/faketb"
	"example.com/brunt/loadtest/pace"
)

// listening makes the configuration of one kind of engine with OnProgress.
func listening(name string, client Client, on func(Progress)) EngineConfig {
	switch name {
	case "sync":
		return SyncConfig{Client: client, OnProgress: on}
	case "threaded":
		return ThreadedConfig{Client: client, OnProgress: on}
	case "arrival":
		return ArrivalConfig{Schedule: pace.Constant(1000), Client: client, OnProgress: on}
	}
	return AsyncConfig{Client: client, OnProgress: on}
}

func TestProgressIsToldEverySecondAndAtTheEnd(t *testing.T) {
	forClosedLoops(t, func(t *testing.T, c config) {
		var got []Progress
		start := time.Now()
		var at []time.Duration
		e := newEngine(t, listening(c.name, Func(sleep(oddly)), func(p Progress) {
			got, at = append(got, p), append(at, time.Since(start))
		}))
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), For(2500*time.Millisecond))
		require.NoError(t, err)
		require.Equal(t, []time.Duration{time.Second, 2 * time.Second, r.Elapsed}, at)
		var requests int64
		for i, p := range got {
			require.Equal(t, c.name, p.Engine)
			require.Equal(t, at[i], p.Elapsed)
			require.Equal(t, 2500*time.Millisecond, p.Planned)
			require.EqualValues(t, -1, p.Size)
			require.Equal(t, r.Intervals[i], p.Last)
			requests += p.Last.Requests
			require.Equal(t, requests, p.Requests)
			require.InDelta(t, float64(requests)/at[i].Seconds(), p.RPS, 1e-9)
			require.Equal(t, i == 2, p.Done)
			require.Equal(t, p.Last.InFlight, p.InFlight)
			require.Equal(t, p.Last.HeapBytes, p.HeapBytes)
		}
		require.Equal(t, r.Requests, requests)
		require.InDelta(t, r.RPS(), got[2].RPS, 1e-9)
		require.Equal(t, c.workers, got[0].InFlight)
		require.Zero(t, got[2].InFlight)
	})
}

func TestProgressOfACountedRunAndOfItsErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []Progress
		e := newEngine(t, ThreadedConfig{Client: Func(func(context.Context) error { return errTest }), OnProgress: func(p Progress) { got = append(got, p) }})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Times(70))
		require.NoError(t, err)
		require.Len(t, got, 1)
		got[0].reported = nil
		require.Equal(t, []Progress{{
			Engine: "threaded", Size: 70, Counts: Counts{Requests: 70, ErrorCount: 70}, Last: r.Intervals[0],
			HeapBytes: r.Intervals[0].HeapBytes, Done: true,
		}}, got)
	})
}

// A slow listener misses reports, delays no request and no interval, and still
// hears of the end.
func TestASlowListenerDelaysOnlyItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var inside atomic.Int64
		var got []Progress
		start := time.Now()
		e := newEngine(t, ThreadedConfig{Client: Func(sleep(oddly)), OnProgress: func(p Progress) {
			require.EqualValues(t, 1, inside.Add(1), "calls do not overlap")
			defer inside.Add(-1)
			got = append(got, p)
			time.Sleep(2600 * time.Millisecond)
		}})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), For(7*time.Second))
		require.NoError(t, err)
		addUp(t, r)
		require.Len(t, r.Intervals, 7)
		var told []time.Duration
		for _, p := range got {
			told = append(told, p.Elapsed.Truncate(time.Second))
		}
		// Called at 1, 3.6 and 6.2 s with the latest report, and at 8.8 s.
		require.Equal(t, []time.Duration{time.Second, 3 * time.Second, 6 * time.Second, 7 * time.Second}, told)
		require.True(t, got[3].Done)
		require.Equal(t, r.Elapsed, got[3].Elapsed)
		require.Equal(t, r.Requests, got[3].Requests)
		require.Equal(t, 11400*time.Millisecond, time.Since(start), "Run waits for the last call")
	})
}

func TestPanicsAndGoexitsInOnProgressReachTheCallerOfRun(t *testing.T) {
	for _, c := range engines {
		for _, last := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/last=%v", c.name, last), func(t *testing.T) {
				run := func(t *testing.T, hit func()) {
					t.Helper()
					calls := 0
					e := newEngine(t, listening(c.name, Func(sleep(oddly)), func(p Progress) {
						calls++
						if p.Done == last {
							hit()
						}
					}))
					start := time.Now()
					defer func() {
						require.NoError(t, e.Close(context.WithoutCancel(t.Context())))
						if last {
							require.Equal(t, 2, calls)
						} else {
							require.Equal(t, 1, calls)
							require.Less(t, time.Since(start), 2*time.Second, "the run is stopped")
						}
					}()
					length := time.Hour
					if last {
						length = 1500 * time.Millisecond
					}
					_, _ = e.Run(t.Context(), For(length))
					require.Fail(t, "Run returned")
				}
				t.Run("panic", func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						defer func() {
							got, _ := recover().(*PanicError)
							require.NotNil(t, got)
							require.ErrorIs(t, got, errTest)
							require.Contains(t, string(got.Stack), "progress_test.go")
						}()
						run(t, func() { panic(errTest) })
					})
				})
				t.Run("FailNow", func(t *testing.T) {
					defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
					synctest.Test(t, func(t *testing.T) {
						tb := faketb.Run(t, func(tb *faketb.TB) { run(t, func() { tb.Fatal("enough") }) })
						require.Equal(t, []string{"enough"}, tb.Errors())
					})
				})
			})
		}
	}
}

// OnProgress holds no lock: it may use the engine, but for Close.
func TestOnProgressMayRunTheEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e Engine
		var inner *EngineResult
		e = newEngine(t, ThreadedConfig{Client: Func(sleep(oddly)), OnProgress: func(p Progress) {
			if !p.Done && p.Size == -1 {
				var err error
				inner, err = e.Run(t.Context(), Times(5))
				require.NoError(t, err)
			}
		}})
		defer closeEngine(t, e)
		_, err := e.Run(t.Context(), For(1500*time.Millisecond))
		require.NoError(t, err)
		require.EqualValues(t, 5, inner.Requests)
	})
}
