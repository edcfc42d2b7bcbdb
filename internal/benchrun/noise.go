package benchrun

import (
	"math"
	"slices"

	"example.com/brunt/internal/benchgate"
)

// noiseOf returns the values of a row's metric that differ by noise alone: the base's,
// from both columns of the A/A phase and from the comparison itself.
func (o *Outcome) noiseOf(row *benchgate.Row) (values []float64) {
	for _, r := range slices.Concat(o.Noise[0], o.Noise[1], o.Set.Results[benchgate.Base]) {
		if r.GetConfig("pkg") == row.Pkg && r.Name.String() == row.Bench {
			if v, ok := r.Value(row.Unit); ok {
				values = append(values, v)
			}
		}
	}
	return values
}

// predict finds for each gated row what could have been seen, and which metrics
// differ though nothing did.
func (o *Outcome) predict() {
	if o.cfg.AA == 0 {
		return
	}
	for _, row := range o.Report.Rows {
		noise := o.noiseOf(row)
		if !row.Gated() || len(noise) < 2 {
			continue
		}
		visible := benchgate.Power{
			N: o.cfg.limit(), Family: o.Report.Family, Looks: o.cfg.looks(),
			Alpha: o.Report.Alpha, Threshold: row.Threshold, Seed: o.cfg.Seed, Trials: 200,
		}.Visible(noise)
		// A change that the intervals leave room for was not seen: whatever made them so
		// wide, be it the head, was not in the noise that predicts.
		if row.Verdict != benchgate.NotShown || visible >= row.Worst() {
			row.Visible = &visible
		}
	}
	aa := benchgate.Set{Results: o.Noise}
	rules := o.cfg.Rules
	rules.Looks = 1
	if rep, err := benchgate.Judge(&aa, &rules); err == nil {
		for _, row := range rep.Rows {
			if row.Gated() && row.Comparison.P*float64(max(1, rep.Family)) < rep.Alpha && math.Abs(row.Delta) >= row.Threshold {
				o.Restless = append(o.Restless, row)
			}
		}
	}
}
