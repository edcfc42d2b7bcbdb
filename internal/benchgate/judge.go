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

// Row is one metric of one benchmark.
type Row struct {
	Pkg, Bench, Unit string
	Config           string // what else the results were recorded under, one "key: value" a line
	Summary          [2]benchmath.Summary
	Comparison       benchmath.Comparison // p and the sample sizes, as benchstat has them
	Delta            float64              // head/base - 1 of the medians; 0 if both are 0, ±Inf if only the base is
	Adjusted         float64              // p after Holm and looks; 1 for what is not gated
	Better           int                  // +1 higher, -1 lower, 0 not known
	Threshold        float64              // share; +Inf for information only
	Verdict          Verdict

	exact, constant bool
	results         [2]int // of the benchmark, with the metric or without
}

// Name returns the package and the benchmark.
func (row *Row) Name() string { return fullName(row.Pkg, row.Bench) }

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

type rowKey struct{ config, pkg, bench, unit string }

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
	keys, values, results := collect(set, rules)
	missing := newMissing(set, rules, keys, values, results)
	units := set.Units()
	for _, k := range keys {
		v := values[k]
		switch {
		case isUnreadable(set.Faults, k):
		case len(v[Base]) == 0 || len(v[Head]) == 0:
			missing.report(rep, k, len(v[Base]) > 0)
			rep.OneSided = append(rep.OneSided, oneSided(units, k, v))
		default:
			row := compare(units, rules, k, v)
			row.results = results[k.whole()]
			row.Better = rep.direction(set, rules, row)
			rep.Rows = append(rep.Rows, row)
		}
	}
	rep.correct(rules)
	// That the sides are not the same kind of thing explains whatever else is wrong.
	slices.SortStableFunc(rep.Faults, func(a, b Fault) int { return b.explains() - a.explains() })
	return rep, nil
}

func (f Fault) explains() int {
	if f.Kind == Incomparable {
		return 1
	}
	return 0
}

// isUnreadable reports whether the metric could not be read on one of the sides.
func isUnreadable(faults []Fault, k rowKey) bool {
	return slices.ContainsFunc(faults, func(f Fault) bool {
		return f.Kind == Unreadable && f.Unit == k.unit && (f.Pkg == k.pkg || k.pkg == "") && f.Bench == k.bench
	})
}

// direction returns which way a row is better. A direction that only one of the sides
// gives counts, and is a fault: what it is on the other side may have been lost.
func (rep *Report) direction(set *Set, rules *Rules, row *Row) int {
	way, agreed := rules.better(set, row.Unit)
	if agreed || math.IsInf(row.Threshold, 1) {
		return way
	}
	says := map[int]string{0: "nothing", -1: "lower", +1: "higher"}
	f := Fault{Kind: Undirected, Unit: row.Unit, Text: fmt.Sprintf(
		"which way it is better: %s at the base and %s at the head; print its Unit line on both sides, or say it under \"better\" in -config, or set it off",
		says[rules.betterAt(set, Base, row.Unit)], says[rules.betterAt(set, Head, row.Unit)])}
	if !slices.Contains(rep.Faults, f) {
		rep.Faults = append(rep.Faults, f)
	}
	return way
}

// whole returns the benchmark of a row.
func (k rowKey) whole() rowKey { return rowKey{k.config, k.pkg, k.bench, ""} }

// collect returns the metrics in their order, the values of each, and the number
// of results of each benchmark.
func collect(set *Set, rules *Rules) (keys []rowKey, values map[rowKey]*[2][]float64, counts map[rowKey][2]int) {
	values, counts = make(map[rowKey]*[2][]float64), make(map[rowKey][2]int)
	for side, results := range set.Results {
		for _, r := range results {
			k := rowKey{configOf(r, rules.Ignore), r.GetConfig("pkg"), r.Name.String(), ""}
			if slices.Contains(rules.Ignore, "pkg") {
				k.pkg = ""
			}
			n := counts[k]
			n[side]++
			counts[k] = n
			for _, v := range r.Values {
				k.unit = v.Unit
				cell := values[k]
				if cell == nil {
					cell = new([2][]float64)
					values[k] = cell
					keys = append(keys, k)
				}
				cell[side] = append(cell[side], v.Value)
			}
		}
	}
	return keys, values, counts
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

// oneSided summarizes a metric that one of the sides has.
func oneSided(units benchfmt.UnitMetadataMap, k rowKey, v *[2][]float64) *Row {
	row := &Row{Pkg: k.pkg, Bench: k.bench, Unit: k.unit, Config: k.config}
	row.Comparison.N1, row.Comparison.N2 = len(v[Base]), len(v[Head])
	for side, values := range v {
		if len(values) > 0 {
			row.Summary[side] = units.GetAssumption(k.unit).Summary(benchmath.NewSample(values, &benchmath.DefaultThresholds), 0.95)
		}
	}
	return row
}

func compare(units benchfmt.UnitMetadataMap, rules *Rules, k rowKey, v *[2][]float64) *Row {
	assume := units.GetAssumption(k.unit)
	thresholds := benchmath.Thresholds{CompareAlpha: rules.alpha()}
	base, head := benchmath.NewSample(v[Base], &thresholds), benchmath.NewSample(v[Head], &thresholds)
	row := &Row{
		Pkg: k.pkg, Bench: k.bench, Unit: k.unit, Config: k.config,
		Summary:    [2]benchmath.Summary{assume.Summary(base, 0.95), assume.Summary(head, 0.95)},
		Comparison: assume.Compare(base, head),
		Threshold:  rules.threshold(k.unit, fullName(k.pkg, k.bench)),
		Adjusted:   1,
		Verdict:    Unchanged,
		exact:      assume == benchmath.Assumption(benchmath.AssumeExact),
	}
	row.Delta = delta(row.Summary[Base].Center, row.Summary[Head].Center)
	// The samples are sorted.
	row.constant = base.Values[0] == head.Values[0] && base.Values[0] == base.Values[len(base.Values)-1] &&
		head.Values[0] == head.Values[len(head.Values)-1]
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

// incomplete records that some results of the benchmark lack the metric: those
// that have it need not be like the others.
func (row *Row) incomplete(rep *Report) bool {
	found := false
	for side, n := range [2]int{row.Comparison.N1, row.Comparison.N2} {
		if all := row.results[side]; n < all {
			found = true
			rep.Faults = append(rep.Faults, Fault{Incomplete, Side(side).String(), row.Pkg, row.Bench, row.Unit, fmt.Sprintf("%d of %d results have it", n, all)})
		}
	}
	return found
}

func (row *Row) inexact(rep *Report) bool {
	for side, s := range row.Summary {
		if len(s.Warnings) > 0 {
			rep.Faults = append(rep.Faults, Fault{Inexact, Side(side).String(), row.Pkg, row.Bench, row.Unit, s.Warnings[0].Error()})
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
	need := samplesFor(max(1, float64(rep.Family)), rules.looks(), rep.Alpha)
	rep.Faults = append(rep.Faults, Fault{TooFew, "", row.Pkg, row.Bench, row.Unit, fmt.Sprintf(
		"%d and %d; with %d metrics gated together and alpha %v, %d a side are needed", n1, n2, rep.Family, rep.Alpha, need)})
	return true
}
