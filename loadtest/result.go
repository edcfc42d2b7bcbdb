package loadtest

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"example.com/brunt/loadtest/internal/heap"
	"example.com/brunt/loadtest/internal/hist"
	"example.com/brunt/loadtest/internal/text"
)

// RequestResult is the outcome of one request.
type RequestResult struct {
	Name       string // Request.Name
	Method     string
	URL        string        // without user name and password
	StatusCode int           // 0 if there was no response
	Latency    time.Duration // service time, from the first attempt to the end of the last
	Lag        time.Duration // how long after it was due the request was sent; 0 in a closed loop
	Timestamp  time.Time     // when the request began
	Attempt    int           // the last attempt, from 1; 0 if rejected
	Bytes      int64         // of the response body
	Class      ErrorClass    // ClassNone for a success, and for 1xx and 3xx
	Expected   bool          // a success because Request.Expect names the status
	Err        error         // nil exactly when Class is ClassNone
	Scenario   string        // that a user sent it in, by its name
	User       int64         // its number, of a request in a Scenario
	Excluded   bool          // it is not counted, by Exclude
	TraceID    string        // with Tracing.TraceContext, in hexadecimal
	SpanID     string        // likewise, of the last attempt
	RequestID  string        // with Tracing.RequestID
}

// Intended returns when the request was due. In a closed loop that is when it began.
func (r RequestResult) Intended() time.Time { return r.Timestamp.Add(-r.Lag) }

// Ended returns when the response had been read to its end, or the request failed.
func (r RequestResult) Ended() time.Time { return r.Timestamp.Add(r.Latency) }

// ResponseTime returns how long the request took since it was due: Lag + Latency.
func (r RequestResult) ResponseTime() time.Duration { return r.Lag + r.Latency }

// EngineResult is the result of a run, or of several merged. It is not safe for
// concurrent use.
type EngineResult struct {
	// Stats covers every request of the run.
	Stats
	// Engine names the scheduling: "sync", "threaded", "async" or "arrival".
	Engine string
	// Concurrency is how many requests the engine would keep in flight, or MaxInFlight of
	// an ArrivalEngine.
	Concurrency int
	// Schedule is that of an ArrivalEngine, in the words of [pace.Parse]; empty for the
	// others. A shard has that of the whole.
	Schedule string
	// PeakInFlight is the most requests that an ArrivalEngine had in flight; 0 for the
	// others. After Merge it is the sum of the runs that overlapped.
	PeakInFlight int
	// StartedAt is when the run began.
	StartedAt time.Time
	// Elapsed runs from the first request's beginning to the last one's end. In an open
	// loop it begins at the schedule's 0, and ends with its Duration at the earliest.
	// After Merge it is the time in which at least one of the runs was going on.
	Elapsed time.Duration
	// Unsent requests were due by the source but neither sent nor rejected,
	// because the run was stopped; 0 where the source has no known end.
	Unsent int64
	// SinkTime is how long the workers of a RunStreaming, taken together, were in the
	// sink or waited for it instead of sending requests, of Concurrency × Elapsed.
	SinkTime time.Duration
	// ConnectionsOpened is how many connections were opened for requests of this
	// run, those of runs beside it not among them. A connection counts for the
	// request that had it dialed, though another one may have been quicker to use it,
	// and for none if it came about only when the run was over.
	ConnectionsOpened int64
	// ConnectionsUnknown is set where the client does not count connections: a Func, or
	// one that is no [ConnectionCounter]. ConnectionsOpened is 0 then and means
	// nothing.
	ConnectionsUnknown bool
	// PeakMemory is the largest heap of this process seen during the run, in
	// bytes: live objects and garbage not yet swept, sampled about once a
	// millisecond. It includes whatever else the process does, such as a server
	// under test. After Merge it is the largest of the runs.
	PeakMemory uint64
	// ErrorExamples holds the text of one error of each class but ClassStatus,
	// for which StatusCodes tells more unless other statuses were expected.
	ErrorExamples map[ErrorClass]string
	// FailedChecks breaks the errors in ClassCheck down by what the check wanted, with
	// an example for each: an error says so with a method FailedCheck() string, its own
	// or that of one that it wraps, as the errors of package check do. Errors that do
	// not say, and checks beyond the 62nd, are counted under "(others)".
	FailedChecks map[string]FailedCheck
	// Endpoints breaks the run down by Request.Name; nil if no request had one.
	// Names beyond the 64th are counted under "(others)".
	Endpoints map[string]*Stats
	// Scenarios tells of the users of each scenario by its name; nil if there were none.
	// They have their places among the 64 names.
	Scenarios map[string]*ScenarioStats
	// Intervals is the run second by second, in the order of From; the last one may
	// be from half to one and a half as long, and one that the collector ended late
	// is longer. A run of less than half a second has one that is shorter. Their
	// counts add up to those of Stats. From 3,600 rows on, and again each time
	// there are so many, neighbors are joined, and those to come are twice as
	// long. Of two that are joined, P99 and Lag are the larger, P50 the mean weighted by
	// Requests, InFlight the later's. After Merge, the intervals of both runs are
	// there side by side, at the time their clocks say.
	Intervals []Interval
	// Excluded is likewise what Exclude has left out; its counts are in none of the others.
	// The rows of a warm-up begin before 0.
	Excluded []Interval
	// Sink is what the sink of a Record did during the run; nil without one.
	Sink *SinkStats
	// Generator reports whether this process was itself the limit.
	Generator Generator
	// Causes say what made seconds of an open loop other than its schedule, and how the
	// service changed; nil in a closed loop, or if there is nothing to say.
	Causes []CauseFinding
	// Warnings are caveats: why the numbers may not mean what they seem to.
	Warnings []Warning

	pooled bool // the client keeps connections alive, so churn is worth a warning
	spans  []span
	blocks []hist.Block // in the order of time
}

