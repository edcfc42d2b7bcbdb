package loadtest

import (
	"fmt"
	"iter"
	"time"

	"example.com/brunt/loadtest/internal/hist"
	"example.com/brunt/loadtest/internal/text"
)

// Counts counts requests by what became of them.
type Counts struct {
	// Requests counts requests sent: SuccessCount + ErrorCount + OtherCount.
	Requests int64 `json:"requests"`
	// SuccessCount counts responses with a 2xx status, or one that Request.Expect names,
	// that passed their Check; of functions, calls without an error.
	SuccessCount int64 `json:"success_count"`
	// ErrorCount counts 4xx and 5xx responses, or those whose status Request.Expect does
	// not name, requests without a response, and failed Checks.
	ErrorCount int64 `json:"error_count"`
	// OtherCount counts 1xx and 3xx responses to requests without an Expect, which are
	// neither successes nor errors.
	OtherCount int64 `json:"other_count"`
	// RejectedCount counts requests that the engine's own Breaker refused. They were
	// never sent and are in none of the counts above, nor in the latencies.
	RejectedCount int64 `json:"rejected_count"`
	// Retries counts attempts beyond the first of each request.
	Retries int64 `json:"retries"`
	// BytesRead counts the bytes of response bodies.
	BytesRead int64 `json:"bytes_read"`
	// Scheduled counts the arrivals of an [ArrivalEngine] that came due. Each was sent or
	// refused, or is in one of the counts below: at the end of a run Scheduled =
	// Requests + RejectedCount + Missed + Dropped + Canceled. Before, and in an interval,
	// there are the requests in flight besides. The four are 0 for other engines.
	Scheduled int64 `json:"scheduled,omitempty"`
	// Missed counts arrivals that were not sent because this process came to them more
	// than MaxCatchUp late: the fault is the generator's.
	Missed int64 `json:"missed,omitempty"`
	// Dropped counts arrivals that were not sent because MaxInFlight requests were still
	// open: the service was slow, or the bound too low.
	Dropped int64 `json:"dropped,omitempty"`
	// Canceled counts arrivals that were due but not yet sent when the run was stopped.
	Canceled int64 `json:"canceled,omitempty"`
	// Users counts users that have begun a [Scenario] and ended it; of these, UsersFailed
	// those whose scenario returned an error or panicked, and UsersCanceled those that
	// were cut short because the run was halted. UserRequests counts the requests
	// of users among those sent or refused. Where users arrive on schedule, an arrival is a user:
	// then Scheduled = Requests + RejectedCount − UserRequests + Users + Missed + Dropped
	// + Canceled.
	Users         int64 `json:"users,omitempty"`
	UsersFailed   int64 `json:"users_failed,omitempty"`
	UsersCanceled int64 `json:"users_canceled,omitempty"`
	UserRequests  int64 `json:"user_requests,omitempty"`
}

func (c *Counts) add(o Counts) {
	c.Requests += o.Requests
	c.SuccessCount += o.SuccessCount
	c.ErrorCount += o.ErrorCount
	c.OtherCount += o.OtherCount
	c.RejectedCount += o.RejectedCount
	c.Retries += o.Retries
	c.BytesRead += o.BytesRead
	c.Scheduled += o.Scheduled
	c.Missed += o.Missed
	c.Dropped += o.Dropped
	c.Canceled += o.Canceled
	c.Users += o.Users
	c.UsersFailed += o.UsersFailed
	c.UsersCanceled += o.UsersCanceled
	c.UserRequests += o.UserRequests
}

// Attempts returns how often something was sent: Requests + Retries.
func (c Counts) Attempts() int64 { return c.Requests + c.Retries }

// lost returns how many arrivals were not sent.
func (c Counts) lost() int64 { return c.Missed + c.Dropped + c.Canceled }

// due returns how many requests were due, whether by a schedule or in a closed loop. A
// user is one of the source's, whatever it sends.
func (c Counts) due() int64 { return max(c.Ended(), c.Scheduled) }

// Ended returns how many of the source's requests and users have come to their end:
// those sent, refused by the breaker, or due by a schedule and not sent. A user counts
// once, whatever it sent. In a [Progress] it reaches Size.
func (c Counts) Ended() int64 {
	return c.Requests + c.RejectedCount - c.UserRequests + c.Users + c.lost()
}

// ErrorRate returns ErrorCount ÷ Requests, from 0 to 1; 0 if nothing was sent.
func (c Counts) ErrorRate() float64 {
	if c.Requests == 0 {
		return 0
	}
	return float64(c.ErrorCount) / float64(c.Requests)
}

// RejectedRate returns the share of the requests that were due which the engine's
// own Breaker refused, from 0 to 1; 0 if none was due.
func (c Counts) RejectedRate() float64 {
	if c.RejectedCount == 0 {
		return 0
	}
	return float64(c.RejectedCount) / float64(c.asked())
}

// asked returns how many requests were due, those of users among them.
func (c Counts) asked() int64 { return max(c.Requests+c.RejectedCount+c.lost(), c.due()) }

