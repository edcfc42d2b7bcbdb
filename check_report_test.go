package brunt_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// checked is what packages have whose tests or benchmarks meet and miss objectives.
const checked = `package docs

import (
	"context"
	"errors"
	"testing"

	"example.com/brunt/loadtest"
)

// a name that is a command, a cell of a table, and not well-formed XML
const name = "a|b]]>\n::error::<c>"

func run(tb testing.TB, err error) *loadtest.EngineResult {
	e := loadtest.Start(tb, loadtest.SyncConfig{Client: loadtest.Func(func(context.Context) error { return nil })})
	r, rerr := e.Run(tb.Context(), loadtest.Times(2000, loadtest.Call(name, func(context.Context) error { return err })))
	if rerr != nil {
		tb.Fatal(rerr)
	}
	return r
}

var slo = loadtest.SLO{MinRequests: 2000, Endpoints: map[string]loadtest.SLO{name: {MaxErrorRate: 0.5}}}

`

// checkedPackages returns them as snippets. Benchmarks have a package of their own: they
// do not run where a test has failed.
func checkedPackages() []*snippet {
	return []*snippet{
		{dir: "shop", name: "shop_test.go", code: checked + `
func TestMet(t *testing.T) { loadtest.Check(t, run(t, nil), slo) }

func TestGroup(t *testing.T) {
	t.Run("missed", func(t *testing.T) { loadtest.Check(t, run(t, errors.New("planted")), slo) })
}
`},
		{dir: "bench", name: "bench_test.go", code: checked + `
func BenchmarkMet(b *testing.B)    { loadtest.Check(b, run(b, nil), slo) }
func BenchmarkMissed(b *testing.B) { loadtest.Check(b, run(b, errors.New("planted")), slo) }
`},
	}
}

// outputOf returns what one test has printed.
func outputOf(events []testEvent, test string) string {
	var b strings.Builder
	for _, e := range events {
		if e.Action == "output" && e.Test == test {
			b.WriteString(e.Output)
		}
	}
	return b.String()
}

// attributes returns those of one test.
func attributes(events []testEvent, test string) map[string]string {
	all := make(map[string]string)
	for _, e := range events {
		if e.Action == "attr" && e.Test == test {
			all[e.Key] = e.Value
		}
	}
	return all
}

// regexpCommand matches what GitHub's runner may take for a command.
var regexpCommand = regexp.MustCompile(`(?m)^\s*::|\r\s*::`)

// inStep makes this process part of a step of GitHub Actions and returns its summary.
func inStep(t *testing.T) (summary string) {
	t.Helper()
	summary = filepath.Join(t.TempDir(), "summary")
	require.NoError(t, os.WriteFile(summary, nil, 0o600))
	t.Setenv("GITHUB_ACTIONS", "true")
	t.Setenv("GITHUB_STEP_SUMMARY", summary)
	return summary
}

// What Check tells go test -json and GitHub Actions, and plain go test does not show.
func TestCheckIsReported(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles and runs a module")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	summary := inStep(t)
	t.Setenv("GITHUB_WORKSPACE", dir)
	events := goTest(t, dir, checkedPackages())

	want := map[string]string{
		"brunt.verdict": "PASS", "brunt.error-rate": "0", "brunt.error-rate.max": "0", "brunt.requests": "2000", "brunt.requests.min": "2000",
		"brunt.a|b]]>_::error::<c>-error-rate": "0", "brunt.a|b]]>_::error::<c>-error-rate.max": "0.5",
		"brunt.a|b]]>_::error::<c>-requests": "2000", "brunt.a|b]]>_::error::<c>-requests.min": "1",
	}
	require.Equal(t, want, attributes(events, "TestMet"))
	want["brunt.verdict"], want["brunt.error-rate"], want["brunt.a|b]]>_::error::<c>-error-rate"] = "FAIL", "1", "1"
	require.Equal(t, want, attributes(events, "TestGroup/missed"))
	for _, name := range []string{"BenchmarkMet", "BenchmarkMissed"} {
		require.Empty(t, attributes(events, name), "a line would break that of a result")
	}

	// Each failure has one annotation, at the line of its Check, and no name makes another.
	for test, at := range map[string]string{"TestGroup/missed": "shop_test.go,line=29", "BenchmarkMissed": "bench_test.go,line=27"} {
		out := outputOf(events, test)
		require.Regexp(t, `(?m)^ +::error file=.*[/\\]`+at+`,title=`+test+`%3A 2 of 4 objectives missed::error rate observed 100 %25 \(2,000 of 2,000\), wanted at most 0 %25 .*%0Aa\|b\]\]> ::error::<c> error rate observed 100 %25`, out)
		require.Contains(t, out, "::error file="+strings.ReplaceAll(dir, ":", "%3A"))
		require.Len(t, regexpCommand.FindAllString(out, -1), 1, out)
	}
	require.NotRegexp(t, regexpCommand, outputOf(events, "TestMet"))

	text, err := os.ReadFile(summary)
	require.NoError(t, err)
	got := string(text)
	require.Equal(t, 3, strings.Count(got, "<details"), "none of a benchmark that passes, which may be called again\n%s", got)
	require.Contains(t, got, "<details><summary>✅ TestMet: 4 objectives met (shop/shop&#95;test.go:26)</summary>\n\n| objective | wanted | observed | verdict |\n")
	require.Contains(t, got, "<details open><summary>🔴 TestGroup/missed: 2 of 4 objectives missed (shop/shop&#95;test.go:29)</summary>\n\n")
	require.Contains(t, got, "<details open><summary>🔴 BenchmarkMissed: 2 of 4 objectives missed (bench/bench&#95;test.go:27)</summary>\n\n")
	require.Contains(t, got, "\n| a&#124;b&#93;&#93;&#62; ::error::&#60;c&#62; error rate | at most 50 % | 100 % (2,000 of 2,000) | 🔴 missed |\n")

	// Without -json and -v nothing of an attribute shows.
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "./shop")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off", "GITHUB_STEP_SUMMARY=")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "--- FAIL: TestGroup/missed")
	require.NotContains(t, string(out), "ATTR")
	require.NotContains(t, string(out), "brunt.")
	require.NotContains(t, string(out), "::error file", "that is for GitHub alone")
}

