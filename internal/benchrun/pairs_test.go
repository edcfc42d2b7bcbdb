package benchrun

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/benchgate"
	"example.com/brunt/internal/proctest"
)

// Either side is first about as often, the order is the seed's, and no pattern
// such as strict alternation is in it: each successor is as likely too.
func TestOrderInAPair(t *testing.T) {
	sequence := func(seed uint64) string {
		order := rand.New(rand.NewPCG(seed, 0))
		var b strings.Builder
		for range 10_000 {
			c := columns(order)
			require.Equal(t, 1, c[0]+c[1], "each side once")
			b.WriteString(strconv.Itoa(c[0]))
		}
		return b.String()
	}
	one := sequence(1)
	require.Equal(t, one, sequence(1))
	require.NotEqual(t, one[:64], sequence(2)[:64])
	// 5000 expected, with a standard deviation of 50; the seed is fixed.
	require.InDelta(t, 5000, strings.Count(one, "0"), 200)
	changes := 0
	for i := range len(one) - 1 {
		if one[i] != one[i+1] {
			changes++
		}
	}
	require.InDelta(t, 5000, changes, 200)
}

// What the processes themselves saw: each one fresh, in its side's directory, with
// a fixed number of iterations and processors; each round every benchmark once on
// each side, one directly after the other; all in the order of the seed.
func TestPairsAsLaunched(t *testing.T) {
	declared := []fakeBench{{Name: "A", Allocs: 1}, {Name: "B", Allocs: 1}}
	f := newFakes(t, declared, declared)
	f.AA = 2
	pids := make(map[int]bool)
	run := func(seed uint64) (order string) {
		f.Seed = seed
		out := f.run(t)
		require.Empty(t, out.Report.Faults)
		list := f.launches(t)
		require.Len(t, list, 2+2*2*2+6*2*2, "two to calibrate, two rounds of the base with itself, six of base and head")
		for _, l := range list {
			require.False(t, pids[l.PID] && os.Getpid() != l.PID, "a process of its own")
			pids[l.PID] = true
			require.Equal(t, l.Dir, l.PWD)
			require.Equal(t, "2", l.Procs)
			require.Equal(t, "1x", l.Time)
			require.Equal(t, f.TempDir, l.Temp)
		}
		require.Equal(t, f.dirs[0], list[0].Dir)
		require.Equal(t, f.dirs[1], list[1].Dir)
		list = list[2:]
		for _, l := range list[:8] {
			require.Equal(t, f.dirs[benchgate.Base], l.Dir, "noise is the base's")
		}
		list = list[8:]
		for round := range 6 {
			ran := make(map[string]int)
			for pair := range 2 {
				first, second := list[round*4+pair*2], list[round*4+pair*2+1]
				require.Equal(t, first.Bench, second.Bench)
				require.NotEqual(t, first.Dir, second.Dir)
				ran[first.Bench]++
				side := "b"
				if first.Dir == f.dirs[benchgate.Head] {
					side = "h"
				}
				order += strings.Trim(first.Bench, "^$")[len("Benchmark"):] + side
			}
			require.Equal(t, map[string]int{"^BenchmarkA$": 1, "^BenchmarkB$": 1}, ran)
		}
		return order
	}
	one := run(1)
	require.Equal(t, one, run(1))
	require.NotEqual(t, one, run(2))
	require.Contains(t, one, "b")
	require.Contains(t, one, "h")
	firsts := make(map[byte]bool)
	for round := range 6 {
		firsts[one[round*4]] = true
	}
	require.Len(t, firsts, 2, "the benchmarks of a round are in random order too")
}

// A benchmark on one side only, one that fails on one side, one that fails only
// alone: the others are judged all the same.
func TestOneSided(t *testing.T) {
	f := newFakes(t,
		[]fakeBench{{Name: "Same", Allocs: 1}, {Name: "Worse", Allocs: 1}, {Name: "Gone"}, {Name: "Fails", Allocs: 1}, {Name: "Sub", Subs: []string{"a", "b"}}, {Name: "Mended", Fail: "!"}},
		[]fakeBench{{Name: "Same", Allocs: 1}, {Name: "Worse", Allocs: 2}, {Name: "New"}, {Name: "Fails", Fail: " at head"}, {Name: "Sub", Subs: []string{"a", "c"}}, {Name: "Mended", Allocs: 1}})
	out := f.run(t)
	require.Equal(t, 1, out.Report.ExitCode())
	require.Len(t, out.Report.With(benchgate.Worse), 1)
	require.Equal(t, "Worse-2", out.Report.With(benchgate.Worse)[0].Bench)
	require.ElementsMatch(t, []string{fakePkg + ".New", fakePkg + ".Sub/c"}, out.Report.New)
	texts := strings.Join(faults(out.Report), "\n")
	require.Len(t, out.Report.Faults, 4, texts)
	require.Contains(t, texts, "vanished at head: "+fakePkg+".Gone: only the base has it")
	require.Contains(t, texts, "vanished at head: "+fakePkg+".Sub/b: only the base has it")
	require.Contains(t, texts, "failed at head: "+fakePkg+".Fails: main.go:")
	require.Contains(t, texts, "broken at head")
	require.Contains(t, texts, "failed at base: "+fakePkg+".Mended")

	f.Bench = "Same|Gone"
	require.Equal(t, 2, f.run(t).Report.ExitCode())
	f.Rules.RemovedOK = compile(t, `\.Gone$`)
	out = f.run(t)
	require.Equal(t, 0, out.Report.ExitCode())
	require.Equal(t, []string{fakePkg + ".Gone"}, out.Report.Gone)

	f.Bench = "Nothing"
	_, err := Run(t.Context(), f.Config)
	require.ErrorIs(t, err, ErrNothing)
}

