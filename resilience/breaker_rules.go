package resilience

// breakerRules are a BreakerConfig in the form the core computes with. A
// threshold that is off is one that no count reaches.
type breakerRules struct {
	failures    uint64  // FailureThreshold
	rate        float64 // ErrorRateThreshold
	minRequests uint64  // MinRequests
	consecutive uint64  // ConsecutiveFailures
	slowAfter   int64   // nanoseconds a call may last; 0 = any
	open        int64   // OpenStateDuration in nanoseconds
	closeAfter  int     // HalfOpenMaxCalls
	probes      int     // ProbeCount
	width       uint64  // nanoseconds per bucket of the window
}

// breakerRateSlack is more than rounding adds to a product of two float64, and
// less than one call in any window: 57 of 100 reaches 0.57 although 0.57 × 100
// is 56.99999999999999, and 7 of 25 reaches 0.28 although that is 7.000000000000001.
const breakerRateSlack = 1e-13

// verdict returns why counts c trip the breaker, or 0 if they do not.
func (r *breakerRules) verdict(c windowCounts) Reason {
	total := c.successes + c.failures
	switch {
	case c.failures >= r.failures:
		return ReasonFailures
	case c.streak >= r.consecutive:
		return ReasonConsecutive
	case total >= r.minRequests && float64(c.failures) >= r.rate*float64(total)*(1-breakerRateSlack):
		return ReasonErrorRate
	}
	return 0
}
