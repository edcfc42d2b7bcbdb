package otelsink

import (
	"math"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"example.com/brunt/loadtest"
)

const (
	// scale makes 32 buckets in an octave, each at most 2.2 % of its values wide. It is
	// the same for every histogram, so that those of shards and of runs are added without
	// loss.
	scale     = 5
	perOctave = 1 << scale
)

// bucketOf returns the index of the exponential bucket of d, which is more than 0: the
// seconds above base^index and up to base^(index+1), where base is 2^(1/perOctave).
func bucketOf(d time.Duration) int32 {
	return int32(math.Ceil(math.Log2(d.Seconds())*perOctave)) - 1
}

// exponential returns h as an exponential histogram of seconds. Each bucket of h goes whole
// into that of its largest value, and always into the same one: what has once been counted
// in a bucket stays there, as in a counter.
func exponential(h loadtest.Histogram, start, now time.Time, attributes attribute.Set) metricdata.ExponentialHistogramDataPoint[float64] {
	p := metricdata.ExponentialHistogramDataPoint[float64]{
		Attributes: attributes, StartTime: start, Time: now,
		Count: uint64(h.Count()), Sum: h.Sum(), Scale: scale,
	}
	if h.Count() == 0 {
		return p
	}
	p.Min, p.Max = metricdata.NewExtrema(h.Quantile(0).Seconds()), metricdata.NewExtrema(h.Quantile(1).Seconds())
	positive := &p.PositiveBucket
	for d, n := range h.Buckets() {
		if d == 0 {
			p.ZeroCount = uint64(n)
			continue
		}
		index := bucketOf(d)
		if positive.Counts == nil {
			positive.Offset = index
		}
		for int(index-positive.Offset) >= len(positive.Counts) {
			positive.Counts = append(positive.Counts, 0)
		}
		positive.Counts[index-positive.Offset] += uint64(n)
	}
	return p
}
