package loadtest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// manySeconds returns intervals of a second each.
func manySeconds(n int) []Interval {
	out := make([]Interval, n)
	for i := range out {
		out[i].From, out[i].To = time.Duration(i)*time.Second, time.Duration(i+1)*time.Second
	}
	return out
}

func TestStallsAreToldFromRhythm(t *testing.T) {
	rows := func(counts ...int64) []Interval {
		out := manySeconds(len(counts))
		for i, n := range counts {
			out[i].Requests, out[i].InFlight = n, 7
		}
		return out
	}
	refused := rows(100, 100, 0, 100, 100)
	refused[2].RejectedCount = 50
	long := rows(200, 200, 15, 200)
	for i := range long {
		long[i].From, long[i].To = 2*long[i].From, 2*long[i].To
	}
	short := rows(100, 100, 100, 1)
	short[3].To = short[3].From + harvestEvery/2
	late := rows(100, 100, 0, 100)
	for i := range late { // as a harvest is on a busy machine
		late[i].From += 3 * time.Millisecond
		late[i].To += 3 * time.Millisecond
	}
	for _, tt := range []struct {
		reason string
		rows   []Interval
		p50    time.Duration
		want   string
	}{
		{"steady", rows(100, 90, 110, 100), 0, ""},
		{"one second", rows(100, 100, 0, 100), 0, "stalled from 2s to 3s: 0 req/s instead of about 100, 7 in flight at its end"},
		{"harvested late", late, 0, "stalled from 2s to 3s: 0 req/s instead of about 100, 7 in flight at its end"},
		{"three", rows(100, 100, 0, 9, 0, 100, 100), 0, "stalled from 2s to 5s: 3 req/s instead of about 100, 7 in flight at its end"},
		{"the longest of several", rows(100, 0, 100, 0, 0, 100, 100, 0, 100), 0, "stalled from 3s to 5s: 0 req/s instead of about 100, 7 in flight at its end; and 2 shorter"},
		{"until the end", rows(100, 100, 100, 0, 0), 0, "stalled from 3s to 5s: 0 req/s instead of about 100, 7 in flight at its end"},
		{"a tenth is slow, not a stall", rows(100, 100, 10, 100), 0, ""},
		{"from the start", rows(0, 100, 100, 100), 0, "stalled from 0s to 1s: 0 req/s instead of about 100, 7 in flight at its end"},
		{"in longer intervals", long, 0, "stalled from 4s to 6s: 7.5 req/s instead of about 100, 7 in flight at its end"},
		{"in three", rows(100, 0, 100), 0, "stalled from 1s to 2s: 0 req/s instead of about 100, 7 in flight at its end"},
		{"just enough requests", rows(10, 10, 0, 10), 0, "stalled from 2s to 3s: 0 req/s instead of about 10, 7 in flight at its end"},
		{"as long as two median latencies", rows(100, 100, 0, 100), 500 * time.Millisecond, ""},
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

// What is missing in the intervals beside a stall is part of it, unless there was another
// reason, or they are of another time.
func TestAStallBeginsAndEndsWithinIntervals(t *testing.T) {
	const s, half = time.Second, 500 * time.Millisecond
	rows := func(change func(before, after *Interval)) []Interval {
		out := manySeconds(7)
		for i, n := range []int64{100, 100, 50, 0, 50, 100, 100} {
			out[i].Requests = n
		}
		change(&out[2], &out[4])
		return out
	}
	open := func(rows []Interval) []Interval {
		for i := range rows {
			rows[i].Scheduled = 100
		}
		return rows
	}
	for _, tt := range []struct {
		reason        string
		rows          []Interval
		before, after time.Duration
	}{
		{"half of both", rows(func(_, _ *Interval) {}), half, half},
		{"half of both, by the schedule", open(rows(func(_, _ *Interval) {})), half, half},
		{"the breaker refused", rows(func(before, after *Interval) { before.RejectedCount, after.RejectedCount = 1, 50 }), 0, 0},
		{"a little less than usual", rows(func(before, after *Interval) { before.Requests, after.Requests = 95, 91 }), 0, 0},
		{"more than usual", rows(func(before, after *Interval) { before.Requests, after.Requests = 150, 101 }), 0, 0},
		{"another run was before", rows(func(before, _ *Interval) { before.To -= s / 2 }), 0, half},
	} {
		r := record(epoch, time.Second, nil, []sample{{status: 200, endpoint: noEndpoint}})
		r.Intervals = tt.rows
		for _, row := range tt.rows {
			r.Scheduled += row.Scheduled
		}
		all, ok := r.stalls()
		require.True(t, ok, tt.reason)
		require.Len(t, all, 1, tt.reason)
		require.Equal(t, []time.Duration{tt.before, s, tt.after}, []time.Duration{all[0].before, all[0].To - all[0].From, all[0].after}, tt.reason)
	}
	few := open(rows(func(_, _ *Interval) {}))
	few[2].Scheduled, few[2].Requests = stallRequests, stallRequests/2
	few[4].Scheduled, few[4].Requests = stallRequests-1, 0
	r := &EngineResult{Intervals: few}
	r.Scheduled = 1
	all, _ := r.stalls()
	require.Len(t, all, 1)
	require.Equal(t, half, all[0].before, "enough was due")
	require.Zero(t, all[0].after, "too little was due to tell")
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
