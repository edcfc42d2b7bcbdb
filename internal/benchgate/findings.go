package benchgate

import (
	"cmp"
	"math"
	"slices"
)

// Changed reports whether a change of the metric is confirmed, be it gated or not.
func (row *Row) Changed() bool { return row.Verdict.changed() }

func (v Verdict) changed() bool { return !slices.Contains([]Verdict{Unchanged, NotShown, NotGated}, v) }

// Worst returns the largest change for the worse, as a share, that the intervals of the
// two medians leave room for; +Inf if they set no bound.
func (row *Row) Worst() float64 {
	base, head := row.Summary[Base], row.Summary[Head]
	switch {
	case row.constant, row.exact:
		return max(0, row.Harm())
	case !(base.Lo > 0): // or not known
		return math.Inf(1)
	case row.Better > 0:
		return 1 - head.Lo/base.Hi
	}
	return head.Hi/base.Lo - 1
}

// With returns the metrics with a verdict, those of one benchmark side by side, the
// largest change first.
func (rep *Report) With(v Verdict) []*Row { return slices.Concat(rep.Findings(v)...) }

// Findings returns the metrics with a verdict, those of one benchmark as one finding:
// what slows a server down shows in its time, its rate and its percentiles.
func (rep *Report) Findings(v Verdict) (findings [][]*Row) {
	index := make(map[Metric]int)
	for _, row := range rep.Rows {
		if row.Verdict != v {
			continue
		}
		at, ok := index[row.whole()]
		if !ok {
			at = len(findings)
			index[row.whole()] = at
			findings = append(findings, nil)
		}
		findings[at] = append(findings[at], row)
	}
	if !v.changed() {
		return findings // in the order of the input
	}
	byChange := func(a, b *Row) int { return cmp.Compare(math.Abs(b.Delta), math.Abs(a.Delta)) }
	for _, rows := range findings {
		slices.SortStableFunc(rows, byChange)
	}
	slices.SortStableFunc(findings, func(a, b []*Row) int { return byChange(a[0], b[0]) })
	return findings
}
