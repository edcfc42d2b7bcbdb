package brunt_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// pages returns the fences of README.md and of each guide.
func pages(t *testing.T) map[string][]fence {
	t.Helper()
	files, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	all := make(map[string][]fence)
	for _, file := range append(files, "README.md") {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		file = filepath.ToSlash(file)
		all[file], err = parseFences(file, string(text))
		require.NoError(t, err)
	}
	return all
}

// planted are pages whose snippets are wrong, each with what must be said of it.
// They are compiled and run together with the real ones.
var planted = map[string]struct {
	text  string
	wants []string
}{
	"planted/compile.md": {
		"# Title\n\n~~~go\nengine := loadtest.Start(t, loadtest.AsyncConfig{Workers: 3})\n~~~\n",
		[]string{"the snippets of planted/compile.md did not compile", "planted/compile.md:4:", "unknown field Workers"},
	},
	"planted/unused.md": { // the reader's compiler would say so
		"~~~go\nfunc TestUnused(t *testing.T) {\n\tclient := http.Client{}\n}\n~~~\n",
		[]string{"planted/unused.md:3:", "declared and not used: client"},
	},
	"planted/fails.md": {
		"~~~go\nfunc TestFails(t *testing.T) {\n\tt.Error(\"planted\")\n}\n~~~\n\n" +
			"~~~go\nresult, err := loadtest.Start(t, loadtest.SyncConfig{}).Run(ctx, loadtest.Times(0))\n_ = result\n~~~\n\n" +
			"~~~go\nstop := make(chan bool)\ngo func() { <-stop }()\n~~~\n",
		[]string{
			"planted/fails.md:2: TestFails failed", "fails.md:3: planted",
			"planted/fails.md:8: Test_planted_fails_line8 failed", "fails.md:8: loadtest: nothing to send",
			"planted/fails.md:13: Test_planted_fails_line13 failed", "goroutines leaked: 1",
		},
	},
}

// TestDocsSnippets compiles and runs each Go snippet of README.md and docs/*.md
// as its reader would. How they become files says the type snippet, what they may
// use without saying so testdata/docs/prelude_test.go, and what the comments
// before them mean the type rule.
func TestDocsSnippets(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles and runs a module")
	}
	var snippets []*snippet
	all := pages(t)
	for _, file := range slices.Sorted(maps.Keys(all)) {
		more, err := assemble(all[file])
		require.NoError(t, err, file)
		snippets = append(snippets, more...)
	}
	gather(snippets)
	byPage := make(map[string][]*snippet)
	run := snippets
	for file, tc := range planted {
		fences, err := parseFences(file, tc.text)
		require.NoError(t, err)
		byPage[file], err = assemble(fences)
		require.NoError(t, err)
		run = append(run, byPage[file]...)
	}
	events := goTest(t, t.TempDir(), run)

	for _, fault := range judge(snippets, events) {
		t.Error(fault)
	}
	for file, tc := range planted {
		got := strings.Join(judge(byPage[file], events), "\n")
		for _, want := range tc.wants {
			require.Contains(t, got, want, "what is said of %s", file)
		}
	}
	t.Logf("%d snippets", len(snippets))
}

