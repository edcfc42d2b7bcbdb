package resilience

import (
	"sync"
	"time"
)

// retryShare allows retries as a share of the requests:
//
//	retries(W) ≤ ratio × requests(W) + minPerSecond × W
//
// where W is the window that ends when a retry is decided. It is the formula of
// Finagle's RetryBudget, whose defaults are a ratio of 0.2, 10 retries per second
// and a window (ttl) of 10 s. gRPC's retry throttling (proposal A6) has the same
// aim, with tokens that successes earn instead of requests.
//
// As in retryBudget a slot is held from the decision until the retry begins, and
// counts as one meanwhile. Instants are durations since the policy was built.
type retryShare struct {
	ratio   float64
	reserve float64 // minPerSecond × W

	traffic window // successes are requests, failures are retries that began

	mu   sync.Mutex
	held int // slots of retries that sleep
}

func newRetryShare(ratio, minPerSecond float64, length time.Duration) *retryShare {
	s := &retryShare{ratio: ratio, reserve: minPerSecond * length.Seconds()}
	s.traffic.open(uint64(length/windowBuckets), 0)
	return s
}

// request counts an execution that begins now.
func (s *retryShare) request(now time.Duration) { s.traffic.success(shareInstant(now)) }

func (s *retryShare) hold(now time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Rounding may not cost a retry: 0.29 × 100 is 28.999999999999996.
	const slack = 1e-9
	counts := s.traffic.sum(shareInstant(now))
	if float64(counts.failures)+float64(s.held)+1 > s.ratio*float64(counts.successes)+s.reserve+slack {
		return false
	}
	s.held++
	return true
}

func (s *retryShare) begin(now time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held--
	s.traffic.failure(shareInstant(now), false)
}

func (s *retryShare) refund() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held--
}

func (s *retryShare) inUse(now time.Duration) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held + int(s.traffic.sum(shareInstant(now)).failures)
}

// shareInstant keeps an instant from being negative, as that of a policy used in a
// testing/synctest bubble it was not built in.
func shareInstant(now time.Duration) uint64 { return uint64(max(0, now)) }