func TestFailsInTheMiddle(t *testing.T) {
	f := newFakes(t, []fakeBench{{Name: "A", Allocs: 1}, {Name: "B", Allocs: 1}}, []fakeBench{{Name: "A", FailAlone: true, Allocs: 1}, {Name: "B", Allocs: 1}})
	out := f.run(t)
	require.Equal(t, 2, out.Report.ExitCode())
	require.Len(t, out.Report.Faults, 1)
	require.Contains(t, out.Report.Faults[0].String(), "failed at head: "+fakePkg+".A: ")
	for _, row := range out.Report.Rows {
		require.Equal(t, "B-2", row.Bench, "nothing of a benchmark that fails is compared")
	}
}

// What a benchmark prints into its own line is a fault of it that shows the line,
// and the others are judged.
func TestHostileOutput(t *testing.T) {
	for print, want := range map[string]string{
		"hello ":                   "hello ",
		"warn: hot\n":              "warn: hot",
		"BenchmarkA-2 1 1 ns/op\n": "BenchmarkA-2 1 1 ns/op",
		"\n":                       "missing iteration count",
	} {
		f := newFakes(t, []fakeBench{{Name: "A"}, {Name: "B"}}, []fakeBench{{Name: "A", Print: print}, {Name: "B"}})
		f.Iterations = 3
		rep := f.run(t).Report
		require.Equal(t, 2, rep.ExitCode())
		texts := strings.Join(faults(rep), "\n")
		require.Contains(t, texts, "unreadable at head: "+fakePkg+".A: output of "+fakePkg+" at head:", "%q", print)
		require.Contains(t, texts, want, "%q", print)
		require.NotContains(t, texts, "vanished")
		for _, row := range rep.Rows {
			require.Equal(t, "B-2", row.Bench)
		}
		require.NotEmpty(t, rep.Rows)
	}
}

// With one iteration it prints before its line begins: that is glued to the first
// label, becomes configuration, or looks like a result.
func TestHostileOutputBeforeTheLine(t *testing.T) {
	f := newFakes(t, []fakeBench{{Name: "A"}}, []fakeBench{{Name: "A", Print: "hello "}})
	require.Equal(t, 0, f.run(t).Report.ExitCode())
	for print, want := range map[string]string{"warn: hot\n": "warn: hot", "BenchmarkA-2 1 1 ns/op\n": "it gave 2 results in one run"} {
		f := newFakes(t, []fakeBench{{Name: "A"}}, []fakeBench{{Name: "A", Print: print}})
		rep := f.run(t).Report
		require.Equal(t, 2, rep.ExitCode(), "%q", print)
		require.Contains(t, faults(rep)[0], want)
	}
	f = newFakes(t, []fakeBench{{Name: "A"}}, []fakeBench{{Name: "A", Print: "a line of its own\n"}})
	require.Equal(t, 0, f.run(t).Report.ExitCode())
}

func alive(t *testing.T, dir string) bool {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "started"))
	require.NoError(t, err)
	pid, err := strconv.Atoi(string(data))
	require.NoError(t, err)
	return !proctest.Ended(pid)
}

func TestWhatABenchmarkLeavesRunningIsEnded(t *testing.T) {
	needsGroups(t)
	f := newFakes(t, []fakeBench{{Name: "A"}}, []fakeBench{{Name: "A", Leaves: true}})
	require.Equal(t, 0, f.run(t).Report.ExitCode())
	require.Eventually(t, func() bool { return !alive(t, f.dirs[1]) }, time.Minute, time.Millisecond)
}

func TestCancelEndsTheProcesses(t *testing.T) {
	needsGroups(t)
	f := newFakes(t, []fakeBench{{Name: "A"}}, []fakeBench{{Name: "A", Blocks: true}})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { // ends with Run, which ends with the context
		_, err := Run(ctx, f.Config)
		ended <- err
	}()
	require.Eventually(t, func() bool { _, err := os.Stat(filepath.Join(f.dirs[1], "started")); return err == nil }, time.Minute, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	for _, l := range f.launches(t) {
		require.True(t, proctest.Ended(l.PID))
	}
	require.Eventually(t, func() bool { return !alive(t, f.dirs[1]) }, time.Minute, time.Millisecond)
}

func TestTimeout(t *testing.T) {
	needsGroups(t)
	f := newFakes(t, []fakeBench{{Name: "A"}}, []fakeBench{{Name: "A", Blocks: true}})
	f.Timeout = time.Second
	out := f.run(t)
	require.Equal(t, 2, out.Report.ExitCode())
	require.Equal(t, []string{"failed at head: " + fakePkg + ": it did not end within 1s; -timeout allows more"}, faults(out.Report))
	require.Eventually(t, func() bool { return !alive(t, f.dirs[1]) }, time.Minute, time.Millisecond)
}
