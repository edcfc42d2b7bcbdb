package benchreport

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"golang.org/x/perf/benchunit"

	"example.com/brunt/internal/benchgate"
	"example.com/brunt/internal/benchrun"
	"example.com/brunt/internal/ghactions"
)

// Marker begins a Markdown report, so that a bot finds the comment to update.
const Marker = "<!-- brunt compare -->"

// Input is everything that reports are made of.
type Input struct {
	Set         *benchgate.Set
	Report      *benchgate.Report
	Run         *benchrun.Outcome // nil when files were compared
	Profiles    []benchrun.Profile
	Environment [][2]string // what and its value, in order
	Warnings    []string
	Command     string // how to repeat it
}

// verdicts in the order of what matters.
var verdicts = []benchgate.Verdict{benchgate.Worse, benchgate.Moved, benchgate.Better, benchgate.Noted, benchgate.NotShown, benchgate.Unchanged, benchgate.NotGated}

// Headline returns the outcome in one line: it counts benchmarks that got worse, moved or
// got better, and metrics of the other verdicts.
func (in *Input) Headline() string {
	rep := in.Report
	var parts []string
	for _, v := range verdicts {
		word := string(v)
		if v == benchgate.Moved {
			word = "moved and may be worse"
		}
		found, n := len(rep.Findings(v)), len(rep.With(v))
		confirmed := v == benchgate.Worse || v == benchgate.Moved || v == benchgate.Better
		switch {
		case confirmed && n > found:
			parts = append(parts, fmt.Sprintf("%d %s (%d metrics)", found, word, n))
		case n > 0 || v == benchgate.Worse:
			parts = append(parts, fmt.Sprintf("%d %s", n, word))
		}
	}
	if n := len(rep.New); n > 0 {
		parts = append(parts, fmt.Sprintf("%d new", n))
	}
	if n := len(rep.Faults); n > 0 {
		parts = append(parts, fmt.Sprintf("%d could not be judged", n))
	}
	return strings.Join(parts, ", ")
}

// percent writes a share as a change, such as +5.31%.
func percent(share float64) string {
	if math.IsInf(share, 0) {
		return "from 0"
	}
	return fmt.Sprintf("%+.2f%%", 100*share)
}

func limit(share float64) string {
	if math.IsInf(share, 1) {
		return "off"
	}
	return fmt.Sprintf("%.4g %%", 100*share)
}

// seen returns the smallest change of the row that would be seen, if that is known.
func seen(r *benchgate.Row, format string) string {
	switch {
	case r.Visible == nil:
		return ""
	case *r.Visible == 0:
		return fmt.Sprintf(format, "any")
	case math.IsInf(*r.Visible, 1):
		return fmt.Sprintf(format, "> 400 %")
	}
	return fmt.Sprintf(format, fmt.Sprintf("≥ %.3g %%", 100**r.Visible))
}

// atMost returns how much worse the row may be.
func atMost(r *benchgate.Row) string {
	if math.IsInf(r.Worst(), 1) {
		return "∞"
	}
	return fmt.Sprintf("%.3g %%", 100*max(0, r.Worst()))
}

// values returns the medians of both sides in one scale; empty for a side without
// the metric.
func values(r *benchgate.Row) (base, head string) {
	n := [2]int{r.Comparison.N1, r.Comparison.N2}
	var centers []float64
	for i, s := range r.Summary {
		if n[i] > 0 {
			centers = append(centers, s.Center)
		}
	}
	scale := benchunit.CommonScale(centers, benchunit.ClassOf(r.Unit))
	side := func(i int) string {
		if n[i] == 0 {
			return ""
		}
		return scale.Format(r.Summary[i].Center) + " ± " + r.Summary[i].PctRangeString()
	}
	return side(0), side(1)
}

