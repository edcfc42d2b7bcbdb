package benchreport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"

	"golang.org/x/perf/benchunit"

	"example.com/brunt/internal/benchgate"
	"example.com/brunt/internal/benchrun"
)

// Marker begins a Markdown report, so that a bot finds the comment to update.
const Marker = "<!-- brunt compare -->"

// Input is everything that reports are made of.
type Input struct {
	Set         *benchgate.Set
	Report      *benchgate.Report
	Rules       *benchgate.Rules
	Run         *benchrun.Outcome // nil when files were compared
	Profiles    []benchrun.Profile
	Environment [][2]string // what and its value, in order
	Warnings    []string
	Command     string // how to repeat it
}

// Headline is the outcome in one line.
func (in *Input) Headline() string {
	rep := in.Report
	var parts []string
	for _, v := range []benchgate.Verdict{benchgate.Worse, benchgate.Moved, benchgate.Better, benchgate.Noted, benchgate.Unchanged} {
		if n := len(rep.With(v)); n > 0 || v == benchgate.Worse {
			word := string(v)
			if v == benchgate.Moved {
				word = "moved and may be worse"
			}
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

func seen(share float64) string {
	if share == 0 {
		return "any"
	}
	if math.IsInf(share, 1) {
		return "> 400 %"
	}
	return fmt.Sprintf("≥ %.3g %%", 100*share)
}

func values(r *benchgate.Row) (base, head string) {
	class := benchunit.ClassOf(r.Unit)
	scale := benchunit.CommonScale([]float64{r.Summary[0].Center, r.Summary[1].Center}, class)
	side := func(i int) string {
		return scale.Format(r.Summary[i].Center) + " ± " + r.Summary[i].PctRangeString()
	}
	return side(0), side(1)
}

// Text writes benchstat's table and, below it, what it does not say.
func Text(w io.Writer, in *Input) error {
	if err := Table(w, in.Set, in.Report.Alpha, in.Rules.Ignore); err != nil {
		return err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "\n%s\n", in.Headline())
	for _, v := range []benchgate.Verdict{benchgate.Worse, benchgate.Moved, benchgate.Better, benchgate.Noted} {
		for _, r := range in.Report.With(v) {
			base, head := values(r)
			fmt.Fprintf(&b, "  %-7s %s %s: %s -> %s, %s (p=%.3g, adjusted %.3g, threshold %s)\n",
				v, r.Name(), r.Unit, base, head, percent(r.Delta), r.Comparison.P, r.Adjusted, limit(r.Threshold))
		}
	}
	if len(in.Report.With(benchgate.Moved)) > 0 {
		fmt.Fprintf(&b, "  %s\n", moved)
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
	_, err := w.Write(b.Bytes())
	return err
}

// moved is what to do about metrics without a direction.
const moved = `moved: no one says which way these metrics are better: print "Unit name better=higher" or "better=lower", say it under "better" in -config, or set -threshold name=off`

// noise says how much the machine allowed to be seen.
func (in *Input) noise() (lines []string) {
	if in.Run == nil || len(in.Run.Visible) == 0 {
		return nil
	}
	blind := 0
	for _, r := range in.Report.Rows {
		v, ok := in.Run.Visible[r]
		if ok && v > r.Threshold && v > 0.05 {
			if blind++; blind <= 10 {
				lines = append(lines, fmt.Sprintf("noise: %s %s: only a change of %s would reliably be seen (threshold %s)", r.Name(), r.Unit, seen(v), limit(r.Threshold)))
			}
		}
	}
	if blind > 10 {
		lines = append(lines, fmt.Sprintf("noise: and %d more", blind-10))
	}
	for _, r := range in.Run.Restless {
		lines = append(lines, fmt.Sprintf("noise: %s %s differed by %s between the base and itself: this machine is too restless for it", r.Name(), r.Unit, percent(r.Delta)))
	}
	if len(lines) == 0 {
		lines = append(lines, "noise: every gated metric would reliably show a change of its threshold or 5 %")
	}
	return lines
}

// Markdown writes a report fit for a comment on a pull request.
func Markdown(w io.Writer, in *Input) error {
	var b bytes.Buffer
	rep := in.Report
	icon := map[int]string{0: "✅", 1: "🔴", 2: "⚠️"}[rep.ExitCode()]
	fmt.Fprintf(&b, "%s\n### %s Benchmarks: %s\n\n", Marker, icon, in.Headline())
	section(&b, "Worse", rep.With(benchgate.Worse), in)
	if rows := rep.With(benchgate.Moved); len(rows) > 0 {
		section(&b, "Moved, and may be worse", rows, in)
		fmt.Fprintf(&b, "%s\n\n", escape(moved))
	}
	if len(rep.Faults) > 0 {
		b.WriteString("**Could not be judged**\n\n")
		for _, f := range rep.Faults {
			fmt.Fprintf(&b, "- %s\n", escape(strings.ReplaceAll(f.String(), "\n", " ⏎ ")))
		}
		b.WriteString("\n")
	}
	section(&b, "Better 🎉", rep.With(benchgate.Better), in)
	section(&b, "Changed, not gated", rep.With(benchgate.Noted), in)
	if rows := rep.With(benchgate.Unchanged); len(rows) > 0 {
		fmt.Fprintf(&b, "<details><summary>%d unchanged</summary>\n\n", len(rows))
		table(&b, rows, in)
		b.WriteString("\n</details>\n\n")
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
		fmt.Fprintf(&b, "<details><summary>%s profile of %s: what differs most</summary>\n\n%s\n</details>\n\n", p.Kind, escape(p.Bench), fence(p.Top))
	}
	b.WriteString("<details><summary>How sure is this</summary>\n\n")
	fmt.Fprintf(&b, "- A metric is called worse if it changed for the worse by its threshold or more, and the two-sided Mann-Whitney p, adjusted after Holm over %d metrics", rep.Family)
	if rep.Looks > 1 {
		fmt.Fprintf(&b, " and times %d looks", rep.Looks)
	}
	fmt.Fprintf(&b, ", is below %v. So is the chance that any of it is a false alarm. ± is the 95 %% interval of the median.\n", rep.Alpha)
	for _, line := range in.noise() {
		fmt.Fprintf(&b, "- %s\n", escape(line))
	}
	for _, e := range in.Environment {
		fmt.Fprintf(&b, "- %s: %s\n", e[0], escape(e[1]))
	}
	if in.Command != "" {
		fmt.Fprintf(&b, "- repeat it: `%s`\n", strings.ReplaceAll(in.Command, "`", "'"))
	}
	b.WriteString("\n</details>\n\n<details><summary>The same data by benchstat</summary>\n\n")
	var text bytes.Buffer
	if err := Table(&text, in.Set, rep.Alpha, in.Rules.Ignore); err != nil {
		return err
	}
	b.WriteString(fence(text.String()) + "\n</details>\n")
	_, err := w.Write(b.Bytes())
	return err
}

func section(b *bytes.Buffer, title string, rows []*benchgate.Row, in *Input) {
	if len(rows) > 0 {
		fmt.Fprintf(b, "**%s**\n\n", title)
		table(b, rows, in)
		b.WriteString("\n")
	}
}

func table(b *bytes.Buffer, rows []*benchgate.Row, in *Input) {
	b.WriteString("| benchmark | metric | base | head | change | adjusted p | threshold |")
	visible := in.Run != nil && len(in.Run.Visible) > 0
	line := "\n|---|---|--:|--:|--:|--:|--:|"
	if visible {
		b.WriteString(" visible |")
		line += "--:|"
	}
	b.WriteString(line + "\n")
	for _, r := range rows {
		base, head := values(r)
		p := fmt.Sprintf("%.3g", r.Adjusted)
		if !r.Gated() && r.Verdict != benchgate.Moved {
			p = "–"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s |", escape(r.Name()), escape(r.Unit), base, head, percent(r.Delta), p, limit(r.Threshold))
		if visible {
			if v, ok := in.Run.Visible[r]; ok {
				fmt.Fprintf(b, " %s |", seen(v))
			} else {
				b.WriteString(" |")
			}
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

// fence quotes text in a block that nothing in it can end.
func fence(text string) string {
	ticks := "```"
	for strings.Contains(text, ticks) {
		ticks += "`"
	}
	return ticks + "\n" + strings.TrimRight(text, "\n") + "\n" + ticks + "\n"
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

// JSON writes everything for a machine. Shares are fractions: 0.05 is 5 %.
func JSON(w io.Writer, in *Input) error {
	doc := struct {
		ExitCode    int                `json:"exit_code"`
		Headline    string             `json:"headline"`
		Alpha       float64            `json:"alpha"`
		Family      int                `json:"family"`
		Looks       int                `json:"looks"`
		Rows        []jsonRow          `json:"rows"`
		Faults      []benchgate.Fault  `json:"faults"`
		New         []string           `json:"new"`
		Gone        []string           `json:"gone"`
		Warnings    []string           `json:"warnings"`
		Noise       []string           `json:"noise"`
		Profiles    []benchrun.Profile `json:"profiles"`
		Environment map[string]string  `json:"environment"`
	}{
		in.Report.ExitCode(), in.Headline(), in.Report.Alpha, in.Report.Family, in.Report.Looks,
		[]jsonRow{},
		in.Report.Faults, in.Report.New, in.Report.Gone, in.Warnings, in.noise(), in.Profiles, make(map[string]string),
	}
	for _, e := range in.Environment {
		doc.Environment[e[0]] = e[1]
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
		if in.Run != nil {
			if v, ok := in.Run.Visible[r]; ok {
				j.Visible = finite(v)
			}
			j.Rounds = r.Comparison.N1
		}
		doc.Rows = append(doc.Rows, j)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return err
	}
	return nil
}
