package loadtest

import (
	"slices"
	"sync"
	"time"

	"example.com/brunt/loadtest/internal/hist"
)

// The statuses that HTTP defines are counted in an array, all others in a map.
const (
	minStatus = 100
	maxStatus = 599
)

// tally counts requests. It is not safe for concurrent use.
type tally struct {
	Counts
	classes     [numClasses]int64
	statuses    [maxStatus - minStatus + 1]int64
	oddStatuses map[int]int64
	walked      time.Duration // by all users
	timings
}

func newTally() *tally { return &tally{timings: timings{good: hist.New()}} }

// count adds one request.
func (t *tally) count(x *sample) {
	t.BytesRead += x.bytes
	t.Retries += int64(x.retries)
	if x.byUser {
		t.UserRequests++
	}
	if x.class == ClassRejected {
		t.RejectedCount++
		return // no latency: nothing was sent
	}
	t.Requests++
	failed := false
	switch {
	case x.class == classExpected:
		t.SuccessCount++
	case x.class != ClassNone:
		t.ErrorCount++
		t.classes[x.class]++
		failed = true
	case x.status == 0 || x.status/100 == 2:
		t.SuccessCount++
	default:
		t.OtherCount++
	}
	t.record(x.latency, x.lag, failed)
	switch {
	case x.status == 0:
	case x.status >= minStatus && x.status <= maxStatus:
		t.statuses[x.status-minStatus]++
	default:
		t.oddStatuses = addCounts(t.oddStatuses, map[int]int64{int(x.status): 1})
	}
}

// row returns what t says of an interval. both is scratch.
func (t *tally) row(both **hist.Histogram) Interval {
	all := t.latencies(both)
	return Interval{Counts: t.Counts, P50: all.Quantile(0.50), P99: all.Quantile(0.99), Lag: t.lag.Quantile(0.99)}
}

// countUser adds a user that has ended.
func (t *tally) countUser(x *sample) {
	t.Users++
	t.walked += x.latency
	switch x.class {
	case classUserFailed:
		t.UsersFailed++
	case classUserCanceled:
		t.UsersCanceled++
	}
}

// countWalk adds a user to the tally of its scenario.
func (t *tally) countWalk(x *sample) {
	t.countUser(x)
	t.UserRequests += x.bytes
	if x.class == classUserFinished {
		t.record(x.latency, x.lag, false)
	}
}

func (t *tally) scenarioStats() *ScenarioStats {
	return &ScenarioStats{
		Started: t.Users, Finished: t.Users - t.UsersFailed - t.UsersCanceled, Failed: t.UsersFailed, Canceled: t.UsersCanceled,
		Requests: t.UserRequests, took: t.good,
	}
}

func (t *tally) stats() *Stats {
	s := &Stats{Counts: t.Counts, StatusCodes: addCounts(nil, t.oddStatuses), timings: t.timings}
	for class, n := range t.classes {
		if n > 0 {
			s.Errors = addCounts(s.Errors, map[ErrorClass]int64{ErrorClass(class): n})
		}
	}
	for i, n := range t.statuses {
		if n > 0 {
			s.StatusCodes = addCounts(s.StatusCodes, map[int]int64{minStatus + i: n})
		}
	}
	return s
}

// merge adds from, which is not changed.
func (t *tally) merge(from *tally) {
	t.add(from.Counts)
	for i, n := range from.classes {
		t.classes[i] += n
	}
	for i, n := range from.statuses {
		t.statuses[i] += n
	}
	t.oddStatuses = addCounts(t.oddStatuses, from.oddStatuses)
	t.walked += from.walked
	t.timings.merge(&from.timings)
}

// reset clears t and keeps the memory of its histograms.
func (t *tally) reset() {
	t.timings.reset()
	*t = tally{timings: t.timings}
}

func addCounts[K comparable](dst, src map[K]int64) map[K]int64 {
	if dst == nil && len(src) > 0 {
		dst = make(map[K]int64, len(src))
	}
	for k, n := range src {
		dst[k] += n
	}
	return dst
}

// timings holds how long requests took. It is not safe for concurrent use.
type timings struct {
	good, bad *hist.Histogram // latencies without and with an error: the lag included
	// service and lag are the two parts of a latency. They are nil while every lag was
	// 0, as all are in a closed loop: the latency is the service time then.
	service, lag *hist.Histogram
	details
}

// record adds a request.
func (t *timings) record(service, lag time.Duration, failed bool) {
	if lag > 0 && t.lag == nil {
		t.split()
	}
	h := &t.good
	if failed {
		h = &t.bad
	}
	hist.Made(h).Record(service + lag)
	if t.lag != nil {
		t.service.Record(service)
		t.lag.Record(lag)
	}
}