// junit is what a JUnit file says of tests.
type junit struct {
	Suites []struct {
		Name  string `xml:"name,attr"`
		Cases []struct {
			Name       string `xml:"name,attr"`
			Properties []struct {
				Name  string `xml:"name,attr"`
				Value string `xml:"value,attr"`
			} `xml:"properties>property"`
			Failures []struct {
				Text string `xml:",chardata"`
			} `xml:"failure"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

// gotestsum makes a JUnit file of go test -json: all that Check says of a failure is in it,
// and attributes are properties of their test.
func TestJUnit(t *testing.T) {
	gotestsum := os.Getenv("BRUNT_GOTESTSUM")
	if gotestsum == "" {
		t.Skip("make test-junit runs it: BRUNT_GOTESTSUM is not set")
	}
	dir := t.TempDir()
	inStep(t)
	goTest(t, dir, checkedPackages()) // makes the module
	cmd := exec.CommandContext(t.Context(), gotestsum, "--junitfile=junit.xml", "--jsonfile=events.json", "--", "-count=1", "./shop")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	require.ErrorAs(t, err, &failed, "%s", out)
	require.Equal(t, 1, failed.ExitCode(), "%s", out)
	require.Contains(t, string(out), "2 of the objectives missed")
	require.Len(t, regexpCommand.FindAllString(string(out), -1), 1, "the annotation is found in what it prints:\n%s", out)

	var events []testEvent
	text, err := os.ReadFile(filepath.Join(dir, "events.json"))
	require.NoError(t, err)
	for d := json.NewDecoder(bytes.NewReader(text)); ; {
		var e testEvent
		if err := d.Decode(&e); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	text, err = os.ReadFile(filepath.Join(dir, "junit.xml"))
	require.NoError(t, err)
	var got junit
	require.NoError(t, xml.Unmarshal(text, &got), "%s", text)
	require.Len(t, got.Suites, 1)
	failures := make(map[string][]string)
	for _, c := range got.Suites[0].Cases {
		failures[c.Name] = []string{}
		for _, f := range c.Failures {
			failures[c.Name] = append(failures[c.Name], f.Text)
		}
		properties := make(map[string]string)
		for _, p := range c.Properties {
			properties[p.Name] = p.Value
		}
		require.Equal(t, attributes(events, c.Name), properties, c.Name)
	}
	said := outputOf(events, "TestGroup/missed")
	for _, part := range []string{"loadtest: 2 of the objectives missed\n", "wanted at most 50 %\n", "latency   p50", "2,000 × other: planted\n", "::error file="} {
		require.Contains(t, said, part)
	}
	require.Equal(t, map[string][]string{"TestMet": {}, "TestGroup": {outputOf(events, "TestGroup")}, "TestGroup/missed": {said}}, failures)
	require.Equal(t, "FAIL", attributes(events, "TestGroup/missed")["brunt.verdict"])
	require.Equal(t, "PASS", attributes(events, "TestMet")["brunt.verdict"])
}
