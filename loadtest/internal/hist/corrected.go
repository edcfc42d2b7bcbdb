package hist

import "time"

// Corrected returns a copy of h to which, for each latency above interval, those are added
// that are shorter by interval, twice interval and so on, and not below it: HdrHistogram's
// correction for coordinated omission. An interval of 0 or less adds nothing.
func (h *Histogram) Corrected(interval time.Duration) *Histogram {
	out := New()
	out.Merge(h)
	if interval > 0 {
		for bucket, n := range h.buckets {
			out.addMissing(min(highest(bucket), h.max), interval, n)
		}
	}
	return out
}

// addMissing adds what n latencies have hidden, a bucket at a time: an hour is full of
// milliseconds.
func (h *Histogram) addMissing(latency, interval time.Duration, n int64) {
	for v := latency - interval; v >= interval; {
		bucket := bucketOf(uint64(v))
		least := highest(bucket-1) + 1 // v is 1 ns at the least, so there is a bucket before
		values := int64((v-least)/interval) + 1
		last := v - time.Duration(values-1)*interval
		h.page(bucket)[bucket%pageSize] += n * values
		h.n += n * values
		h.sum += float64(n) * float64(values) * (float64(v) + float64(last)) / 2
		h.min = min(h.min, last)
		v = last - interval
	}
}
