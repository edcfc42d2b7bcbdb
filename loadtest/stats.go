package loadtest

import "time"

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
}

// Attempts returns how often something was sent: Requests + Retries.
func (c Counts) Attempts() int64 { return c.Requests + c.Retries }

// lost returns how many arrivals were not sent.
func (c Counts) lost() int64 { return c.Missed + c.Dropped + c.Canceled }

// due returns how many requests were due, whether by a schedule or in a closed loop.
func (c Counts) due() int64 { return max(c.Requests+c.RejectedCount+c.lost(), c.Scheduled) }

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
	return float64(c.RejectedCount) / float64(c.due())
}

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
	all *histogram // good and bad, if there are both; made when first asked for
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
func (s *Stats) Quantile(q float64) time.Duration { return s.latencies().quantile(q) }

// SuccessQuantile is like Quantile among the requests without an error.
func (s *Stats) SuccessQuantile(q float64) time.Duration { return s.good.quantile(q) }

// ErrorQuantile is like Quantile among the requests with an error.
func (s *Stats) ErrorQuantile(q float64) time.Duration { return s.bad.quantile(q) }

// ServiceQuantile is like Quantile for service times, which begin when a request is
// sent. They are shorter than the latencies in an open loop only, by the lag.
func (s *Stats) ServiceQuantile(q float64) time.Duration {
	if s.lag == nil {
		return s.Quantile(q)
	}
	return s.service.quantile(q)
}

// LagQuantile is like Quantile for lags: how long after it was due a request was sent.
// It is 0 for engines other than [ArrivalEngine].
func (s *Stats) LagQuantile(q float64) time.Duration { return s.lag.quantile(q) }

// Mean returns the mean latency of every request sent.
func (s *Stats) Mean() time.Duration { return s.latencies().mean() }

func (s *Stats) latencies() *histogram {
	if s.all != nil {
		return s.all
	}
	return s.timings.latencies(&s.all)
}

// beyond counts the latencies that the histograms could not tell apart.
func (s *Stats) beyond() int64 {
	if h := s.latencies(); h != nil {
		return h.beyond
	}
	return 0
}

func (s *Stats) merge(from *Stats) {
	s.add(from.Counts)
	s.Errors = addCounts(s.Errors, from.Errors)
	s.StatusCodes = addCounts(s.StatusCodes, from.StatusCodes)
	s.timings.merge(&from.timings)
	s.all = nil
}

func addCounts[K comparable](dst, src map[K]int64) map[K]int64 {
	if dst == nil && len(src) > 0 {
		dst = make(map[K]int64, len(src))
	}
	for k, n := range src {
		dst[k] += n
	}
	return dst
}

// The statuses that HTTP defines are counted in an array, all others in a map.
const (
	minStatus = 100
	maxStatus = 599
)

// tally counts requests. It is not safe for concurrent use.
type tally struct {
	Counts
	classes     [numClasses]int64
	statuses    [maxStatus - minStatus + 1]int64
	oddStatuses map[int]int64
	timings
}

func newTally() *tally { return &tally{timings: timings{good: newHistogram()}} }

// count adds one request.
func (t *tally) count(x *sample) {
	t.BytesRead += x.bytes
	t.Retries += int64(x.retries)
	if x.class == ClassRejected {
		t.RejectedCount++
		return // no latency: nothing was sent
	}
	t.Requests++
	failed := false
	switch {
	case x.class == classExpected:
		t.SuccessCount++
	case x.class != ClassNone:
		t.ErrorCount++
		t.classes[x.class]++
		failed = true
	case x.status == 0 || x.status/100 == 2:
		t.SuccessCount++
	default:
		t.OtherCount++
	}
	t.record(x.latency, x.lag, failed)
	switch {
	case x.status == 0:
	case x.status >= minStatus && x.status <= maxStatus:
		t.statuses[x.status-minStatus]++
	default:
		t.oddStatuses = addCounts(t.oddStatuses, map[int]int64{int(x.status): 1})
	}
}

func (t *tally) stats() *Stats {
	s := &Stats{Counts: t.Counts, StatusCodes: addCounts(nil, t.oddStatuses), timings: t.timings}
	for class, n := range t.classes {
		if n > 0 {
			s.Errors = addCounts(s.Errors, map[ErrorClass]int64{ErrorClass(class): n})
		}
	}
	for i, n := range t.statuses {
		if n > 0 {
			s.StatusCodes = addCounts(s.StatusCodes, map[int]int64{minStatus + i: n})
		}
	}
	return s
}

// merge adds from, which is not changed.
func (t *tally) merge(from *tally) {
	t.add(from.Counts)
	for i, n := range from.classes {
		t.classes[i] += n
	}
	for i, n := range from.statuses {
		t.statuses[i] += n
	}
	t.oddStatuses = addCounts(t.oddStatuses, from.oddStatuses)
	t.timings.merge(&from.timings)
}

// reset clears t and keeps the memory of its histograms.
func (t *tally) reset() {
	t.timings.reset()
	*t = tally{timings: t.timings}
}

const (
	// maxEndpoints bounds the memory of a run: each endpoint has its own histograms.
	// Their numbers fit an int8.
	maxEndpoints = 64
	// foldedEndpoints is the name under which further endpoints are counted.
	foldedEndpoints = "(others)"
	noEndpoint      = -1
)

// endpoints numbers the names of requests. It is not safe for concurrent use:
// its feed serializes access.
type endpoints struct {
	names []string
	ids   map[string]int32
}

func newEndpoints() *endpoints { return &endpoints{ids: make(map[string]int32)} }

func (e *endpoints) id(name string) int32 {
	if name == "" {
		return noEndpoint
	}
	if id, ok := e.ids[name]; ok {
		return id
	}
	if len(e.names) >= maxEndpoints-1 && name != foldedEndpoints {
		return e.id(foldedEndpoints)
	}
	id := int32(len(e.names))
	e.names = append(e.names, name)
	e.ids[name] = id
	return id
}
