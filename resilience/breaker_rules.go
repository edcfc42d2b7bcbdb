package resilience

import (
	"math"
	"math/bits"
)

// breakerMinRequests is the number of calls in the window from which the error
// rate means something.
const breakerMinRequests = 10

// breakerRules are a BreakerConfig in the form the core computes with.
type breakerRules struct {
	failures         uint64 // FailureThreshold
	rateNum, rateDen uint64 // ErrorRateThreshold as a fraction
	slowAfter        int64  // nanoseconds a call may last; 0 = any
	open             int64  // OpenStateDuration in nanoseconds
	closeAfter       int    // HalfOpenMaxCalls
	probes           int    // ProbeCount
	width            uint64 // nanoseconds per bucket of the window
}

// verdict says whether counts c trip the breaker, and why. The rate is compared
// as a product of integers, 128 bits wide: 57 of 100 is exactly 0.57.
func (r *breakerRules) verdict(c windowCounts) Reason {
	if c.failures >= r.failures {
		return ReasonFailures
	}
	if total := c.successes + c.failures; total >= breakerMinRequests {
		hi1, lo1 := bits.Mul64(c.failures, r.rateDen)
		hi2, lo2 := bits.Mul64(total, r.rateNum)
		if hi1 > hi2 || hi1 == hi2 && lo1 >= lo2 {
			return ReasonErrorRate
		}
	}
	return 0
}

// breakerFraction returns the simplest fraction that is x as a float64: 57/100
// for 0.57, 2/3 for 2.0/3. It walks the continued fraction of x, 0 < x <= 1.
func breakerFraction(x float64) (num, den uint64) {
	p0, q0, p1, q1 := uint64(0), uint64(1), uint64(1), uint64(0)
	for rest := x; ; {
		whole := math.Floor(rest)
		a := uint64(whole)
		p0, q0, p1, q1 = p1, q1, a*p1+p0, a*q1+q0
		if float64(p1)/float64(q1) == x {
			return p1, q1
		}
		rest = 1 / (rest - whole)
		// Rounding spoils the expansion before it grows past this; what is
		// left is x as the binary fraction it is.
		if q1 > 1<<31 || rest > 1<<31 {
			frac, exp := math.Frexp(x)
			num, shift := uint64(math.Ldexp(frac, 53)), 53-exp
			if shift > 63 { // x is below 2^-10: its last bits do not fit, nor matter
				num, shift = max(1, num>>(shift-63)), 63
			}
			return num, 1 << shift
		}
	}
}
