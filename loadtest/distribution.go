package loadtest

import (
	"iter"
	"time"

	"example.com/brunt/loadtest/internal/hist"
)

// Histogram is how the durations of a [Stats] or a [ScenarioStats] are distributed, for
// those who pass them on to other systems. It reads what it was taken from: it is not
// safe for concurrent use with what changes that. The zero value is empty.
type Histogram struct{ h *hist.Histogram }

// Count returns how many durations there are.
func (h Histogram) Count() int64 { return h.h.Count() }

// Sum returns the sum of the durations, each as it was measured, in seconds: it may be
// more than a time.Duration holds.
func (h Histogram) Sum() float64 { return h.h.Sum() / float64(time.Second) }

// Quantile is as [Stats.Quantile]: 0 is the exact minimum, and 1 the exact maximum.
func (h Histogram) Quantile(q float64) time.Duration { return h.h.Quantile(q) }

// Buckets returns an iterator over the buckets that are not empty, from the lowest on:
// the largest duration that belongs to the bucket, and how many there are. A bucket is at
// most 0.1 % of its values wide, and the same one in every run, so that buckets of
// several can be added. Durations above an hour are in the bucket of an hour.
func (h Histogram) Buckets() iter.Seq2[time.Duration, int64] { return h.h.Highest }

// Histogram returns how the latencies of every request sent are distributed.
func (s *Stats) Histogram() Histogram { return Histogram{s.latencies()} }

// SuccessHistogram returns how the latencies of the requests without an error are
// distributed.
func (s *Stats) SuccessHistogram() Histogram { return Histogram{s.good} }

// ErrorHistogram returns how the latencies of the requests with an error are distributed.
func (s *Stats) ErrorHistogram() Histogram { return Histogram{s.bad} }

// ServiceHistogram returns how the service times are distributed; see
// [Stats.ServiceQuantile].
func (s *Stats) ServiceHistogram() Histogram {
	if s.lag == nil {
		return s.Histogram()
	}
	return Histogram{s.service}
}

// LagHistogram returns how the lags are distributed. It is empty while every lag was 0, as
// in a closed loop.
func (s *Stats) LagHistogram() Histogram { return Histogram{s.lag} }

// ServerHistogram returns how the times that servers reported are distributed; see
// [Stats.ServerQuantile].
func (s *Stats) ServerHistogram() Histogram { return Histogram{s.server} }

// PhaseHistogram returns how the times that requests spent in phase p are distributed; see
// [Stats.PhaseQuantile].
func (s *Stats) PhaseHistogram(p Phase) Histogram {
	if int(p) >= len(s.phases) {
		return Histogram{}
	}
	return Histogram{s.phases[p]}
}

// Histogram returns how what [ScenarioStats.Quantile] is about is distributed.
func (s *ScenarioStats) Histogram() Histogram { return Histogram{s.took} }
