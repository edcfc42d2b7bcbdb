package loadtest

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"example.com/brunt/loadtest/internal/text"
)

// SLO is a set of objectives for a run. A zero duration, rate or size sets no
// objective; a zero MaxErrorRate or MaxRejectedRate allows none at all.
type SLO struct {
	// P50, P95 and P99 are the longest latencies allowed at these quantiles, over
	// all requests sent. A quantile is judged only if ten requests lie beyond it:
	// P50 needs 20 requests, P95 200, P99 1000.
	P50, P95, P99 time.Duration
	// MaxErrorRate is the share of requests that may fail, from 0 to 1.
	MaxErrorRate float64
	// MaxRejectedRate is the share of the requests due that the engine's own
	// Breaker may refuse, from 0 to 1.
	MaxRejectedRate float64
	// MinRPS is the least number of requests per second.
	MinRPS float64
	// MinRequests is the least number of requests sent.
	MinRequests int64
	// MaxPeakMemory is the largest heap allowed, in bytes.
	MaxPeakMemory uint64
}

// Validate reports every fault; each matches [ErrConfig].
func (s SLO) Validate() error {
	var faults []error
	for _, q := range []struct {
		name string
		d    time.Duration
	}{{"P50", s.P50}, {"P95", s.P95}, {"P99", s.P99}} {
		if q.d < 0 {
			faults = append(faults, fault("SLO.%s is %v: must be 0 for no objective, or positive", q.name, q.d))
		}
	}
	if !(s.MaxErrorRate >= 0 && s.MaxErrorRate <= 1) {
		faults = append(faults, fault("SLO.MaxErrorRate is %v: must be from 0 to 1", s.MaxErrorRate))
	}
	if !(s.MaxRejectedRate >= 0 && s.MaxRejectedRate <= 1) {
		faults = append(faults, fault("SLO.MaxRejectedRate is %v: must be from 0 to 1", s.MaxRejectedRate))
	}
	if !(s.MinRPS >= 0) || math.IsInf(s.MinRPS, 1) {
		faults = append(faults, fault("SLO.MinRPS is %v: must be 0 for no objective, or positive and finite", s.MinRPS))
	}
	if s.MinRequests < 0 {
		faults = append(faults, fault("SLO.MinRequests is %d: must be 0 for no objective, or positive", s.MinRequests))
	}
	return errors.Join(faults...)
}

// VerdictKind is the outcome of a verdict.
type VerdictKind string

// The kinds of verdicts.
const (
	VerdictPass VerdictKind = "PASS" // every objective was met
	VerdictFail VerdictKind = "FAIL" // one was missed, or could not be judged
)

// Verdict is the judgment of a run by an SLO.
type Verdict struct {
	Kind VerdictKind `json:"kind"`
	// Objectives are those that the SLO sets, in the order of its fields. Errors and
	// requests are among them always; rejections if there were any or a rate is set.
	Objectives []Objective `json:"objectives"`
}

// Objective is one objective of an SLO and what became of it.
type Objective struct {
	Name     string `json:"name"`     // such as "p99" or "error rate"
	Observed string `json:"observed"` // for a person, with its unit
	Wanted   string `json:"wanted"`
	// Judged is false for a quantile that rests on too few requests. It was not met
	// then.
	Judged bool `json:"judged"`
	Met    bool `json:"met"`
	// Hint names the field of SLO to set where it is zero and that was too strict.
	Hint string `json:"hint,omitempty"`
}

// String returns one line.
func (o Objective) String() string {
	if !o.Judged {
		return fmt.Sprintf("%-11s %s (wanted %s)", o.Name, o.Observed, o.Wanted)
	}
	line := fmt.Sprintf("%-11s observed %s, wanted %s", o.Name, o.Observed, o.Wanted)
	if o.Hint != "" {
		line += " (" + o.Hint + ")"
	}
	return line
}

// Missed returns the objectives that were not met.
func (v Verdict) Missed() []Objective {
	var out []Objective
	for _, o := range v.Objectives {
		if !o.Met {
			out = append(out, o)
		}
	}
	return out
}

// String returns PASS or FAIL, and a line for each objective that was missed.
func (v Verdict) String() string {
	var b strings.Builder
	b.WriteString(string(v.Kind))
	for _, o := range v.Missed() {
		fmt.Fprintf(&b, "\n  %v", o)
	}
	return b.String()
}

// Judge returns the verdict on r, which it does not change. It does not validate s: a
// value that Validate refuses is never met. A nil r has sent nothing.
func (s SLO) Judge(r *EngineResult) Verdict {
	if r == nil {
		r = &EngineResult{}
	}
	v := Verdict{Kind: VerdictPass}
	add := func(o Objective) {
		if !o.Met {
			v.Kind = VerdictFail
		}
		v.Objectives = append(v.Objectives, o)
	}
	judge := func(met bool, name, observed, wanted string) {
		add(Objective{Name: name, Observed: observed, Wanted: wanted, Judged: true, Met: met})
	}
	share := func(name, field string, got, most float64, count string) {
		o := Objective{Name: name, Wanted: "at most " + text.Percent(most), Judged: true, Met: got <= most}
		o.Observed = apart(o.Met, text.Percent(got), text.Percent(most), exactly(100*got)+" %") + " (" + count + ")"
		if !o.Met && most == 0 {
			o.Hint = "set SLO." + field + " to allow some: 0 allows none"
		}
		add(o)
	}
	for _, q := range []struct {
		name string
		q    float64
		max  time.Duration
	}{{"p50", 0.50, s.P50}, {"p95", 0.95, s.P95}, {"p99", 0.99, s.P99}} {
		switch got, need := r.Quantile(q.q), samplesToJudge(q.q); {
		case q.max == 0:
		case r.Requests < need:
			add(Objective{
				Name: q.name, Wanted: "at most " + q.max.String(),
				Observed: fmt.Sprintf("not judged: %s requests, needs %s", text.Count(r.Requests), text.Count(need)),
			})
		default:
			judge(got <= q.max, q.name, precise(got, q.max), "at most "+q.max.String())
		}
	}
	share("error rate", "MaxErrorRate", r.ErrorRate(), s.MaxErrorRate, text.Count(r.ErrorCount)+" of "+text.Count(r.Requests))
	if r.RejectedCount > 0 || s.MaxRejectedRate != 0 {
		share("rejected", "MaxRejectedRate", r.RejectedRate(), s.MaxRejectedRate, text.Count(r.RejectedCount))
	}
	if s.MinRPS != 0 {
		got, met := r.RPS(), r.RPS() >= s.MinRPS
		judge(met, "req/s", apart(met, text.Rate(got), text.Rate(s.MinRPS), exactly(got)), "at least "+text.Rate(s.MinRPS))
	}
	least := max(s.MinRequests, 1)
	judge(r.Requests >= least, "requests", text.Count(r.Requests), "at least "+text.Count(least))
	if s.MaxPeakMemory > 0 {
		got, most := r.PeakMemory, s.MaxPeakMemory
		observed := apart(got <= most, text.Bytes(got), text.Bytes(most), text.Count(int64(got))+" B")
		judge(got <= most, "peak memory", observed, "at most "+text.Bytes(most))
	}
	return v
}

// precise rounds for reading, but never so far that a miss looks like a hit.
func precise(got, limit time.Duration) string {
	if (text.Round(got) > limit) == (got > limit) {
		return text.Duration(got)
	}
	return got.String()
}

// apart returns observed, or exact where a miss would otherwise read like the limit.
func apart(met bool, observed, limit, exact string) string {
	if !met && observed == limit {
		return exact
	}
	return observed
}

func exactly(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
