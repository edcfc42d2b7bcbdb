package loadtest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/brunt/loadtest/internal/label"
	"example.com/brunt/loadtest/internal/text"
)

// VerdictKind is the outcome of a verdict.
type VerdictKind string

// The kinds of verdicts.
const (
	VerdictPass VerdictKind = "PASS" // every objective was met
	VerdictFail VerdictKind = "FAIL" // one was missed, or could not be judged
	// VerdictInvalid: the load of an open loop was not what its schedule says, so that
	// the run says nothing of the service, whether objectives were met or not.
	VerdictInvalid VerdictKind = "INVALID"
)

// Verdict is the judgment of a run by an SLO.
type Verdict struct {
	Kind VerdictKind `json:"kind"`
	// Objectives are those that the SLO sets, in the order of its fields. Errors and
	// requests are among them always, rejections if there were any or a rate is set, and
	// what became of the arrivals if the run was an open loop.
	Objectives []Objective `json:"objectives"`
	// Causes are those of the run. With INVALID they say what to change.
	Causes []CauseFinding `json:"causes,omitempty"`
}

// Objective is one objective of an SLO and what became of it.
type Objective struct {
	Name     string `json:"name"`     // such as "p99" or "error rate"
	Observed string `json:"observed"` // for a person, with its unit
	Wanted   string `json:"wanted"`
	// Judged is false where the run has too little to judge by, such as too few requests
	// for a quantile. The objective was not met then.
	Judged bool `json:"judged"`
	Met    bool `json:"met"`
	// Hint says what to set where the field of SLO is zero and that was too strict, or
	// what else may be the reason.
	Hint string `json:"hint,omitempty"`
}

// String returns one line.
func (o Objective) String() string {
	line := fmt.Sprintf("%-11s observed %s, wanted %s", o.Name, o.Observed, o.Wanted)
	if !o.Judged {
		line = fmt.Sprintf("%-11s %s (wanted %s)", o.Name, o.Observed, o.Wanted)
	}
	if o.Hint != "" {
		line += " (" + o.Hint + ")"
	}
	return oneLine.Replace(line) // a request may be named anything
}

var oneLine = strings.NewReplacer("\n", " ", "\r", " ")

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

// String returns PASS, FAIL or INVALID, and unless it is PASS a line for each cause and
// for each objective that was missed.
func (v Verdict) String() string {
	if v.Kind == VerdictPass {
		return string(v.Kind)
	}
	return string(v.Kind) + v.details()
}

// details returns a line for each cause and each objective missed, with a newline
// before each.
func (v Verdict) details() string {
	var b strings.Builder
	for _, f := range v.Causes {
		fmt.Fprintf(&b, "\n  cause       %v", f)
	}
	for _, o := range v.Missed() {
		fmt.Fprintf(&b, "\n  %v", o)
	}
	return b.String()
}

// Judge returns the verdict on r, which it does not change. It does not validate s: a
// value that Validate refuses is never met. A nil r has sent nothing.
//
// An open loop is INVALID if it missed more arrivals than MaxMissedRate allows, if it
// delivered less than MinAchievedRate, or if for a tenth of the run something of the
// generator's was the limit, of which Causes tells. Dropped arrivals that MaxDroppedRate
// allows are no such limit. A closed loop promises no rate that it could fall short of,
// and so is never INVALID: what limits its generator are Warnings.
func (s SLO) Judge(r *EngineResult) Verdict { return s.judge(r).Verdict }

func (s SLO) judge(r *EngineResult) *judging {
	if r == nil {
		r = &EngineResult{}
	}
	j := &judging{Verdict: Verdict{Kind: VerdictPass, Causes: r.Causes}, path: "SLO"}
	j.quantiles(s, &r.Stats)
	j.shares(s, r.Counts)
	if r.Scheduled > 0 {
		j.achieved(s, r)
	}
	j.requests(s, &r.Stats, r.Elapsed)
	j.worst(s, r)
	for _, name := range slices.Sorted(maps.Keys(s.Endpoints)) {
		j.endpoint(name, s.Endpoints[name], r)
	}
	for _, f := range r.Causes {
		allowed := f.Cause == CauseInFlight && s.MaxDroppedRate > 0 && share(r.Dropped, r.Scheduled) <= s.MaxDroppedRate
		if f.limiting() && !allowed {
			j.Kind = VerdictInvalid
		}
	}
	return j
}

