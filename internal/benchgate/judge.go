package benchgate

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchmath"
)

// Verdict is what became of one metric of one benchmark.
type Verdict string

// The verdicts. Only Worse is a regression.
const (
	Worse  Verdict = "worse"
	Better Verdict = "better"
	// Unchanged is a metric of which the results show that it did not get worse by its
	// threshold: the intervals of the medians leave no room for that.
	Unchanged Verdict = "unchanged"
	// NotShown is neither: there may be a change for the worse by the threshold or more,
	// and these results could not confirm it.
	NotShown Verdict = "not shown"
	// Moved is a change beyond the threshold of a metric of which no one said which
	// way it is better: it may be a regression.
	Moved Verdict = "moved"
	// NotGated is a metric that can fail nothing, and of which no change is confirmed.
	NotGated Verdict = "not gated"
	// Noted is a change that fails nothing: the metric is for information only, or
	// which way it is better is not known and the threshold is not reached.
	Noted Verdict = "noted"
)

// Kind is a reason for which something could not be judged.
type Kind string

// The kinds of fault.
const (
	Failed       Kind = "failed"
	Unreadable   Kind = "unreadable" // the benchmark or, if there is a unit, the metric is left out
	Vanished     Kind = "vanished"
	Incomparable Kind = "not comparable"
	TooFew       Kind = "too few samples"
	Inexact      Kind = "not exact"
	Incomplete   Kind = "incomplete" // fewer results than there must have been
	Undirected   Kind = "no direction"
)

// Fault is something that could not be judged: never the same as no regression.
type Fault struct {
	Kind  Kind   `json:"kind"`
	Side  string `json:"side,omitempty"`
	Pkg   string `json:"pkg,omitempty"`
	Bench string `json:"bench,omitempty"`
	Unit  string `json:"unit,omitempty"`
	Text  string `json:"text,omitempty"`
}

func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(string(f.Kind))
	if f.Side != "" {
		b.WriteString(" at " + f.Side)
	}
	if name := fullName(f.Pkg, f.Bench); name != "" {
		b.WriteString(": " + name)
	}
	if f.Unit != "" {
		b.WriteString(" " + f.Unit)
	}
	if f.Text != "" {
		b.WriteString(": " + f.Text)
	}
	return b.String()
}

func fullName(pkg, bench string) string {
	if pkg == "" || bench == "" {
		return pkg + bench
	}
	return pkg + "." + bench
}

// Metric is one metric of one benchmark.
type Metric struct {
	Pkg, Bench, Unit string
	Config           string // what else the results were recorded under, one "key: value" a line
}

// Name returns the package and the benchmark.
func (m Metric) Name() string { return fullName(m.Pkg, m.Bench) }

// whole returns the benchmark of a metric, which is counted as one without a unit.
func (m Metric) whole() Metric {
	m.Unit = ""
	return m
}

// samples are the values of metrics on both sides.
type samples map[Metric]*[2][]float64

// Row is what there is to say of a metric.
type Row struct {
	Metric
	Summary    [2]benchmath.Summary
	Comparison benchmath.Comparison // p and the sample sizes, as benchstat has them
	Delta      float64              // head/base - 1 of the medians; 0 if both are 0, ±Inf if only the base is
	Adjusted   float64              // p after Holm and looks; 1 for what is not gated
	Better     int                  // +1 higher, -1 lower, 0 not known
	Threshold  float64              // share; +Inf for information only
	Verdict    Verdict
	// Visible is the smallest change that would be confirmed nine times out of ten, +Inf
	// if none of up to 400 %; nil if that is not known. Judge does not know.
	Visible *float64

	exact, constant bool
	results         [2]int // of the benchmark, with the metric or without
}

// Gated reports whether the row can fail the comparison.
func (row *Row) Gated() bool { return row.Better != 0 && !math.IsInf(row.Threshold, 1) }

// Harm returns the change for the worse as a share, negative for an improvement.
func (row *Row) Harm() float64 { return -row.Delta * float64(row.Better) }

// Settled reports whether more samples are unlikely to change what the row does
// to the comparison.
func (row *Row) Settled() bool { return row.Verdict != NotShown || row.exact }

// Report is the judgment of a whole set.
type Report struct {
	Rows []*Row // in the order of the input
	// OneSided are the metrics that only one side has: a Summary, no verdict.
	OneSided []*Row
	Faults   []Fault  // what could not be judged
	New      []string // benchmarks that only the head has
	Gone     []string // benchmarks that the head has not, and may have not
	Family   int      // the number of tests that Holm's procedure was over
	Alpha    float64
	Looks    int
	// RequirePower makes a metric that is not shown one that could not be judged.
	RequirePower bool
}

