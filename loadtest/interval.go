package loadtest

import (
	"sync"
	"time"

	"example.com/brunt/loadtest/internal/hist"
	"example.com/brunt/loadtest/internal/label"
	"example.com/brunt/loadtest/internal/text"
)

// Interval is what happened in a part of a run, usually a second.
type Interval struct {
	// From and To are offsets since EngineResult.StartedAt. A request belongs to
	// the interval in which it ended.
	From, To time.Duration
	// Counts are of the requests that ended in the interval, or were refused.
	Counts
	// P50 and P99 are over the latencies of all requests sent, as Stats.Quantile;
	// 0 if there were none.
	P50, P99 time.Duration
	// Lag is the 99th percentile of the lags; 0 in a closed loop.
	Lag time.Duration
	// Cause is what kept the interval from being what the schedule of an open loop asked
	// for, or how the service changed: what three intervals in a row show, at the least.
	Cause Cause
	// InFlight is how many requests were being attempted at To.
	InFlight int
	// HeapBytes is the largest heap seen in the interval, as in
	// EngineResult.PeakMemory.
	HeapBytes uint64
	// Excluded is set of the rows of [EngineResult.Excluded].
	Excluded bool
}

// RPS returns the number of requests sent per second; 0 for an interval of no length.
func (i Interval) RPS() float64 {
	return text.PerSecond(i.Requests, i.To-i.From)
}

const (
	// harvestEvery is the length of an interval.
	harvestEvery = time.Second
	// maxIntervals bounds the intervals of a run.
	maxIntervals = 3600
)

var intervals = hist.Parts[Interval]{
	Bounds: func(i Interval) (from, to time.Duration) { return i.From, i.To },
	Join:   Interval.Join,
	Later: func(i Interval, by time.Duration) Interval {
		i.From, i.To = i.From+by, i.To+by
		return i
	},
}

func newSeries() hist.Series[Interval] {
	return hist.Series[Interval]{Parts: intervals, Most: maxIntervals, Every: harvestEvery}
}

// Join returns what happened in i and next, which begins later or overlaps it, as one
// interval; what is joined how, EngineResult.Intervals says. Where they overlap they are of
// runs side by side, and InFlight is the sum.
func (i Interval) Join(next Interval) Interval {
	out := Interval{
		From: min(i.From, next.From), To: max(i.To, next.To),
		Counts:    i.Counts,
		P99:       max(i.P99, next.P99),
		Lag:       max(i.Lag, next.Lag),
		Cause:     Cause(label.Worse(label.Cause(i.Cause), label.Cause(next.Cause))),
		InFlight:  next.InFlight,
		HeapBytes: max(i.HeapBytes, next.HeapBytes),
		Excluded:  i.Excluded && next.Excluded,
	}
	out.add(next.Counts)
	if next.From < i.To { // of runs side by side
		out.InFlight += i.InFlight
	}
	if out.Requests > 0 {
		out.P50 = time.Duration((float64(i.P50)*float64(i.Requests) + float64(next.P50)*float64(next.Requests)) / float64(out.Requests))
	}
	return out
}

// Progress is the state of a run in progress, for OnProgress of an engine's
// configuration.
type Progress struct {
	// Engine names the scheduling: "sync", "threaded", "async" or "arrival".
	Engine string `json:"engine"`
	// Elapsed is the time since the run began, and Planned the time limit of its source,
	// or the length of the schedule of an ArrivalEngine if that is less; 0 without one. A
	// run exceeds it by the requests in flight at its end.
	Elapsed time.Duration `json:"elapsed_ns"`
	Planned time.Duration `json:"planned_ns"`
	// Counts are of the requests so far, and of the arrivals of an ArrivalEngine; without
	// those that Exclude leaves out, of which Last may be.
	Counts
	// Size is how many requests and users the source holds, or the schedule of an
	// ArrivalEngine if those are fewer; -1 if that is not known. Ended has come so far.
	Size int64 `json:"size"`
	// RPS is the number of requests sent per second of Elapsed, without a WarmUp.
	RPS float64 `json:"rps"`
	// Last is the interval that ended just now; of an ArrivalEngine, its Scheduled over
	// its length is the rate that was intended, and its Lag the lag now. When Done, it is the last of
	// EngineResult.Intervals, which may contain one reported before.
	Last Interval `json:"interval"`
	// InFlight is how many requests are being attempted.
	InFlight int `json:"in_flight"`
	// HeapBytes is the largest heap seen in the last interval.
	HeapBytes uint64 `json:"heap_bytes"`
	// Done reports whether the run has ended: this is its last report then.
	Done bool `json:"done"`

	reported *reported // nil in one that no engine has made
}

// Result returns a copy of what the run has counted until the end of the latest interval,
// which is Last or one after it, for an OnProgress that wants more than its Counts: the
// Stats of the whole run with their histograms, and those of Endpoints and Scenarios,
// which may already have some requests more. When Done they are those of the result. Its
// Intervals, Generator, Causes and Warnings are empty: those come at the end.
//
// The copy is made on the caller's goroutine and delays no request. It is for OnProgress
// alone: after the last report has been delivered Result returns nil, as it does if no
// engine has made p.
func (p Progress) Result() *EngineResult {
	return p.reported.at(p.Elapsed)
}

// reported gives the result so far to OnProgress, and nothing after the last report. It is
// safe for concurrent use by multiple goroutines.
type reported struct {
	mu  sync.Mutex
	run *run // nil when there is nothing more to report
}

// at returns the result at now, which is since the run began.
func (s *reported) at(now time.Duration) *EngineResult {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	r := s.run
	if r == nil {
		s.mu.Unlock()
		return nil
	}
	res := r.recorder.soFar(r.names.known())
	s.mu.Unlock()
	r.describe(res, now) // asks the client, which may be the user's
	return res
}

func (s *reported) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run = nil
}

// reporter calls OnProgress. A report that comes while one is being delivered
// replaces another that waits.
type reporter struct {
	report      func(Progress)
	recordPanic func(any)     // called with the value of a panic, nil for a Goexit, in report
	next        chan Progress // has room for one; closed after the last
}

func (p *reporter) put(report Progress) {
	for {
		select {
		case p.next <- report:
			return
		default:
		}
		select {
		case <-p.next:
		default:
		}
	}
}

// run calls OnProgress until next is closed or a call does not return.
func (p *reporter) run() {
	returned := false
	defer func() {
		if !returned {
			p.recordPanic(recover())
		}
	}()
	for report := range p.next {
		p.report(report)
	}
	returned = true
}
