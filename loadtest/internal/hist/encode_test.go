package hist

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"
)

// What is written is what HdrHistogram would write, byte by byte: gaps of no, one and more
// buckets, and counts of every length.
func TestEncodingIsHDRHistograms(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	spread := make(map[time.Duration]int64)
	for range 500 {
		spread[time.Duration(rng.Int64N(1<<(1+rng.IntN(41))))] += 1 + rng.Int64N(1<<rng.IntN(50))
	}
	lengths := make(map[time.Duration]int64)
	for bits := range 62 {
		lengths[time.Duration(bits)] = 1 << bits
	}
	for name, values := range map[string]map[time.Duration]int64{
		"nothing":               {},
		"zero":                  {0: 1},
		"next to each other":    {0: 1, 1: 2, 2: 3},
		"gap of one":            {1: 1, 3: 2},
		"gap of two":            {2: 64, 5: 1},
		"gap of all":            {Max: 1},
		"counts of all lengths": lengths,
		"the longest count":     {7: math.MaxInt64},
		"random":                spread,
	} {
		t.Run(name, func(t *testing.T) {
			ours, hdr := New(), hdrhistogram.New(1, int64(Max), digits)
			for v, n := range values {
				ours.page(bucketOf(uint64(v)))[bucketOf(uint64(v))%pageSize] += n
				ours.n += n
				require.NoError(t, hdr.RecordValues(int64(v), n))
			}
			want, err := hdr.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
			require.NoError(t, err)
			for range 2 { // with a compressor that is used again
				got, err := ours.encode()
				require.NoError(t, err)
				require.Equal(t, string(want), got)
			}
			data, err := json.Marshal(ours)
			require.NoError(t, err)
			back := new(Histogram)
			require.NoError(t, json.Unmarshal(data, back))
			require.Equal(t, ours.pages, back.pages)
		})
	}
}

// A histogram that another tool has made has other buckets, or values beyond Max.
func TestDecodingOfAnotherTools(t *testing.T) {
	for _, tt := range []struct {
		lowest, highest time.Duration
		digits          int
		beyond          bool
	}{
		{1000, Max, digits, false},
		{1, 24 * time.Hour, digits, false},
		{1, 24 * time.Hour, digits, true},
		{1, Max, 2, false},
	} {
		hdr := hdrhistogram.New(int64(tt.lowest), int64(tt.highest), tt.digits)
		require.NoError(t, hdr.RecordValues(int64(time.Second), 3))
		if tt.beyond {
			require.NoError(t, hdr.RecordValue(int64(23*time.Hour)))
		}
		buf, err := hdr.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
		require.NoError(t, err)
		data, err := json.Marshal(histogramJSON{HDR: string(buf), Min: time.Second, Max: time.Second, Sum: 3e9})
		require.NoError(t, err)
		var h Histogram
		if err = json.Unmarshal(data, &h); tt.beyond {
			require.ErrorContains(t, err, "1 values beyond 1h")
			continue
		}
		require.NoError(t, err)
		require.EqualValues(t, 3, h.Count())
		for bucket := range h.buckets {
			require.InEpsilon(t, time.Second, highest(bucket), 0.01)
		}
	}
}
