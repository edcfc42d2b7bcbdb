package resilience

import (
	"cmp"
	"errors"
	"math"
	"time"
)

// BreakerConfig configures a [CircuitBreaker]. The zero value of each field means
// its default, and the zero BreakerConfig is a breaker without a name that judges
// results and not latency.
//
// Three thresholds trip it, each by itself, and each can be turned off; without
// any the breaker only counts. Which are right depends on the rate of calls:
//
//	                            trips at 1 req/s   100 req/s         10,000 req/s
//	FailureThreshold 5          on 8.3 % errors    0.083 % errors    0.00083 % errors
//	ErrorRateThreshold 0.5      on 50 % errors     50 % errors       50 % errors
//	ConsecutiveFailures 10      after 10 s down    100 ms down       1 ms down
//
// The first two are on by default, the third is off.
//
// A number of failures is right for a service that is called a few times a
// minute. Elsewhere turn it off and go by the error rate, which means the same at
// any rate. With the settings that the package's documentation shows, a service that
// is down is left alone within 15 s, at 1 req/s as at 10,000 req/s.
type BreakerConfig struct {
	// Name appears in errors and transitions. It may be empty.
	Name string

	// FailureThreshold is the number of failures within WindowDuration that
	// trips the breaker, however many calls succeed meanwhile. Default 5; 1 or
	// more, or [NoThreshold].
	FailureThreshold int

	// ErrorRateThreshold is the share of failed calls within WindowDuration
	// that trips the breaker, once the window holds MinRequests calls. 0.57 is
	// reached by 57 failures in 100 calls. Default 0.5; above 0, up to 1, or
	// [NoThreshold].
	//
	// A service that goes down altogether reaches a rate of 0.5 when the failures
	// of the outage are half the window, within 30 s with the default window. A
	// shorter one, or ConsecutiveFailures, is faster.
	ErrorRateThreshold float64

	// MinRequests is the number of calls the window must hold before its error
	// rate is judged. Default 10, which a new window, after the start or after the
	// breaker closed, holds in 10 s at 1 req/s, in 100 ms at 100 req/s and in 1 ms
	// at 10,000 req/s; negative is refused. The other thresholds do not look at it.
	MinRequests int

	// ConsecutiveFailures is the number of failures in a row that trips the
	// breaker, over whatever time they come: WindowDuration does not matter.
	// Results count in the order in which they are reported. Default 0, which
	// turns it off; negative is refused.
	//
	// With independent errors, a rate p of them has n in a row once in about 1/pⁿ
	// calls: 5 in a row of 5 % errors every 37 days at 1 req/s, every 5 minutes at
	// 10,000 req/s, and 10 in a row once in 33 years even there.
	ConsecutiveFailures int

	// BaselineLatency is how long a call to the healthy service takes. Zero
	// turns tripping on latency off: the breaker does not learn a baseline,
	// because one learned from a service that is getting slower moves with it.
	// Negative is refused.
	BaselineLatency time.Duration

	// LatencyThresholdMultiplier is how many times BaselineLatency a call may
	// last; beyond that it counts as a failure. Default 3 if BaselineLatency is
	// set; range 1 and up. Refused without BaselineLatency, where it would do
	// nothing.
	LatencyThresholdMultiplier float64

	// OpenStateDuration is how long the breaker refuses calls after it tripped,
	// and how long a probe may take before it loses its place. Default 30 s, in
	// which 30 calls are refused at 1 req/s, 3,000 at 100 req/s and 300,000 at
	// 10,000 req/s; negative is refused.
	OpenStateDuration time.Duration

	// HalfOpenMaxCalls is the number of probes that must succeed to close the
	// breaker. Default 3; negative is refused. With one probe at once these take
	// three calls' time, at 1 req/s at least 2 s; at higher rates the calls that
	// come meanwhile are refused.
	HalfOpenMaxCalls int

	// ProbeCount is the number of probes that may be under way at once. Default
	// 1; negative is refused.
	ProbeCount int

	// WindowDuration is how far back results count, in steps of a tenth.
	// Default 60 s; range 1 ms and up. Its memory does not grow with the rate of
	// calls.
	WindowDuration time.Duration

	// OnStateChange, if not nil, is called for every transition, one at a time,
	// in order, without any lock held: it may use the breaker, Reset and Do
	// included. It runs on the goroutine of a call that caused a transition, or
	// that of an earlier one still busy calling back. If it panics the panic
	// surfaces there, and later transitions are delivered all the same.
	OnStateChange func(Transition)

	// IsIgnored, if not nil, says which errors count neither as success nor as
	// failure. The default is the caller's own [context.Canceled].
	IsIgnored func(error) bool

	// IsFailure, if not nil, says which of the other errors speak against the
	// service; those that do not are successes. The default is all of them. It
	// is not asked about nil, which is a success.
	IsFailure func(error) bool
}

