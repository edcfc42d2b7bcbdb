package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/brunt/internal/gittest"
)

// sourceDir is this package's directory: tests change theirs.
var sourceDir string

// TestMain is also brunt itself, for the tests that need a process of it, and gh,
// for the action's.
func TestMain(m *testing.M) {
	if file := os.Getenv("BRUNT_TEST_GH"); file != "" {
		if err := fakeGH(file, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "gh:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if os.Getenv("BRUNT_TEST_MAIN") != "" {
		main()
	}
	os.Unsetenv("GITHUB_STEP_SUMMARY") // regressions that tests plant are not for the summary of this run
	sourceDir, _ = os.Getwd()
	// A race-checked process sleeps for a second at its end: the many short ones do not.
	os.Setenv("GORACE", strings.TrimSpace(os.Getenv("GORACE")+" atexit_sleep_ms=0"))
	goleak.VerifyTestMain(m)
}

// repo is the repository that a test is in, with a temporary directory of its own.
type repo struct{ *gittest.Repo }

func newRepo(t *testing.T, files map[string]string) *repo {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	r := gittest.New(t, files)
	t.Chdir(r.Dir)
	return &repo{r}
}

// brunt runs the command with settings that make it quick and its verdicts
// certain: only allocations are gated.
func (r *repo) brunt(args ...string) (code int, stdout, stderr string) {
	r.Helper()
	before, index := r.Git("worktree", "list"), r.index()
	var out, errs bytes.Buffer
	code = run(r.Context(), append([]string{"compare"}, args...), &out, &errs)
	require.Equal(r, before, r.Git("worktree", "list"), "the worktree is removed")
	require.Equal(r, index, r.index(), "the index is not touched")
	require.Empty(r, r.leftovers(), "no temporary file is left")
	return code, out.String(), errs.String()
}

// leftovers are the temporary files that are not the tests' own.
func (r *repo) leftovers() (names []string) {
	r.Helper()
	entries, err := os.ReadDir(os.TempDir())
	require.NoError(r, err)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "Test") {
			names = append(names, e.Name())
		}
	}
	return names
}

func (r *repo) index() string {
	r.Helper()
	data, err := os.ReadFile(filepath.Join(r.Dir, ".git", "index"))
	require.NoError(r, err)
	return string(data)
}

// inStep makes this process part of a step of GitHub Actions and returns its summary.
func inStep(t *testing.T) (summary string) {
	t.Helper()
	summary = filepath.Join(t.TempDir(), "summary")
	require.NoError(t, os.WriteFile(summary, nil, 0o600))
	t.Setenv("GITHUB_ACTIONS", "true")
	t.Setenv("GITHUB_STEP_SUMMARY", summary)
	return summary
}

var quick = []string{"-base", "main", "-count", "6", "-max", "6", "-aa", "0", "-benchtime", "20x", "-threshold", "sec/op=off"}

func args(more ...string) []string { return append(quick[:len(quick):len(quick)], more...) }

// source is a test file with benchmarks: name to body.
func source(pkg string, bodies ...string) string {
	text := "package " + pkg + "\n\nimport (\"testing\"; \"os\"; \"fmt\")\n\nvar sink []byte\nvar _ = os.Args\nvar _ = fmt.Sprint\n"
	for i := 0; i < len(bodies); i += 2 {
		text += "\nfunc Benchmark" + bodies[i] + "(b *testing.B) {\n" + bodies[i+1] + "\n}\n"
	}
	return text
}

func allocate(times string) string {
	return "for range b.N { for range " + times + " { sink = make([]byte, 4096) } }"
}

