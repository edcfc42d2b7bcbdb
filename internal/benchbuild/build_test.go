package benchbuild

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const benchSource = "\n\nimport \"testing\"\n\nfunc BenchmarkA(b *testing.B) {\n\tfor range b.N {\n\t}\n}\n"

// names are the packages' import paths.
func names(packages []Package) (paths []string) {
	for _, p := range packages {
		paths = append(paths, p.Path)
	}
	return paths
}

func TestPackages(t *testing.T) {
	r := newRepo(t, map[string]string{
		"a/a_test.go":         "package a" + benchSource,
		"b/b.go":              "package b\n",
		"b/b_test.go":         "package b_test" + benchSource, // outside the package
		"plain/plain_test.go": "package plain\n\n// func BenchmarkNot(b *testing.B)\n",
		"off/off_test.go":     "//go:build special\n\npackage off" + benchSource,
		"off/off.go":          "package off\n",
		"testdata/c_test.go":  "package c" + benchSource,
	})
	tree := Tree{Dir: r.Dir}
	list := func(patterns ...string) ([]string, []string) {
		l, err := tree.List(t.Context(), patterns)
		require.NoError(t, err)
		return names(l.Packages), l.Unmatched
	}
	paths, unmatched := list("./...")
	require.Equal(t, []string{"example.com/m/a", "example.com/m/b"}, paths)
	require.Empty(t, unmatched)
	paths, unmatched = list("./b", "./nowhere", "./plain")
	require.Equal(t, []string{"example.com/m/b"}, paths)
	require.Equal(t, []string{"./nowhere"}, unmatched)

	t.Setenv("GOFLAGS", os.Getenv("GOFLAGS")+" -tags=special")
	paths, _ = list("./...")
	require.Equal(t, []string{"example.com/m/a", "example.com/m/b", "example.com/m/off"}, paths)

	_, err := Tree{Dir: filepath.Join(r.Dir, "nowhere")}.List(t.Context(), []string{"."})
	require.ErrorIs(t, err, ErrBuild)
}

// runIn runs a test binary and returns what it prints.
func runIn(t *testing.T, bin, dir string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), bin, "-test.run=^$", "-test.bench=.", "-test.benchtime=1x")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

// Base and head build from their own sources: vendored ones, those that GOFLAGS
// selects, and C, where there is a compiler.
func TestBuildBothSides(t *testing.T) {
	report := func(pkg, imports, value string) string {
		return "package " + pkg + "\n\nimport (\n\t\"testing\"\n" + imports + ")\n\nfunc BenchmarkA(b *testing.B) { b.ReportMetric(" + value + ", \"it\") }\n"
	}
	files := map[string]string{
		"go.mod":                        "module example.com/m\n\ngo 1.24\n\nrequire example.com/dep v1.0.0\n",
		"vendor/modules.txt":            "# example.com/dep v1.0.0\n## explicit; go 1.24\nexample.com/dep\n",
		"vendor/example.com/dep/dep.go": "package dep\n\nconst N = 11\n",
		"v/a_test.go":                   "//go:build special\n\n" + report("v", "\t\"example.com/dep\"\n", "1+dep.N"),
		"v/b_test.go":                   "//go:build !special\n\n" + report("v", "", "31"),
	}
	want := map[string][2]string{"example.com/m/v": {"12.00 it", "23.00 it"}}
	changed := map[string]string{
		"vendor/example.com/dep/dep.go": "package dep\n\nconst N = 21\n",
		"v/a_test.go":                   "//go:build special\n\n" + report("v", "\t\"example.com/dep\"\n", "2+dep.N"),
	}
	if cgo(t) {
		c := func(n string) string {
			return "package c\n\n// static int n(void) { return " + n + "; }\nimport \"C\"\n\nfunc N() float64 { return float64(C.n()) }\n"
		}
		files["c/c.go"], changed["c/c.go"] = c("41"), c("42")
		files["c/c_test.go"] = report("c", "", "N()")
		want["example.com/m/c"] = [2]string{"41.00 it", "42.00 it"}
	}
	r := newRepo(t, files)
	r.Write(changed)
	t.Setenv("GOFLAGS", os.Getenv("GOFLAGS")+" -tags=special -mod=vendor")
	repo, err := Open(t.Context(), r.Dir)
	require.NoError(t, err)
	tmp := t.TempDir()
	w, err := repo.Checkout(t.Context(), "HEAD", filepath.Join(tmp, "base"))
	require.NoError(t, err)
	head := Tree{Dir: r.Dir}
	base, err := w.Base(t.Context(), head)
	require.NoError(t, err)
	for side, tree := range []Tree{base, head} {
		l, err := tree.List(t.Context(), []string{"./..."})
		require.NoError(t, err)
		require.Len(t, l.Packages, len(want))
		for _, p := range l.Packages {
			out := filepath.Join(tmp, "x.test")
			require.NoError(t, tree.Build(t.Context(), p, out))
			require.Contains(t, runIn(t, out, p.Dir), want[p.Path][side], p.Path)
		}
	}
	require.NoError(t, w.Remove(t.Context()))
}

