package loadtest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

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