// ExitCode returns 1 if anything got worse, else 2 if anything could not be judged or
// moved and may have got worse or there was nothing to judge, else 0. A base without
// any benchmark has nothing that could be lost: 0.
func (rep *Report) ExitCode() int {
	switch {
	case len(rep.With(Worse)) > 0:
		return 1
	case len(rep.Faults) > 0 || len(rep.With(Moved)) > 0 || len(rep.Rows) == 0 && (len(rep.New) == 0 || len(rep.Gone) > 0):
		return 2
	case rep.RequirePower && len(rep.Findings(NotShown)) > 0:
		return 2
	}
	return 0
}

// Judge compares the sides of a set.
func Judge(set *Set, rules *Rules) (*Report, error) {
	if err := rules.Validate(); err != nil {
		return nil, err
	}
	rep := &Report{Alpha: rules.alpha(), Looks: int(rules.looks()), RequirePower: rules.RequirePower}
	for _, f := range set.Faults {
		if f.Unit == "" || !rules.off(f.Unit, fullName(f.Pkg, f.Bench)) {
			rep.Faults = append(rep.Faults, f)
		}
	}
	metrics, values := collect(set, rules)
	missing := newMissing(rep, set, rules, metrics, values)
	units := set.Units()
	for _, m := range metrics {
		if m.Unit == "" || isUnreadable(set.Faults, m) {
			continue
		}
		row := summarize(units, rules, m, values)
		switch {
		case row.Comparison.N2 == 0:
			missing.report(m, Base)
			rep.OneSided = append(rep.OneSided, row)
		case row.Comparison.N1 == 0:
			missing.report(m, Head)
			rep.OneSided = append(rep.OneSided, row)
		default:
			row.Better = rep.direction(set, rules, row)
			rep.Rows = append(rep.Rows, row)
		}
	}
	rep.correct(rules)
	return rep, nil
}

// isUnreadable reports whether the metric could not be read on one of the sides.
func isUnreadable(faults []Fault, m Metric) bool {
	return slices.ContainsFunc(faults, func(f Fault) bool {
		return f.Kind == Unreadable && f.Unit == m.Unit && (f.Pkg == m.Pkg || m.Pkg == "") && f.Bench == m.Bench
	})
}

// direction returns which way a row is better. A direction that only one of the sides
// gives counts, and is a fault: what it is on the other side may have been lost.
func (rep *Report) direction(set *Set, rules *Rules, row *Row) int {
	base, head := rules.better(set, Base, row.Unit), rules.better(set, Head, row.Unit)
	if base == head {
		return base
	}
	says := map[int]string{0: "nothing", -1: "lower", +1: "higher"}
	f := Fault{Kind: Undirected, Unit: row.Unit, Text: fmt.Sprintf(
		"which way it is better: %s at the base and %s at the head; print its Unit line on both sides, or say it under \"better\" in -config, or set it off",
		says[base], says[head])}
	if !math.IsInf(row.Threshold, 1) && !slices.Contains(rep.Faults, f) {
		rep.Faults = append(rep.Faults, f)
	}
	return base + head // none if they contradict each other
}

// collect returns the metrics in the order of the input, whole benchmarks among them,
// and the values of each.
func collect(set *Set, rules *Rules) (metrics []Metric, values samples) {
	values = make(samples)
	for side, results := range set.Results {
		for _, r := range results {
			m := Metric{Pkg: r.GetConfig("pkg"), Bench: r.Name.String(), Config: configOf(r, rules.Ignore)}
			if slices.Contains(rules.Ignore, "pkg") {
				m.Pkg = ""
			}
			for _, v := range slices.Concat(r.Values, []benchfmt.Value{{Value: float64(r.Iters)}}) {
				m.Unit = v.Unit
				if values[m] == nil {
					values[m] = new([2][]float64)
					metrics = append(metrics, m)
				}
				values[m][side] = append(values[m][side], v.Value)
			}
		}
	}
	return metrics, values
}