// The defaults of a BreakerConfig.
const (
	breakerFailureThreshold  = 5
	breakerErrorRate         = 0.5
	breakerMinRequests       = 10
	breakerLatencyMultiplier = 3.0
	breakerOpenStateDuration = 30 * time.Second
	breakerHalfOpenMaxCalls  = 3
	breakerProbeCount        = 1
	breakerWindowDuration    = 60 * time.Second
	breakerShortestWindow    = time.Millisecond
)

// Validate reports every fault of the configuration, joined, or nil.
func (c BreakerConfig) Validate() error {
	var faults configFaults
	fault := faults.of("BreakerConfig")
	fault(c.FailureThreshold < 0 && c.FailureThreshold != NoThreshold,
		"FailureThreshold is %d, want 1 or more, or NoThreshold (0 means %d)", c.FailureThreshold, breakerFailureThreshold)
	rate := c.ErrorRateThreshold
	fault(!(rate >= 0 && rate <= 1) && rate != NoThreshold,
		"ErrorRateThreshold is %v, want above 0 and up to 1, or NoThreshold (0 means %v)", rate, breakerErrorRate)
	fault(c.MinRequests < 0, "MinRequests is %d, want 1 or more (0 means %d)", c.MinRequests, breakerMinRequests)
	fault(c.ConsecutiveFailures < 0, "ConsecutiveFailures is %d, want 1 or more, or 0 to turn it off", c.ConsecutiveFailures)
	fault(c.BaselineLatency < 0, "BaselineLatency is %v, want a positive duration, or 0 to turn it off", c.BaselineLatency)
	switch m := c.LatencyThresholdMultiplier; {
	case m != 0 && !(m >= 1 && m <= math.MaxFloat64):
		fault(true, "LatencyThresholdMultiplier is %v, want 1 or more (0 means %v)", m, breakerLatencyMultiplier)
	case m != 0 && c.BaselineLatency == 0:
		fault(true, "LatencyThresholdMultiplier is %v, want 0 without a BaselineLatency, which it multiplies", m)
	case c.BaselineLatency > 0:
		fault(c.slowAfter() >= math.MaxInt64, "LatencyThresholdMultiplier is %v, which times BaselineLatency (%v) is beyond any duration; want less", cmp.Or(m, breakerLatencyMultiplier), c.BaselineLatency)
	}
	fault(c.OpenStateDuration < 0, "OpenStateDuration is %v, want a positive duration (0 means %v)", c.OpenStateDuration, breakerOpenStateDuration)
	fault(c.HalfOpenMaxCalls < 0, "HalfOpenMaxCalls is %d, want 1 or more (0 means %d)", c.HalfOpenMaxCalls, breakerHalfOpenMaxCalls)
	fault(c.ProbeCount < 0, "ProbeCount is %d, want 1 or more (0 means %d)", c.ProbeCount, breakerProbeCount)
	fault(c.WindowDuration != 0 && c.WindowDuration < breakerShortestWindow,
		"WindowDuration is %v, want %v or more (0 means %v)", c.WindowDuration, breakerShortestWindow, breakerWindowDuration)
	return errors.Join(faults...)
}

// slowAfter returns the longest a call may last, in nanoseconds.
func (c BreakerConfig) slowAfter() float64 {
	return cmp.Or(c.LatencyThresholdMultiplier, breakerLatencyMultiplier) * float64(c.BaselineLatency)
}

// rules fills in the defaults of a valid configuration.
func (c BreakerConfig) rules() breakerRules {
	r := breakerRules{
		failures:    uint64(cmp.Or(c.FailureThreshold, breakerFailureThreshold)),
		rate:        cmp.Or(c.ErrorRateThreshold, breakerErrorRate),
		minRequests: uint64(cmp.Or(c.MinRequests, breakerMinRequests)),
		consecutive: uint64(c.ConsecutiveFailures),
		slowAfter:   int64(c.slowAfter()),
		open:        int64(cmp.Or(c.OpenStateDuration, breakerOpenStateDuration)),
		closeAfter:  cmp.Or(c.HalfOpenMaxCalls, breakerHalfOpenMaxCalls),
		probes:      cmp.Or(c.ProbeCount, breakerProbeCount),
		width:       uint64(cmp.Or(c.WindowDuration, breakerWindowDuration) / windowBuckets),
	}
	// What is off is out of reach.
	if c.FailureThreshold == NoThreshold {
		r.failures = math.MaxUint64
	}
	if c.ErrorRateThreshold == NoThreshold {
		r.rate = math.Inf(1)
	}
	if c.ConsecutiveFailures == 0 {
		r.consecutive = math.MaxUint64
	}
	return r
}
