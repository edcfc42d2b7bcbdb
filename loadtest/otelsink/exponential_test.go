package otelsink

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"example.com/brunt/loadtest"
)

// measured returns what a run measures whose requests take so long.
func measured(t *testing.T, took []time.Duration) *loadtest.EngineResult {
	t.Helper()
	r, err := loadtest.Collect(func(yield func(loadtest.RequestResult, error) bool) {
		for _, d := range took {
			if !yield(loadtest.RequestResult{StatusCode: 200, Latency: d, Timestamp: time.Unix(0, 0), Attempt: 1}, nil) {
				return
			}
		}
	})
	require.NoError(t, err)
	return r
}

// upper returns the upper bound of the bucket at rank ceil(q·n), in seconds.
func upper(p metricdata.ExponentialHistogramDataPoint[float64], q float64) float64 {
	rank, seen := uint64(max(1, math.Ceil(q*float64(p.Count)-1e-9))), p.ZeroCount
	if seen >= rank {
		return 0
	}
	for i, n := range p.PositiveBucket.Counts {
		if seen += n; seen >= rank {
			return math.Exp2(float64(int(p.PositiveBucket.Offset)+i+1) / perOctave)
		}
	}
	return math.Inf(1)
}

// The bounds that the package's documentation states, of every percentile.
func TestPercentilesAreWithinTheirBound(t *testing.T) {
	base := math.Exp2(1. / perOctave)
	require.InDelta(t, 1.0219, base, 1e-4)
	rng := rand.New(rand.NewPCG(1, 2))
	for name, draw := range map[string]func() time.Duration{
		"log-normal":  func() time.Duration { return time.Duration(1e7 * math.Exp(rng.NormFloat64())) },
		"any octave":  func() time.Duration { return time.Duration(rng.Int64N(1 << (1 + rng.IntN(41)))) },
		"nanoseconds": func() time.Duration { return time.Duration(1 + rng.IntN(40)) },
		"equal":       func() time.Duration { return time.Second },
		"powers of 2": func() time.Duration { return time.Second >> rng.IntN(10) },
	} {
		t.Run(name, func(t *testing.T) {
			took := make([]time.Duration, 5000)
			for i := range took {
				took[i] = draw()
			}
			r := measured(t, took)
			slices.Sort(took)
			p := exponential(r.Histogram(), time.Time{}, time.Time{}, *attribute.EmptySet())
			for q := 0.001; q < 0.9995; q += 0.001 {
				got := upper(p, q)
				want, exact := r.Quantile(q).Seconds(), took[int(math.Ceil(q*5000-1e-6))-1].Seconds()
				if exact == 0 {
					require.Zero(t, got)
					continue
				}
				const rounding = 1e-12
				require.GreaterOrEqual(t, got, want*(1-rounding), "q=%v", q)
				require.Less(t, got, want*base*1.001, "q=%v", q)
				require.GreaterOrEqual(t, got, exact*(1-rounding), "q=%v", q)
				require.LessOrEqual(t, got, exact*1.023, "q=%v", q)
			}
		})
	}
}

// Nothing is lost, and what is in a bucket stays there while more comes.
func TestExponentialCountsOnlyGrow(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var took []time.Duration
	before := make(map[int32]uint64)
	var zeros uint64
	for range 30 {
		for range 100 {
			took = append(took, time.Duration(rng.Int64N(1<<(1+rng.IntN(41)))))
		}
		took = append(took, 0, 2*time.Hour)
		p := exponential(measured(t, took).Histogram(), time.Time{}, time.Time{}, *attribute.EmptySet())
		require.EqualValues(t, len(took), p.Count)
		sum, total := 0.0, p.ZeroCount
		for _, d := range took {
			sum += d.Seconds()
		}
		require.InEpsilon(t, sum, p.Sum, 1e-9)
		require.GreaterOrEqual(t, p.ZeroCount, zeros)
		zeros = p.ZeroCount
		for i, n := range p.PositiveBucket.Counts {
			index := p.PositiveBucket.Offset + int32(i)
			require.GreaterOrEqual(t, n, before[index])
			before[index] = n
			total += n
		}
		require.Equal(t, p.Count, total)
		require.NotZero(t, p.PositiveBucket.Counts[0])
		least, ok := p.Min.Value()
		require.True(t, ok)
		require.Zero(t, least)
		most, ok := p.Max.Value()
		require.True(t, ok)
		require.InDelta(t, 7200, most, 0)
	}
}

// A value that is a bound belongs to the bucket below it.
func TestBucketsIncludeTheirUpperBound(t *testing.T) {
	require.EqualValues(t, -1, bucketOf(time.Second))
	require.EqualValues(t, 0, bucketOf(time.Second+1))
	require.EqualValues(t, -33, bucketOf(time.Second/2))
	require.EqualValues(t, 63, bucketOf(4*time.Second))
	for d := time.Duration(1); d < 2*time.Hour; d = d*9/8 + 1 {
		low, high := math.Exp2(float64(bucketOf(d))/perOctave), math.Exp2(float64(bucketOf(d)+1)/perOctave)
		require.Less(t, low, d.Seconds()*(1+1e-12), "%v", d)
		require.GreaterOrEqual(t, high, d.Seconds()*(1-1e-12), "%v", d)
	}
}

func TestAnEmptyHistogramHasNoBuckets(t *testing.T) {
	p := exponential(loadtest.Histogram{}, time.Time{}, time.Time{}, *attribute.EmptySet())
	require.Zero(t, p.Count)
	require.Empty(t, p.PositiveBucket.Counts)
	_, ok := p.Min.Value()
	require.False(t, ok)
}
