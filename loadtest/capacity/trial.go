package capacity

import (
	"fmt"
	"sort"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/internal/text"
)

// within returns how many of n values, whose quantiles are given, are d at most, as far as
// a histogram can tell.
func within(quantile func(q float64) time.Duration, n int64, d time.Duration) int64 {
	d += d / 1000
	return int64(sort.Search(int(n), func(i int) bool { return quantile((float64(i)+0.5)/float64(n)) > d }))
}

// due returns how many requests were due: the arrivals scheduled or, where users arrive,
// what they sent and one for each that never came.
func due(r *loadtest.EngineResult) int64 {
	return r.Requests + r.RejectedCount + r.Missed + r.Dropped + r.Canceled
}

// failed reports whether a probe was not answered well.
func failed(r *loadtest.EngineResult) bool { return r.ErrorCount+r.RejectedCount > 0 }

// lost returns how many of the requests that were due were not answered well within the
// objective, and how many of these only because the generator did not send them, or
// sent them late.
func (g Goal) lost(r *loadtest.EngineResult) (all, generators int64) {
	good := r.Requests - r.ErrorCount
	generators = r.Missed + r.Errors[loadtest.ClassLocal]
	if g.Limit > 0 {
		good = within(r.SuccessQuantile, good, g.Limit)
		generators += within(r.ServiceQuantile, r.Requests, g.Limit) - within(r.Quantile, r.Requests, g.Limit)
	}
	return due(r) - good, generators
}

// judge returns the trial that r is the result of. It is invalid if it is bad, and would
// not be but for the generator: that makes it no evidence against the service, and a
// good trial is good all the more. tight says that a user's MaxInFlight is less than what
// is needed.
func judge(goals []Goal, r *loadtest.EngineResult, tight bool) Trial {
	t := Trial{
		Kind: TrialCounted, Scheduled: r.Scheduled, Errors: r.ErrorCount, Dropped: r.Dropped, Missed: r.Missed,
		P50: r.P50(), P99: r.P99(), Throughput: text.PerSecond(r.Requests-r.ErrorCount, r.Elapsed),
	}
	bad, bare := false, true // bare: with what the generator lost left out, it is good
	for _, g := range goals {
		all, generators := g.lost(r)
		if tight {
			generators += r.Dropped
		}
		share := func(n int64) float64 { return min(max(float64(n)/float64(max(due(r), 1)), 0), 1) }
		t.Losses = append(t.Losses, share(all))
		bad = bad || share(all) > g.LossRatio
		bare = bare && share(all-generators) <= g.LossRatio
	}
	cause := limit(r, tight)
	switch {
	case bad && (bare || cause != nil && cause.Cause != loadtest.CauseCPU):
		t.Kind = TrialInvalid
		t.Note = fmt.Sprintf("%s of the requests began %v or more after they were due", text.Percent(0.01), text.Duration(r.LagQuantile(0.99)))
		if cause != nil {
			t.Note = fmt.Sprintf("%s: %s", cause.Cause, cause.Text)
		} else if tight && r.Dropped > 0 {
			t.Note = fmt.Sprintf("%s arrivals were dropped; raise MaxInFlight", text.Count(r.Dropped))
		}
	case bad:
		t.Note = errorText(r)
	}
	return t
}

// limit returns what limited the generator, if anything did. That requests in flight
// are too many is the service's doing, unless a user's MaxInFlight is tight.
func limit(r *loadtest.EngineResult, tight bool) *loadtest.CauseFinding {
	for i, f := range r.Causes {
		if f.Cause.Generator() && (tight || f.Cause != loadtest.CauseInFlight) {
			return &r.Causes[i]
		}
	}
	return nil
}

// errorText returns the number of errors, and the text of one of the most frequent kind.
func errorText(r *loadtest.EngineResult) string {
	if r.ErrorCount == 0 {
		return ""
	}
	class := text.ByCount(r.Errors)[0]
	s := fmt.Sprintf("%s of %s failed, %v", text.Count(r.ErrorCount), text.Count(r.Requests), class)
	if class == loadtest.ClassStatus && len(r.StatusCodes) > 0 {
		return fmt.Sprintf("%s %d", s, text.ByCount(r.StatusCodes)[0])
	}
	if example := r.ErrorExamples[class]; example != "" {
		s += ": " + example
	}
	return s
}
