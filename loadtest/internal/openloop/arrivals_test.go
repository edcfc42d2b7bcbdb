package openloop

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/brunt/loadtest/pace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fates is what a naive reading of the rules says of arrivals: those are looked at when
// due, or when the generator comes to it, one after the other.
func fates(dues, looks, takes []time.Duration, catchUp time.Duration, most int) (c Counts, sent int64) {
	var busy []time.Duration // when the requests in flight end
	for i, due := range dues {
		now := looks[i]
		busy = slices.DeleteFunc(busy, func(end time.Duration) bool { return end <= now })
		c.Scheduled++
		switch {
		case now > due+catchUp:
			c.Missed++
		case len(busy) == most:
			c.Dropped++
		default:
			busy = append(busy, now+takes[i])
			sent++
		}
	}
	return c, sent
}

// Arrivals meet the fate that the rules say, whatever the schedule, the service and the
// stalls of the generator.
func TestArrivalsMeetTheirFate(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		n, most, catchUp := 1+rng.IntN(200), 1+rng.IntN(8), time.Duration(rng.IntN(50))
		dues, looks, takes := make([]time.Duration, n), make([]time.Duration, n), make([]time.Duration, n)
		var due, look time.Duration
		for i := range n {
			due += time.Duration(rng.IntN(10))
			if due > look { // the generator has nothing to do, or has stalled
				look = due + time.Duration(rng.IntN(2)*rng.IntN(2)*rng.IntN(100))
			}
			dues[i], looks[i], takes[i] = due, look, time.Duration(1+rng.IntN(30))
		}

		a := New(pace.Recorded(dues...), 0, -1, catchUp, most)
		excludes := seed%2 == 0
		if excludes {
			a.Excludes = func(a Arrival) bool { return a.Number < 3 }
		}
		var sent int64
		var busy []time.Duration
		for _, now := range slices.Compact(slices.Clone(looks)) {
			busy = slices.DeleteFunc(busy, func(end time.Duration) bool {
				if end <= now {
					a.Ended(true, false)
				}
				return end <= now
			})
			for it, ok := a.Take(now); ok; it, ok = a.Take(now) {
				sent++
				busy = append(busy, now+takes[it.Number])
			}
		}
		require.Equal(t, len(busy), a.Open)
		got, apart := a.Counted()
		require.Equal(t, excludes, apart != Counts{})
		got = Counts{got.Scheduled + apart.Scheduled, got.Missed + apart.Missed, got.Dropped + apart.Dropped, got.Canceled + apart.Canceled}
		if excludes {
			require.Equal(t, int64(min(n, 3)), apart.Scheduled)
		}
		want, wantSent := fates(dues, looks, takes, catchUp, most)
		require.Equal(t, want, got, "seed %d", seed)
		require.Equal(t, wantSent, sent, "seed %d", seed)
		require.Equal(t, got.Scheduled, sent+got.Missed+got.Dropped)
		got, apart = a.Counted()
		require.Zero(t, got, "since the last call")
		require.Zero(t, apart)
	}
}

// A schedule ends by itself, by the time limit of the source, or by its size; only then
// what comes after its last arrival is part of the run.
func TestArrivalsEnd(t *testing.T) {
	tenASecond := pace.Constant(10)
	for name, tt := range map[string]struct {
		schedule pace.Schedule
		until    time.Duration
		total    int64
		n        int64
		end      time.Duration
	}{
		"by itself":             {tenASecond.Until(time.Second), 0, -1, 10, time.Second},
		"by the time limit":     {tenASecond, 500 * time.Millisecond, -1, 5, 500 * time.Millisecond},
		"by a longer limit":     {tenASecond.Until(time.Second), time.Minute, -1, 10, time.Second},
		"by its size":           {tenASecond.Until(time.Second), 0, 3, 3, 0},
		"by its size, a shard":  {tenASecond.Shard(1, 3), 0, 8, 3, 0}, // 1, 4, 7
		"at once":               {tenASecond, 0, 0, 0, 0},
		"as the source is done": {tenASecond.Until(time.Second), 0, 10, 10, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			a := New(tt.schedule, tt.until, tt.total, time.Hour, 100)
			var n int64
			for _, ok := a.Take(time.Hour); ok; _, ok = a.Take(time.Hour) {
				n++
			}
			require.Equal(t, tt.n, n)
			require.Equal(t, tt.end, a.End)
			require.False(t, a.More)
		})
	}
}

// An arrival for which the source had no request was none: nothing is in flight for it,
// and the run does not wait for the end of the schedule.
func TestAnArrivalWithoutARequestIsNone(t *testing.T) {
	a := New(pace.Constant(10).Until(time.Minute), 0, -1, time.Hour, 100)
	for range 2 {
		_, ok := a.Take(time.Second)
		require.True(t, ok)
	}
	a.Exhausted(false)
	require.Equal(t, 1, a.Open)
	require.False(t, a.More)
	require.Zero(t, a.End)
	got, _ := a.Counted()
	require.Equal(t, Counts{Scheduled: 1}, got)
}

// What is due when the schedule is canceled is not sent, nor is what comes after it.
func TestCanceledArrivals(t *testing.T) {
	a := New(pace.Constant(10).Until(time.Minute), 0, -1, time.Hour, 100)
	for range 3 { // due at 0, 100 and 200 ms
		_, ok := a.Take(200 * time.Millisecond)
		require.True(t, ok)
	}
	a.Cancel(time.Second) // as many as came due since
	require.False(t, a.More)
	require.Equal(t, time.Second, a.End)
	a.Ended(true, false)
	a.Ended(false, false) // it had not been sent yet
	got, _ := a.Counted()
	require.Equal(t, Counts{Scheduled: 11, Canceled: 9}, got)
	require.Equal(t, []int{1, 3}, []int{a.Open, a.Peak})
	_, ok := a.Take(time.Hour)
	require.False(t, ok)
}
