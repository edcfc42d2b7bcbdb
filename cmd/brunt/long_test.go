package main

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/benchgate"
	"example.com/brunt/internal/benchrun"
)

// These tests measure, so they take minutes and a machine that is left alone:
// make compare-aa, compare-power and compare-thirdparty run them.

func trials(t *testing.T, env string) int {
	t.Helper()
	if os.Getenv(env) == "" {
		t.Skipf("%s is not set: see make help", env)
	}
	n, err := strconv.Atoi(os.Getenv(env))
	require.NoError(t, err)
	require.Positive(t, n)
	return n
}

func buildTest(t *testing.T, dir, out string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", out, ".")
	cmd.Dir = dir
	text, err := cmd.CombinedOutput()
	require.NoError(t, err, string(text))
}

// A/A: brunt's own quick benchmarks against themselves.
func TestAA(t *testing.T) {
	n := trials(t, "BRUNT_AA")
	var packages []benchrun.Package
	for _, name := range []string{"resilience", "loadtest"} {
		dir, err := filepath.Abs(filepath.Join("..", "..", name))
		require.NoError(t, err)
		out := filepath.Join(t.TempDir(), name+".test")
		buildTest(t, dir, out)
		bin := benchrun.Binary{Path: out, Dir: dir}
		packages = append(packages, benchrun.Package{Path: "example.com/brunt/" + name, Binaries: [2]benchrun.Binary{bin, bin}})
	}
	began, failures, rows, better := time.Now(), 0, 0, 0
	for i := range n {
		out, err := benchrun.Run(t.Context(), benchrun.Config{
			Packages: packages, Bench: "^Benchmark(Limiter|Budget|Breaker|Overhead)$", Count: 10, Time: 5 * time.Millisecond, Timeout: time.Minute,
			CPU: runtime.GOMAXPROCS(0), Seed: uint64(i), TempDir: t.TempDir(),
		})
		require.NoError(t, err)
		require.Empty(t, out.Report.Faults)
		worse := out.Report.With(benchgate.Worse)
		for _, row := range worse {
			t.Logf("trial %d: false failure: %s %s %+.1f %% (adjusted p %.3g)", i+1, row.Name(), row.Unit, 100*row.Delta, row.Adjusted)
		}
		if len(worse) > 0 {
			failures++
		}
		rows += out.Report.Family
		better += len(out.Report.With(benchgate.Better))
		t.Logf("trial %d of %d: %d worse of %d metrics, %v", i+1, n, len(worse), out.Report.Family, time.Since(began).Round(time.Second))
	}
	t.Logf("%d trials, %d false failures (%d metrics tested, %d falsely better) in %v", n, failures, rows, better, time.Since(began).Round(time.Second))
	require.Zero(t, failures)
}

// predictedRate is how often a change of the row's metric by the given share would be
// confirmed, from the A/A phase.
func predictedRate(out *benchrun.Outcome, row *benchgate.Row, change float64) float64 {
	var noise []float64
	for _, r := range append(out.Noise[0], out.Noise[1]...) {
		if v, ok := r.Value(row.Unit); ok && r.Name.String() == row.Bench {
			noise = append(noise, v)
		}
	}
	return benchgate.Power{N: 30, Family: out.Report.Family, Looks: 3, Alpha: out.Report.Alpha, Threshold: row.Threshold}.Rate(noise, change)
}

// Power: slowdowns of a loop, and one more allocation, planted in the head.
func TestPower(t *testing.T) {
	n := trials(t, "BRUNT_POWER")
	body := func(rounds, allocations int) string {
		return fmt.Sprintf(`package m

import "testing"

var (
	number uint64
	sink   *[64]byte
)

func BenchmarkSpin(b *testing.B) {
	for range b.N {
		for range %d {
			number = number*6364136223846793005 + 1442695040888963407
		}
	}
}

func BenchmarkAlloc(b *testing.B) {
	for range b.N {
		for range %d {
			sink = new([64]byte)
		}
	}
}
`, rounds, allocations)
	}
	make1 := func(name string, rounds, allocations int) string {
		dir := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.MkdirAll(dir, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/m\n\ngo 1.24\n"), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "m_test.go"), []byte(body(rounds, allocations)), 0o600))
		out := filepath.Join(dir, "m.test")
		buildTest(t, dir, out)
		return out
	}
	base := make1("base", 10_000, 4)
	for _, c := range []struct {
		name, bench, unit   string
		rounds, allocations int
		change              float64
	}{
		{"5 percent slower", "Spin", "sec/op", 10_500, 4, .05},
		{"10 percent slower", "Spin", "sec/op", 11_000, 4, .1},
		{"20 percent slower", "Spin", "sec/op", 12_000, 4, .2},
		{"one more allocation", "Alloc", "allocs/op", 10_000, 5, .25},
	} {
		t.Run(c.name, func(t *testing.T) {
			head := make1("head", c.rounds, c.allocations)
			found, predicted, began := 0, 0.0, time.Now()
			for i := range n {
				out, err := benchrun.Run(t.Context(), benchrun.Config{
					Packages: []benchrun.Package{{Path: "example.com/m", Binaries: [2]benchrun.Binary{{Path: base, Dir: t.TempDir()}, {Path: head, Dir: t.TempDir()}}}},
					Bench:    "^Benchmark" + c.bench + "$", Count: 10, Time: 20 * time.Millisecond, Timeout: time.Minute, AA: 5,
					CPU: runtime.GOMAXPROCS(0), Seed: uint64(i), TempDir: t.TempDir(),
					// A change of exactly the threshold is found every other time: look below.
					Rules: benchgate.Rules{Thresholds: []benchgate.Threshold{{Metric: "sec/op", Share: 0.03}}},
				})
				require.NoError(t, err)
				require.Empty(t, out.Report.Faults)
				for _, row := range out.Report.Rows {
					if row.Unit == c.unit {
						predicted += predictedRate(out, row, c.change)
						if row.Verdict == benchgate.Worse {
							found++
						}
					}
				}
				t.Logf("trial %d of %d: %d found, %v", i+1, n, found, time.Since(began).Round(time.Second))
			}
			rate := float64(found) / float64(n)
			predicted /= float64(n)
			t.Logf("found %d of %d (%.2f), predicted %.2f", found, n, rate, predicted)
			if c.change >= .2 {
				require.Equal(t, n, found, "this must be found every time")
			}
			// Three standard errors of a share of n, and a tenth for what ten samples of noise do not tell.
			require.InDelta(t, predicted, rate, 0.1+3*math.Sqrt(max(.05, predicted*(1-predicted))/float64(n)))
		})
	}
}