// Stats counts the requests of a run, or those of one name in it. It is not
// safe for concurrent use.
//
// The latencies of an [ArrivalEngine] are response times: they begin when a request was
// due, so that one that had to wait for its turn took as long as its user would have
// waited. Those of other engines begin when a request is sent.
type Stats struct {
	Counts
	// Errors counts errors by class; nil if there were none.
	Errors map[ErrorClass]int64
	// StatusCodes counts responses by status; nil if there were none.
	StatusCodes map[int]int64

	timings
	all *hist.Histogram // good and bad, if there are both; made when first asked for
}

// P50 returns the median latency of every request sent.
func (s *Stats) P50() time.Duration { return s.Quantile(0.50) }

// P95 returns the latency that 95 % of the requests sent did not exceed.
func (s *Stats) P95() time.Duration { return s.Quantile(0.95) }

// P99 returns the latency that 99 % of the requests sent did not exceed.
func (s *Stats) P99() time.Duration { return s.Quantile(0.99) }

// Quantile returns the latency at rank ceil(q·n) among all requests sent, failed or
// not, within 0.1 %; q is from 0 (the exact minimum) to 1 (the exact maximum).
// It is 0 if nothing was sent.
func (s *Stats) Quantile(q float64) time.Duration { return s.latencies().Quantile(q) }

// SuccessQuantile is like Quantile among the requests without an error.
func (s *Stats) SuccessQuantile(q float64) time.Duration { return s.good.Quantile(q) }

// ErrorQuantile is like Quantile among the requests with an error.
func (s *Stats) ErrorQuantile(q float64) time.Duration { return s.bad.Quantile(q) }

// ServiceQuantile is like Quantile for service times, which begin when a request is
// sent. They are shorter than the latencies in an open loop only, by the lag.
func (s *Stats) ServiceQuantile(q float64) time.Duration { return s.ServiceHistogram().Quantile(q) }

// LagQuantile is like Quantile for lags: how long after it was due a request was sent.
// It is 0 for engines other than [ArrivalEngine].
func (s *Stats) LagQuantile(q float64) time.Duration { return s.lag.Quantile(q) }

// ServerQuantile returns the time at rank ceil(q·n) among the n that servers reported
// for requests with a ServerTime, that of the last attempt of each. It is 0 if there
// were none.
func (s *Stats) ServerQuantile(q float64) time.Duration { return s.server.Quantile(q) }

// ServerTimes returns how many responses to requests with a ServerTime reported one, and
// how many did not, or none that could be read or told from others. Requests without a
// response are in neither.
func (s *Stats) ServerTimes() (reported, missing int64) {
	return s.server.Count(), s.unsaid
}

// PhaseQuantile returns the time at rank ceil(q·n) that the n requests which were in
// phase p spent in it, all attempts and redirects of a request together. It is 0 if
// there were none, as without ConnectionConfig.Phases.
func (s *Stats) PhaseQuantile(p Phase, q float64) time.Duration {
	return s.PhaseHistogram(p).Quantile(q)
}

// PhaseCount returns how many requests were in phase p: over a connection that was kept,
// for instance, none is in PhaseConnect. It is 0 without ConnectionConfig.Phases.
func (s *Stats) PhaseCount(p Phase) int64 { return s.PhaseHistogram(p).Count() }

// Mean returns the mean latency of every request sent.
func (s *Stats) Mean() time.Duration { return s.latencies().Mean() }

func (s *Stats) latencies() *hist.Histogram {
	if s.all != nil {
		return s.all
	}
	return s.timings.latencies(&s.all)
}

func (s *Stats) merge(from *Stats) {
	s.add(from.Counts)
	s.Errors = addCounts(s.Errors, from.Errors)
	s.StatusCodes = addCounts(s.StatusCodes, from.StatusCodes)
	s.timings.merge(&from.timings)
	s.all = nil
}

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

// Corrected is an estimate of latencies, made by [Stats.Corrected].
type Corrected struct {
	h        *hist.Histogram
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
	measured := s.latencies()
	c := &Corrected{h: measured.Corrected(interval), interval: max(interval, 0)}
	c.added = c.h.Count() - measured.Count()
	return c
}

// Added returns how many latencies the estimate has that were not measured.
func (c *Corrected) Added() int64 { return c.added }

// Quantile returns the latency at rank ceil(q·n) among those measured and those added,
// within 0.2 %; q is from 0 to 1. It is 0 if nothing was sent.
func (c *Corrected) Quantile(q float64) time.Duration { return c.h.Quantile(q) }

// Mean returns the mean of the latencies measured and those added.
func (c *Corrected) Mean() time.Duration { return c.h.Mean() }

// String returns the estimate in one line, which says that it is one.
func (c *Corrected) String() string {
	return fmt.Sprintf("estimate for a request every %v: %s (%s latencies added to %s measured)",
		c.interval, latencyLine(c.h.Quantile), text.Count(c.added), text.Count(c.h.Count()-c.added))
}