// judging is a verdict in the making.
type judging struct {
	Verdict
	prefix  string // of the names of objectives
	path    string // of the fields that set them
	numbers []number
}

// number is what an objective says as a number, in base units.
type number struct {
	unit       string // what it adds to the name, -ns or -B; empty for shares, rates and counts
	got, limit float64
	least      bool // limit is the least allowed, not the most

	key string // of its attribute
}

func (j *judging) add(o Objective, n number) {
	if !o.Met && j.Kind == VerdictPass {
		j.Kind = VerdictFail
	}
	n.key = attrKey(j.prefix, o.Name, n.unit)
	j.numbers = append(j.numbers, n)
	o.Name = j.prefix + o.Name
	j.Objectives = append(j.Objectives, o)
}

func (j *judging) judge(met bool, name, observed, wanted string, n number) {
	j.add(Objective{Name: name, Observed: observed, Wanted: wanted, Judged: true, Met: met}, n)
}

func (j *judging) unjudged(name, why, wanted string, n number) {
	j.add(Objective{Name: name, Observed: "not judged: " + why, Wanted: wanted}, n)
}

// atMost judges a duration.
func (j *judging) atMost(name string, got, most time.Duration, detail string) {
	j.judge(got <= most, name, precise(got, most)+detail, "at most "+most.String(), number{unit: "-ns", got: float64(got), limit: float64(most)})
}

// noDuration is atMost where the duration is not known.
func (j *judging) noDuration(name, why string, most time.Duration) {
	j.unjudged(name, why, "at most "+most.String(), number{unit: "-ns", limit: float64(most)})
}

// share judges a share of 1; with a limit of 0 the hint names the field to set.
func (j *judging) share(s shareObjective, detail string) {
	got := s.got()
	o := Objective{Name: s.name, Wanted: "at most " + text.Percent(s.most), Judged: true, Met: got <= s.most}
	o.Observed = fmt.Sprintf("%s (%s of %s%s)", percent(o.Met, got, s.most), text.Count(s.n), text.Count(s.of), detail)
	if !o.Met && s.most == 0 {
		o.Hint = "set " + j.path + "." + s.field + " to allow some: 0 allows none"
	}
	j.add(o, number{got: got, limit: s.most})
	if !o.Met && s.invalid {
		j.Kind = VerdictInvalid
	}
}

func (j *judging) quantiles(s SLO, st *Stats) {
	for _, q := range s.quantiles() {
		switch {
		case q.max == 0:
		case st.Requests < q.need():
			j.noDuration(q.name, fmt.Sprintf("%s requests, needs %s", text.Count(st.Requests), text.Count(q.need())), q.max)
		default:
			j.atMost(q.name, q.of(st), q.max, "")
		}
	}
}

func (j *judging) shares(s SLO, c Counts) {
	for _, o := range s.shares(c) {
		if o.applies {
			j.share(o, "")
		}
	}
}

// achieved judges how much of its schedule an open loop has delivered.
func (j *judging) achieved(s SLO, r *EngineResult) {
	got, least := share(r.Scheduled-r.undelivered(), r.Scheduled), s.minAchievedRate()
	met := got >= least
	j.judge(met, "achieved", percent(met, got, least)+" of the arrivals", "at least "+text.Percent(least), number{got: got, limit: least, least: true})
	if !met {
		j.Kind = VerdictInvalid
	}
}

// undelivered returns how many arrivals were not sent, or failed for a limit of this
// machine.
func (r *EngineResult) undelivered() int64 { return r.lost() + r.Errors[ClassLocal] }