// Text returns the tables and, below them, the verdicts.
func Text(in *Input) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n", Table(in.Set, in.Report), in.Headline())
	for _, v := range []benchgate.Verdict{benchgate.Worse, benchgate.Moved, benchgate.Better, benchgate.Noted} {
		for _, r := range in.Report.With(v) {
			fmt.Fprintf(&b, "  %-7s %s %s\n", v, r.Name(), changeLine(r))
		}
	}
	if len(in.Report.With(benchgate.Moved)) > 0 {
		fmt.Fprintf(&b, "  %s\n", moved)
	}
	for i, r := range in.Report.With(benchgate.NotShown) {
		if i == 10 {
			fmt.Fprintf(&b, "  not shown: and %d more\n", len(in.Report.With(benchgate.NotShown))-i)
			break
		}
		base, head := values(r)
		fmt.Fprintf(&b, "  not shown %s %s: %s -> %s, %s, worse by at most %s (threshold %s%s)\n",
			r.Name(), r.Unit, base, head, percent(r.Delta), atMost(r), limit(r.Threshold), seen(r, "; a change of %s would reliably be seen"))
	}
	for _, f := range in.Report.Faults {
		fmt.Fprintf(&b, "  %s\n", strings.ReplaceAll(f.String(), "\n", "\n      "))
	}
	for _, name := range in.Report.New {
		fmt.Fprintf(&b, "  new     %s: only the head has it\n", name)
	}
	for _, name := range in.Report.Gone {
		fmt.Fprintf(&b, "  gone    %s: only the base has it, as allowed\n", name)
	}
	for _, line := range in.noise() {
		fmt.Fprintf(&b, "%s\n", line)
	}
	for _, line := range in.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", line)
	}
	return b.String()
}

// changeLine returns one line about a confirmed change.
func changeLine(r *benchgate.Row) string {
	base, head := values(r)
	return fmt.Sprintf("%s: %s -> %s, %s (p=%.3g, adjusted %.3g, threshold %s)",
		r.Unit, base, head, percent(r.Delta), r.Comparison.P, r.Adjusted, limit(r.Threshold))
}

// moved is what to do about metrics without a direction.
const moved = `moved: no one says which way these metrics are better: print "Unit name better=higher" or "better=lower", say it under "better" in -config, or set -threshold name=off`

// noise names what differed though nothing had changed.
func (in *Input) noise() (lines []string) {
	if in.Run != nil {
		for _, r := range in.Run.Restless {
			lines = append(lines, fmt.Sprintf("noise: %s %s differed by %s between the base and itself: this machine is too restless for it", r.Name(), r.Unit, percent(r.Delta)))
		}
	}
	return lines
}

// NotJudged returns a report, in Markdown, of a comparison that ended with an error.
func NotJudged(err error) string {
	return Marker + "\n### ⚠️ Benchmarks: could not be judged\n\n" + ghactions.Fence(err.Error())
}