// span is a stretch of wall-clock time.
type span struct{ From, To time.Time }

// RPS returns the number of requests sent per second of Elapsed, failed ones
// included; 0 if no time has passed.
func (r *EngineResult) RPS() float64 {
	return text.PerSecond(r.Requests, r.Elapsed)
}

// ErrNoInterval is matched by the errors of [EngineResult.ConfidenceInterval].
var ErrNoInterval = errors.New("loadtest: no confidence interval")

// ConfidenceInterval returns the 95 % confidence interval of Quantile(q), for q between 0
// and 1: in 95 of 100 runs like this one it contains the quantile that a run without end
// would have.
//
// Requests that are slow together, in a queue or a slow second, tell less than as many
// that are slow each for itself. So the interval rests on how much the parts of the run,
// of a second or longer, differ from each other and resemble their neighbors, not on the
// number of requests alone. It cannot know of what changes more slowly than the run is
// long, nor of what differs from one run to the next: it is too narrow where latencies
// hold on to a level for more than about a twentieth of the run, and means nothing for a
// run with a [WarnUnsteady].
//
// In simulated runs of 10 s at 1,000 requests per second, a queue (M/M/1, 80 % busy) has an
// interval of p99 in 18 of 100 runs, those that saw no long queue, and half of these
// contain it; where the level changes by the second (AR(1), correlation 0.5), 92 of 100
// runs have one, and 90 % of these contain it, or 84 % those of p50. Of the intervals of
// p50, p95 and p99 of either, 88 to 96 % contain it in runs of 30 s (the queue has one of
// p99 in 70 of 100), and 93 to 97 % in runs of 60 s.
//
// There is no interval, but an error that matches [ErrNoInterval] and says why, if the run
// has fewer than five parts, which takes about five seconds, if the requests beyond the
// quantile amount to fewer than four that are independent of each other, and if r was not
// measured by an engine's Run.
func (r *EngineResult) ConfidenceInterval(q float64) (lo, hi time.Duration, err error) {
	no := func(format string, args ...any) (time.Duration, time.Duration, error) {
		return 0, 0, fmt.Errorf("%w of p%v: %s", ErrNoInterval, math.Round(q*1e5)/1e3, fmt.Sprintf(format, args...))
	}
	if !(q > 0 && q < 1) {
		return no("q is %v: must be between 0 and 1", q)
	}
	blocks := hist.Busy(r.blocks)
	if len(blocks) < hist.MinBlocks {
		return no("parts of the run with requests: %d, needed: %d; run for longer", len(blocks), hist.MinBlocks)
	}
	var n int64
	for _, b := range blocks {
		n += b.N
	}
	if n != r.Requests {
		return no("requests: %s, of them in a known part of the run: %s", text.Count(r.Requests), text.Count(n))
	}
	lo, hi, independent, ok := hist.Confidence(r.latencies(), blocks, q)
	if !ok {
		return no("requests beyond it: %s, which amount to %.1f independent ones, needed: %d; run for longer",
			text.Count(int64(math.Round(float64(n)*min(q, 1-q)))), independent, hist.MinBeyond)
	}
	return lo, hi, nil
}

// HeapGrowth returns by how much the heap grew from the offset from until the end of
// the run, as a share of the largest heap of any interval: 0.05 is 5 %, and a
// heap that shrank is below 0. It is the slope of a straight line laid through
// HeapBytes by least squares, each interval weighing as much as it is long, so
// that neither a single collection nor a short last interval decides. It is 0
// where fewer than three intervals begin at from or later.
func (r *EngineResult) HeapGrowth(from time.Duration) float64 {
	rows := make([]heap.Interval, len(r.Intervals))
	for i, row := range r.Intervals {
		rows[i] = heap.Interval{From: row.From, To: row.To, Bytes: row.HeapBytes}
	}
	return heap.Growth(rows, from)
}

