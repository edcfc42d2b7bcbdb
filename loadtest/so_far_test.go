package loadtest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/pace"
)

// buckets returns what h holds.
func buckets(h Histogram) map[time.Duration]int64 {
	out := make(map[time.Duration]int64)
	for d, n := range h.Buckets() {
		out[d] += n
	}
	return out
}

// What a listener is given at the end is the result; before, what has been counted until
// the report; afterwards nothing.
func TestTheResultSoFar(t *testing.T) {
	for _, name := range []string{"sync", "threaded", "async", "arrival"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var reports []Progress
				var results []*EngineResult
				client := Func(sleep(oddly))
				e := newEngine(t, listening(name, client, func(p Progress) {
					reports, results = append(reports, p), append(results, p.Result())
				}))
				defer closeEngine(t, e)
				named := &Request{Name: "named"}
				r, err := e.Run(t.Context(), For(2500*time.Millisecond, named, &Request{}, Walk("walk", func(context.Context, *User) error { return nil })))
				require.NoError(t, err)
				require.Len(t, results, 3)
				for i, got := range results {
					p := reports[i]
					require.Equal(t, p.Counts, got.Counts)
					require.Equal(t, p.Elapsed, got.Elapsed)
					require.Equal(t, name, got.Engine)
					require.Equal(t, r.StartedAt, got.StartedAt)
					require.Equal(t, r.Concurrency, got.Concurrency)
					require.Equal(t, r.Schedule, got.Schedule)
					require.Equal(t, got.Requests, got.Histogram().Count())
					require.LessOrEqual(t, got.Endpoints["named"].Requests, got.Requests)
					require.Nil(t, p.Result(), "the run is over")
				}
				last := results[2]
				require.True(t, reports[2].Done)
				require.Equal(t, r.StatusCodes, last.StatusCodes)
				require.Equal(t, r.Errors, last.Errors)
				require.Equal(t, buckets(r.SuccessHistogram()), buckets(last.SuccessHistogram()))
				require.Equal(t, buckets(r.ErrorHistogram()), buckets(last.ErrorHistogram()))
				require.Equal(t, buckets(r.ServiceHistogram()), buckets(last.ServiceHistogram()))
				require.Equal(t, buckets(r.LagHistogram()), buckets(last.LagHistogram()))
				require.Equal(t, buckets(r.Endpoints["named"].Histogram()), buckets(last.Endpoints["named"].Histogram()))
				require.Equal(t, buckets(r.Scenarios["walk"].Histogram()), buckets(last.Scenarios["walk"].Histogram()))
				require.Equal(t, r.Scenarios["walk"].Finished, last.Scenarios["walk"].Finished)
				before := r.Requests
				last.Merge(r)
				require.Equal(t, before, r.Requests, "it is a copy")
				require.Equal(t, 2*before, last.Requests)
			})
		})
	}
	require.Nil(t, Progress{}.Result(), "no engine has made it")
}

// A listener that takes its time is given what there is by then.
func TestTheResultSoFarOfASlowListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []time.Duration
		var last *EngineResult
		e := newEngine(t, ArrivalConfig{
			Schedule: pace.Constant(100).Until(5 * time.Second), Client: Func(sleep(time.Millisecond)),
			OnProgress: func(p Progress) {
				time.Sleep(2500 * time.Millisecond)
				last = p.Result()
				seen = append(seen, p.Elapsed)
				if !p.Done {
					require.Greater(t, last.Requests, p.Requests)
				}
			},
		})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), For(time.Hour, &Request{}))
		require.NoError(t, err)
		require.Len(t, seen, 3)
		require.Equal(t, r.Requests, last.Requests)
	})
}

// What Exclude leaves out is not in the result so far either.
func TestTheResultSoFarWithoutAWarmUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var counted []int64
		var last *EngineResult
		e := newEngine(t, SyncConfig{
			Client: Func(sleep(9 * time.Millisecond)), Exclude: Exclude{WarmUp: 1500 * time.Millisecond},
			OnProgress: func(p Progress) {
				last = p.Result()
				counted = append(counted, last.Requests)
			},
		})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), For(3*time.Second, &Request{}))
		require.NoError(t, err)
		require.Equal(t, []int64{0, 55, 166, 167}, counted, "no request ends when an interval does")
		require.Equal(t, r.StartedAt, last.StartedAt)
		require.Equal(t, r.Elapsed, last.Elapsed)
	})
}

func TestHistogramsHoldWhatWasMeasured(t *testing.T) {
	var s Stats
	for _, h := range []Histogram{{}, s.Histogram(), s.SuccessHistogram(), s.ErrorHistogram(), s.ServiceHistogram(), s.LagHistogram(), s.ServerHistogram(), s.PhaseHistogram(PhaseDNS), s.PhaseHistogram(200), new(ScenarioStats).Histogram()} {
		require.Zero(t, h.Count())
		require.Zero(t, h.Sum())
		require.Zero(t, h.Quantile(1))
		require.Empty(t, buckets(h))
	}
	tally := newTally()
	for i := range 100 {
		tally.record(time.Duration(i+1)*time.Millisecond, 5*time.Millisecond, i%10 == 0)
	}
	tally.record(2*time.Hour, 0, false)
	s = *tally.stats()
	require.EqualValues(t, 91, s.SuccessHistogram().Count())
	require.EqualValues(t, 10, s.ErrorHistogram().Count())
	require.EqualValues(t, 101, s.Histogram().Count())
	require.InDelta(t, 5.050+100*0.005+7200, s.Histogram().Sum(), 1e-9)
	require.InDelta(t, 5.050+7200, s.ServiceHistogram().Sum(), 1e-9)
	require.InDelta(t, 0.5, s.LagHistogram().Sum(), 1e-9)
	require.Equal(t, 2*time.Hour, s.Histogram().Quantile(1))
	got := buckets(s.Histogram())
	require.EqualValues(t, 1, got[time.Hour], "what is longer is in the bucket of an hour")
	delete(got, time.Hour)
	require.Len(t, got, 100)
	for d := range got {
		exact := d.Round(time.Millisecond)
		require.GreaterOrEqual(t, d, exact)
		require.LessOrEqual(t, d, exact+exact/1000)
	}
	for d := range s.Histogram().Buckets() { // a loop may be left
		require.InEpsilon(t, float64(6*time.Millisecond), float64(d), 0.001)
		break
	}
}
