package loadtest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/resilience"
)

// heaps makes intervals of a second with these heaps, in MB.
func heaps(mb ...uint64) []Interval {
	var out []Interval
	for i, n := range mb {
		out = append(out, Interval{From: time.Duration(i) * time.Second, To: time.Duration(i+1) * time.Second, HeapBytes: n * 1e6})
	}
	return out
}

func TestHeapGrowth(t *testing.T) {
	short := heaps(10, 10, 10, 10, 1)
	short[4].To = short[4].From + time.Millisecond
	for _, tt := range []struct {
		reason string
		rows   []Interval
		from   time.Duration
		want   float64
		within float64
	}{
		{"nothing", nil, 0, 0, 0},
		{"too few to tell", heaps(1, 100), 0, 0, 0},
		{"flat", heaps(10, 10, 10, 10), 0, 0, 1e-12},
		{"a line: from 0.5 to 4.5 over 5 s of the peak of 50", heaps(10, 20, 30, 40, 50), 0, 1, 1e-12},
		{"a fall", heaps(50, 40, 30, 20, 10), 0, -1, 1e-12},
		{"warming up does not count", heaps(1, 5, 10, 10, 10, 10), 2 * time.Second, 0, 1e-12},
		{"but does if asked", heaps(1, 5, 10, 10, 10, 10), 0, 1, 0.3},
		{"too few after from", heaps(1, 2, 3, 4), 2 * time.Second, 0, 0},
		{"the peak is the whole run's", heaps(100, 1, 2, 3), time.Second, 0.03, 1e-12},
		{"sawtooth", heaps(10, 14, 10, 14, 10, 14, 10, 14, 10), 0, 0, 1e-12},
		{"a single collection late", heaps(10, 10, 10, 10, 10, 10, 10, 10, 10, 12), 0, 0.1, 0.05},
		{"a short last interval weighs little", short, 0, 0, 0.01},
		{"no heap", heaps(0, 0, 0), 0, 0, 0},
		{"no time", make([]Interval, 5), 0, 0, 0},
		{"all at one time", []Interval{{To: 5, HeapBytes: 1}, {To: 5, HeapBytes: 2}, {To: 5, HeapBytes: 3}}, 0, 0, 0},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			require.InDelta(t, tt.want, (&EngineResult{Intervals: tt.rows}).HeapGrowth(tt.from), tt.within)
		})
	}
}

func TestStallsAreToldFromRhythm(t *testing.T) {
	rows := func(counts ...int64) []Interval {
		out := heaps(make([]uint64, len(counts))...)
		for i, n := range counts {
			out[i].Requests, out[i].InFlight = n, 7
		}
		return out
	}
	refused := rows(100, 100, 0, 100, 100)
	refused[2].RejectedCount = 50
	short := rows(100, 100, 100, 1)
	short[3].To = short[3].From + harvestEvery/2
	for _, tt := range []struct {
		reason string
		rows   []Interval
		p50    time.Duration
		want   string
	}{
		{"steady", rows(100, 90, 110, 100), 0, ""},
		{"one second", rows(100, 100, 0, 100), 0, "stalled from 2s to 3s: 0 req/s instead of about 100, 7 in flight at its end"},
		{"three", rows(100, 100, 0, 9, 0, 100, 100), 0, "stalled from 2s to 5s: 3 req/s instead of about 100, 7 in flight at its end"},
		{"the longest of several", rows(100, 0, 100, 0, 0, 100, 100, 0, 100), 0, "stalled from 3s to 5s: 0 req/s instead of about 100, 7 in flight at its end; and 2 shorter"},
		{"until the end", rows(100, 100, 100, 0, 0), 0, "stalled from 3s to 5s: 0 req/s instead of about 100, 7 in flight at its end"},
		{"a tenth is slow, not a stall", rows(100, 100, 10, 100), 0, ""},
		{"few requests come by chance", rows(9, 9, 0, 9), 0, ""},
		{"rounds longer than an interval", rows(100, 0, 100, 100, 0, 100), 1500 * time.Millisecond, ""},
		{"the breaker was open", refused, 0, ""},
		{"the end of the run is short", short, 0, ""},
		{"too short to tell", rows(100, 0), 0, ""},
		{"nothing", nil, 0, ""},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			r := record(epoch, time.Second, nil, []sample{{latency: tt.p50, status: 200, endpoint: noEndpoint}})
			r.Intervals = tt.rows
			require.Equal(t, tt.want, r.stallText())
		})
	}
}