// One repository with everything that a repository may have but what benchbuild's
// own tests have (vendored modules, cgo, build tags, go.work): sub-benchmarks,
// testdata that differs, several packages, benchmarks on one side only, one that
// fails on one side, uncommitted changes as the head.
func TestCompareTrees(t *testing.T) {
	const reads = `data, err := os.ReadFile("testdata/n"); if err != nil { b.Fatal(err) }
		for range b.N { for range len(data) { sink = make([]byte, 4096) } }`
	sub := func(n string) string {
		return `b.Run("size=1/kind=a b", func(b *testing.B) { ` + allocate("1") + ` })
			b.Run("size=2", func(b *testing.B) { ` + allocate(n) + ` })`
	}
	r := newRepo(t, map[string]string{
		"a/a_test.go":       source("a", "Sub", sub("2"), "Same", allocate("3"), "Better", allocate("3"), "Gone", allocate("1"), "Fails", allocate("1")),
		"b/b_test.go":       source("b", "Data", reads),
		"b/testdata/n":      "12",
		"none/none.go":      "package none\n",
		"none/none_test.go": "package none\n",
	})
	r.Git("checkout", "-q", "-b", "head")
	r.Write(map[string]string{"committed.txt": "x"})
	r.Commit()
	// Uncommitted.
	r.Write(map[string]string{
		"a/a_test.go":  source("a", "Sub", sub("3"), "Same", allocate("3"), "Better", allocate("1"), "New", allocate("1"), "Fails", `b.Fatal("no luck", os.Getenv("GITHUB_STEP_SUMMARY"))`),
		"b/testdata/n": "1234",
	})
	save := filepath.Join(t.TempDir(), "kept")
	prof := filepath.Join(t.TempDir(), "prof")
	summary := inStep(t)
	code, out, errs := r.brunt(args("-save", save, "-cpu", "2", "-profile", prof)...)
	require.Equal(t, 1, code, out+errs)
	require.Contains(t, out, "worse   example.com/m/a.Sub/size=2-2 allocs/op: 2.000 ± 0% -> 3.000 ± 0%, +50.00%")
	require.Contains(t, out, "worse   example.com/m/b.Data-2 allocs/op: 2.000 ± 0% -> 4.000 ± 0%, +100.00%")
	require.Contains(t, out, "better  example.com/m/a.Better-2 allocs/op")
	require.NotContains(t, out, "worse   example.com/m/a.Same")
	require.NotContains(t, out, "worse   example.com/m/a.Sub/size=1")
	require.Contains(t, out, "failed at head: example.com/m/a.Fails: a_test.go:")
	require.Contains(t, out, "no luck")
	require.NotContains(t, out, "vanished at head: example.com/m/a.Fails")
	require.Contains(t, out, "vanished at head: example.com/m/a.Gone: only the base has it")
	require.Contains(t, out, "new     example.com/m/a.New: only the head has it")
	require.Contains(t, errs, "with uncommitted changes")
	require.Contains(t, errs, "building example.com/m/a at base")

	// GitHub Actions is told, by the command and not by the benchmarks.
	in := func(file, decl string) string {
		before, _, _ := strings.Cut(read(filepath.Join(r.Dir, file)), decl)
		path := strings.ReplaceAll(filepath.Join(r.Dir, file), ":", "%3A") // of a drive
		return fmt.Sprintf("::error file=%s,line=%d,title=", path, 1+strings.Count(before, "\n"))
	}
	require.Contains(t, errs, "\n"+in("a/a_test.go", "func BenchmarkSub(")+"example.com/m/a.Sub/size=2-2%3A worse::")
	require.Contains(t, errs, "allocs/op: 2.000 ± 0%25 -> 3.000 ± 0%25, +50.00%25 (p=")
	require.Contains(t, errs, "\n"+in("b/b_test.go", "func BenchmarkData(")+"example.com/m/b.Data-2%3A worse::")
	require.Contains(t, errs, "\n"+in("a/a_test.go", "func BenchmarkFails(")+"could not be judged::failed at head: example.com/m/a.Fails: a_test.go:")
	require.Contains(t, errs, "\n::error title=could not be judged::vanished at head: example.com/m/a.Gone: only the base has it")
	require.NotContains(t, out, "::error")
	require.NotContains(t, out, summary)
	report := read(filepath.Join(save, "report.md"))
	require.Equal(t, "\n"+report+"\n", read(summary))
	require.Contains(t, report, "- repeat it: `brunt compare -base main -count 6 -max 6 -aa 0 -benchtime 20x -threshold 'sec/op=off' -save ")

	// The kept files are benchmark files, and judge the same.
	code, again, _ := r.brunt("-threshold", "sec/op=off", filepath.Join(save, "base.txt"), filepath.Join(save, "head.txt"))
	require.Equal(t, 1, code)
	require.Contains(t, again, "worse   example.com/m/b.Data-2 allocs/op: 2.000 ± 0% -> 4.000 ± 0%, +100.00%")

	md, err := os.ReadFile(filepath.Join(save, "report.md"))
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(md), "<!-- brunt compare -->\n### 🔴 Benchmarks: "))
	require.Less(t, strings.Index(string(md), "**Worse**"), strings.Index(string(md), "**Better"))
	doc, err := os.ReadFile(filepath.Join(save, "report.json"))
	require.NoError(t, err)
	var parsed struct {
		ExitCode int `json:"exit_code"`
		Rows     []struct{ Bench, Unit, Verdict string }
		Faults   []struct{ Kind string }
	}
	require.NoError(t, json.Unmarshal(doc, &parsed))
	require.Equal(t, 1, parsed.ExitCode)
	require.Len(t, parsed.Rows, 15)
	require.Len(t, parsed.Faults, 2)

	// What got worse is profiled on both sides, and nothing else is.
	require.Contains(t, string(md), "alloc profile of example.com/m/b.Data: what differs most")
	for _, suffix := range []string{"cpu.base.pprof", "cpu.head.pprof", "cpu.diff.txt", "alloc.base.pprof", "alloc.head.pprof", "alloc.diff.txt"} {
		require.FileExists(t, filepath.Join(prof, "example.com_m_b.Data."+suffix))
	}
	kept, err := filepath.Glob(filepath.Join(prof, "*.alloc.base.pprof"))
	require.NoError(t, err)
	require.Len(t, kept, 2, "%v", kept)

	// Markdown in place of the table.
	code, out, errs = r.brunt("-md", "-", "-threshold", "sec/op=off", filepath.Join(save, "base.txt"), filepath.Join(save, "head.txt"))
	require.Equal(t, 1, code, errs)
	require.True(t, strings.HasPrefix(out, "<!-- brunt compare -->\n### 🔴 Benchmarks: "))
	code, _, errs = r.brunt(args("./nowhere")...)
	require.Equal(t, 2, code)
	require.Contains(t, errs, `"./nowhere" matches no package`)
	require.Contains(t, errs, "::error title=brunt compare::build failed: \"./nowhere\" matches no package\n")
	require.Equal(t, 4, strings.Count(read(summary), "<!-- brunt compare -->\n### "), "each run is there")
	require.True(t, strings.HasSuffix(read(summary), "### ⚠️ Benchmarks: could not be judged\n\n```\nbuild failed: \"./nowhere\" matches no package\n```\n\n"))

	// A summary that cannot be written changes nothing else.
	require.NoError(t, os.Remove(summary))
	code, _, errs = r.brunt("-threshold", "sec/op=off", filepath.Join(save, "base.txt"), filepath.Join(save, "head.txt"))
	require.Equal(t, 1, code)
	require.Contains(t, errs, "brunt: the report is not in the summary of the step: GITHUB_STEP_SUMMARY: open ")
}

