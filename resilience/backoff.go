package resilience

import "time"

// backoffDelay returns the wait that follows attempt number attempt (1 is the
// first), for a random number in [0, 1):
//
//	min(base × 2^(attempt−1) × (1 + jitter × (2·random − 1)), limit)
//
// The cap comes after the jitter, so limit is a promise and not a suggestion.
// No attempt overflows: the doubling stops once it would pass limit, and the
// jitter is compared as a float before it becomes a duration. The result is
// never negative. A random number outside [0, 1), or NaN, counts as the nearer
// end (NaN as the upper one).
func backoffDelay(base, limit time.Duration, jitter float64, attempt int, random float64) time.Duration {
	delay := limit
	if doublings := max(attempt-1, 0); doublings < 63 && base <= limit>>doublings {
		delay = base << doublings
	}
	if jitter <= 0 {
		return delay
	}
	if !(random < 1) {
		random = 1
	}
	random = max(random, 0)
	jittered := float64(delay) * (1 + jitter*(2*random-1))
	if jittered >= float64(limit) {
		return limit
	}
	return time.Duration(jittered)
}