// configOf returns the configuration that must be the same for two results to be
// comparable.
func configOf(r *benchfmt.Result, ignore []string) string {
	var lines []string
	for _, c := range r.Config {
		if c.File && c.Key != "pkg" && c.Key != "commit" && !slices.Contains(ignore, c.Key) {
			lines = append(lines, c.Key+": "+string(c.Value))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// summarize returns a metric's row without a verdict, and without a comparison if a
// side lacks it.
func summarize(units benchfmt.UnitMetadataMap, rules *Rules, m Metric, values samples) *Row {
	assume := units.GetAssumption(m.Unit)
	row := &Row{
		Metric: m, Threshold: rules.threshold(m.Unit, m.Name()), Adjusted: 1, Verdict: Unchanged,
		exact: assume == benchmath.Assumption(benchmath.AssumeExact),
	}
	var sides [2]*benchmath.Sample
	for side, v := range values[m] {
		row.results[side] = len(values[m.whole()][side])
		sides[side] = benchmath.NewSample(v, &benchmath.Thresholds{CompareAlpha: rules.alpha()})
		if len(v) > 0 {
			row.Summary[side] = assume.Summary(sides[side], 0.95)
		}
	}
	base, head := sides[Base].Values, sides[Head].Values // sorted
	if row.Comparison.N1, row.Comparison.N2 = len(base), len(head); len(base) == 0 || len(head) == 0 {
		return row
	}
	row.Comparison = assume.Compare(sides[Base], sides[Head])
	row.Delta = delta(row.Summary[Base].Center, row.Summary[Head].Center)
	row.constant = base[0] == head[0] && base[0] == base[len(base)-1] && head[0] == head[len(head)-1]
	return row
}

func delta(base, head float64) float64 {
	if base == head {
		return 0
	}
	return (head - base) / math.Abs(base) // ±Inf for a base of 0
}

// correct adjusts the p-values and gives the verdicts. The metrics that can fail
// are one family; those without a direction are another, so that they cost the
// first no power.
func (rep *Report) correct(rules *Rules) {
	var gated, undirected []*Row
	for _, row := range rep.Rows {
		switch {
		case row.exact:
			row.Adjusted = row.Comparison.P
		case row.constant:
		case row.Gated():
			gated = append(gated, row)
		case !math.IsInf(row.Threshold, 1):
			undirected = append(undirected, row)
		}
	}
	rep.Family = len(gated)
	adjust(gated, rules)
	adjust(undirected, rules)
	for _, row := range rep.Rows {
		row.Verdict = rep.judge(row, rules)
	}
}

func adjust(family []*Row, rules *Rules) {
	var p []float64
	for _, row := range family {
		p = append(p, row.Comparison.P)
	}
	for i, adjusted := range holm(p) {
		family[i].Adjusted = min(1, adjusted*rules.looks())
	}
}

// judge returns the verdict on a row. It records a fault and returns NotShown if
// there can be none.
func (rep *Report) judge(row *Row, rules *Rules) Verdict {
	confirmed := row.Delta != 0 && math.Abs(row.Delta) >= row.Threshold && row.Adjusted < rep.Alpha
	switch {
	case row.Better == 0 && confirmed:
		return Moved
	case !row.Gated():
		if row.Delta != 0 && row.Comparison.P < rep.Alpha {
			return Noted
		}
		return NotGated
	case row.incomplete(rep), row.exact && row.inexact(rep), !row.exact && row.tooFew(rep, rules):
		return NotShown
	case confirmed && row.Harm() > 0:
		return Worse
	case confirmed:
		return Better
	case !row.exact && !row.constant && row.Worst() >= row.Threshold:
		return NotShown
	}
	return Unchanged
}

// fault records what could not be judged of a metric; side is empty for both.
func (rep *Report) fault(kind Kind, side string, m Metric, format string, args ...any) {
	rep.Faults = append(rep.Faults, Fault{kind, side, m.Pkg, m.Bench, m.Unit, fmt.Sprintf(format, args...)})
}

// incomplete records that some results of the benchmark lack the metric: those
// that have it need not be like the others.
func (row *Row) incomplete(rep *Report) bool {
	found := false
	for side, n := range [2]int{row.Comparison.N1, row.Comparison.N2} {
		if all := row.results[side]; n < all {
			found = true
			rep.fault(Incomplete, Side(side).String(), row.Metric, "%d of %d results have it", n, all)
		}
	}
	return found
}

func (row *Row) inexact(rep *Report) bool {
	for side, s := range row.Summary {
		if len(s.Warnings) > 0 {
			rep.fault(Inexact, Side(side).String(), row.Metric, "%v", s.Warnings[0])
			return true
		}
	}
	return false
}

// tooFew records that a row could not be called worse however large the change.
func (row *Row) tooFew(rep *Report, rules *Rules) bool {
	n1, n2 := row.Comparison.N1, row.Comparison.N2
	if min(n1, n2) >= MinSamples && (row.constant || smallestP(n1, n2)*float64(rep.Family)*rules.looks() < rep.Alpha) {
		return false
	}
	rep.fault(TooFew, "", row.Metric, "%d and %d; with %d metrics gated together and alpha %v, %d a side are needed",
		n1, n2, rep.Family, rep.Alpha, samplesFor(max(1, float64(rep.Family)), rules.looks(), rep.Alpha))
	return true
}
