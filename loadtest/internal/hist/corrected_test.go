package hist

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/race"
)

// The oracle is HdrHistogram's recordValueWithExpectedInterval, a value at a time.
func correctedByHand(measured []time.Duration, interval time.Duration) *Histogram {
	h := New()
	for _, d := range measured {
		h.Record(d)
		if interval <= 0 {
			continue
		}
		for v := d - interval; v >= interval; v -= interval {
			h.Record(v)
		}
	}
	return h
}

// holding returns a histogram of latencies, and them as it holds them.
func holding(latencies []time.Duration) (h *Histogram, held []time.Duration) {
	h = New()
	for _, d := range latencies {
		h.Record(d)
	}
	for _, d := range latencies {
		held = append(held, min(highest(bucketOf(uint64(d))), h.max))
	}
	return h, held
}

func TestCorrectedIsHdrHistogramsCorrection(t *testing.T) {
	const seed = 11
	rng := rand.New(rand.NewPCG(seed, seed))
	for range race.Fewer(20) {
		latencies := make([]time.Duration, rng.IntN(200))
		for i := range latencies {
			latencies[i] = time.Duration(rng.Int64N(1 << (10 + rng.IntN(20))))
		}
		interval := time.Duration(1 + rng.Int64N(1<<(12+rng.IntN(12))))
		h, held := holding(latencies)
		got, want := h.Corrected(interval), correctedByHand(held, interval)
		require.Equal(t, NewBlock(want), NewBlock(got), "seed %d, interval %v", seed, interval)
		for _, q := range []float64{0.5, 0.9, 0.99, 0.999, 1} {
			require.InEpsilon(t, 1+float64(want.Quantile(q)), 1+float64(got.Quantile(q)), 1e-9)
		}
		require.InEpsilon(t, 1+float64(want.Mean()), 1+float64(got.Mean()), 0.001)
	}
}

func TestCorrectedAtItsEdges(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		reason    string
		latencies []time.Duration
		interval  time.Duration
		added     int64
	}{
		{"nothing sent", nil, ms, 0},
		{"no interval", []time.Duration{time.Second}, 0, 0},
		{"a negative one", []time.Duration{time.Second}, -ms, 0},
		{"shorter than the interval", []time.Duration{9 * ms}, 10 * ms, 0},
		{"as long", []time.Duration{10 * ms}, 10 * ms, 0},
		{"less than twice as long", []time.Duration{19 * ms}, 10 * ms, 0},
		{"twice as long", []time.Duration{20 * ms}, 10 * ms, 1},
		{"a second in hundredths", []time.Duration{time.Second}, 10 * ms, 99},
		{"three of them", []time.Duration{time.Second, time.Second, time.Second}, 10 * ms, 297},
		{"an hour in nanoseconds", []time.Duration{time.Hour}, 1, int64(time.Hour) - 1},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			h, _ := holding(tt.latencies)
			before := NewBlock(h)
			got := h.Corrected(tt.interval)
			require.Equal(t, int64(len(tt.latencies))+tt.added, got.Count())
			require.Equal(t, h.Quantile(1), got.Quantile(1), "the slowest was measured")
			require.Equal(t, before, NewBlock(h), "what was measured stays")
		})
	}
}
