package loadtest

import (
	"fmt"
	"strings"
	"testing"
	"unicode"

	"example.com/brunt/internal/ghactions"
)

// report tells the verdict to those who do not read logs: as attributes of the test, and
// to GitHub Actions. It returns what a message of failure has to end with. A stand-in for a
// test, whose failure is planted, tells nobody.
func (j *judging) report(tb testing.TB) (annotation string) {
	tb.Helper()
	switch t := tb.(type) {
	case *testing.T:
		j.attributes(t.Attr)
	case *testing.B: // an attribute would break the line of its result
		if j.Kind == VerdictPass {
			return "" // it may be called again, with a larger b.N
		}
	default:
		return ""
	}
	annotation, err := j.forActions(tb.Name()).Report()
	if err != nil {
		tb.Logf("loadtest: %v", err)
	}
	if annotation != "" {
		annotation = "\n" + annotation
	}
	return annotation
}

// attributes passes on what was observed and wanted of each objective, as numbers, and
// the verdict.
func (j *judging) attributes(attr func(key, value string)) {
	for i, n := range j.numbers {
		if j.Objectives[i].Judged {
			attr(n.key, exactly(n.got))
		}
		limit := ".max"
		if n.least {
			limit = ".min"
		}
		attr(n.key+limit, exactly(n.limit))
	}
	attr("brunt.verdict", string(j.Kind))
}

// attrKey returns the key for an objective, without white space: brunt.p99-ns, or for the
// requests of a name brunt.home-p99-ns, as [ReportEndpoints] has it.
func attrKey(prefix, name, unit string) string {
	if prefix = strings.Join(strings.Fields(prefix), "_"); prefix != "" {
		prefix += "-"
	}
	return "brunt." + strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) && !unicode.IsSpace(r) {
			return r
		}
		return '_'
	}, prefix+strings.Join(strings.Fields(name), "-")+unit)
}

// forActions returns the verdict on a test as GitHub Actions is to show it.
func (v Verdict) forActions(test string) ghactions.Test {
	missed := v.Missed()
	t := ghactions.Test{Name: test, Mark: "✅", Outcome: fmt.Sprintf("%d objectives met", len(v.Objectives))}
	var b strings.Builder
	switch v.Kind {
	case VerdictPass:
	case VerdictInvalid:
		t.Mark, t.Outcome = "⚠️", "INVALID: the load was not what the schedule says"
	default:
		t.Mark, t.Outcome = "🔴", fmt.Sprintf("%d of %d objectives missed", len(missed), len(v.Objectives))
	}
	if v.Kind != VerdictPass {
		for line := range strings.Lines(strings.TrimPrefix(v.details(), "\n")) {
			t.Failure += strings.Join(strings.Fields(line), " ") + "\n"
		}
		t.Failure = strings.TrimSuffix(t.Failure, "\n")
		for _, f := range v.Causes {
			fmt.Fprintf(&b, "- cause: %s\n", ghactions.Escape(f.String(), 500))
		}
		if len(v.Causes) > 0 {
			b.WriteByte('\n')
		}
	}
	rows := [2][][]string{} // what was missed first
	for _, o := range v.Objectives {
		verdict, i := "met", 1
		switch {
		case !o.Judged:
			verdict, i = "❔ not judged", 0
		case !o.Met:
			verdict, i = "🔴 missed", 0
		}
		if o.Hint != "" {
			verdict += ": " + o.Hint
		}
		rows[i] = append(rows[i], []string{o.Name, o.Wanted, o.Observed, verdict})
	}
	b.WriteString(ghactions.Table([]string{"objective", "wanted", "observed", "verdict"}, append(rows[0], rows[1]...)...))
	t.Body = b.String()
	return t
}