// Markdown returns a report fit for a comment on a pull request.
func Markdown(in *Input) string {
	var b strings.Builder
	rep := in.Report
	icon := map[int]string{0: "✅", 1: "🔴", 2: "⚠️"}[rep.ExitCode()]
	if rep.ExitCode() == 0 && len(rep.With(benchgate.NotShown)) > 0 {
		icon = "❔"
	}
	fmt.Fprintf(&b, "%s\n### %s Benchmarks: %s\n\n", Marker, icon, in.Headline())
	section(&b, "Worse", rep.With(benchgate.Worse))
	if rows := rep.With(benchgate.Moved); len(rows) > 0 {
		section(&b, "Moved, and may be worse", rows)
		fmt.Fprintf(&b, "%s\n\n", escape(moved))
	}
	if len(rep.Faults) > 0 {
		b.WriteString("**Could not be judged**\n\n")
		for _, f := range rep.Faults {
			fmt.Fprintf(&b, "- %s\n", escape(strings.ReplaceAll(f.String(), "\n", " ⏎ ")))
		}
		b.WriteString("\n")
	}
	section(&b, "Better 🎉", rep.With(benchgate.Better))
	section(&b, "Changed, not gated", rep.With(benchgate.Noted))
	for _, v := range []benchgate.Verdict{benchgate.NotShown, benchgate.Unchanged, benchgate.NotGated} {
		if rows := rep.With(v); len(rows) > 0 {
			what := map[benchgate.Verdict]string{benchgate.NotShown: ": each may have got worse by its threshold, and these runs could not see it"}
			fmt.Fprintf(&b, "<details><summary>%d %s%s</summary>\n\n", len(rows), v, what[v])
			table(&b, rows)
			b.WriteString("\n</details>\n\n")
		}
	}
	if len(rep.New) > 0 {
		fmt.Fprintf(&b, "New, with nothing to compare to: %s\n\n", code(rep.New))
	}
	if len(rep.Gone) > 0 {
		fmt.Fprintf(&b, "Removed, as allowed: %s\n\n", code(rep.Gone))
	}
	for _, line := range in.Warnings {
		fmt.Fprintf(&b, "> ⚠️ %s\n\n", escape(line))
	}
	for _, p := range in.Profiles {
		fmt.Fprintf(&b, "<details><summary>%s profile of %s: what differs most</summary>\n\n%s\n</details>\n\n", p.Kind, escape(p.Bench), ghactions.Fence(p.Top))
	}
	b.WriteString("<details><summary>How sure is this</summary>\n\n")
	fmt.Fprintf(&b, "- A metric is called worse if it changed for the worse by its threshold or more, and the two-sided Mann-Whitney p, adjusted after Holm over %d metrics", rep.Family)
	if rep.Looks > 1 {
		fmt.Fprintf(&b, " and times %d looks", rep.Looks)
	}
	fmt.Fprintf(&b, ", is below %v. So is the chance that any of it is a false alarm. It is called unchanged if the intervals leave no room for a change for the worse by its threshold, and not shown if they do. ± is the 95 %% interval of the median.\n", rep.Alpha)
	for _, line := range in.noise() {
		fmt.Fprintf(&b, "- %s\n", escape(line))
	}
	for _, e := range in.Environment {
		fmt.Fprintf(&b, "- %s: %s\n", e[0], escape(e[1]))
	}
	if in.Command != "" {
		fmt.Fprintf(&b, "- repeat it: `%s`\n", strings.ReplaceAll(in.Command, "`", "'"))
	}
	b.WriteString("\n</details>\n\n<details><summary>All values</summary>\n\n")
	b.WriteString(ghactions.Fence(Table(in.Set, rep)) + "\n</details>\n")
	return b.String()
}

func section(b *strings.Builder, title string, rows []*benchgate.Row) {
	if len(rows) > 0 {
		fmt.Fprintf(b, "**%s**\n\n", title)
		table(b, rows)
		b.WriteString("\n")
	}
}

func table(b *strings.Builder, rows []*benchgate.Row) {
	// What could have been seen is news only where nothing was.
	notShown := rows[0].Verdict == benchgate.NotShown
	b.WriteString("| benchmark | metric | base | head | change | worse by at most | adjusted p | threshold |")
	line := "\n|---|---|--:|--:|--:|--:|--:|--:|"
	if notShown {
		b.WriteString(" reliably seen |")
		line += "--:|"
	}
	b.WriteString(line + "\n")
	for i, r := range rows {
		base, head := values(r)
		name, p, worst := escape(r.Name()), "–", "–"
		if i > 0 && r.Name() == rows[i-1].Name() && r.Config == rows[i-1].Config {
			name = "" // one finding
		}
		if r.Gated() {
			worst = atMost(r)
		}
		if r.Gated() || r.Verdict == benchgate.Moved {
			p = fmt.Sprintf("%.3g", r.Adjusted)
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s |", name, escape(r.Unit), base, head, percent(r.Delta), worst, p, limit(r.Threshold))
		if notShown {
			fmt.Fprintf(b, " %s |", seen(r, "%s"))
		}
		b.WriteString("\n")
	}
}

var escaper = strings.NewReplacer("|", `\|`, "`", "\\`", "*", `\*`, "_", `\_`, "<", "&lt;", ">", "&gt;", "#", `\#`, "@", "@\u200b", "\n", " ", "\r", " ")

func escape(s string) string { return escaper.Replace(s) }

func code(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = "`" + strings.ReplaceAll(n, "`", "'") + "`"
	}
	return strings.Join(quoted, ", ")
}