// split makes the histograms of the parts, for requests without a lag so far.
func (t *timings) split() {
	t.service, t.lag = hist.New(), hist.New()
	t.mergeWithoutLag(t)
}

// mergeWithoutLag adds the parts of from's latencies, which are without a lag.
func (t *timings) mergeWithoutLag(from *timings) {
	t.service.Merge(from.good)
	t.service.Merge(from.bad)
	t.lag.RecordZeros(from.good.Count() + from.bad.Count())
}

// merge adds from, which is not changed.
func (t *timings) merge(from *timings) {
	switch {
	case from.lag != nil:
		if t.lag == nil {
			t.split()
		}
		t.service.Merge(from.service)
		t.lag.Merge(from.lag)
	case t.lag != nil:
		t.mergeWithoutLag(from)
	}
	hist.MergeInto(&t.good, from.good)
	hist.MergeInto(&t.bad, from.bad)
	t.details.merge(&from.details)
}

// latencies returns those without and with an error in one. If there are both, it is in
// *both, which is made if need be, and what was in it is forgotten.
func (t *timings) latencies(both **hist.Histogram) *hist.Histogram {
	switch {
	case t.bad.Count() == 0:
		return t.good
	case t.good.Count() == 0:
		return t.bad
	}
	(*both).Reset()
	hist.MergeInto(both, t.good)
	hist.MergeInto(both, t.bad)
	return *both
}

// reset forgets everything but keeps the memory.
func (t *timings) reset() {
	for _, h := range []*hist.Histogram{t.good, t.bad, t.service, t.lag} {
		h.Reset()
	}
	t.details.reset()
}

// details holds what requests are asked for besides their latencies: what the server
// says, and their phases. It is not safe for concurrent use.
type details struct {
	server *hist.Histogram                // nil: no response said
	unsaid int64                          // responses that did not say, though asked
	phases [PhaseBody + 1]*hist.Histogram // nil: no request was in it
}

// recordServer adds what the response to a request says; ok is false if that is nothing.
func (d *details) recordServer(took time.Duration, ok bool) {
	if ok {
		hist.Made(&d.server).Record(took)
	} else {
		d.unsaid++
	}
}

// recordPhases adds the phases of a request.
func (d *details) recordPhases(spent *phaseTimes) {
	for p, took := range spent.spent {
		if spent.been[p] {
			hist.Made(&d.phases[p]).Record(took)
		}
	}
}

// merge adds from, which is not changed.
func (d *details) merge(from *details) {
	hist.MergeInto(&d.server, from.server)
	d.unsaid += from.unsaid
	for p, h := range from.phases {
		hist.MergeInto(&d.phases[p], h)
	}
}

// reset forgets everything but keeps the memory.
func (d *details) reset() {
	d.server.Reset()
	d.unsaid = 0
	for _, h := range d.phases {
		h.Reset()
	}
}

const (
	// maxEndpoints bounds the memory of a run: each endpoint has its own histograms.
	// Their numbers fit an int8.
	maxEndpoints = maxNames + 2
	// maxNames is how many a run tells apart.
	maxNames = 63
	// foldedEndpoints is the name under which further endpoints are counted.
	foldedEndpoints = "(others)"
	noEndpoint      = -1
)

// endpoints numbers the names of requests and of scenarios. It is safe for concurrent use.
type endpoints struct {
	mu    sync.RWMutex
	names []endpointName
	ids   map[endpointName]int32
}

type endpointName struct {
	name     string
	scenario bool
}

func newEndpoints() *endpoints { return &endpoints{ids: make(map[endpointName]int32)} }

// known returns the names so far, by their numbers.
func (e *endpoints) known() []endpointName {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return slices.Clone(e.names)
}

// of returns the number of what r is counted under.
func (e *endpoints) of(r *Request) int32 { return e.id(endpointName{r.Name, r.Scenario != nil}) }

func (e *endpoints) id(key endpointName) int32 {
	if key.name == "" {
		return noEndpoint
	}
	e.mu.RLock()
	id, ok := e.ids[key]
	e.mu.RUnlock()
	if ok {
		return id
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.names) >= maxNames { // the last numbers are for what is counted together
		key.name = foldedEndpoints
	}
	if id, ok := e.ids[key]; ok {
		return id
	}
	id = int32(len(e.names))
	e.names = append(e.names, key)
	e.ids[key] = id
	return id
}
