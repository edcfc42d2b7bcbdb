package capacity

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest"
)

// service is a function with room for so many calls at once, of which each takes the
// same time. The others wait in a queue.
func service(workers int, each time.Duration) func(context.Context) error {
	room := make(chan struct{}, workers)
	return func(ctx context.Context) error {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		defer func() { <-room }()
		time.Sleep(each)
		return nil
	}
}

// function returns options for a search of f.
func function(f func(context.Context) error, p99 time.Duration) Options {
	return Options{SLO: loadtest.SLO{P99: p99}, Engine: loadtest.ArrivalConfig{Client: loadtest.Func(f)}}
}

// deterministic computes what a trial of a second at a rate loses: arrivals at equal
// distances at so many workers that take the same time each.
func deterministic(rate float64, workers int, each, limit time.Duration) float64 {
	free := make([]float64, workers)
	n, lost := 0, 0
	for i := 0; float64(i) < rate; i++ {
		due := float64(i) / rate
		w := i % workers
		free[w] = max(free[w], due) + each.Seconds()
		n++
		if free[w]-due > limit.Seconds()*1.0005 {
			lost++
		}
	}
	return float64(lost) / float64(n)
}

// In virtual time nothing disturbs a search, and it finds the truth exactly: of the rates
// that it may try the last that passes, and the first that fails.
func TestSearchFindsAKnownCapacity(t *testing.T) {
	for _, c := range []struct {
		workers int
		each    time.Duration
		limit   time.Duration
	}{
		{10, 10 * time.Millisecond, 50 * time.Millisecond},
		{1, 5 * time.Millisecond, 20 * time.Millisecond},
		{40, 20 * time.Millisecond, 30 * time.Millisecond},
		{200, 100 * time.Millisecond, 150 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			r, err := Search(t.Context(), function(service(c.workers, c.each), c.limit))
			require.NoError(t, err, r)
			require.LessOrEqual(t, time.Since(began), 40*time.Second)
			bad := func(rate float64) bool { return deterministic(rate, c.workers, c.each, c.limit) > 0.01 }
			require.False(t, bad(r.Lower), r)
			require.True(t, bad(r.Upper), r)
			require.InDelta(t, 0.02, (r.Upper-r.Lower)/r.Upper, 1e-9)
			require.LessOrEqual(t, r.Capacity, r.Lower)
			require.GreaterOrEqual(t, r.Capacity, 0.99*r.Lower)
			for _, trial := range r.Trials {
				if trial.Kind == TrialCounted {
					require.InDelta(t, deterministic(trial.Rate, c.workers, c.each, c.limit), trial.Losses[0], 0.003, "%v/s\n%v", trial.Rate, r)
				}
			}
			require.Equal(t, TrialControl, r.Trials[len(r.Trials)-1].Kind)
			t.Log(r)
		})
	}
}

var errPlanted = errors.New("planted")
