package brunt_test

import (
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
	for file, fences := range pages(t) {
		more, err := assemble(fences)
		require.NoError(t, err, file)
		snippets = append(snippets, more...)
	}
	byPage := make(map[string][]*snippet)
	all := snippets
	for file, tc := range planted {
		fences, err := parseFences(file, tc.text)
		require.NoError(t, err)
		byPage[file], err = assemble(fences)
		require.NoError(t, err)
		all = append(all, byPage[file]...)
	}
	events := goTest(t, t.TempDir(), all)

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
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, strings.Join(judge(snippets, tc.events), "\n"), tc.want)
		})
	}
}
