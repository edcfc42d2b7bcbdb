package resilience

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// BreakerConfig configures a [CircuitBreaker]. The zero value is a usable
// breaker without a name that judges results and not latency.
type BreakerConfig struct {
	// Name appears in errors and transitions. It may be empty.
	Name string

	// FailureThreshold is the number of failures within WindowDuration that
	// trips the breaker. Default 5; negative is refused.
	FailureThreshold int

	// ErrorRateThreshold is the share of failed calls within WindowDuration
	// that trips the breaker, once the window holds at least 10 calls. It is
	// compared exactly, as a fraction: 0.57 is reached by 57 failures in 100
	// calls. Default 0.5; range above 0, up to 1.
	ErrorRateThreshold float64

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
	// and how long a probe may take before it loses its place. Default 30 s;
	// negative is refused.
	OpenStateDuration time.Duration

	// HalfOpenMaxCalls is the number of probes that must succeed to close the
	// breaker. Default 3; negative is refused.
	HalfOpenMaxCalls int

	// ProbeCount is the number of probes that may be under way at once. Default
	// 1; negative is refused.
	ProbeCount int

	// WindowDuration is how far back results count, in steps of a tenth.
	// Default 60 s; range 1 ms and up.
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
	breakerFailureThreshold   = 5
	breakerErrorRate          = 0.5
	breakerLatencyMultiplier  = 3.0
	breakerOpenStateDuration  = 30 * time.Second
	breakerHalfOpenMaxCalls   = 3
	breakerProbeCount         = 1
	breakerWindowDuration     = 60 * time.Second
	breakerShortestWindow     = time.Millisecond
	breakerConfigFaultsPrefix = "resilience: breaker: "
)

// Validate reports every fault of the configuration, joined, or nil.
func (c BreakerConfig) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf(breakerConfigFaultsPrefix+format, args...))
	}
	if c.FailureThreshold < 0 {
		fault("FailureThreshold is %d, want 1 or more (0 means %d)", c.FailureThreshold, breakerFailureThreshold)
	}
	if r := c.ErrorRateThreshold; !(r >= 0 && r <= 1) {
		fault("ErrorRateThreshold is %v, want above 0 and up to 1 (0 means %v)", r, breakerErrorRate)
	}
	if c.BaselineLatency < 0 {
		fault("BaselineLatency is %v, want 0 (latency is not judged) or more", c.BaselineLatency)
	}
	switch m := c.LatencyThresholdMultiplier; {
	case m != 0 && !(m >= 1 && m <= math.MaxFloat64):
		fault("LatencyThresholdMultiplier is %v, want 1 or more (0 means %v)", m, breakerLatencyMultiplier)
	case m != 0 && c.BaselineLatency == 0:
		fault("LatencyThresholdMultiplier is %v but BaselineLatency is 0, so there is nothing to multiply", m)
	case c.BaselineLatency > 0 && c.slowAfter() >= math.MaxInt64:
		fault("LatencyThresholdMultiplier times BaselineLatency (%v times %v) is beyond any duration", m, c.BaselineLatency)
	}
	if c.OpenStateDuration < 0 {
		fault("OpenStateDuration is %v, want above 0 (0 means %v)", c.OpenStateDuration, breakerOpenStateDuration)
	}
	if c.HalfOpenMaxCalls < 0 {
		fault("HalfOpenMaxCalls is %d, want 1 or more (0 means %d)", c.HalfOpenMaxCalls, breakerHalfOpenMaxCalls)
	}
	if c.ProbeCount < 0 {
		fault("ProbeCount is %d, want 1 or more (0 means %d)", c.ProbeCount, breakerProbeCount)
	}
	if w := c.WindowDuration; w != 0 && w < breakerShortestWindow {
		fault("WindowDuration is %v, want %v or more (0 means %v)", w, breakerShortestWindow, breakerWindowDuration)
	}
	return errors.Join(faults...)
}

// slowAfter is the longest a call may last, in nanoseconds.
func (c BreakerConfig) slowAfter() float64 {
	return breakerOr(c.LatencyThresholdMultiplier, breakerLatencyMultiplier) * float64(c.BaselineLatency)
}

// rules fills in the defaults of a valid configuration.
func (c BreakerConfig) rules() breakerRules {
	r := breakerRules{
		failures:   uint64(breakerOr(c.FailureThreshold, breakerFailureThreshold)),
		slowAfter:  int64(c.slowAfter()),
		open:       int64(breakerOr(c.OpenStateDuration, breakerOpenStateDuration)),
		closeAfter: breakerOr(c.HalfOpenMaxCalls, breakerHalfOpenMaxCalls),
		probes:     breakerOr(c.ProbeCount, breakerProbeCount),
		width:      uint64(breakerOr(c.WindowDuration, breakerWindowDuration) / windowBuckets),
	}
	r.rateNum, r.rateDen = breakerFraction(breakerOr(c.ErrorRateThreshold, breakerErrorRate))
	return r
}

// breakerOr returns v, or def if v is zero.
func breakerOr[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}
