package loadtest

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/race"
	"example.com/brunt/loadtest/internal/hist"
)

func TestConfidenceIntervalSaysWhyThereIsNone(t *testing.T) {
	second := make([]float64, 100)
	for i := range second {
		second[i] = float64(i + 1)
	}
	seconds := slices.Repeat([][]float64{second}, 10)
	long, other, together := ofSeconds(seconds...), ofSeconds(seconds...), ofSeconds(append(seconds, slices.Repeat([]float64{1000}, 15))...)
	other.Requests++
	for _, tt := range []struct {
		reason string
		r      *EngineResult
		q      float64
		want   string
	}{
		{"nothing", new(EngineResult), 0.5, "loadtest: no confidence interval of p50: parts of the run with requests: 0, needed: 5; run for longer"},
		{"four seconds", ofSeconds(seconds[:4]...), 0.99, "loadtest: no confidence interval of p99: parts of the run with requests: 4, needed: 5; run for longer"},
		{"one request beyond", long, 0.999, "loadtest: no confidence interval of p99.9: requests beyond it: 1, which amount to 1.2 independent ones, needed: 4; run for longer"},
		{"slow together", together, 0.99, "loadtest: no confidence interval of p99: requests beyond it: 10, which amount to 1.0 independent ones, needed: 4; run for longer"},
		{"the minimum", long, 0, "loadtest: no confidence interval of p0: q is 0: must be between 0 and 1"},
		{"the maximum", long, 1, "loadtest: no confidence interval of p100: q is 1: must be between 0 and 1"},
		{"no number", long, math.NaN(), "loadtest: no confidence interval of pNaN: q is NaN: must be between 0 and 1"},
		{"merged with a result that has no parts", other, 0.5, "loadtest: no confidence interval of p50: requests: 1,001, of them in a known part of the run: 1,000"},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			lo, hi, err := tt.r.ConfidenceInterval(tt.q)
			require.ErrorIs(t, err, ErrNoInterval)
			require.EqualError(t, err, tt.want)
			require.Zero(t, lo)
			require.Zero(t, hi)
		})
	}
}

// noisy is a function that takes 5 to 25 ms.
func noisy() func(context.Context) error {
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(1, 1))
	return func(ctx context.Context) error {
		mu.Lock()
		d := 5*time.Millisecond + time.Duration(rng.Int64N(int64(20*time.Millisecond)))
		mu.Unlock()
		return sleep(d)(ctx)
	}
}

func TestARunHasIntervalsInEveryForm(t *testing.T) {
	forEngines(t, func(t *testing.T, c config) {
		if race.Enabled && c.name == "async" {
			t.Skip("as threaded, with ten times the requests")
		}
		run := func(d time.Duration) *EngineResult {
			e := newEngine(t, c.make(Func(noisy()), 0))
			defer closeEngine(t, e)
			r, err := e.Run(t.Context(), For(d))
			require.NoError(t, err)
			require.Equal(t, r.Requests, hist.JoinAll(r.blocks).N)
			require.LessOrEqual(t, len(r.blocks), hist.MaxBlocks)
			require.Equal(t, r.Elapsed, r.blocks[len(r.blocks)-1].To)
			return r
		}
		bounds := func(r *EngineResult, q float64) [2]time.Duration {
			lo, hi, err := r.ConfidenceInterval(q)
			require.NoError(t, err)
			require.Less(t, lo, hi)
			return [2]time.Duration{lo, hi}
		}
		r := run(20 * time.Second)
		median := bounds(r, 0.5)
		require.Less(t, median[0], 15*time.Millisecond)
		require.Greater(t, median[1], 15*time.Millisecond)
		require.Contains(t, r.String(), fmt.Sprintf("p50 %v  p95 ", r.quantileText(0.5)))
		require.Equal(t, 1, strings.Count(r.quantileText(0.5), "["))
		require.NotContains(t, r.String(), "not steady")

		data, err := json.Marshal(r)
		require.NoError(t, err)
		var keys struct {
			P50 []float64 `json:"p50_ci_ms"`
			P95 []float64 `json:"p95_ci_ms"`
		}
		require.NoError(t, json.Unmarshal(data, &keys))
		require.Equal(t, []float64{millis(median[0]), millis(median[1])}, keys.P50)
		require.Len(t, keys.P95, 2)
		back := roundTrip(t, r)
		require.Equal(t, r.blocks, back.blocks)
		require.Equal(t, median, bounds(back, 0.5))

		time.Sleep(time.Minute)
		other := run(20 * time.Second)
		sum := new(EngineResult)
		for _, part := range []*EngineResult{roundTrip(t, other), back} {
			sum.Merge(part)
		}
		require.LessOrEqual(t, len(sum.blocks), hist.MaxBlocks)
		merged := bounds(sum, 0.5)
		require.Less(t, merged[1]-merged[0], median[1]-median[0], "twice as much is known")
		sameResult(t, sum, roundTrip(t, sum))
	})
}

func TestAnUnsteadyRunSaysSo(t *testing.T) {
	forEngines(t, func(t *testing.T, c config) {
		if race.Enabled && c.name == "async" {
			t.Skip("as threaded, with ten times the requests")
		}
		start := time.Now()
		e := newEngine(t, c.make(Func(func(ctx context.Context) error {
			if time.Since(start) < 5*time.Second {
				return sleep(10 * time.Millisecond)(ctx)
			}
			return sleep(15 * time.Millisecond)(ctx)
		}), 0))
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), For(10*time.Second))
		require.NoError(t, err)
		last := r.Warnings[len(r.Warnings)-1]
		require.Equal(t, WarnUnsteady, last.Kind)
		require.Regexp(t, `^not steady: p(50|99) was 10\.\d+ms until 5s and 15\.\d+ms from then on`, last.Text)
		sum := new(EngineResult)
		sum.Merge(roundTrip(t, r))
		require.Equal(t, r.Warnings, sum.Warnings, "it travels")
	})
}

func TestBlocksThatDoNotAddUpAreRefused(t *testing.T) {
	r := evenly(1, 2, 3, 4)
	require.Equal(t, r.blocks, roundTrip(t, r).blocks)
	r.blocks[3] = hist.JoinAll(r.blocks)
	data, err := json.Marshal(r)
	require.NoError(t, err)
	require.EqualError(t, json.Unmarshal(data, new(EngineResult)), "loadtest: result does not add up: 4 requests, but more in its blocks")
}
