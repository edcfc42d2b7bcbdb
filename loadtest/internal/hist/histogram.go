// Package hist holds how long things took: in a [Histogram], in a [Block] for each stretch
// of time, which show how sure a quantile is and whether it moved, and in a [Series] of
// bounded length.
package hist

import (
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	// Max is the longest latency a histogram tells apart; longer ones are
	// counted as this long, and counted besides.
	Max = time.Hour
	// digits is the number of decimal digits kept: a relative error of at
	// most 0.1 %.
	digits = 3
	// octaveBits makes 1024 buckets in an octave: the smallest power of two with
	// which a bucket is at most 0.1 % of its values wide.
	octaveBits = 10
	// Buckets are made by the page.
	pageBits   = 7
	pageSize   = 1 << pageBits
	numPages   = numBuckets / pageSize
	numBuckets = 33 << octaveBits // the octave of Max is the last
)

// Histogram holds latencies in memory that does not grow with their number: 8 KiB
// for an octave that is full of them. Its buckets are those of an HDR histogram
// from 1 ns to Max with three digits, which is also its form in JSON. It adds
// what that lacks: exact extremes, an exact sum, and a count of what lies beyond
// the range. A nil one is empty, and can only be read. It is not safe for concurrent
// use.
type Histogram struct {
	pages    [numPages]*[pageSize]int64 // nil: nothing there
	n        int64
	min, max time.Duration
	sum      float64 // nanoseconds; a float cannot overflow
	beyond   int64
}

// New returns an empty histogram.
func New() *Histogram { return &Histogram{min: math.MaxInt64} }

// Made returns *h, which it makes if there is none.
func Made(h **Histogram) *Histogram {
	if *h == nil {
		*h = New()
	}
	return *h
}

// MergeInto adds src to *dst, which it makes if need be; src is not changed.
func MergeInto(dst **Histogram, src *Histogram) {
	if src.Count() > 0 {
		Made(dst).Merge(src)
	}
}

// bucketOf returns the bucket of a value: values below 2,048 ns have one each, and
// from there on each octave has 1,024. It is HdrHistogram's countsIndex.
func bucketOf(v uint64) int { return logLinear(v, octaveBits) }

// highest returns the largest value of a bucket.
func highest(bucket int) time.Duration {
	low, width := logLinearRange(bucket, octaveBits)
	return low + width - 1
}

// logLinear returns the index of a value on a scale with 2^perOctave buckets in an
// octave, all of the same width.
func logLinear(v uint64, perOctave int) int {
	shift := max(bits.Len64(v)-perOctave-1, 0)
	return shift<<perOctave + int(v>>shift)
}

// logLinearRange returns the values that have an index: from low on, so many nanoseconds.
func logLinearRange(index, perOctave int) (low, width time.Duration) {
	shift := max(index>>perOctave-1, 0)
	return time.Duration(index-shift<<perOctave) << shift, 1 << shift
}

// buckets calls yield for each bucket that is not empty, from the lowest on.
func (h *Histogram) buckets(yield func(bucket int, n int64) bool) {
	if h.Count() == 0 {
		return
	}
	for i, p := range h.pages {
		if p == nil {
			continue
		}
		for k, n := range p {
			if n > 0 && !yield(i<<pageBits+k, n) {
				return
			}
		}
	}
}

// Highest calls yield with the largest value of each bucket that is not empty, from the
// lowest on, and with how many values are in it.
func (h *Histogram) Highest(yield func(value time.Duration, n int64) bool) {
	for bucket, n := range h.buckets {
		if !yield(min(highest(bucket), Max), n) {
			return
		}
	}
}

// page returns the page of a bucket, which it makes if there is none.
func (h *Histogram) page(bucket int) *[pageSize]int64 {
	p := &h.pages[bucket>>pageBits]
	if *p == nil {
		*p = new([pageSize]int64)
	}
	return *p
}

// Record adds a latency; one below 0 counts as 0.
func (h *Histogram) Record(d time.Duration) {
	d = max(d, 0)
	h.min, h.max = min(h.min, d), max(h.max, d)
	h.sum += float64(d)
	if d > Max {
		h.beyond++
		d = Max
	}
	bucket := bucketOf(uint64(d))
	h.page(bucket)[bucket%pageSize]++
	h.n++
}

// RecordZeros records n values of 0.
func (h *Histogram) RecordZeros(n int64) {
	if n > 0 {
		h.min, h.max = 0, max(h.max, 0)
		h.page(0)[0] += n
		h.n += n
	}
}