func TestDocsAssembleReportsFaults(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"no Go":               {"~~~go\nfunc TestX(t *testing.T) {\n\tif {\n}\n~~~\n", "x.md:3: missing condition in if statement"},
		"no statements":       {"\n~~~go\nx := := 1\n~~~\n", "x.md:3: expected operand"},
		"not elsewhere":       {"<!-- snippet: elsewhere: docs_test.go -->\n~~~go\nfunc shop() {}\n~~~\n", "x.md:3: docs_test.go does not have it, letter for letter"},
		"nowhere":             {"<!-- snippet: elsewhere: none.go -->\n~~~go\nx := 1\n~~~\n", "x.md:3: open none.go"},
		"nothing would run":   {"~~~go\nfunc shop() {}\n~~~\n", "x.md:2: nothing of it would run"},
		"nothing to replace":  {"<!-- snippet: replace a by b -->\n~~~go\nx := 1\n~~~\n", "x.md:3: there is no a to replace"},
		"nothing to continue": {"<!-- snippet: continued -->\n~~~go\nx := 1\n~~~\n", "x.md:3: there is nothing that it could continue"},
	} {
		t.Run(name, func(t *testing.T) {
			fences, err := parseFences("x.md", tc.text)
			require.NoError(t, err)
			_, err = assemble(fences)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// What go test can say of a snippet, and what is then reported.
func TestDocsJudge(t *testing.T) {
	fences, err := parseFences("x.md", "~~~go\nt.Log(1)\n~~~\n\n<!-- snippet: fails: too slow -->\n~~~go\nt.Error(2)\n~~~\n")
	require.NoError(t, err)
	snippets, err := assemble(fences)
	require.NoError(t, err)
	const passes, fails = "Test_x_line2", "Test_x_line7"
	event := func(action, dir, test, output string) testEvent {
		return testEvent{Action: action, Package: "docs.test/" + dir, Test: test, Output: output}
	}
	good := []testEvent{
		event("run", "x", passes, ""), event("pass", "x", passes, ""), event("pass", "x", "", ""),
		event("run", "x_7", fails, ""), event("output", "x_7", fails, "p99: too slow\n"), event("fail", "x_7", fails, ""), event("fail", "x_7", "", ""),
	}
	require.Empty(t, judge(snippets, good))

	// edit returns good with the events of one package replaced.
	edit := func(dir string, events ...testEvent) []testEvent {
		kept := slices.DeleteFunc(slices.Clone(good), func(e testEvent) bool { return e.Package == "docs.test/"+dir })
		return append(kept, events...)
	}
	for name, tc := range map[string]struct {
		events []testEvent
		want   string
	}{
		"it never ran":         {edit("x", event("pass", "x", "", "")), "x.md:2: Test_x_line2 did not run"},
		"it skipped itself":    {edit("x", event("run", "x", passes, ""), event("skip", "x", passes, ""), event("pass", "x", "", "")), "x.md:2: Test_x_line2 did not run"},
		"the process died":     {edit("x", event("run", "x", passes, ""), event("output", "x", "", "killed"), event("fail", "x", "", "")), "x.md did not compile or did not end:\nkilled"},
		"there is no end":      {edit("x", event("run", "x", passes, "")), "x.md did not compile or did not end"},
		"it passes instead":    {edit("x_7", event("run", "x_7", fails, ""), event("pass", "x_7", fails, ""), event("pass", "x_7", "", "")), `x.md:7: Test_x_line7 was to fail with "too slow"`},
		"it fails for another": {edit("x_7", event("run", "x_7", fails, ""), event("output", "x_7", fails, "refused\n"), event("fail", "x_7", fails, ""), event("fail", "x_7", "", "")), `"too slow":` + "\nrefused"},
		"nothing came at all":  {nil, "x.md did not compile or did not end"},
		"it does not end":      {edit("x", event("run", "x", passes, ""), event("fail", "x", "", "")), "x.md did not compile or did not end"},
		"it ends in silence":   {edit("x", event("run", "x", passes, ""), event("pass", "x", "", "")), "x.md:2: Test_x_line2 did not run"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, strings.Join(judge(snippets, tc.events), "\n"), tc.want)
		})
	}
}

// A package fails for one of its snippets, as it should, and another did not run.
func TestDocsJudgeMissesNone(t *testing.T) {
	snippets := []*snippet{
		{fence: fence{file: "x.md", line: 2}, dir: "fails", tests: []string{"TestA"}, fails: "too slow"},
		{fence: fence{file: "y.md", line: 3}, dir: "fails", tests: []string{"TestB"}, fails: "too slow"},
	}
	events := []testEvent{
		{Action: "run", Package: "docs.test/fails", Test: "TestA"},
		{Action: "output", Package: "docs.test/fails", Test: "TestA", Output: "too slow"},
		{Action: "fail", Package: "docs.test/fails", Test: "TestA"},
		{Action: "run", Package: "docs.test/fails", Test: "TestB"},
		{Action: "fail", Package: "docs.test/fails"},
	}
	require.Equal(t, []string{"y.md:3: TestB did not run"}, judge(snippets, events))
}

// A machine that is too busy for the load of an open loop says nothing of the snippet; a
// test that fails for anything else as well does.
func TestDocsJudgeOnABusyMachine(t *testing.T) {
	const (
		invalid = "=== ATTR  TestX brunt.error-rate 0\n=== ATTR  TestX brunt.verdict INVALID\n" +
			"    x.md:3: loadtest: INVALID: the load was not what the schedule says\n"
		cpu = "          cause       cpu in 1 of 1 seconds: in the worst second a tenth of the requests began 2.314ms or more after they were due\n"
		end = "          response  p50 251.1µs  p95 3.664ms\n--- FAIL: TestX (0.30s)\n"
	)
	for name, tc := range map[string]struct {
		output string
		passes bool
	}{
		"INVALID, by cpu":         {invalid + cpu + end, true},
		"INVALID, by another":     {invalid + strings.Replace(cpu, "cpu", "in flight", 1) + end, false},
		"INVALID, by another too": {invalid + cpu + "          cause       connections: as above\n" + end, false},
		"INVALID, by none":        {invalid + end, false},
		"requests failed":         {strings.Replace(invalid, "rate 0", "rate 0.1", 1) + cpu + end, false},
		"FAIL":                    {strings.ReplaceAll(invalid, "INVALID", "FAIL") + cpu + end, false},
		"something else as well":  {invalid + cpu + end + "    x.md:9: refused\n", false},
		"a panic":                 {"panic: planted\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			x := []*snippet{{fence: fence{file: "x.md", line: 2}, dir: "x", tests: []string{"TestX"}}}
			faults := judge(x, []testEvent{
				{Action: "run", Package: "docs.test/x", Test: "TestX"},
				{Action: "output", Package: "docs.test/x", Test: "TestX", Output: tc.output},
				{Action: "fail", Package: "docs.test/x", Test: "TestX"},
				{Action: "fail", Package: "docs.test/x"},
			})
			require.Equal(t, tc.passes, len(faults) == 0, "%q", faults)
		})
	}
}

