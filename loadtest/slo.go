package loadtest

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"example.com/brunt/loadtest/internal/text"
)

// SLO is a set of objectives for a run. A zero duration, rate or size sets no
// objective, except where said; a zero MaxErrorRate, MaxRejectedRate, MaxUserErrorRate or MaxDroppedRate
// allows none at all.
type SLO struct {
	// P50, P95, P99 and P999 are the longest latencies allowed at these quantiles, over
	// all requests sent: response times in an open loop. A quantile is judged only if ten
	// requests lie beyond it: P50 needs 20 requests, P95 200, P99 1,000, P999 10,000.
	P50, P95, P99, P999 time.Duration
	// Max is the longest latency allowed for any request.
	Max time.Duration
	// ServiceP50, ServiceP95 and ServiceP99 are likewise for service times, as
	// Stats.ServiceQuantile.
	ServiceP50, ServiceP95, ServiceP99 time.Duration
	// MaxErrorRate is the share of requests that may fail, from 0 to 1.
	MaxErrorRate float64
	// MaxRejectedRate is the share of the requests due that the engine's own
	// Breaker may refuse, from 0 to 1.
	MaxRejectedRate float64
	// MaxUserErrorRate is the share of the users that walk through a [Scenario] which may
	// fail in it, from 0 to 1.
	MaxUserErrorRate float64
	// MaxMissedRate, from 0 to 1, is the share of the arrivals scheduled that may be
	// missed; 0 means 0.001. A run that misses more is INVALID. This and the next two are
	// for open loops only.
	MaxMissedRate float64
	// MaxDroppedRate, from 0 to 1, is the share of them that may be dropped.
	MaxDroppedRate float64
	// MinAchievedRate, from 0 to 1, is the share of the schedule's rate that must have
	// been delivered: of its arrivals those that were neither missed nor dropped nor
	// canceled, and did not fail for a limit of this machine. A run with less is INVALID.
	// 0 means 0.99, less what MaxMissedRate and MaxDroppedRate allow.
	MinAchievedRate float64
	// MinRPS is the least number of requests per second.
	MinRPS float64
	// MinRequests is the least number of requests sent; 0 means 1.
	MinRequests int64
	// WorstSecondP99 is the longest p99 allowed in any of EngineResult.Intervals, and
	// WorstSecondErrorRate the share of requests that may fail in any. Intervals with
	// fewer requests than 100 and 20, respectively, are not looked at.
	WorstSecondP99       time.Duration
	WorstSecondErrorRate float64
	// MaxStall is the longest time for which next to no request may end, less than a
	// tenth of the usual number, although some are due. It is told from
	// EngineResult.Intervals: what is missing in the intervals before and after belongs
	// to the stall, but one that fills no interval does not show. Max finds shorter ones.
	MaxStall time.Duration
	// MaxPeakMemory is the largest heap allowed, in bytes.
	MaxPeakMemory uint64
	// Endpoints are objectives for the requests of one Request.Name, on top of those for
	// all. A name without a request misses one. What is not known by name must be zero:
	// MaxUserErrorRate, MaxMissedRate, MaxDroppedRate, MinAchievedRate, WorstSecondP99,
	// WorstSecondErrorRate, MaxStall, MaxPeakMemory and Endpoints.
	Endpoints map[string]SLO
}

const (
	defaultMaxMissedRate   = 0.001
	defaultMinAchievedRate = 0.99
)

// maxMissedRate returns MaxMissedRate or its default.
func (s SLO) maxMissedRate() float64 {
	if s.MaxMissedRate == 0 {
		return defaultMaxMissedRate
	}
	return s.MaxMissedRate
}

// minAchievedRate returns MinAchievedRate or its default.
func (s SLO) minAchievedRate() float64 {
	if s.MinAchievedRate == 0 {
		return max(defaultMinAchievedRate-s.MaxMissedRate-s.MaxDroppedRate, 0)
	}
	return s.MinAchievedRate
}

// quantileObjective is an objective for a quantile of latencies or service times.
type quantileObjective struct {
	field, name string
	q           float64
	max         time.Duration
	service     bool
}

// quantiles returns the objectives for quantiles, those that are not set too.
func (s SLO) quantiles() []quantileObjective {
	return []quantileObjective{
		{"P50", "p50", 0.50, s.P50, false},
		{"P95", "p95", 0.95, s.P95, false},
		{"P99", "p99", 0.99, s.P99, false},
		{"P999", "p99.9", 0.999, s.P999, false},
		{"Max", "max", 1, s.Max, false},
		{"ServiceP50", "service p50", 0.50, s.ServiceP50, true},
		{"ServiceP95", "service p95", 0.95, s.ServiceP95, true},
		{"ServiceP99", "service p99", 0.99, s.ServiceP99, true},
	}
}

