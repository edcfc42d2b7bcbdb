package brunt_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/perf/benchfmt"

	"example.com/brunt/loadtest"
)

// These benchmarks run in a process of their own, below: their names say how.
func BenchmarkHelperGood(b *testing.B) {
	helper(b)
	for _, sub := range []string{"a", "b"} {
		b.Run("sub="+sub, func(b *testing.B) {
			loadtest.Bench(b, loadtest.Start(b, loadtest.ThreadedConfig{Client: loadtest.Func(func(context.Context) error { return nil })}))
		})
	}
}

func BenchmarkHelperWarns(b *testing.B) {
	helper(b)
	n := 0
	loadtest.Bench(b, loadtest.Start(b, loadtest.SyncConfig{Client: loadtest.Func(func(context.Context) error {
		if n++; n%2 == 0 {
			return errors.New("test error")
		}
		return nil
	})}))
}

func BenchmarkHelperRefused(b *testing.B) {
	helper(b)
	loadtest.Bench(b, loadtest.Start(b, loadtest.SyncConfig{}), loadtest.Get("http://127.0.0.1:1/"))
}

func BenchmarkHelperBadURL(b *testing.B) {
	helper(b)
	loadtest.Bench(b, loadtest.Start(b, loadtest.SyncConfig{}), loadtest.Get("127.0.0.1"))
}

func helper(b *testing.B) {
	b.Helper()
	if os.Getenv("BRUNT_TEST_HELPER") == "" {
		b.Skip("runs only in the process that the tests below start")
	}
}

func runBenchmarks(t *testing.T, args ...string) (out string, failed bool) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, append([]string{"-test.run=^$", "-test.benchtime=300x"}, args...)...)
	cmd.Env = append(os.Environ(), "BRUNT_TEST_HELPER=1", "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0") // nothing races after it
	text, err := cmd.CombinedOutput()
	return string(text), err != nil
}

func TestBenchOutputIsCleanBenchfmt(t *testing.T) {
	for name, args := range map[string][]string{
		"plain":      nil,
		"count":      {"-test.count=3"},
		"cpu":        {"-test.cpu=1,2"},
		"both":       {"-test.count=2", "-test.cpu=1,2"},
		"verbose":    {"-test.v"},
		"many names": {"-test.count=2", "-test.bench=HelperGood|HelperWarns"},
	} {
		t.Run(name, func(t *testing.T) {
			out, failed := runBenchmarks(t, append([]string{"-test.bench=HelperGood|HelperWarns"}, args...)...)
			require.False(t, failed, out)
			results, better := 0, map[string]int{}
			reader := benchfmt.NewReader(bytes.NewReader([]byte(out)), name)
			for reader.Scan() {
				switch rec := reader.Result().(type) {
				case *benchfmt.SyntaxError:
					t.Fatalf("%v\n%s", rec, out)
				case *benchfmt.Result:
					results++
					for _, unit := range []string{"req/s", "p50-sec", "p95-sec", "p99-sec", "err/op", "peak-B"} {
						_, ok := rec.Value(unit)
						require.True(t, ok, "%s of %s\n%s", unit, rec.Name, out)
					}
					for _, c := range rec.Config {
						require.Contains(t, []string{"goos", "goarch", "pkg", "cpu"}, c.Key, "a stray line became configuration\n%s", out)
					}
				case *benchfmt.UnitMetadata:
					better[rec.Unit]++
				}
			}
			require.NoError(t, reader.Err())
			require.Equal(t, map[string]int{"%limit": 1, "req/s": 1, "p50-sec": 1, "p95-sec": 1, "p99-sec": 1, "err/op": 1, "peak-B": 1, "missed/op": 1, "dropped/op": 1, "lag-p99-sec": 1}, better, out)
			want := 3
			if strings.Contains(name, "count") {
				want *= 3
			}
			if name == "cpu" || name == "both" {
				want *= 2
			}
			if name == "both" || name == "many names" {
				want *= 2
			}
			require.Equal(t, want, results, out)
		})
	}
}

func TestBenchFailsClearly(t *testing.T) {
	out, failed := runBenchmarks(t, "-test.bench=HelperRefused")
	require.True(t, failed)
	require.Contains(t, out, "no request succeeded")
	require.Contains(t, out, "refused: dial tcp 127.0.0.1:1")

	out, failed = runBenchmarks(t, "-test.bench=HelperBadURL")
	require.True(t, failed)
	require.Contains(t, out, `invalid request: URL "127.0.0.1": scheme must be http or https`)

	out, failed = runBenchmarks(t, "-test.bench=HelperWarns")
	require.False(t, failed)
	require.Contains(t, out, "150 × other: test error", "errors are logged after the line")
}