func TestShallowClone(t *testing.T) {
	r := newRepo(t, map[string]string{"m_test.go": source("m", "A", allocate("1"))})
	r.Write(map[string]string{"x": "x"})
	r.Commit()
	clone := t.TempDir()
	r.Git("clone", "-q", "--depth=1", "file://"+r.Dir, clone)
	t.Chdir(clone)
	shallow := &repo{&gittest.Repo{T: t, Dir: clone}}
	code, _, errs := shallow.brunt("-base", "HEAD~1")
	require.Equal(t, 2, code)
	require.Contains(t, errs, "brunt: shallow clone: no such base: ")
	require.Contains(t, errs, "git fetch --unshallow, or check out with fetch-depth: 0")
	code, _, errs = shallow.brunt("-base", "nonesuch")
	require.Equal(t, 2, code)
	require.Contains(t, errs, "shallow clone")
}

// What cannot be judged is told from what did not get worse.
func TestCannotJudge(t *testing.T) {
	r := newRepo(t, map[string]string{
		"m_test.go":   source("m", "A", allocate("1")),
		"p/p_test.go": source("p", "Prints", allocate("1")),
	})
	code, _, errs := r.brunt("-base", "nonesuch")
	require.Equal(t, 2, code)
	require.Contains(t, errs, `"nonesuch" names no commit`)

	r.Write(map[string]string{"p/p_test.go": source("p", "Prints", `fmt.Println("warn: hot"); `+allocate("1"))})
	baseline := filepath.Join(t.TempDir(), "baseline.txt") // so that one side is built, not two
	require.NoError(t, os.WriteFile(baseline, []byte("pkg: example.com/m/p\nBenchmarkPrints-2 \t 20 \t 5 ns/op\n"), 0o600))
	code, out, errs := r.brunt(append(args("-cpu", "2", "-baseline", baseline)[2:], "./p")...)
	require.Equal(t, 2, code, errs)
	require.Contains(t, out, "unreadable at head: example.com/m/p.Prints: output of example.com/m/p at head:")
	require.Contains(t, out, `warn: hot`)

	r.Write(map[string]string{"m_test.go": "package m\n\nfunc BenchmarkA(b *testing.B) {}\n"})
	code, _, errs = r.brunt(args(".")...)
	require.Equal(t, 2, code)
	require.Contains(t, errs, "brunt: head: build failed: example.com/m: go: exit status 1")

	t.Chdir(t.TempDir())
	var o, e bytes.Buffer
	require.Equal(t, 2, run(t.Context(), []string{"compare"}, &o, &e))
	require.Contains(t, e.String(), "not in a git repository")
}

