package benchreport

import (
	"strings"

	"example.com/brunt/internal/benchgate"
	"example.com/brunt/internal/ghactions"
)

// Annotations returns one for each benchmark that got worse or moved, and for each that
// could not be judged, so that there is one at least unless the exit code is 0. where says
// in which file and line a benchmark is; an empty file if it does not know.
func Annotations(in *Input, where func(pkg, bench string) (file string, line int)) (out []ghactions.Annotation) {
	add := func(pkg, bench, title, message string) {
		a := ghactions.Annotation{Title: title, Message: message}
		a.File, a.Line = where(pkg, bench)
		out = append(out, a)
	}
	for _, v := range []benchgate.Verdict{benchgate.Worse, benchgate.Moved} {
		for _, rows := range in.Report.Findings(v) {
			var lines []string
			for _, r := range rows {
				lines = append(lines, changeLine(r))
			}
			if v == benchgate.Moved {
				lines = append(lines, moved)
			}
			add(rows[0].Pkg, rows[0].Bench, rows[0].Name()+": "+string(v), strings.Join(lines, "\n"))
		}
	}
	for _, f := range in.Report.Faults {
		add(f.Pkg, f.Bench, "could not be judged", f.String())
	}
	if len(out) == 0 && in.Report.ExitCode() != 0 {
		add("", "", "could not be judged", in.Headline())
	}
	return out
}