func TestDocsGather(t *testing.T) {
	var snippets []*snippet
	for _, page := range []struct{ file, text string }{
		{"a.md", "~~~go\nfunc TestX(t *testing.T) {}\n~~~\n~~~go\nvar mine = 1\nfunc TestY(t *testing.T) {}\n~~~\n"},
		{"b.md", "~~~go\nfunc TestX(t *testing.T) {}\n~~~\n"},                                  // declares the same
		{"c.md", "~~~go\nt.Log(mine)\n~~~\n"},                                                  // would not compile by itself
		{"d.md", "~~~go\nt.Log(1)\n~~~\n~~~go\nfunc TestMain(m *testing.M) {}\n~~~\n"},         // two packages
		{"e.md", "<!-- snippet: fails: x -->\n~~~go\nt.Error(1)\n~~~\n~~~go\nb.Log(1)\n~~~\n"}, // two kinds
		{"f.md", "<!-- snippet: fails: x -->\n~~~go\nt.Error(1)\n~~~\n"},
	} {
		fences, err := parseFences(page.file, page.text)
		require.NoError(t, err)
		more, err := assemble(fences)
		require.NoError(t, err)
		snippets = append(snippets, more...)
	}
	gather(snippets)
	got := make(map[string][]string)
	for _, s := range snippets {
		got[s.dir] = append(got[s.dir], s.at())
	}
	require.Equal(t, map[string][]string{
		"tests0": {"a.md:2", "a.md:5", "d.md:2"}, "tests1": {"b.md:2", "c.md:2"}, "main2": {"d.md:5"}, "bench3": {"e.md:6"}, "fails4": {"e.md:3", "f.md:3"},
	}, got)
}