// begun returns how many of the source's requests and users were due, those that are not
// counted among them.
func (r *EngineResult) begun() int64 {
	var excluded Counts // of an interval alone, what was in flight before it is not due but ends
	for _, row := range r.Excluded {
		excluded.add(row.Counts)
	}
	return r.due() + excluded.due()
}

// sinkShare returns the part of the workers' time that the sink took, from 0 to 1.
func (r *EngineResult) sinkShare() float64 {
	whole := float64(r.Elapsed) * float64(cmp.Or(r.PeakInFlight, r.Concurrency))
	if whole <= 0 {
		return 0
	}
	return min(float64(r.SinkTime)/whole, 1)
}

// Merge adds other to r: counts and histograms exactly, so that the quantiles
// are those of one run that had seen all requests. Results may come from other
// machines, as JSON; their clocks then say which runs overlapped. other is not
// changed.
func (r *EngineResult) Merge(other *EngineResult) {
	if other == nil {
		return
	}
	r.merge(&other.Stats)
	r.Engine, r.Schedule = sameOrMixed(r.Engine, other.Engine), sameOrMixed(r.Schedule, other.Schedule)
	r.Unsent += other.Unsent
	r.SinkTime += other.SinkTime
	r.ConnectionsOpened += other.ConnectionsOpened
	r.ConnectionsUnknown = r.ConnectionsUnknown || other.ConnectionsUnknown
	r.PeakMemory = max(r.PeakMemory, other.PeakMemory)
	r.Sink = mergeSinks(r.Sink, other.Sink)
	r.pooled = r.pooled || other.pooled
	r.Generator.merge(other.Generator)
	r.Causes = mergeFindings(r.Causes, other.Causes)
	for class, example := range other.ErrorExamples {
		if r.ErrorExamples == nil {
			r.ErrorExamples = make(map[ErrorClass]string)
		}
		if _, ok := r.ErrorExamples[class]; !ok {
			r.ErrorExamples[class] = example
		}
	}
	(*failedChecks)(&r.FailedChecks).merge(other.FailedChecks)
	for name, ep := range other.Endpoints {
		if r.Endpoints == nil {
			r.Endpoints = make(map[string]*Stats)
		}
		if r.Endpoints[name] == nil {
			r.Endpoints[name] = new(Stats)
		}
		r.Endpoints[name].merge(ep)
	}
	for name, s := range other.Scenarios {
		if r.Scenarios == nil {
			r.Scenarios = make(map[string]*ScenarioStats)
		}
		if r.Scenarios[name] == nil {
			r.Scenarios[name] = new(ScenarioStats)
		}
		r.Scenarios[name].merge(s)
	}
	if overlap(r.spans, other.spans) {
		r.Concurrency += other.Concurrency
		r.PeakInFlight += other.PeakInFlight
	} else {
		r.Concurrency = max(r.Concurrency, other.Concurrency)
		r.PeakInFlight = max(r.PeakInFlight, other.PeakInFlight)
	}
	r.spans = unite(slices.Concat(r.spans, other.spans))
	before := r.StartedAt
	r.StartedAt, r.Elapsed = measure(r.spans)
	mine, others := before.Sub(r.StartedAt), other.StartedAt.Sub(r.StartedAt)
	r.Intervals = intervals.AtMost(maxIntervals, intervals.Interleave(r.Intervals, mine, other.Intervals, others))
	r.Excluded = intervals.AtMost(maxIntervals, intervals.Interleave(r.Excluded, mine, other.Excluded, others))
	r.blocks = hist.MergeBlocks(r.blocks, mine, other.blocks, others)
	single := slices.DeleteFunc(slices.Concat(r.Warnings, other.Warnings), func(w Warning) bool { return w.Kind != WarnStall && w.Kind != WarnUnsteady })
	r.Warnings = append(r.assess(), single...)
}

// sameOrMixed returns what a and b both are; either may be unknown.
func sameOrMixed(a, b string) string {
	if a != "" && b != "" && a != b {
		return "mixed"
	}
	return cmp.Or(a, b)
}

// overlap reports whether any two spans do.
func overlap(a, b []span) bool {
	for _, x := range a {
		for _, y := range b {
			if x.From.Before(y.To) && y.From.Before(x.To) {
				return true
			}
		}
	}
	return false
}

// unite sorts spans and joins those that touch.
func unite(spans []span) []span {
	spans = slices.Clone(spans)
	slices.SortFunc(spans, func(a, b span) int { return a.From.Compare(b.From) })
	var out []span
	for _, s := range spans {
		if n := len(out); n > 0 && !s.From.After(out[n-1].To) {
			if s.To.After(out[n-1].To) {
				out[n-1].To = s.To
			}
			continue
		}
		out = append(out, s)
	}
	return out
}

func measure(spans []span) (start time.Time, total time.Duration) {
	if len(spans) > 0 {
		start = spans[0].From
	}
	for _, s := range spans {
		total += s.To.Sub(s.From)
	}
	return start, total
}
