package loadtest

import (
	"errors"
	"fmt"
	"math"
	"time"

	"example.com/brunt/loadtest/internal/text"
)

// AbortConfig ends a run early when it cannot meet its objectives any more.
type AbortConfig struct {
	// SLO holds the objectives. Once a second each is asked whether it could still be
	// met if all went well from then on. Those for quantiles, shares and numbers of
	// requests can be answered only where it is known how many there will be: not with
	// For in a closed loop, nor for a Poisson schedule, but for one with Exactly. Those of
	// Endpoints, and in a closed loop MaxStall, are not asked.
	SLO SLO
	// Grace is for how long the run goes on in any case. 0 means one second, the first
	// time of asking.
	Grace time.Duration
}

// Validate reports every fault; each matches [ErrConfig]. A nil AbortConfig has none.
func (c *AbortConfig) Validate() error {
	if c == nil {
		return nil
	}
	faults := c.SLO.faults("Abort.SLO")
	if c.Grace < 0 {
		faults = append(faults, fault("Abort.Grace is %v: must be 0 for none, or positive", c.Grace))
	}
	return errors.Join(faults...)
}

// ErrAborted matches the error of a run that was ended early for its Abort.
var ErrAborted = errors.New("loadtest: aborted")

// AbortError is the error of a run that was ended early for its Abort: requests in
// flight were finished, and the result holds what was done until then. It matches
// [ErrAborted].
type AbortError struct {
	Objective string        // such as "error rate"
	Reason    string        // what was seen
	After     time.Duration // when, since the run began
}

func (e *AbortError) Error() string {
	return fmt.Sprintf("%v after %v: %s cannot be met any more: %s", ErrAborted, e.After.Round(time.Millisecond), e.Objective, e.Reason)
}

// Is matches ErrAborted.
func (e *AbortError) Is(target error) bool { return target == ErrAborted }

// soFar is what has become of a run.
type soFar struct {
	Counts
	*timings
	local   int64 // requests that failed for a limit of this machine
	rows    []Interval
	elapsed time.Duration
	planned int64 // requests or arrivals that the run is to have; -1 if that is not known
}

// unreachable returns the objective that the run will miss whatever happens from now
// on, and why; both are empty if there is none.
func unreachable(x soFar, s SLO) (objective, reason string) {
	known := x.planned >= 0
	planned := max(x.planned, x.Scheduled, x.due())
	// exceeds reports whether n of all that are planned are more than the share allowed.
	exceeds := func(n int64, share float64) bool { return known && float64(n) > share*float64(planned) }
	of := func(n int64, share float64) string {
		return fmt.Sprintf("%s already, and %s of %s allowed", text.Count(n), text.Percent(share), text.Count(planned))
	}
	for _, q := range s.quantiles() {
		if q.max <= 0 {
			continue
		}
		slow := x.good.above(q.max) + x.bad.above(q.max)
		if q.service && x.lag != nil {
			slow = x.service.above(q.max)
		}
		// The quantile is the value at rank ⌈q·n⌉, so that n − ⌈q·n⌉ may be slower.
		allowed := planned - int64(math.Ceil(q.q*float64(planned)))
		if slow > 0 && (q.q == 1 || known && slow > allowed) {
			reason := fmt.Sprintf("%s requests took longer than %v", text.Count(slow), q.max)
			if q.q < 1 {
				reason += fmt.Sprintf(", and %s of %s may", text.Count(allowed), text.Count(planned))
			}
			return q.name, reason
		}
	}
	lost := x.Missed + x.Dropped + x.Canceled + x.local
	switch {
	case exceeds(x.ErrorCount, s.MaxErrorRate):
		return "error rate", "errors: " + of(x.ErrorCount, s.MaxErrorRate)
	case exceeds(x.RejectedCount, s.MaxRejectedRate):
		return "rejected", "rejected requests: " + of(x.RejectedCount, s.MaxRejectedRate)
	case exceeds(x.Missed, s.maxMissedRate()):
		return "missed", "missed arrivals: " + of(x.Missed, s.maxMissedRate())
	case exceeds(x.Dropped, s.MaxDroppedRate):
		return "dropped", "dropped arrivals: " + of(x.Dropped, s.MaxDroppedRate)
	case x.Scheduled > 0 && exceeds(lost, 1-s.minAchievedRate()):
		return "achieved", "arrivals not delivered: " + of(lost, 1-s.minAchievedRate())
	case known && s.MinRPS > 0 && text.PerSecond(planned, x.elapsed) < s.MinRPS:
		return "req/s", fmt.Sprintf("%s requests in %v or more", text.Count(planned), text.Duration(x.elapsed))
	case known && planned-x.RejectedCount-x.Missed-x.Dropped-x.Canceled < s.MinRequests:
		return "requests", fmt.Sprintf("%s are left of %s planned", text.Count(planned-x.RejectedCount-x.Missed-x.Dropped-x.Canceled), text.Count(planned))
	}
	for _, row := range x.rows {
		if s.MaxPeakMemory > 0 && row.HeapBytes > s.MaxPeakMemory {
			return "peak memory", text.Bytes(row.HeapBytes)
		}
	}
	// What no later second can make good. The median that tells a stall of a closed loop
	// may still change; that of an open loop is its schedule.
	r := EngineResult{Intervals: x.rows}
	r.Counts, r.timings = x.Counts, *x.timings
	if x.Scheduled == 0 {
		s.MaxStall = 0
	}
	var j judging
	j.seconds(s, &r)
	for _, o := range j.Missed() {
		if o.Judged {
			return o.Name, o.Observed
		}
	}
	return "", ""
}
