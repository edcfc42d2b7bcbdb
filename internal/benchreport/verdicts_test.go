package benchreport

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/benchgate"
	"example.com/brunt/internal/benchrun"
	"example.com/brunt/internal/ghactions"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got, "go test -update writes it anew")
}

// comparison is one of everything: a server that got slower in whatever it reports,
// one that did not, one too noisy to tell, one that got better, and a new one.
func comparison(t *testing.T) *Input {
	t.Helper()
	server := func(name string, factor, spread float64) string {
		text := ""
		for i := range 10 {
			v := factor * (1 + spread*float64(i))
			text += fmt.Sprintf("Benchmark%s-2 100 %.5g ns/op %.5g req/s %.5g p99-ns 7 allocs/op\n", name, 1000*v, 1e6/v, 3000*v*factor)
		}
		return text
	}
	set := &benchgate.Set{Labels: [2]string{"base", "head"}}
	const head = "pkg: example.com/m\n"
	require.NoError(t, set.Read(benchgate.Base, "base", []byte(head+server("Get", 1, .001)+server("Post", 1, .001)+server("Put", 1, .1)+server("List", 1, .001))))
	require.NoError(t, set.Read(benchgate.Head, "head", []byte(head+server("Get", 1, .001)+server("Post", 1.5, .001)+server("Put", 1, .1)+server("List", .5, .001)+server("New", 1, .001))))
	in := &Input{Set: set, Run: new(benchrun.Outcome)}
	var err error
	in.Report, err = benchgate.Judge(set, new(benchgate.Rules))
	require.NoError(t, err)
	visible := .7
	for _, row := range in.Report.Rows {
		row.Visible = &visible
	}
	return in
}

func TestReports(t *testing.T) {
	in := comparison(t)
	require.Equal(t, "1 worse (3 metrics), 1 better (3 metrics), 3 not shown, 7 unchanged, 1 new", in.Headline())
	doc, err := JSON(in)
	require.NoError(t, err)
	var annotations strings.Builder
	for _, a := range Annotations(in, func(string, string) (string, int) { return "m_test.go", 7 }) {
		annotations.WriteString(a.String() + "\n")
	}
	for name, got := range map[string]string{"annotations.txt": annotations.String(), "report.txt": Text(in), "report.md": Markdown(in), "report.json": string(doc)} {
		t.Run(name, func(t *testing.T) { golden(t, name, got) })
	}
}

// What could not be seen stands beside nothing that is called unchanged.
func TestUnchangedIsNotInDoubt(t *testing.T) {
	in := comparison(t)
	for _, out := range []string{Text(in), Markdown(in)} {
		require.Equal(t, 3, strings.Count(out, "≥ 70 %"), out)
	}
	_, unchanged, _ := strings.Cut(Markdown(in), "<summary>7 unchanged")
	require.NotContains(t, unchanged, "≥")
}

// The icon does not say that all is well when it is not known.
func TestIcons(t *testing.T) {
	in := comparison(t)
	icon := func() string {
		return strings.Fields(strings.Split(Markdown(in), "\n")[1])[1]
	}
	require.Equal(t, "🔴", icon())
	in.Report.Rows = append(in.Report.With(benchgate.NotShown), in.Report.With(benchgate.Unchanged)...)
	require.Equal(t, "❔", icon())
	in.Report.RequirePower = true
	require.Equal(t, "⚠️", icon())
	in.Report.Rows = in.Report.With(benchgate.Unchanged)
	require.Equal(t, "✅", icon())
}

func TestJSONCounts(t *testing.T) {
	text, err := JSON(comparison(t))
	require.NoError(t, err)
	var doc struct {
		Counts map[string]struct{ Benchmarks, Metrics int }
	}
	require.NoError(t, json.Unmarshal(text, &doc))
	require.Len(t, doc.Counts, 7, "every verdict, also those that nothing has")
	require.Equal(t, struct{ Benchmarks, Metrics int }{1, 3}, doc.Counts["worse"])
	require.Equal(t, struct{ Benchmarks, Metrics int }{1, 3}, doc.Counts["not shown"])
	require.Zero(t, doc.Counts["moved"])
}

// Whatever the reason for an exit code that is not 0, one annotation tells it.
func TestAnnotationsOfWhatIsNotShown(t *testing.T) {
	in := comparison(t)
	where := func(string, string) (string, int) { return "", 0 }
	for _, r := range in.Report.Rows {
		if r.Verdict == benchgate.Worse {
			r.Verdict = benchgate.Unchanged
		}
	}
	require.Zero(t, in.Report.ExitCode())
	require.Empty(t, Annotations(in, where))
	in.Report.RequirePower = true
	require.Equal(t, 2, in.Report.ExitCode())
	require.Equal(t, []ghactions.Annotation{{Title: "could not be judged", Message: in.Headline()}}, Annotations(in, where))
}
