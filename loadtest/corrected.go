package loadtest

import (
	"fmt"
	"time"

	"example.com/brunt/loadtest/internal/text"
)

// Corrected is an estimate of latencies, made by [Stats.Corrected].
type Corrected struct {
	h        *histogram
	interval time.Duration
	added    int64
}

// Corrected returns an estimate of the latencies that a closed loop hides because it
// waits: while one request takes long, a worker sends none of those that would have
// waited too. For each latency above interval, Corrected adds those of the requests that
// were due meanwhile, one every interval: latency − interval, latency − 2·interval, and so
// on while they are at least interval. It is HdrHistogram's correction for coordinated
// omission, for an expected interval, as of wrk2. An interval of 0 or less adds nothing.
//
// The interval is how often one worker was meant to send: for a load of 200 requests per
// second by 10 workers, 50 ms. The median latency stands for it where workers send as
// fast as they can.
//
// It is an estimate, for want of a measurement. It takes for granted that requests would
// have come at that pace, that those left out would have waited for the slow one and then
// taken no time themselves, and that the service would not have become slower by them. It
// is wrong where a request is slow by itself, not because the service stands still: a
// slow query then counts as many times as it holds intervals. It adds too little where a
// service does not recover from the load that the closed loop spared it, and it must not
// be applied to the response times of an open loop, which hide nothing. Only an open loop
// measures: use an [ArrivalEngine].
func (s *Stats) Corrected(interval time.Duration) *Corrected {
	c := &Corrected{h: newHistogram(), interval: max(interval, 0)}
	all := s.latencies()
	c.h.merge(all)
	if c.interval == 0 {
		return c
	}
	for bucket, n := range all.buckets {
		c.add(min(highest(bucket), all.max), n)
	}
	return c
}

// add adds what n requests of a latency have hidden, a bucket at a time: an hour is full
// of milliseconds.
func (c *Corrected) add(latency time.Duration, n int64) {
	for v := latency - c.interval; v >= c.interval; {
		bucket := bucketOf(uint64(v))
		least := highest(bucket-1) + 1 // v is 1 ns at the least, so there is a bucket before
		values := int64((v-least)/c.interval) + 1
		last := v - time.Duration(values-1)*c.interval
		c.h.page(bucket)[bucket%pageSize] += n * values
		c.h.n += n * values
		c.h.sum += float64(n) * float64(values) * (float64(v) + float64(last)) / 2
		c.h.min = min(c.h.min, last)
		c.added += n * values
		v = last - c.interval
	}
}

// Added returns how many latencies the estimate has that were not measured.
func (c *Corrected) Added() int64 { return c.added }

// Quantile returns the latency at rank ceil(q·n) among those measured and those added,
// within 0.2 %; q is from 0 to 1. It is 0 if nothing was sent.
func (c *Corrected) Quantile(q float64) time.Duration { return c.h.quantile(q) }

// Mean returns the mean of the latencies measured and those added.
func (c *Corrected) Mean() time.Duration { return c.h.mean() }

// String returns the estimate in one line, which says that it is one.
func (c *Corrected) String() string {
	return fmt.Sprintf("estimate for a request every %v: %s (%s latencies added to %s measured)",
		c.interval, latencyLine(c.h.quantile), text.Count(c.added), text.Count(c.h.n-c.added))
}