func (j *judging) requests(s SLO, st *Stats, elapsed time.Duration) {
	if s.MinRPS != 0 {
		got := text.PerSecond(st.Requests, elapsed)
		met := got >= s.MinRPS
		j.judge(met, "req/s", apart(met, text.Rate(got), text.Rate(s.MinRPS), exactly(got)), "at least "+text.Rate(s.MinRPS), number{got: got, limit: s.MinRPS, least: true})
	}
	least := max(s.MinRequests, 1)
	j.judge(st.Requests >= least, "requests", text.Count(st.Requests), "at least "+text.Count(least), number{got: float64(st.Requests), limit: float64(least), least: true})
}

// worst judges what no later second can make good: the worst interval, the longest stall
// and the largest heap.
func (j *judging) worst(s SLO, r *EngineResult) {
	row := func(few int64, less func(a, b Interval) int) (Interval, bool) {
		rows := slices.DeleteFunc(slices.Clone(r.Intervals), func(i Interval) bool { return i.Requests < few })
		if len(rows) == 0 {
			return Interval{}, false
		}
		return slices.MaxFunc(rows, less), true
	}
	when := func(from, to time.Duration) string {
		return fmt.Sprintf(", from %v to %v", from.Round(100*time.Millisecond), to.Round(100*time.Millisecond))
	}
	if most := s.WorstSecondP99; most != 0 {
		few := text.SamplesToShow(0.99)
		if row, ok := row(few, func(a, b Interval) int { return cmp.Compare(a.P99, b.P99) }); ok {
			j.atMost("worst p99", row.P99, most, when(row.From, row.To))
		} else {
			j.noDuration("worst p99", fmt.Sprintf("no second has %d requests", few), most)
		}
	}
	if most := s.WorstSecondErrorRate; most != 0 {
		if row, ok := row(label.FewArrivals, func(a, b Interval) int { return cmp.Compare(a.ErrorRate(), b.ErrorRate()) }); ok {
			j.share(shareObjective{name: "worst errors", n: row.ErrorCount, of: row.Requests, most: most}, when(row.From, row.To))
		} else {
			j.unjudged("worst errors", fmt.Sprintf("no second has %d requests", label.FewArrivals), "at most "+text.Percent(most), number{limit: most})
		}
	}
	if most := s.MaxStall; most != 0 {
		all, ok := r.stalls()
		switch {
		case !ok:
			j.noDuration("stall", fmt.Sprintf("needs three seconds, most of them with %d requests", stallRequests), most)
		case len(all) == 0:
			j.atMost("stall", 0, most, "")
		default:
			longest := longestStall(all)
			j.atMost("stall", longest.length(), most, when(longest.From-longest.before, longest.To+longest.after))
		}
	}
	if most := s.MaxPeakMemory; most != 0 {
		got := r.PeakMemory
		observed := apart(got <= most, text.Bytes(got), text.Bytes(most), text.Count(int64(got))+" B")
		j.judge(got <= most, "peak memory", observed, "at most "+text.Bytes(most), number{unit: "-B", got: float64(got), limit: float64(most)})
	}
}

// endpoint judges the requests of one name.
func (j *judging) endpoint(name string, s SLO, r *EngineResult) {
	st := r.Endpoints[name]
	if st == nil {
		st = &Stats{}
	}
	j.prefix, j.path = name+" ", "SLO.Endpoints["+strconv.Quote(name)+"]"
	j.quantiles(s, st)
	j.shares(s, st.Counts)
	j.requests(s, st, r.Elapsed)
	if _, folded := r.Endpoints[foldedEndpoints]; folded && st.Requests == 0 {
		j.Objectives[len(j.Objectives)-1].Hint = fmt.Sprintf("or it is among the names counted as %q: a run tells %d apart", foldedEndpoints, maxNames)
	}
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

func percent(met bool, got, limit float64) string {
	return apart(met, text.Percent(got), text.Percent(limit), exactly(100*got)+" %")
}

func exactly(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
