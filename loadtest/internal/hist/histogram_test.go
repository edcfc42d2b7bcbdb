package hist

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/brunt/internal/race"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestHistogramSumIsExact(t *testing.T) {
	require.Zero(t, (*Histogram)(nil).Sum())
	h := New()
	for _, d := range []time.Duration{1, 1_234_567_891, 3} {
		h.Record(d)
	}
	require.InDelta(t, 1_234_567_895, h.Sum(), 0)
}

// The reference is the definition: the value at rank ceil(q·n) of the sorted list.
func TestHistogramQuantileIsWithinAThousandthOfTheExactOne(t *testing.T) {
	const seed = 7
	rng := rand.New(rand.NewPCG(seed, seed))
	for range 20 {
		h := New()
		values := make([]time.Duration, 1+rng.IntN(3000))
		for i := range values {
			// Every order of magnitude from nanoseconds to an hour.
			values[i] = time.Duration(1 + rng.Int64N(1<<rng.IntN(42)))
			values[i] = min(values[i], Max)
			h.Record(values[i])
		}
		slices.Sort(values)
		for _, q := range []float64{0, 0.001, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1} {
			rank := max(int(math.Ceil(q*float64(len(values)))), 1)
			want := values[rank-1]
			require.InEpsilon(t, float64(want), float64(h.Quantile(q)), 0.001, "q=%v n=%d seed=%d", q, len(values), seed)
		}
		require.Equal(t, values[0], h.Quantile(0), "the minimum is exact")
		require.Equal(t, values[len(values)-1], h.Quantile(1), "the maximum is exact")
		require.LessOrEqual(t, h.Quantile(0.9999), h.Quantile(1), "no quantile exceeds the maximum")
	}
}

// The extremes and the mean are not those of buckets.
func TestHistogramExtremesAndMeanAreExact(t *testing.T) {
	h := New()
	for _, d := range []time.Duration{1_000_001, 1_000_003, 1_000_002, 1_000_002} {
		h.Record(d)
	}
	require.EqualValues(t, 1_000_001, h.Quantile(0))
	require.EqualValues(t, 1_000_003, h.Quantile(1))
	require.EqualValues(t, 1_000_002, h.Mean())

	// From a billion values on, the slack of a rank is more than one.
	h.RecordZeros(1e10)
	require.EqualValues(t, 1_000_003, h.Quantile(1))
	require.Zero(t, h.Quantile(1-1e-9))
	require.Zero(t, h.Quantile(1e-10), "of rank 1")
}

func TestHistogramCountsWhatLiesBeyondItsRange(t *testing.T) {
	h := New()
	h.Record(time.Millisecond)
	h.Record(3 * time.Hour)
	h.Record(-time.Second)
	require.EqualValues(t, 3, h.Count(), "nothing is dropped")
	require.EqualValues(t, 1, h.beyond)
	require.Equal(t, 3*time.Hour, h.Quantile(1))
	require.Equal(t, 3*time.Hour, h.Quantile(0.99))
	require.InEpsilon(t, time.Millisecond, h.Quantile(0.5), 0.001, "what is within the range is told apart")
	require.Equal(t, time.Duration(0), h.Quantile(0), "a clock that runs back counts as zero")

	h.Record(Max)
	require.EqualValues(t, 1, h.beyond, "the longest that is within")
}

func TestHistogramEmpty(t *testing.T) {
	for _, h := range []*Histogram{nil, New()} {
		require.Zero(t, h.Count())
		require.Zero(t, h.Quantile(0.5))
		require.Zero(t, h.Mean())
		require.Zero(t, h.Beyond())
		require.True(t, h.IsZero())
	}
}

func TestHistogramMergeAndCodecAreExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	whole, merged := New(), New()
	for range 7 {
		part := New()
		for range rng.IntN(500) {
			d := time.Duration(rng.Int64N(int64(2 * Max)))
			whole.Record(d)
			part.Record(d)
		}
		data, err := json.Marshal(part)
		require.NoError(t, err)
		back := new(Histogram)
		require.NoError(t, json.Unmarshal(data, back))
		require.Equal(t, part, back)
		merged.Merge(back)
	}
	require.Equal(t, whole.Count(), merged.Count())
	require.Equal(t, whole.beyond, merged.beyond)
	require.InEpsilon(t, whole.sum, merged.sum, 1e-12)
	for q := 0.0; q <= 1; q += 0.05 {
		require.Equal(t, whole.Quantile(q), merged.Quantile(q), "q=%v", q)
	}
}