// of returns the quantile that the objective is about.
func (o quantileObjective) of(s *Stats) time.Duration {
	if o.service {
		return s.ServiceQuantile(o.q)
	}
	return s.Quantile(o.q)
}

// above returns how many requests took longer than allowed for certain.
func (o quantileObjective) above(s *Stats) int64 {
	if o.service && s.lag != nil {
		return s.service.Above(o.max)
	}
	return s.good.Above(o.max) + s.bad.Above(o.max)
}

// need returns how many requests the objective needs to be judged.
func (o quantileObjective) need() int64 {
	if o.q == 1 {
		return 1
	}
	return samplesToJudge(o.q)
}

// shareObjective is an objective for a share of the requests or arrivals.
type shareObjective struct {
	field, name, what string
	n, of             int64
	most              float64
	applies           bool // false: there is nothing to say of it
	invalid           bool // whether a run that misses it is INVALID
}

// shares returns the objectives for shares of c.
func (s SLO) shares(c Counts) []shareObjective {
	open := c.Scheduled > 0
	return []shareObjective{
		{"MaxErrorRate", "error rate", "errors", c.ErrorCount, c.Requests, s.MaxErrorRate, true, false},
		{"MaxRejectedRate", "rejected", "rejected requests", c.RejectedCount, c.asked(), s.MaxRejectedRate, c.RejectedCount > 0 || s.MaxRejectedRate != 0, false},
		{"MaxUserErrorRate", "user errors", "users whose scenario failed", c.UsersFailed, c.Users, s.MaxUserErrorRate, c.Users > 0, false},
		{"MaxMissedRate", "missed", "missed arrivals", c.Missed, c.Scheduled, s.maxMissedRate(), open, true},
		{"MaxDroppedRate", "dropped", "dropped arrivals", c.Dropped, c.Scheduled, s.MaxDroppedRate, open, false},
	}
}

func (o shareObjective) got() float64 { return share(o.n, o.of) }

// share returns part ÷ whole; 0 if there is nothing.
func share(part, whole int64) float64 { return float64(part) / float64(max(whole, 1)) }

// Validate reports every fault, those of Endpoints too; each matches [ErrConfig].
func (s SLO) Validate() error { return errors.Join(s.faults("SLO")...) }

func (s SLO) faults(path string) []error {
	var faults []error
	duration := func(name string, d time.Duration) {
		if d < 0 {
			faults = append(faults, fault("%s.%s is %v: must be 0 for no objective, or positive", path, name, d))
		}
	}
	rate := func(name string, f float64) {
		if !(f >= 0 && f <= 1) {
			faults = append(faults, fault("%s.%s is %v: must be from 0 to 1", path, name, f))
		}
	}
	for _, q := range s.quantiles() {
		duration(q.field, q.max)
	}
	for _, o := range s.shares(Counts{}) {
		rate(o.field, o.most)
	}
	rate("MinAchievedRate", s.MinAchievedRate)
	if !(s.MinRPS >= 0) || math.IsInf(s.MinRPS, 1) {
		faults = append(faults, fault("%s.MinRPS is %v: must be 0 for no objective, or positive and finite", path, s.MinRPS))
	}
	if s.MinRequests < 0 {
		faults = append(faults, fault("%s.MinRequests is %d: must be 0 for no objective, or positive", path, s.MinRequests))
	}
	duration("WorstSecondP99", s.WorstSecondP99)
	rate("WorstSecondErrorRate", s.WorstSecondErrorRate)
	duration("MaxStall", s.MaxStall)
	for _, name := range slices.Sorted(maps.Keys(s.Endpoints)) {
		faults = append(faults, s.Endpoints[name].endpointFaults(path, name)...)
	}
	return faults
}

// endpointFaults returns the faults of s as an element of Endpoints.
func (s SLO) endpointFaults(path, name string) []error {
	if name == "" {
		return []error{fault(`%s.Endpoints[""]: requests without a name are not counted apart; give them one`, path)}
	}
	path = path + ".Endpoints[" + strconv.Quote(name) + "]"
	faults := s.faults(path)
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"MaxUserErrorRate", s.MaxUserErrorRate != 0},
		{"MaxMissedRate", s.MaxMissedRate != 0},
		{"MaxDroppedRate", s.MaxDroppedRate != 0},
		{"MinAchievedRate", s.MinAchievedRate != 0},
		{"WorstSecondP99", s.WorstSecondP99 != 0},
		{"WorstSecondErrorRate", s.WorstSecondErrorRate != 0},
		{"MaxStall", s.MaxStall != 0},
		{"MaxPeakMemory", s.MaxPeakMemory != 0},
		{"Endpoints", len(s.Endpoints) > 0},
	} {
		if f.set {
			faults = append(faults, fault("%s.%s is set: it is known of a whole run only", path, f.name))
		}
	}
	return faults
}

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
	known := planned >= 0 && r.Users == 0 && r.UserRequests == 0 // how much a user sends is not known
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
