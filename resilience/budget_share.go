package resilience

import "time"

// retryShare allows retries as a share of the requests:
//
//	retries(W) ≤ ratio × requests(W) + minPerSecond × W
//
// where W is the window that ends when a retry is decided. It is the formula of
// Finagle's RetryBudget, whose defaults are a ratio of 0.2, 10 retries per second
// and a window (ttl) of 10 s. gRPC's retry throttling (proposal A6) has the same
// aim, with tokens that successes earn instead of requests.
type retryShare struct {
	ratio   float64
	reserve float64 // minPerSecond × W
	traffic window  // successes are requests, failures are retries that began
}

func newRetryShare(ratio, minPerSecond float64, length time.Duration) *retryShare {
	s := &retryShare{ratio: ratio, reserve: minPerSecond * length.Seconds()}
	s.traffic.open(uint64(length/windowBuckets), 0)
	return s
}

// request counts an execution that begins now.
func (s *retryShare) request(now time.Duration) { s.traffic.success(shareInstant(now)) }

func (s *retryShare) begin(now time.Duration) { s.traffic.failure(shareInstant(now), false) }

func (s *retryShare) begun(now time.Duration) int {
	return int(s.traffic.sum(shareInstant(now)).failures)
}

func (s *retryShare) allows(more int, now time.Duration) bool {
	// Rounding may not cost a retry: 0.29 × 100 is 28.999999999999996.
	const slack = 1e-9
	counts := s.traffic.sum(shareInstant(now))
	return float64(counts.failures)+float64(more) <= s.ratio*float64(counts.successes)+s.reserve+slack
}

// shareInstant keeps an instant from being negative, as that of a policy used in a
// testing/synctest bubble it was not built in.
func shareInstant(now time.Duration) uint64 { return uint64(max(0, now)) }