func TestCompareFilesBinariesAndBaseline(t *testing.T) {
	r := newRepo(t, map[string]string{"m_test.go": source("m", "A", allocate("1"), "B", allocate("1")), ".gitignore": "*.test\n"})
	build := func(out string) {
		text, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-o", out, ".").CombinedOutput()
		require.NoError(t, err, string(text))
	}
	build("old.test")
	r.Write(map[string]string{"m_test.go": source("m", "A", allocate("2"), "B", allocate("1"))})
	build("new.test")
	save := t.TempDir()
	code, out, errs := r.brunt(append(args("-save", save, "-bench", "^BenchmarkA$")[2:], "old.test", "new.test")...)
	require.Equal(t, 1, code, out+errs)
	require.NotContains(t, out, ".B", "not asked for")
	require.Contains(t, out, "allocs/op: 1.000 ± 0% -> 2.000 ± 0%, +100.00%")

	code, out, errs = r.brunt(append(args("-skip", "^BenchmarkA$", "-cpu", "2")[2:], "old.test", "new.test")...)
	require.Equal(t, 0, code, out+errs)
	require.Contains(t, out, "B-2 ")
	require.NotContains(t, out, "A-2 ", "left out")

	base := filepath.Join(save, "base.txt")
	code, out, errs = r.brunt(append(args("-bench", "^BenchmarkA$", "-baseline", base)[2:], ".")...)
	require.Equal(t, 1, code, out+errs)
	require.Contains(t, out, "warning: a recorded baseline")

	code, _, errs = r.brunt(base, "missing.txt")
	require.Equal(t, 2, code)
	require.Contains(t, errs, "missing.txt: no such file")
	code, out, _ = r.brunt("-threshold", "*=off", "-threshold", "allocs/op=1", base, base)
	require.Equal(t, 0, code)
	require.Contains(t, out, "0 worse, 1 unchanged, 2 not gated")
	text, err := os.ReadFile(base)
	require.NoError(t, err)
	r.Write(map[string]string{"few.txt": strings.Join(strings.SplitAfter(string(text), "\n")[:8], ""), "bad.txt": string(text) + "BenchmarkA-2 \toops\n"})
	r.Write(map[string]string{"more.txt": string(text) + strings.Repeat("BenchmarkGone-2 \t 1 \t 5 ns/op\n", 6)})
	code, out, _ = r.brunt("more.txt", base)
	require.Equal(t, 2, code)
	require.Contains(t, out, "vanished at head: example.com/m.Gone-2")
	code, out, _ = r.brunt("-removed-ok", "Gone", "more.txt", base)
	require.Equal(t, 0, code)
	require.Contains(t, out, "gone    example.com/m.Gone-2: only the base has it, as allowed")
	code, out, _ = r.brunt("-skip", "Gone", "more.txt", base)
	require.Equal(t, 0, code, out)
	require.NotContains(t, out, "Gone")
	r.Write(map[string]string{"marked.txt": "\ufeff" + strings.ReplaceAll(string(text), "\n", "\r\n")})
	code, out, _ = r.brunt(base, "marked.txt")
	require.Equal(t, 0, code, out)
	code, out, _ = r.brunt(base, "few.txt")
	require.Equal(t, 2, code)
	require.Contains(t, out, "too few samples")
	code, out, errs = r.brunt(base, "bad.txt")
	require.Equal(t, 2, code, errs)
	require.Contains(t, out, "oops")
	require.Contains(t, out, "bad.txt:")
}