// stalled runs for 12 s, of which it waits from second 5 to 8.2.
func stalled(t *testing.T) *EngineResult {
	t.Helper()
	start := time.Now()
	e := newEngine(t, ThreadedConfig{Client: Func(func(ctx context.Context) error {
		if now := time.Since(start); now >= 5*time.Second && now < 8200*time.Millisecond {
			return sleep(8200*time.Millisecond - now)(ctx)
		}
		return sleep(oddly)(ctx)
	})})
	defer closeEngine(t, e)
	r, err := e.Run(t.Context(), For(12*time.Second))
	require.NoError(t, err)
	return r
}

// A stall is a warning like others: programs, JSON and the report see it, and a
// merge keeps it with those of the other run. It finds none of its own: where runs
// of different rates stand side by side, the slower is no stall.
func TestAStallIsAWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := stalled(t)
		want := []Warning{{WarnStall, "stalled from 5s to 8s: 3.33 req/s instead of about 330, 10 in flight at its end"}}
		require.Equal(t, want, r.Warnings)
		require.Contains(t, r.String(), "\n  warning   "+want[0].Text)
		require.Equal(t, want, roundTrip(t, r).Warnings)

		sum := stalled(t)
		sum.Merge(roundTrip(t, r))
		require.Equal(t, append(want, want...), sum.Warnings)
		slow := newEngine(t, SyncConfig{Client: Func(sleep(oddly))})
		defer closeEngine(t, slow)
		other, err := slow.Run(t.Context(), For(12*time.Second))
		require.NoError(t, err)
		other.Merge(sum)
		for _, w := range other.Warnings {
			require.Contains(t, append(want, want...), w)
		}
	})
}

func TestTimeInTheSinkIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, ThreadedConfig{MaxWorkers: 4, Client: Func(sleep(time.Millisecond))})
		defer closeEngine(t, e)
		r, err := e.RunStreaming(t.Context(), Times(4), func(RequestResult) error { time.Sleep(100 * time.Millisecond); return nil })
		require.NoError(t, err)
		require.Equal(t, time.Millisecond, r.Elapsed)
		require.Equal(t, time.Second, r.SinkTime, "one waits for none, the others for 1, 2 and 3, and each is in it")
		require.InDelta(t, 1.0, r.sinkShare(), 1e-12)
		require.Equal(t, time.Second, roundTrip(t, r).SinkTime)

		r, err = e.RunStreaming(t.Context(), Times(40), func(RequestResult) error { time.Sleep(100 * time.Millisecond); return nil })
		require.NoError(t, err)
		accounted(t, 40, r)
		addUp(t, r)
		require.InEpsilon(t, 4.0, r.Elapsed.Seconds(), 0.11, "ten results a second, whoever sends")
		require.Contains(t, r.String(), "% of the workers' time (")

		twice := new(EngineResult)
		twice.Merge(r)
		twice.Merge(r)
		require.Equal(t, 2*r.SinkTime, twice.SinkTime)

		r, err = e.RunStreaming(t.Context(), Times(40), func(RequestResult) error { return nil })
		require.NoError(t, err)
		require.Zero(t, r.SinkTime)
		require.NotContains(t, r.String(), "sink")
	})
}

func TestTheSinkOfARejectedRequestIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 1, OpenStateDuration: time.Hour})
		e := newEngine(t, AsyncConfig{MaxConcurrent: 1, Breaker: b, Client: Func(func(context.Context) error { return errTest })})
		defer closeEngine(t, e)
		r, err := e.RunStreaming(t.Context(), Times(5), func(RequestResult) error { time.Sleep(time.Second); return nil })
		require.NoError(t, err)
		require.EqualValues(t, 4, r.RejectedCount)
		require.Equal(t, 5*time.Second, r.SinkTime)
		addUp(t, r)
	})
}
