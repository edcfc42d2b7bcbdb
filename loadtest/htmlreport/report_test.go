package htmlreport

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/faketb"
	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/internal/text"
	"example.com/brunt/loadtest/progress"
)

var fixed = Options{Title: "Checkout", Environment: []Fact{{"Go", "go1.26"}, {"CPUs", "2"}}}

// withoutAssets leaves out what is embedded, so that a golden file shows the page.
func withoutAssets(page string) string {
	html := strings.NewReplacer("'", "&#39;", "+", "&#43;")
	return strings.NewReplacer(library, "LIBRARY", reportJS, "SCRIPT", liveJS, "LIVE", style, "STYLE",
		strings.ReplaceAll(policy, "'", "&#39;"), "POLICY", html.Replace(policy), "POLICY", html.Replace(livePolicy), "LIVE POLICY").Replace(page)
}

func TestPage(t *testing.T) {
	r := stored(t)
	r.Warnings = append(r.Warnings, loadtest.Warning{Kind: loadtest.WarnLocalLimit, Text: "this machine was the limit"})
	judged := fixed
	judged.SLO = &loadtest.SLO{P99: 25 * time.Millisecond, MinRPS: 1}
	page := written(t, judged, r)
	golden(t, "page.golden.html", withoutAssets(page))
	require.Equal(t, page, written(t, judged, r), "the same input gives the same bytes")
	for _, part := range []string{library, reportJS, style} {
		require.Equal(t, 1, strings.Count(page, part))
	}
	require.NotContains(t, withoutAssets(page), "ZgotmplZ")
}

// What a report says in the middle of markup or script cannot leave its place,
// whatever the browser would make of it.
func TestHostileTextIsEscaped(t *testing.T) {
	attack := `</script><img src=x onerror=alert(1)>` + "\u2028" + `<!--`
	page := withoutAssets(written(t, Options{Title: attack, Names: []string{attack}, Environment: []Fact{{attack, attack}}}, hostile(t, attack)))
	require.NotContains(t, page, "<img")
	require.NotContains(t, page, "<!--")
	require.Equal(t, 3, strings.Count(page, "</script>"))
	require.Contains(t, page, "&lt;img src=x onerror=alert(1)&gt;")
}

func TestAssets(t *testing.T) {
	for name, text := range map[string]string{"library": library, "script": reportJS, "style": style} {
		require.NotContains(t, strings.ToLower(text), "</script", name)
		require.NotContains(t, strings.ToLower(text), "</style", name)
		require.NotContains(t, text, "<!--", name)
		require.NotContains(t, text, "\r", "%s: a browser would hash it without", name)
	}
	require.Contains(t, uPlotJS, "(v1.6.32)", "as assets/README.md says")
}

func TestOptions(t *testing.T) {
	r := stored(t)
	for name, row := range map[string]struct {
		o       Options
		results []*loadtest.EngineResult
		is      error
		text    string
	}{
		"no result":  {Options{}, nil, ErrNoResult, "htmlreport: no result"},
		"nil":        {Options{}, []*loadtest.EngineResult{r, nil}, ErrNoResult, "htmlreport: no result: result 1 is nil"},
		"names":      {Options{Names: []string{"a"}}, []*loadtest.EngineResult{r, r}, ErrConfig, "htmlreport: bad options: Names has 1 entries: must have one for each of the 2 results, or none"},
		"every":      {Options{Names: []string{"", "a", "a"}, Environment: []Fact{{"", "x"}}}, []*loadtest.EngineResult{r, r, r}, ErrConfig, "htmlreport: bad options: Names[0] is empty: must name its result\nhtmlreport: bad options: Names[2] is \"a\": must be unlike the others\nhtmlreport: bad options: Environment[0].Name is empty: must say what \"x\" is"},
		"SLO":        {Options{SLO: &loadtest.SLO{MinRPS: -1}}, []*loadtest.EngineResult{r}, loadtest.ErrConfig, "htmlreport: bad options: loadtest: bad configuration: SLO.MinRPS is -1: must be 0 for no objective, or positive and finite"},
		"two things": {Options{Names: []string{"a"}}, nil, ErrConfig, "htmlreport: no result\nhtmlreport: bad options: Names has 1 entries: must have one for each of the 0 results, or none"},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			err := Write(&b, row.o, row.results...)
			require.ErrorIs(t, err, row.is)
			require.EqualError(t, err, row.text)
			require.Empty(t, b.String())
		})
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestWriteFails(t *testing.T) {
	require.ErrorIs(t, Write(brokenPipe{}, fixed, stored(t)), io.ErrClosedPipe)
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "r.html")
	require.NoError(t, os.WriteFile(path, []byte("before"), 0o600))
	require.ErrorIs(t, WriteFile(path, fixed, nil), ErrNoResult)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "before", string(text), "an error leaves what was there")

	require.NoError(t, WriteFile(path, fixed, stored(t)))
	text, err = os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, written(t, fixed, stored(t)), string(text))
	info, err := os.Stat(path)
	require.NoError(t, err)
	if runtime.GOOS != "windows" {
		require.Equal(t, os.FileMode(0o644), info.Mode().Perm())
	}
	require.ErrorIs(t, WriteFile(filepath.Join(dir, "none", "r.html"), fixed, stored(t)), os.ErrNotExist)
	taken := filepath.Join(dir, "taken")
	require.NoError(t, os.MkdirAll(filepath.Join(taken, "x"), 0o755))
	require.Error(t, WriteFile(taken, fixed, stored(t)))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "no temporary file is left")
}