func cgo(t *testing.T) bool {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "CGO_ENABLED", "CC").Output()
	require.NoError(t, err)
	enabled, cc, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	_, err = exec.LookPath(cc)
	return enabled == "1" && err == nil
}

func TestBuildFails(t *testing.T) {
	r := newRepo(t, map[string]string{"m_test.go": "package m\n\nfunc BenchmarkA(b *testing.B) {}\n"})
	out := filepath.Join(t.TempDir(), "x.test")
	err := Tree{Dir: r.Dir}.Build(t.Context(), Package{"example.com/m", r.Dir}, out)
	require.ErrorIs(t, err, ErrBuild)
	require.ErrorContains(t, err, "undefined: testing")
	require.NoFileExists(t, out)
}

// What vet has against a test is no reason not to measure.
func TestVetIsOff(t *testing.T) {
	r := newRepo(t, map[string]string{"m_test.go": "package m\n\nimport (\n\t\"fmt\"\n\t\"testing\"\n)\n\nfunc BenchmarkA(*testing.B) { fmt.Printf(\"%d\\n\", \"x\") }\n"})
	require.NoError(t, Tree{Dir: r.Dir}.Build(t.Context(), Package{"example.com/m", r.Dir}, filepath.Join(t.TempDir(), "x.test")))
}

// GOFLAGS=-mod=mod lets go edit go.mod; a comparison does not.
func TestModModEditsNothing(t *testing.T) {
	r := newRepo(t, map[string]string{
		"go.mod":          "module example.com/m\n\ngo 1.24\n\nreplace example.com/lib => ./lib\n",
		"lib/go.mod":      "module example.com/lib\n\ngo 1.24\n",
		"lib/lib.go":      "package lib\n\nconst N = 1\n",
		"m_test.go":       "package m" + benchSource,
		"needs/n_test.go": "package needs\n\nimport (\n\t\"testing\"\n\n\t\"example.com/lib\"\n)\n\nfunc BenchmarkA(b *testing.B) { b.ReportMetric(lib.N, \"it\") }\n",
	})
	t.Setenv("GOFLAGS", os.Getenv("GOFLAGS")+" -mod=mod")
	before := r.snapshot()
	tree, out := Tree{Dir: r.Dir}, filepath.Join(t.TempDir(), "x.test")
	l, err := tree.List(t.Context(), []string{"./..."})
	require.NoError(t, err)
	require.Equal(t, []string{"example.com/m", "example.com/m/needs"}, names(l.Packages))
	require.NoError(t, tree.Build(t.Context(), l.Packages[0], out))
	err = tree.Build(t.Context(), l.Packages[1], out)
	require.ErrorIs(t, err, ErrBuild)
	require.ErrorContains(t, err, "go get example.com/lib")
	require.ErrorContains(t, err, "not with -mod=mod as in GOFLAGS")
	r.unchanged(before)

	// That go would have edited it.
	_, err = tree.goTool(t.Context(), "test", "-c", "-o", out, "example.com/m/needs")
	require.NoError(t, err)
	require.NotEqual(t, before["go.mod"], r.snapshot()["go.mod"])
}

// A canceled build takes its compilers with it.
func TestCanceledBuild(t *testing.T) {
	// Never built before, so not in the cache.
	r := newRepo(t, map[string]string{"m_test.go": "package m" + benchSource + fmt.Sprintf("\nconst now = %d\n", time.Now().UnixNano())})
	started := filepath.Join(t.TempDir(), "started")
	tool := r.script("slow", `case "$1" in *compile*) case "$*" in *example.com/m*) echo $$ >"`+started+`"; sleep 600;; esac;; esac; exec "$@"`)
	t.Setenv("GOFLAGS", os.Getenv("GOFLAGS")+" -toolexec="+tool)
	out := filepath.Join(t.TempDir(), "x.test")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { // ends with Build, which ends with the context
		ended <- Tree{Dir: r.Dir}.Build(ctx, Package{"example.com/m", r.Dir}, out)
	}()
	pid := r.await(started)
	cancel()
	require.ErrorIs(t, <-ended, ErrBuild)
	r.gone(pid)
	require.NoFileExists(t, out)
}
