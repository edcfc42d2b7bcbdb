package loadtest

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"
)

// The reference is the definition: the value at rank ceil(q·n) of the sorted list.
func TestHistogramQuantileIsWithinAThousandthOfTheExactOne(t *testing.T) {
	const seed = 7
	rng := rand.New(rand.NewPCG(seed, seed))
	for range 20 {
		h := newHistogram()
		values := make([]time.Duration, 1+rng.IntN(3000))
		for i := range values {
			// Every order of magnitude from nanoseconds to an hour.
			values[i] = time.Duration(1 + rng.Int64N(1<<rng.IntN(42)))
			values[i] = min(values[i], histMax)
			h.record(values[i])
		}
		slices.Sort(values)
		for _, q := range []float64{0, 0.001, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1} {
			rank := max(int(math.Ceil(q*float64(len(values)))), 1)
			want := values[rank-1]
			require.InEpsilon(t, float64(want), float64(h.quantile(q)), 0.001, "q=%v n=%d seed=%d", q, len(values), seed)
		}
		require.Equal(t, values[0], h.quantile(0), "the minimum is exact")
		require.Equal(t, values[len(values)-1], h.quantile(1), "the maximum is exact")
		require.LessOrEqual(t, h.quantile(0.9999), h.quantile(1), "no quantile exceeds the maximum")
	}
}

// The extremes and the mean are not those of buckets.
func TestHistogramExtremesAndMeanAreExact(t *testing.T) {
	h := newHistogram()
	for _, d := range []time.Duration{1_000_001, 1_000_003, 1_000_002, 1_000_002} {
		h.record(d)
	}
	require.EqualValues(t, 1_000_001, h.quantile(0))
	require.EqualValues(t, 1_000_003, h.quantile(1))
	require.EqualValues(t, 1_000_002, h.mean())

	// From a billion values on, the slack of a rank is more than one.
	h.recordZeros(1e10)
	require.EqualValues(t, 1_000_003, h.quantile(1))
	require.Zero(t, h.quantile(1-1e-9))
	require.Zero(t, h.quantile(1e-10), "of rank 1")
}

func TestHistogramCountsWhatLiesBeyondItsRange(t *testing.T) {
	h := newHistogram()
	h.record(time.Millisecond)
	h.record(3 * time.Hour)
	h.record(-time.Second)
	require.EqualValues(t, 3, h.count(), "nothing is dropped")
	require.EqualValues(t, 1, h.beyond)
	require.Equal(t, 3*time.Hour, h.quantile(1))
	require.Equal(t, 3*time.Hour, h.quantile(0.99))
	require.InEpsilon(t, time.Millisecond, h.quantile(0.5), 0.001, "what is within the range is told apart")
	require.Equal(t, time.Duration(0), h.quantile(0), "a clock that runs back counts as zero")

	h.record(histMax)
	require.EqualValues(t, 1, h.beyond, "the longest that is within")
}

func TestHistogramEmpty(t *testing.T) {
	for _, h := range []*histogram{nil, newHistogram()} {
		require.Zero(t, h.count())
		require.Zero(t, h.quantile(0.5))
		require.Zero(t, h.mean())
		j, err := h.encode()
		require.NoError(t, err)
		require.Nil(t, j)
	}
}

func TestHistogramMergeAndCodecAreExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	whole, merged := newHistogram(), newHistogram()
	for range 7 {
		part := newHistogram()
		for range rng.IntN(500) {
			d := time.Duration(rng.Int64N(int64(2 * histMax)))
			whole.record(d)
			part.record(d)
		}
		j, err := part.encode()
		require.NoError(t, err)
		back, err := j.decode()
		require.NoError(t, err)
		require.Equal(t, part, back)
		merged.merge(back)
	}
	require.Equal(t, whole.count(), merged.count())
	require.Equal(t, whole.beyond, merged.beyond)
	require.InEpsilon(t, whole.sum, merged.sum, 1e-12)
	for q := 0.0; q <= 1; q += 0.05 {
		require.Equal(t, whole.quantile(q), merged.quantile(q), "q=%v", q)
	}
}

// Its buckets are HdrHistogram's, so that the form in JSON is what other tools read.
func TestHistogramIsAnHDRHistogram(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	ours, hdr := newHistogram(), hdrhistogram.New(1, int64(histMax), histDigits)
	for range 5000 {
		v := 1 + rng.Int64N(min(1<<(1+rng.IntN(42)), int64(histMax)))
		ours.record(time.Duration(v))
		require.NoError(t, hdr.RecordValue(v))
	}
	for rank := 1.0; rank < 5000; rank++ {
		want := hdr.ValueAtQuantile(100 * rank / 5000)
		require.EqualValues(t, max(min(want, int64(ours.max)), int64(ours.min)), ours.quantile(rank/5000), rank)
	}
	j, err := ours.encode()
	require.NoError(t, err)
	back, err := hdrhistogram.Decode([]byte(j.HDR))
	require.NoError(t, err)
	require.True(t, hdr.Equals(back))
}

func FuzzHistogramDecode(f *testing.F) {
	h := newHistogram()
	for i := range 100 {
		h.record(time.Duration(i) * time.Millisecond)
	}
	j, err := h.encode()
	require.NoError(f, err)
	f.Add(j.HDR)
	f.Add("")
	f.Add("HISTFAAAAC")
	f.Fuzz(func(t *testing.T, text string) {
		back, err := (&histogramJSON{HDR: text}).decode()
		if err != nil {
			return
		}
		require.GreaterOrEqual(t, back.count(), int64(0))
	})
}