type jsonRow struct {
	Pkg       string            `json:"pkg"`
	Bench     string            `json:"bench"`
	Unit      string            `json:"unit"`
	Verdict   benchgate.Verdict `json:"verdict"`
	Better    string            `json:"better,omitempty"`
	Gated     bool              `json:"gated"`
	Base      jsonSummary       `json:"base"`
	Head      jsonSummary       `json:"head"`
	Delta     *float64          `json:"delta"` // null for a change from 0
	P         float64           `json:"p"`
	Adjusted  float64           `json:"p_adjusted"`
	Threshold *float64          `json:"threshold"` // null for information only
	Worst     *float64          `json:"worst"`     // for the worse, at most; null for no bound, or no direction
	Visible   *float64          `json:"visible,omitempty"`
	Rounds    int               `json:"rounds,omitempty"`
}

type jsonSummary struct {
	Center float64  `json:"center"`
	Lo     *float64 `json:"lo"` // null for too few samples
	Hi     *float64 `json:"hi"`
	N      int      `json:"n"`
}

func finite(v float64) *float64 {
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return nil
	}
	return &v
}

// JSON returns everything for a machine. Shares are fractions: 0.05 is 5 %.
func JSON(in *Input) ([]byte, error) {
	doc := struct {
		ExitCode    int                                  `json:"exit_code"`
		Headline    string                               `json:"headline"`
		Alpha       float64                              `json:"alpha"`
		Counts      map[benchgate.Verdict]map[string]int `json:"counts"`
		Family      int                                  `json:"family"`
		Looks       int                                  `json:"looks"`
		Rows        []jsonRow                            `json:"rows"`
		Faults      []benchgate.Fault                    `json:"faults"`
		New         []string                             `json:"new"`
		Gone        []string                             `json:"gone"`
		Warnings    []string                             `json:"warnings"`
		Noise       []string                             `json:"noise"`
		Profiles    []benchrun.Profile                   `json:"profiles"`
		Environment map[string]string                    `json:"environment"`
	}{
		in.Report.ExitCode(), in.Headline(), in.Report.Alpha, make(map[benchgate.Verdict]map[string]int), in.Report.Family, in.Report.Looks,
		[]jsonRow{},
		in.Report.Faults, in.Report.New, in.Report.Gone, in.Warnings, in.noise(), in.Profiles, make(map[string]string),
	}
	for _, e := range in.Environment {
		doc.Environment[e[0]] = e[1]
	}
	for _, v := range verdicts {
		doc.Counts[v] = map[string]int{"benchmarks": len(in.Report.Findings(v)), "metrics": len(in.Report.With(v))}
	}
	for _, r := range in.Report.Rows {
		side := func(i, n int) jsonSummary {
			return jsonSummary{r.Summary[i].Center, finite(r.Summary[i].Lo), finite(r.Summary[i].Hi), n}
		}
		j := jsonRow{
			Pkg: r.Pkg, Bench: r.Bench, Unit: r.Unit, Verdict: r.Verdict, Gated: r.Gated(),
			Better: map[int]string{-1: "lower", +1: "higher"}[r.Better],
			Base:   side(0, r.Comparison.N1), Head: side(1, r.Comparison.N2),
			Delta: finite(r.Delta), P: r.Comparison.P, Adjusted: r.Adjusted, Threshold: finite(r.Threshold),
		}
		if r.Gated() {
			j.Worst = finite(r.Worst())
		}
		if r.Visible != nil {
			j.Visible = finite(*r.Visible)
		}
		if in.Run != nil {
			j.Rounds = r.Comparison.N1
		}
		doc.Rows = append(doc.Rows, j)
	}
	text, err := json.MarshalIndent(doc, "", "  ")
	return append(text, '\n'), err
}
