// Package benchreport renders a comparison: as a table, as Markdown for a pull
// request, and as JSON. It decides nothing.
package benchreport

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/perf/benchunit"

	"example.com/brunt/internal/benchgate"
)

// Table returns a table for each metric of each package: the medians of both sides
// with their 95 % intervals, the change where it is significant by itself, p and
// the number of samples. The values are benchstat's, which a test holds.
func Table(set *benchgate.Set, rep *benchgate.Report) string {
	w := new(strings.Builder)
	var order []benchgate.Metric // of all benchmarks
	tables := make(map[benchgate.Metric][]*benchgate.Row)
	for _, r := range slices.Concat(rep.Rows, rep.OneSided) {
		g := r.Metric
		g.Bench = ""
		if tables[g] == nil {
			order = append(order, g)
		}
		tables[g] = append(tables[g], r)
	}
	slices.SortStableFunc(order, func(a, b benchgate.Metric) int {
		return cmp.Or(cmp.Compare(a.Pkg, b.Pkg), cmp.Compare(a.Config, b.Config))
	})
	var above benchgate.Metric
	for i, g := range order {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if g.Pkg != above.Pkg {
			fmt.Fprintf(w, "pkg: %s\n", g.Pkg)
		}
		if g.Config != above.Config {
			fmt.Fprintln(w, g.Config)
		}
		above = g
		var b strings.Builder
		out := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintf(out, "%s\t%s\t%s\tvs base\n", g.Unit, set.Label(benchgate.Base), set.Label(benchgate.Head))
		var warnings []error
		for _, r := range tables[g] {
			base, head := values(r)
			fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", r.Bench, base, head, change(r))
			warnings = slices.Concat(warnings, r.Summary[0].Warnings, r.Summary[1].Warnings, r.Comparison.Warnings)
		}
		geomean(out, tables[g])
		_ = out.Flush() // a Builder takes everything
		for line := range strings.Lines(b.String()) {
			fmt.Fprintln(w, strings.TrimRight(line, " \n"))
		}
		notes(w, warnings)
	}
	return w.String()
}

// change returns how the head differs from the base, by itself: without regard to the
// other metrics, which the verdict has.
func change(r *benchgate.Row) string {
	if r.Comparison.N1 == 0 || r.Comparison.N2 == 0 {
		return ""
	}
	return fmt.Sprintf("%s (%s)", r.Comparison.FormatDelta(r.Summary[0].Center, r.Summary[1].Center), r.Comparison)
}

// geomean writes the geometric means over the benchmarks that both sides have, if
// there are several and their values have one.
func geomean(w io.Writer, rows []*benchgate.Row) {
	var logs [2]float64
	n := 0.0
	for _, r := range rows {
		if r.Comparison.N1 == 0 || r.Comparison.N2 == 0 {
			continue
		}
		n++
		for side := range logs {
			logs[side] += math.Log(r.Summary[side].Center)
		}
	}
	base, head := math.Exp(logs[0]/n), math.Exp(logs[1]/n)
	if n < 2 || !(base > 0 && head > 0) {
		return
	}
	scale := benchunit.CommonScale([]float64{base, head}, benchunit.ClassOf(rows[0].Unit))
	fmt.Fprintf(w, "geomean\t%s\t%s\t%s\n", scale.Format(base), scale.Format(head), percent(head/base-1))
}

// notes writes each warning once.
func notes(w io.Writer, warnings []error) {
	var texts []string
	for _, err := range warnings {
		if !slices.Contains(texts, err.Error()) {
			texts = append(texts, err.Error())
		}
	}
	if len(texts) > 0 {
		fmt.Fprintf(w, "(%s)\n", strings.Join(texts, "; "))
	}
}
