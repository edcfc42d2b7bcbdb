package resilience

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Reason says what moved a breaker from one state to another.
type Reason uint8

// The reasons, each with the transition it belongs to.
const (
	ReasonFailures        Reason = iota + 1 // closed → open: FailureThreshold reached
	ReasonErrorRate                         // closed → open: ErrorRateThreshold reached
	ReasonOpenElapsed                       // open → half-open: a call came after OpenStateDuration
	ReasonProbeFailed                       // half-open → open
	ReasonProbeSlow                         // half-open → open: a probe succeeded, but too slowly
	ReasonProbesSucceeded                   // half-open → closed: HalfOpenMaxCalls reached
	ReasonReset                             // any → closed: Reset was called
	ReasonConsecutive                       // closed → open: ConsecutiveFailures reached
)

// String returns the reason in words.
func (r Reason) String() string {
	return nameOf(r, "Reason", []string{
		ReasonFailures:        "failure threshold",
		ReasonErrorRate:       "error rate",
		ReasonOpenElapsed:     "open duration elapsed",
		ReasonProbeFailed:     "probe failed",
		ReasonProbeSlow:       "probe slow",
		ReasonProbesSucceeded: "probes succeeded",
		ReasonReset:           "reset",
		ReasonConsecutive:     "failures in a row",
	}...)
}

// Transition is one change of a breaker's state.
type Transition struct {
	Name       string        // the breaker's Name
	From, To   State         // never the same
	Reason     Reason        // what caused it
	At         time.Time     // when it happened
	Elapsed    time.Duration // the same since the breaker was made
	Generation uint64        // the breaker's generation from then on

	// When the breaker trips: the window's counts that tripped it. Slow calls
	// are among the failures. Zero for other transitions.
	Successes, Failures, Slow uint64

	// The failures in a row, for ReasonConsecutive. They may be more than
	// Failures, because they are not bound to the window.
	Consecutive uint64
}

// String describes the transition in one line, without its name and date.
func (t Transition) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v → %v (%v", t.From, t.To, t.Reason)
	if t.Reason == ReasonConsecutive {
		fmt.Fprintf(&b, ": %d", t.Consecutive)
	} else if t.From == StateClosed {
		fmt.Fprintf(&b, ": %d of %d failed", t.Failures, t.Failures+t.Successes)
		if t.Slow > 0 {
			fmt.Fprintf(&b, ", %d too slow", t.Slow)
		}
	}
	b.WriteByte(')')
	return b.String()
}

// breakerTimelineCap bounds the history a breaker keeps.
const breakerTimelineCap = 128

// Timeline is the recent history of a breaker, oldest transition first. Each
// begins where the one before ended, and times never go backward.
type Timeline []Transition

// String renders one transition a line, each with its time since the breaker
// was made.
func (tl Timeline) String() string {
	if len(tl) == 0 {
		return "no transitions"
	}
	var b strings.Builder
	for i, t := range tl {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "+%v %v", t.Elapsed, t)
	}
	return b.String()
}

// with returns the timeline with t at its end, without the oldest if it is full.
func (tl Timeline) with(t Transition) Timeline {
	if len(tl) == breakerTimelineCap {
		tl = slices.Delete(tl, 0, 1)
	}
	return append(tl, t)
}
