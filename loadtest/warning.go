package loadtest

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"example.com/brunt/loadtest/internal/hist"
	"example.com/brunt/loadtest/internal/label"
	"example.com/brunt/loadtest/internal/text"
)

// WarningKind is what a warning is about, for programs.
type WarningKind string

// The kinds of warnings.
const (
	WarnFewSamples      WarningKind = "few_samples"      // a percentile rests on too few requests
	WarnConnectionChurn WarningKind = "connection_churn" // a pool that should reuse connections does not
	WarnOutOfRange      WarningKind = "out_of_range"     // latencies beyond the histogram's range
	WarnRedirects       WarningKind = "redirects"        // 3xx responses, which nobody followed
	WarnLocalLimit      WarningKind = "local_limit"      // this machine was the limit: ports, file descriptors
	WarnFastErrors      WarningKind = "fast_errors"      // errors much quicker than successes flatter the percentiles
	WarnFoldedEndpoints WarningKind = "folded_endpoints" // more names than the breakdown holds
	// WarnGeneratorStarved: this process did not get to run as it should, so that
	// the latencies are in part its own.
	WarnGeneratorStarved WarningKind = "generator_starved"
	// WarnCause: one of EngineResult.Causes.
	WarnCause WarningKind = "cause"
	// WarnStall: for a while next to nothing ended.
	WarnStall WarningKind = "stall"
	// WarnUnsteady: the latencies drifted or stepped in the course of the run, so that its
	// percentiles are a mixture, and their intervals mean nothing.
	WarnUnsteady WarningKind = "unsteady"
)

// Warning is a caveat that travels with the numbers.
type Warning struct {
	Kind WarningKind `json:"kind"`
	Text string      `json:"text"`
}

func (w Warning) Error() string { return w.Text }

// samplesToJudge returns how many requests a quantile needs before a verdict may
// rest on it: ten of them then lie beyond it.
func samplesToJudge(q float64) int64 { return int64(math.Ceil(10/(1-q) - 1e-6)) }

// churnShare is the share of requests that may open a connection before a pool
// that should reuse them is suspected not to.
const churnShare = 0.1

// assess returns the warnings that follow from the rest of the result, except for those
// of a stall or an unsteady run, which only a single run shows.
func (r *EngineResult) assess() []Warning {
	var out []Warning
	warn := func(kind WarningKind, format string, args ...any) {
		out = append(out, Warning{Kind: kind, Text: fmt.Sprintf(format, args...)})
	}
	if n, need := r.Requests, samplesToJudge(0.99); n > 0 && n < need {
		warn(WarnFewSamples, "p99 rests on %d requests, below the %d that a verdict needs", n, need)
	}
	if opened := r.ConnectionsOpened; r.pooled && opened > 2*int64(r.Concurrency) && float64(opened) > churnShare*float64(r.Requests) {
		warn(WarnConnectionChurn, "%d connections for %d requests at concurrency %d: keep-alive does not hold; does the server close connections, or a proxy?",
			opened, r.Requests, r.Concurrency)
	}
	if n := r.latencies().Beyond(); n > 0 {
		warn(WarnOutOfRange, "%d requests took longer than %v; quantiles among them are not told apart", n, hist.Max)
	}
	var redirects int64
	for status, n := range r.StatusCodes {
		if status/100 == 3 && status != 304 {
			redirects += n
		}
	}
	if redirects = min(redirects, r.OtherCount); redirects > 0 { // the others were expected, or are errors
		warn(WarnRedirects, "%d redirects (3xx) count neither as successes nor as errors; set Conn.MaxRedirects to follow them", redirects)
	}
	if n := r.Errors[ClassLocal]; n > 0 {
		warn(WarnLocalLimit, "%d requests failed for a limit of this machine, not of the server (%s); %s",
			n, r.ErrorExamples[ClassLocal], label.AdviceLocal)
	}
	if r.ErrorRate() >= 0.01 && r.SuccessCount > 0 && r.bad.Quantile(0.5) < r.good.Quantile(0.5)/2 {
		warn(WarnFastErrors, "%s of the requests failed, and faster (median %v) than the others succeeded (%v): percentiles over all of them flatter, see SuccessQuantile",
			text.Share(r.ErrorCount, r.Requests), text.Duration(r.bad.Quantile(0.5)), text.Duration(r.good.Quantile(0.5)))
	}
	if _, ok := r.Endpoints[foldedEndpoints]; ok {
		warn(WarnFoldedEndpoints, "more than %d request names: the others are counted together as %q", maxNames, foldedEndpoints)
	}
	if seen := r.Generator.starved(r.P99()); seen != "" && r.Requests > 0 {
		warn(WarnGeneratorStarved, "this process was short of CPU, and the requests' p99 of %v is in part its own: %s; send with fewer workers, %s",
			text.Duration(r.P99()), seen, label.AdviceCPU)
	}
	for _, f := range r.Causes {
		warn(WarnCause, "%v", f)
	}
	return append(out, r.sinkWarnings()...)
}