// A gate that must be able to see ends in 2 where it could not.
func TestRequirePower(t *testing.T) {
	r := newRepo(t, nil)
	noisy := ""
	for _, ns := range []int{100, 120, 90, 140, 80, 110} {
		noisy += fmt.Sprintf("BenchmarkA-2 \t 1 \t %d ns/op \t 7 allocs/op\n", ns)
	}
	r.Write(map[string]string{"noisy.txt": noisy, "rules.json": `{"require_power": true}`})
	for _, c := range []struct {
		code  int
		flags []string
	}{
		{0, nil},
		{2, []string{"-require-power"}},
		{2, []string{"-config", "rules.json"}},
		{0, []string{"-config", "rules.json", "-require-power=false"}},
		{0, []string{"-require-power", "-threshold", "sec/op=100"}},
		{0, []string{"-require-power", "-threshold", "sec/op=off"}},
	} {
		code, out, errs := r.brunt(append(c.flags, "noisy.txt", "noisy.txt")...)
		require.Equal(t, c.code, code, "%v: %s%s", c.flags, out, errs)
		if len(c.flags) < 3 {
			require.Contains(t, out, "0 worse, 1 not shown, 1 unchanged")
			require.Contains(t, out, "not shown A-2 sec/op: 105.0n ± 33% -> 105.0n ± 33%, +0.00%, worse by at most 75 % (threshold 5 %)")
		}
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, 2, "brunt compare"},
		{[]string{"-h"}, 0, "brunt compare"},
		{[]string{"frobnicate"}, 2, "unknown command"},
		{[]string{"compare", "-h"}, 0, "exit codes"},
		{[]string{"compare", "-frob"}, 2, "-frob"},
		{[]string{"compare", "-count", "3"}, 2, "want 6 or more"},
		{[]string{"compare", "-benchtime", "x"}, 2, "-benchtime"},
		{[]string{"compare", "-threshold", "x"}, 2, "bad configuration"},
		{[]string{"compare", "./...", "-md", "x"}, 2, "flags go first"},
		{[]string{"compare", "-max", "7"}, 2, "-max is 7, want -count (10) or more"},
		{[]string{"compare", "-skip", "("}, 2, "-skip is (, want a regular expression: "},
		{[]string{"compare", "-config", "none.json"}, 2, "none.json"},
	} {
		var out, errs bytes.Buffer
		require.Equal(t, c.code, run(t.Context(), c.args, &out, &errs), "%v", c.args)
		require.Contains(t, out.String()+errs.String(), c.want)
	}
}
