package loadtest

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The oracle is HdrHistogram's recordValueWithExpectedInterval, a value at a time.
func correctedByHand(measured []time.Duration, interval time.Duration) *histogram {
	h := newHistogram()
	for _, d := range measured {
		h.record(d)
		if interval <= 0 {
			continue
		}
		for v := d - interval; v >= interval; v -= interval {
			h.record(v)
		}
	}
	return h
}

// measuredAs returns the Stats of latencies, each third one failed, and the latencies
// as their histogram holds them.
func measuredAs(latencies []time.Duration) (*Stats, []time.Duration) {
	s, held := &Stats{}, make([]time.Duration, len(latencies))
	s.good, s.bad = newHistogram(), newHistogram()
	longest := time.Duration(0)
	for i, d := range latencies {
		if longest = max(longest, d); i%3 == 2 {
			s.bad.record(d)
		} else {
			s.good.record(d)
		}
	}
	for i, d := range latencies {
		held[i] = min(highest(bucketOf(uint64(d))), longest)
	}
	return s, held
}

func TestCorrectedIsHdrHistogramsCorrection(t *testing.T) {
	const seed = 11
	rng := rand.New(rand.NewPCG(seed, seed))
	runs := 50
	if raceEnabled {
		runs = 5 // there is one goroutine
	}
	for range runs {
		latencies := make([]time.Duration, rng.IntN(200))
		for i := range latencies {
			latencies[i] = time.Duration(rng.Int64N(1 << (10 + rng.IntN(20))))
		}
		interval := time.Duration(1 + rng.Int64N(1<<(12+rng.IntN(12))))
		s, held := measuredAs(latencies)
		got, want := s.Corrected(interval), correctedByHand(held, interval)
		require.Equal(t, newBlock(want), newBlock(got.h), "seed %d, interval %v", seed, interval)
		require.Equal(t, want.count()-int64(len(latencies)), got.Added())
		for _, q := range []float64{0.5, 0.9, 0.99, 0.999, 1} {
			require.InEpsilon(t, 1+float64(want.quantile(q)), 1+float64(got.Quantile(q)), 1e-9)
		}
		require.InEpsilon(t, 1+float64(want.mean()), 1+float64(got.Mean()), 0.001)
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
			s, _ := measuredAs(tt.latencies)
			before := newBlock(s.latencies())
			c := s.Corrected(tt.interval)
			require.Equal(t, tt.added, c.Added())
			require.Equal(t, int64(len(tt.latencies))+tt.added, c.h.count())
			require.Equal(t, s.Quantile(1), c.Quantile(1), "the slowest was measured")
			require.Equal(t, before, newBlock(s.latencies()), "what was measured stays")
		})
	}
}

// The stall that a closed loop hides: 1 worker at 100/s, of 10 s the server is frozen for
// one. The truth is that of the 1,000 requests due 100 wait for up to a second.
func TestCorrectedShowsTheStallThatAClosedLoopHides(t *testing.T) {
	latencies := []time.Duration{time.Second}
	for range 900 {
		latencies = append(latencies, time.Millisecond)
	}
	s, _ := measuredAs(latencies)
	require.InEpsilon(t, time.Millisecond, s.P99(), 0.001)
	c := s.Corrected(10 * time.Millisecond)
	require.InEpsilon(t, 900*time.Millisecond, c.Quantile(0.99), 0.02)
	require.InEpsilon(t, 500*time.Millisecond, c.Quantile(0.95), 0.02)
}
