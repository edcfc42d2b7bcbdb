package brunt_test

import (
	"os"
	"path/filepath"
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
	"planted/passes.md": {
		"<!-- snippet: fails: too slow -->\n~~~go\nt.Log(\"quick enough\")\n~~~\n",
		[]string{`planted/passes.md:3: Test_planted_passes_line3 was to fail with "too slow"`},
	},
	"planted/skips.md": {
		"~~~go\nt.Skip()\n~~~\n",
		[]string{"planted/skips.md:2: Test_planted_skips_line2 did not run"},
	},
	"planted/exits.md": {
		"~~~go\nos.Exit(0)\n~~~\n",
		[]string{"planted/exits.md:2: Test_planted_exits_line2 failed", "unexpected call to os.Exit(0)"},
	},
	"planted/main.md": {
		"~~~go\nfunc TestMain(*testing.M) {}\n\nfunc TestNever(*testing.T) {}\n~~~\n",
		[]string{"planted/main.md:2: TestNever did not run"},
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