// recorder is a test whose artifacts go to dir.
type recorder struct {
	faketb.TB
	dir string
}

func (r *recorder) ArtifactDir() string { return r.dir }

func TestAttach(t *testing.T) {
	tb := &recorder{dir: t.TempDir()}
	require.Equal(t, filepath.Join(tb.dir, "report.html"), Attach(tb, fixed, stored(t)))
	require.Equal(t, filepath.Join(tb.dir, "report-2.html"), Attach(tb, fixed, stored(t)))
	require.Empty(t, tb.Errors())
	require.Len(t, tb.Logs(), 2)
	require.Empty(t, Attach(tb, fixed, nil))
	require.Len(t, tb.Errors(), 1)

	gone := &recorder{dir: filepath.Join(tb.dir, "gone")}
	require.Empty(t, Attach(gone, fixed, stored(t)))
	require.Len(t, gone.Errors(), 1)
	notDir := &recorder{dir: filepath.Join(tb.dir, "report.html")}
	require.Empty(t, Attach(notDir, fixed, stored(t)))
	require.Len(t, notDir.Errors(), 1)
}

func TestEnvironment(t *testing.T) {
	facts := Environment()
	require.Contains(t, facts, Fact{"Go", runtime.Version()})
	require.Contains(t, written(t, Options{}, stored(t)), runtime.Version())
	require.NotContains(t, written(t, Options{Environment: []Fact{}}, stored(t)), `<table id="environment">`)

	require.Equal(t, []Fact{
		{"Module", "example.org/shop v1.2.3"},
		{"brunt", "v0.9.0"},
		{"Revision", "abc"},
		{"Changes", "uncommitted"},
		{"Race detector", "on: latencies are inflated"},
	}, buildFacts(&debug.BuildInfo{
		Main:     debug.Module{Path: "example.org/shop", Version: "v1.2.3"},
		Deps:     []*debug.Module{{Path: "example.org/x", Version: "v2"}, {Path: module, Version: "v0.9.0"}},
		Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}, {Key: "-race", Value: "true"}, {Key: "vcs", Value: "git"}},
	}))
	require.Empty(t, buildFacts(&debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs.modified", Value: "false"}, {Key: "-race", Value: "false"}}}))
}

func TestNames(t *testing.T) {
	a, b := &loadtest.EngineResult{Engine: "async", Concurrency: 5}, &loadtest.EngineResult{Engine: "sync", Concurrency: 1}
	require.Equal(t, []string{"async × 5 (1)", "sync × 1", "async × 5 (3)", "no engine × 0"},
		names(Options{}, []*loadtest.EngineResult{a, b, a, {}}))
}

func TestFewSamplesAreADash(t *testing.T) {
	engine := loadtest.Start(t, loadtest.SyncConfig{Client: loadtest.Func(func(context.Context) error { return nil })})
	r, err := engine.Run(t.Context(), loadtest.Times(99))
	require.NoError(t, err)
	require.Equal(t, "–", quantile(&r.Stats, 0.99))
	require.NotEqual(t, "–", quantile(&r.Stats, 0.95))
	page := written(t, fixed, r)
	require.Contains(t, page, "too short to be cut into intervals")
	require.Contains(t, page, `data-charts="1"`)

	page = written(t, fixed, &loadtest.EngineResult{})
	require.Contains(t, page, "Nothing was sent")
	require.Contains(t, page, `data-charts="0"`)
	require.NotContains(t, page, "uPlot=")
}

// One number reads the same in the report, on the page and on the live line.
func TestANumberReadsTheSameEverywhere(t *testing.T) {
	r := stored(t)
	p99, rps, heap := text.Duration(r.P99()), text.Rate(r.RPS()), text.Bytes(r.PeakMemory)
	line := progress.Line(loadtest.Progress{RPS: r.RPS(), Last: loadtest.Interval{To: time.Second, Counts: r.Counts, P99: r.P99()}})
	require.Contains(t, line, "p99 "+p99)
	require.Contains(t, line, "("+rps+" overall)")
	require.Contains(t, r.String(), "p99 "+p99)
	require.Contains(t, r.String(), rps+" req/s")
	require.Contains(t, r.String(), "peak heap "+heap)
	page := written(t, fixed, r)
	require.Contains(t, page, `<dd data-tile="p99">`+p99+"<")
	require.Contains(t, page, `<dd data-tile="rps">`+rps+"/s<")
	require.Contains(t, page, `<td class="num">`+heap+"<")
}

// Of the verdicts on several runs, INVALID outweighs FAIL, and FAIL PASS, whatever comes first.
func TestVerdictOfSeveralRuns(t *testing.T) {
	pass, fail, invalid := loadtest.VerdictPass, loadtest.VerdictFail, loadtest.VerdictInvalid
	for _, row := range []struct {
		kinds []loadtest.VerdictKind
		want  loadtest.VerdictKind
	}{
		{[]loadtest.VerdictKind{pass, pass}, pass},
		{[]loadtest.VerdictKind{pass, fail, pass}, fail},
		{[]loadtest.VerdictKind{fail, invalid, pass}, invalid},
		{[]loadtest.VerdictKind{invalid, fail}, invalid},
	} {
		p := new(page)
		for _, k := range row.kinds {
			p.judge("", loadtest.Verdict{Kind: k})
		}
		require.Equal(t, string(row.want), p.Verdict, row.kinds)
	}
}

func TestPercentilesHaveTheirIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		engine := loadtest.Start(t, loadtest.SyncConfig{Client: loadtest.Func(func(context.Context) error {
			n++
			time.Sleep(5*time.Millisecond + time.Duration(n*7919%1000)*10*time.Microsecond)
			return nil
		})})
		r, err := engine.Run(t.Context(), loadtest.For(20*time.Second))
		require.NoError(t, err)
		lo, hi, err := r.ConfidenceInterval(0.5)
		require.NoError(t, err)
		page := withoutAssets(written(t, fixed, r))
		require.Contains(t, page, fmt.Sprintf(`<tr data-key="p50"><th scope="row">p50</th><td class="num">%s [%s, %s]</td>`,
			text.Duration(r.P50()), text.Duration(lo), text.Duration(hi)))
	})
}

// Several checks that failed have a row each; a single one is the example of its class.
func TestFailedChecksHaveTheirRows(t *testing.T) {
	r := stored(t)
	r.FailedChecks = map[string]loadtest.FailedCheck{"status 201": {Count: 2, Example: "check: want status 201; got <b>"}}
	require.NotContains(t, written(t, fixed, r), "status 201")
	r.FailedChecks["body"] = loadtest.FailedCheck{Count: 5, Example: "check: want body; got 200"}
	page := written(t, fixed, r)
	require.Contains(t, page, `<code>check: want status 201; got &lt;b&gt;</code>`)
	first, second := strings.Index(page, `data-key="check: body"`), strings.Index(page, `data-key="check: status 201"`)
	require.Positive(t, first)
	require.Greater(t, second, first, "the more frequent one comes first")
}
