package loadtest

import (
	"fmt"
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	// histMax is the longest latency a histogram tells apart; longer ones are
	// counted as this long, and counted besides.
	histMax = time.Hour
	// histDigits is the number of decimal digits kept: a relative error of at
	// most 0.1 %.
	histDigits = 3
)

// histogram holds latencies in memory that does not grow with their number. It
// adds to the HDR histogram what that lacks: exact extremes, an exact sum, and
// a count of what lies beyond the range. It is not safe for concurrent use.
type histogram struct {
	hdr      *hdrhistogram.Histogram
	min, max time.Duration
	sum      float64 // nanoseconds; a float cannot overflow
	beyond   int64
}

func newHistogram() *histogram {
	return &histogram{
		hdr: hdrhistogram.New(1, int64(histMax), histDigits),
		min: math.MaxInt64,
	}
}

func (h *histogram) record(d time.Duration) {
	d = max(d, 0)
	h.min, h.max = min(h.min, d), max(h.max, d)
	h.sum += float64(d)
	if d > histMax {
		h.beyond++
		d = histMax
	}
	// The only error is a value outside the range, which cannot be.
	_ = h.hdr.RecordValue(int64(d))
}

func (h *histogram) count() int64 {
	if h == nil {
		return 0
	}
	return h.hdr.TotalCount()
}

func (h *histogram) reset() {
	if h.count() == 0 {
		return
	}
	h.hdr.Reset()
	h.min, h.max, h.sum, h.beyond = math.MaxInt64, 0, 0, 0
}

// merge adds from to h. Nothing is lost: both have the same range and precision.
func (h *histogram) merge(from *histogram) {
	if from.count() == 0 {
		return
	}
	h.hdr.Merge(from.hdr)
	h.min, h.max = min(h.min, from.min), max(h.max, from.max)
	h.sum += from.sum
	h.beyond += from.beyond
}

// quantile is the value at rank ceil(q·n), never outside what was recorded; 0
// if nothing was.
func (h *histogram) quantile(q float64) time.Duration {
	if h.count() == 0 {
		return 0
	}
	switch {
	case q <= 0:
		return h.min
	case q >= 1:
		return h.max
	}
	// The library rounds to the nearest rank; ask it for the rank itself.
	n := float64(h.count())
	rank := math.Ceil(q*n - 1e-9*n)
	v := time.Duration(h.hdr.ValueAtQuantile(100 * rank / n))
	if v >= histMax && h.beyond > 0 {
		return h.max
	}
	return min(max(v, h.min), h.max)
}

func (h *histogram) mean() time.Duration {
	n := h.count()
	if n == 0 {
		return 0
	}
	return time.Duration(h.sum / float64(n))
}

// histogramJSON carries a histogram without loss; hdr is the HdrHistogram V2
// compressed encoding in base64, which other tools read.
type histogramJSON struct {
	HDR    string        `json:"hdr"`
	Min    time.Duration `json:"min_ns"`
	Max    time.Duration `json:"max_ns"`
	Sum    float64       `json:"sum_ns"`
	Beyond int64         `json:"beyond,omitempty"`
}

func (h *histogram) encode() (*histogramJSON, error) {
	if h.count() == 0 {
		return nil, nil
	}
	buf, err := h.hdr.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, fmt.Errorf("loadtest: encoding a histogram: %w", err)
	}
	return &histogramJSON{HDR: string(buf), Min: h.min, Max: h.max, Sum: h.sum, Beyond: h.beyond}, nil
}

func (j *histogramJSON) decode() (*histogram, error) {
	h := newHistogram()
	if j == nil {
		return h, nil
	}
	hdr, err := hdrhistogram.Decode([]byte(j.HDR))
	if err != nil {
		return nil, fmt.Errorf("loadtest: decoding a histogram: %w", err)
	}
	if dropped := h.hdr.Merge(hdr); dropped > 0 {
		return nil, fmt.Errorf("loadtest: decoding a histogram: %d values beyond %v", dropped, histMax)
	}
	h.min, h.max, h.sum, h.beyond = j.Min, j.Max, j.Sum, j.Beyond
	return h, nil
}