// unsteadyText says what moved and by how much; empty if the run was steady.
func (r *EngineResult) unsteadyText() string {
	blocks := hist.Busy(r.blocks)
	c, ok := hist.Unsteady(blocks)
	if !ok {
		return ""
	}
	at := func(blocks []hist.Block) string { return text.Duration(hist.JoinAll(blocks).Quantile(c.Q)) }
	name := fmt.Sprintf("p%v", 100*c.Q)
	if c.Step == 0 {
		third := (len(blocks) + 2) / 3
		return fmt.Sprintf("not steady: %s drifted from %v in the first third of the run to %v in the last: a longer run would have other percentiles",
			name, at(blocks[:third]), at(blocks[len(blocks)-third:]))
	}
	when := blocks[c.Step].From.Round(100 * time.Millisecond)
	line := fmt.Sprintf("not steady: %s was %v until %v and %v from then on", name, at(blocks[:c.Step]), when, at(blocks[c.Step:]))
	if c.Size < 0 && c.Step <= len(blocks)/3 {
		return line + ": leave the warm-up out, in a run of its own"
	}
	return line + ": the percentiles are of neither"
}

const (
	// stallShare is the part of the median rate below which an interval stalls.
	stallShare = 0.1
	// stallRequests is how many requests the median interval must have, so that
	// an interval with next to none cannot be chance.
	stallRequests = 10
)

// stall is a period in which next to no request ended.
type stall struct {
	Interval
	usual float64 // requests per second in the median interval, or due in an open loop
	// before and after are how long the stall lasted in the intervals at its ends, told
	// from what is missing there.
	before, after time.Duration
}

func (s stall) length() time.Duration { return s.before + s.To - s.From + s.after }

// stalls returns the periods whose rate is below stallShare of what was due, which is
// the median rate in a closed loop, and reports whether the run is long enough to tell.
// Periods shorter than two median latencies are ignored: slow requests arrive in rounds.
// So are those in which the breaker refused requests.
func (r *EngineResult) stalls() ([]stall, bool) {
	rows := r.Intervals
	if n := len(rows); n > 1 && rows[n-1].To-rows[n-1].From < harvestEvery {
		rows = rows[:n-1] // the short end of the run
	}
	if len(rows) < 3 {
		return nil, false
	}
	due := func(i Interval) float64 { return float64(i.Scheduled - i.Missed) }
	if r.Scheduled == 0 {
		counts := make([]int64, len(rows))
		rates := make([]float64, len(rows))
		for i, row := range rows {
			counts[i], rates[i] = row.Requests, row.RPS()
		}
		slices.Sort(counts)
		slices.Sort(rates)
		if counts[len(counts)/2] < stallRequests {
			return nil, false
		}
		usual := rates[len(rates)/2]
		due = func(i Interval) float64 { return usual * (i.To - i.From).Seconds() }
	}
	if !slices.ContainsFunc(rows, func(i Interval) bool { return due(i) >= stallRequests }) {
		return nil, false
	}
	// missing returns how long nothing ended in the interval at an end of a stall.
	missing := func(i Interval) time.Duration {
		share := 1 - float64(i.Requests)/max(due(i), 1)
		if due(i) < stallRequests || i.RejectedRate() > 0 || share < stallShare {
			return 0
		}
		return time.Duration(share * float64(i.To-i.From))
	}
	var out []stall
	for k, row := range rows {
		n := len(out)
		follows := n > 0 && out[n-1].To == row.From
		if due(row) < stallRequests || float64(row.Requests) >= stallShare*due(row) || row.RejectedRate() > 0 {
			if follows {
				out[n-1].after = missing(row)
			}
			continue
		}
		if follows {
			out[n-1].Interval = out[n-1].Join(row)
			continue
		}
		s := stall{Interval: row, usual: due(row) / (row.To - row.From).Seconds()}
		if k > 0 && rows[k-1].To == row.From {
			s.before = missing(rows[k-1])
		}
		out = append(out, s)
	}
	return slices.DeleteFunc(out, func(s stall) bool { return s.To-s.From <= 2*r.P50() }), true
}

func longestStall(all []stall) stall {
	return slices.MaxFunc(all, func(a, b stall) int { return cmp.Compare(a.length(), b.length()) })
}

// stallText describes the longest stall; empty if there is none.
func (r *EngineResult) stallText() string {
	all, _ := r.stalls()
	if len(all) == 0 {
		return ""
	}
	s := longestStall(all)
	line := fmt.Sprintf("stalled from %v to %v: %s req/s instead of about %s, %s in flight at its end",
		s.From.Round(100*time.Millisecond), s.To.Round(100*time.Millisecond), text.Rate(s.RPS()), text.Rate(s.usual), text.Count(int64(s.InFlight)))
	if n := len(all) - 1; n > 0 {
		line += fmt.Sprintf("; and %d shorter", n)
	}
	return line
}
