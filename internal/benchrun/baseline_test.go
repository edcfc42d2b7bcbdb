package benchrun

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/benchgate"
)

func compile(t *testing.T, text string) *regexp.Regexp {
	t.Helper()
	re, err := regexp.Compile(text)
	require.NoError(t, err)
	return re
}

// recordedAt is a baseline: six results a benchmark.
func recordedAt(t *testing.T, names ...string) *benchgate.Set {
	t.Helper()
	text := "pkg: " + fakePkg + "\n"
	for _, n := range names {
		text += strings.Repeat("Benchmark"+n+"\t3\t100 ns/op\t1 allocs/op\n", 6)
	}
	set := new(benchgate.Set)
	require.NoError(t, set.Read(benchgate.Base, "baseline.txt", []byte(text)))
	return set
}

func TestAgainstBaseline(t *testing.T) {
	head := []fakeBench{
		{Name: "Same", Allocs: 1}, {Name: "Worse", Allocs: 2}, {Name: "New"}, {Name: "Fails", Fail: "!"}, {Name: "Sub", Subs: []string{"a", "b"}, Allocs: 1},
	}
	f := newFakes(t, nil, head)
	f.Packages[0].Binaries[0] = Binary{}
	f.Rules.Ignore = []string{"goos", "goarch", "cpu"}
	against := func(names ...string) *Outcome {
		f.Baseline = recordedAt(t, names...)
		return f.run(t)
	}
	out := against("Worse-2", "Same-2", "Fails-2", "Sub/a-2", "Gone-2")
	require.Equal(t, 1, out.Report.ExitCode())
	require.Equal(t, "Worse-2", out.Report.With(benchgate.Worse)[0].Bench)
	require.ElementsMatch(t, []string{fakePkg + ".New", fakePkg + ".Sub/b"}, out.Report.New)
	texts := strings.Join(faults(out.Report), "\n")
	require.Contains(t, texts, "vanished at head: "+fakePkg+".Gone-2: only the base has it")
	require.Contains(t, texts, "failed at head: "+fakePkg+".Fails")
	require.NotContains(t, texts, "vanished at head: "+fakePkg+".Fails")
	firsts := make(map[string]bool) // of the rounds
	for i, l := range f.launches(t)[1:] {
		require.Equal(t, "3x", l.Time, "the iterations recorded")
		require.Equal(t, f.dirs[1], l.Dir)
		if i%3 == 0 {
			firsts[l.Bench] = true
		}
	}
	require.Greater(t, len(firsts), 1, "the order of the benchmarks is random, as of the seed")

	// What is not asked for is not missed.
	f.Bench = "^BenchmarkSame$|Sub/a"
	require.Equal(t, 0, against("Worse-2", "Same-2", "Sub/a-2", "Gone-2").Report.ExitCode())
	f.Bench = "Nothing"
	f.Baseline = recordedAt(t, "Same-2")
	_, err := Run(t.Context(), f.Config)
	require.ErrorIs(t, err, ErrNothing)

	f.Bench = "Same"
	f.Baseline = recordedAt(t, "Same-16")
	_, err = Run(t.Context(), f.Config)
	require.ErrorIs(t, err, ErrConfig)
	require.ErrorContains(t, err, "Same-16 at GOMAXPROCS 16, this run would be at 2: set -cpu")
}

// Selects agrees with what package testing runs.
func TestSelectsAsTestingDoes(t *testing.T) {
	f := newFakes(t, nil, []fakeBench{{Name: "A"}, {Name: "AB"}, {Name: "Sub", Subs: []string{"a", "b c", "n=1"}}, {Name: "X_y"}})
	all := []string{"A", "AB", "Sub/a", "Sub/b_c", "Sub/n=1", "X_y"}
	for _, pattern := range []string{
		".", "A", "^BenchmarkA$", "Sub", "Sub/a", "Sub/", "/a", "A/a", "Sub/n=[1]", "Sub/(a|b c)", "A$|Sub/a", "AB|Sub/^a$|_y", `Sub/[/a]`, `[A|]`, "(A|Sub)/n", "b c", `Sub/b\ c`, "Nothing",
	} {
		cmd := exec.CommandContext(t.Context(), f.Packages[0].Binaries[1].Path, "-test.run=^$", "-test.benchtime=1x", "-test.bench="+pattern)
		cmd.Dir = f.dirs[1]
		out, err := cmd.Output()
		require.NoError(t, err)
		want := regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s`).FindAllStringSubmatch(string(out), -1)
		var got []string
		for _, name := range all {
			if benchgate.Selects(pattern, name) {
				got = append(got, name)
			}
		}
		require.Equal(t, slices.Collect(func(yield func(string) bool) {
			for _, m := range want {
				if !yield(m[1]) {
					return
				}
			}
		}), got, "%s", pattern)
	}
}
