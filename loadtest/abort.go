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

// unreachable returns the objective that a run with the result r so far will miss
// whatever happens from now on, and why; both are empty if there is none. The run is to
// have so many requests or arrivals as planned, which is negative if that is not known.
func (s SLO) unreachable(r *EngineResult, planned int64) (objective, reason string) {
	known := planned >= 0 && r.Users == 0 // how much a user sends is not known
	planned = max(planned, r.due())
	for _, q := range s.quantiles() {
		if q.max <= 0 {
			continue
		}
		slow := q.above(&r.Stats)
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
	shares := s.shares(r.Counts)
	if r.Scheduled > 0 {
		shares = append(shares, shareObjective{name: "achieved", what: "arrivals not delivered", n: r.undelivered(), most: 1 - s.minAchievedRate()})
	}
	for _, o := range shares {
		if known && float64(o.n) > o.most*float64(planned) {
			return o.name, fmt.Sprintf("%s: %s already, and %s of %s allowed", o.what, text.Count(o.n), text.Percent(o.most), text.Count(planned))
		}
	}
	left := planned - r.RejectedCount - r.lost()
	switch {
	case known && s.MinRPS > 0 && text.PerSecond(planned, r.Elapsed) < s.MinRPS:
		return "req/s", fmt.Sprintf("%s requests in %v or more", text.Count(planned), text.Duration(r.Elapsed))
	case known && left < s.MinRequests:
		return "requests", fmt.Sprintf("%s are left of %s planned", text.Count(left), text.Count(planned))
	}
	// The median that tells a stall of a closed loop may still change; that of an open
	// loop is its schedule.
	if r.Scheduled == 0 {
		s.MaxStall = 0
	}
	var j judging
	j.worst(s, r)
	for _, o := range j.Missed() {
		if o.Judged {
			return o.Name, o.Observed
		}
	}
	return "", ""
}