// Count returns how many latencies there are.
func (h *Histogram) Count() int64 {
	if h == nil {
		return 0
	}
	return h.n
}

// Beyond returns how many latencies were longer than Max.
func (h *Histogram) Beyond() int64 {
	if h == nil {
		return 0
	}
	return h.beyond
}

// Reset forgets everything but keeps the memory.
func (h *Histogram) Reset() {
	if h.Count() == 0 {
		return
	}
	for _, p := range h.pages {
		if p != nil {
			clear(p[:])
		}
	}
	*h = Histogram{pages: h.pages, min: math.MaxInt64}
}

// Merge adds from to h. Nothing is lost: both have the same buckets.
func (h *Histogram) Merge(from *Histogram) {
	if from.Count() == 0 {
		return
	}
	for i, p := range from.pages {
		if p == nil {
			continue
		}
		to := h.page(i << pageBits)
		for k, n := range p {
			to[k] += n
		}
	}
	h.n += from.n
	h.min, h.max = min(h.min, from.min), max(h.max, from.max)
	h.sum += from.sum
	h.beyond += from.beyond
}

// Above returns how many values are certain to be larger than d: those in the bucket of
// d may be.
func (h *Histogram) Above(d time.Duration) (n int64) {
	if h.Count() == 0 || d >= h.max {
		return 0
	}
	first := bucketOf(uint64(min(max(d, 0), Max))) + 1
	for bucket, count := range h.buckets {
		if bucket >= first {
			n += count
		}
	}
	return n
}

// Quantile returns the value at rank ceil(q·n), never outside what was recorded; 0
// if nothing was.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.Count() == 0 {
		return 0
	}
	switch {
	case q <= 0:
		return h.min
	case q >= 1:
		return h.max
	}
	n := float64(h.n)
	rank, seen := int64(max(1, math.Ceil(q*n-1e-9*n))), int64(0)
	for bucket, n := range h.buckets {
		if seen += n; seen < rank {
			continue
		}
		if v := highest(bucket); v < Max {
			return min(max(v, h.min), h.max)
		}
		break
	}
	return h.max
}

// Sum returns the exact sum in nanoseconds.
func (h *Histogram) Sum() float64 {
	if h == nil {
		return 0
	}
	return h.sum
}

// Mean returns the exact mean; 0 if nothing was recorded.
func (h *Histogram) Mean() time.Duration {
	if h.Count() == 0 {
		return 0
	}
	return time.Duration(h.sum / float64(h.n))
}

// histogramJSON carries a Histogram without loss; hdr is the HdrHistogram V2
// compressed encoding in base64, which other tools read.
type histogramJSON struct {
	HDR    string        `json:"hdr"`
	Min    time.Duration `json:"min_ns"`
	Max    time.Duration `json:"max_ns"`
	Sum    float64       `json:"sum_ns"`
	Beyond int64         `json:"beyond,omitempty"`
}

// IsZero reports whether nothing was recorded, for a field of JSON that is left out then.
func (h *Histogram) IsZero() bool { return h.Count() == 0 }

// MarshalJSON writes all that h holds.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	hdr, err := h.encode()
	if err != nil {
		return nil, fmt.Errorf("loadtest: encoding a histogram: %w", err)
	}
	return json.Marshal(histogramJSON{HDR: hdr, Min: h.min, Max: h.max, Sum: h.sum, Beyond: h.beyond})
}

// UnmarshalJSON reads what MarshalJSON wrote, without loss.
func (h *Histogram) UnmarshalJSON(data []byte) error {
	var j histogramJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	hdr, err := hdrhistogram.Decode([]byte(j.HDR))
	if err != nil {
		return fmt.Errorf("loadtest: decoding a histogram: %w", err)
	}
	s := hdr.Export()
	if s.LowestTrackableValue != 1 || s.HighestTrackableValue != int64(Max) || s.SignificantFigures != digits { // by another tool
		ours := hdrhistogram.New(1, int64(Max), digits)
		if dropped := ours.Merge(hdr); dropped > 0 {
			return fmt.Errorf("loadtest: decoding a histogram: %d values beyond %v", dropped, Max)
		}
		s = ours.Export()
	}
	got := New()
	for i, n := range s.Counts {
		if n < 0 {
			return fmt.Errorf("loadtest: decoding a histogram: a count of %d", n)
		}
		if n > 0 {
			got.page(i)[i%pageSize] = n
			got.n += n
		}
	}
	got.min, got.max, got.sum, got.beyond = j.Min, j.Max, j.Sum, j.Beyond
	*h = *got
	return nil
}
