package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Generated code that git ignores: lent to the base and named in every report, or
// made by each side's own command.
func TestGeneratedCode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell")
	}
	const times = "package m\n\nconst times = "
	r := newRepo(t, map[string]string{
		".gitignore": "*_gen.go\n", "times": "1", "m_test.go": source("m", "A", allocate("times")),
		"gen.sh": "echo \"package m\n\nconst times = $(cat times)\" >times_gen.go\n",
	})
	r.Write(map[string]string{"times": "2", "times_gen.go": times + "2\n"})
	save, doc := t.TempDir(), filepath.Join(t.TempDir(), "report.json")
	const lent = "the base is built with what git ignores in your tree, made from the head: times_gen.go; -prepare has each side make its own"
	code, out, errs := r.brunt(args("-save", save, "-json", doc)...)
	require.Equal(t, 0, code, out+errs)
	require.Contains(t, out, "warning: "+lent)
	require.Contains(t, read(filepath.Join(save, "report.md")), "> ⚠️ the base is built with what git ignores")
	var parsed struct{ Warnings []string }
	require.NoError(t, json.Unmarshal([]byte(read(doc)), &parsed))
	require.Equal(t, []string{lent}, parsed.Warnings)

	rules := filepath.Join(t.TempDir(), "rules.json")
	require.NoError(t, os.WriteFile(rules, []byte(`{"prepare": "sh gen.sh"}`), 0o600))
	for _, flags := range [][]string{{"-prepare", "sh gen.sh"}, {"-config", rules}} {
		code, out, errs := r.brunt(args(flags...)...)
		require.Equal(t, 1, code, out+errs)
		require.Contains(t, out, "worse   example.com/m.A")
		require.NotContains(t, out, "git ignores")
		require.Contains(t, errs, "preparing the base: sh gen.sh")
		require.Contains(t, errs, "preparing the head: sh gen.sh")
	}

	code, _, errs = r.brunt(args("-prepare", "exit 3")...)
	require.Equal(t, 2, code)
	require.Contains(t, errs, `brunt: head: build failed: prepare "exit 3": sh: exit status 3`)
	code, _, errs = r.brunt("-prepare", "true", "a.txt", "b.txt")
	require.Equal(t, 2, code)
	require.Contains(t, errs, "-prepare needs trees to run in")

	// What was lent and does not fit, with the way out.
	r.Write(map[string]string{"times_gen.go": times + "2\n\nvar _ = later\n", "later.go": "package m\n\nconst later = 1\n"})
	code, _, errs = r.brunt(args()...)
	require.Equal(t, 2, code)
	require.Contains(t, errs, "undefined: later")
	require.Contains(t, errs, "-prepare 'go generate ./...', say, runs on each side before it is built; it was given what git ignores in your tree: times_gen.go")
}

// A base without the directory, without a module in it or without one at all has
// nothing to lose.
func TestBaseWithoutTheModule(t *testing.T) {
	r := newRepo(t, map[string]string{"m_test.go": source("m", "A", allocate("1")), "bare/x": "x"})
	isNew := func(name string) (out string) {
		t.Helper()
		code, out, errs := r.brunt(args()...)
		require.Equal(t, 0, code, out+errs)
		require.Contains(t, out, "0 worse, 1 new")
		require.Contains(t, out, "new     example.com/"+name+": only the head has it")
		return out
	}
	for _, dir := range []string{"late", "bare"} {
		r.Write(map[string]string{dir + "/go.mod": "module example.com/" + dir + "\n\ngo 1.24\n", dir + "/l_test.go": source(dir, "B", allocate("1"))})
		code, _, errs := r.brunt(args("./" + dir + "/...")...)
		require.Equal(t, 2, code)
		require.Contains(t, errs, "./"+dir+" is a module of its own: run brunt compare in it")
		t.Chdir(dir)
		out := isNew(dir + ".B")
		require.Equal(t, dir == "late", strings.Contains(out, "warning: the base has no module in late: everything is new"))
		t.Chdir(r.Dir)
	}
	mod, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	r.Git("rm", "-q", "go.mod")
	r.Commit()
	r.Write(map[string]string{"go.mod": string(mod)})
	require.Contains(t, isNew("m.A"), "warning: the base has no module in .: everything is new")
}

// A package that does not build on one side is that package's fault.
func TestOnePackageDoesNotBuild(t *testing.T) {
	r := newRepo(t, map[string]string{
		"a/a_test.go": source("a", "A", allocate("1")), "b/b_test.go": source("b", "B", "undefined()"), "c/c_test.go": source("c", "C", allocate("1")),
	})
	r.Write(map[string]string{"a/a_test.go": source("a", "A", allocate("2")), "b/b_test.go": source("b", "B", allocate("1"), "New", allocate("1")), "c/c_test.go": source("c", "C", "undefined()")})
	code, out, errs := r.brunt(args("-profile", filepath.Join(t.TempDir(), "prof"))...)
	require.Equal(t, 1, code, out+errs)
	require.Contains(t, out, "worse   example.com/m/a.A")
	require.Contains(t, out, "failed at base: example.com/m/b: build failed")
	require.Contains(t, out, "failed at head: example.com/m/c: build failed")
	require.NotContains(t, out, "new     ")
	require.NotContains(t, out, "vanished")

	r.Git("checkout", "-q", "a")
	baseline := filepath.Join(t.TempDir(), "baseline.txt")
	require.NoError(t, os.WriteFile(baseline, []byte("pkg: example.com/m/b\n"+strings.Repeat("BenchmarkB\t20\t5 ns/op\t1 allocs/op\n", 6)+
		"pkg: example.com/m/c\n"+strings.Repeat("BenchmarkC\t20\t5 ns/op\t1 allocs/op\n", 6)), 0o600))
	code, out, errs = r.brunt(append(args("-cpu", "1", "-ignore", "goos,goarch,cpu", "-baseline", baseline)[2:], "./b", "./c")...)
	require.Equal(t, 2, code, out+errs)
	require.Contains(t, out, "failed at head: example.com/m/c: build failed")
	require.NotContains(t, out, "vanished")
}