func TestZerosAreRecordedAsIfOneByOne(t *testing.T) {
	for n := range int64(3) {
		got, want := New(), New()
		got.Record(5)
		want.Record(5)
		got.RecordZeros(n)
		got.RecordZeros(n)
		for range 2 * n {
			want.Record(0)
		}
		require.Equal(t, want, got)
	}
}

func TestAResetHistogramIsAsGoodAsNew(t *testing.T) {
	var none *Histogram
	none.Reset()
	h := New()
	h.Reset()
	require.Equal(t, New(), h)
	for _, d := range []time.Duration{1, time.Second, 2 * Max} {
		h.Record(d)
	}
	h.Reset()
	require.True(t, h.IsZero())
	h.Record(time.Minute)
	want := New()
	want.Record(time.Minute)
	require.Equal(t, NewBlock(want), NewBlock(h))
	require.Equal(t, want.Quantile(0), h.Quantile(0))
	require.Equal(t, want.Mean(), h.Mean())
	require.Zero(t, h.Beyond())
	require.Zero(t, testing.AllocsPerRun(100, func() { h.Reset(); h.Record(time.Minute) }), "the memory is kept")
}

func TestMergeIntoMakesOnlyWhatItNeeds(t *testing.T) {
	var dst *Histogram
	MergeInto(&dst, nil)
	MergeInto(&dst, New())
	require.Nil(t, dst)
	Made(&dst).Record(1)
	Made(&dst).Record(2)
	MergeInto(&dst, dst)
	require.EqualValues(t, 4, dst.Count())
}

// Its buckets are HdrHistogram's, so that the form in JSON is what other tools read.
func TestHistogramIsAnHDRHistogram(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	ours, hdr := New(), hdrhistogram.New(1, int64(Max), digits)
	n := race.Fewer(5000)
	for range n {
		v := 1 + rng.Int64N(min(1<<(1+rng.IntN(42)), int64(Max)))
		ours.Record(time.Duration(v))
		require.NoError(t, hdr.RecordValue(v))
	}
	for rank := 1.0; rank < float64(n); rank++ {
		want := hdr.ValueAtQuantile(100 * rank / float64(n))
		require.EqualValues(t, max(min(want, int64(ours.max)), int64(ours.min)), ours.Quantile(rank/float64(n)), rank)
	}
	data, err := json.Marshal(ours)
	require.NoError(t, err)
	var j histogramJSON
	require.NoError(t, json.Unmarshal(data, &j))
	back, err := hdrhistogram.Decode([]byte(j.HDR))
	require.NoError(t, err)
	require.True(t, hdr.Equals(back))
}

func FuzzHistogramDecode(f *testing.F) {
	h := New()
	for i := range 100 {
		h.Record(time.Duration(i) * time.Millisecond)
	}
	data, err := json.Marshal(h)
	require.NoError(f, err)
	f.Add(data)
	f.Add([]byte(`{"hdr":""}`))
	f.Add([]byte(`{"hdr":"HISTFAAAAC"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var back Histogram
		if json.Unmarshal(data, &back) != nil {
			require.Zero(t, back)
			return
		}
		require.GreaterOrEqual(t, back.Count(), int64(0))
	})
}

// Only values that are certain to lie above a limit count: those of its bucket may not.
func TestHistogramAbove(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	h, values := New(), []time.Duration(nil)
	for range race.Fewer(2000) {
		d := time.Duration(rnd.Int64N(1 << (1 + rnd.IntN(45))))
		h.Record(d)
		values = append(values, d)
	}
	for _, limit := range append(values, 0, -1, Max, 2*Max) {
		want := int64(0)
		for _, d := range values {
			if bucketOf(uint64(min(d, Max))) > bucketOf(uint64(min(max(limit, 0), Max))) {
				want++
			}
		}
		require.Equal(t, want, h.Above(limit), "%v", limit)
	}
	require.Zero(t, New().Above(0))
	require.Zero(t, (*Histogram)(nil).Above(0))
}
