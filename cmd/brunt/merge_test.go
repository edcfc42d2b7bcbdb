package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/shards"
)

const (
	shardTarget = "BRUNT_TEST_TARGET"
	shardP50    = "BRUNT_TEST_P50"
)

// TestShard is what the processes of the tests below run.
func TestShard(t *testing.T) {
	url := os.Getenv(shardTarget)
	if url == "" {
		t.Skip(shardTarget + " is not set: this is run by other tests")
	}
	p50, err := time.ParseDuration(os.Getenv(shardP50))
	require.NoError(t, err)
	// Not an open loop, which is INVALID on a machine that is too busy for it.
	shards.Run(t, loadtest.ThreadedConfig{MaxWorkers: 2},
		loadtest.Take(300, loadtest.Pick(func(i int64) *loadtest.Request { return loadtest.Get(fmt.Sprint(url, "/n/", i)) })),
		loadtest.SLO{P50: p50, MinRequests: 300})
}

// runShard starts this test binary as a shard.
func runShard(t *testing.T, env ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestShard$", "-test.v")
	cmd.Env = append(os.Environ(), env...)
	out := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = out, out
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(out)
		}
	})
	return cmd
}

func runMerge(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), append([]string{"merge"}, args...), &out, &errs)
	return code, out.String(), errs.String()
}

// Three processes make one load test: what the server saw is what merge reports, each
// arrival once, in every format; and what is not whole is not merged.
func TestMerge(t *testing.T) {
	t.Parallel() // it waits
	var mu sync.Mutex
	seen := make(map[string]int)
	srv := fixtures.NewServer(t, fixtures.WithHandler("/n/", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.URL.Path]++
	})))
	other := fixtures.NewServer(t, fixtures.WithHandler("/n/", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	const n = 3
	dir, later := filepath.Join(t.TempDir(), "results"), filepath.Join(t.TempDir(), "later")
	start := time.Now().Add(5 * time.Second).Format(time.RFC3339Nano) // of both runs: they wait at the same time
	var cmds []*exec.Cmd
	for i := range n {
		for _, run := range [][]string{
			{"BRUNT_RUN=met", "BRUNT_RESULTS=" + dir, shardTarget + "=" + srv.URL, shardP50 + "=1h"},
			{"BRUNT_RUN=missed", "BRUNT_RESULTS=" + later, shardTarget + "=" + other.URL, shardP50 + "=1ns"},
		} {
			cmds = append(cmds, runShard(t, append(run, fmt.Sprintf("BRUNT_SHARD=%d/%d", i, n), "BRUNT_START="+start)...))
		}
	}
	for _, cmd := range cmds {
		require.NoError(t, cmd.Wait())
	}
	require.Len(t, seen, 300)
	for path, times := range seen {
		require.Equal(t, 1, times, path)
	}

	code, out, errs := runMerge(t, dir)
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, "TestShard, run met, 3 shards\n")
	require.Contains(t, out, "verdict: PASS\n")
	require.Empty(t, errs)

	code, out, _ = runMerge(t, "-format", "json", dir)
	require.Equal(t, 0, code)
	var tests []struct {
		Name, Run string
		Shards    int
		Verdict   loadtest.Verdict
		Result    *loadtest.EngineResult
	}
	require.NoError(t, json.Unmarshal([]byte(out), &tests))
	require.Len(t, tests, 1)
	require.Equal(t, "TestShard", tests[0].Name)
	require.EqualValues(t, 300, tests[0].Result.Requests)

	page := filepath.Join(t.TempDir(), "report.html")
	code, out, errs = runMerge(t, "-format", "html", "-o", page, dir)
	require.Equal(t, 0, code, errs)
	require.Empty(t, out)
	html, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(html), "TestShard")
	require.Contains(t, string(html), "shards of TestShard")

	code, out, _ = runMerge(t, "-format", "bench", dir)
	require.Equal(t, 0, code)
	require.Regexp(t, `(?m)^Unit req/s better=higher$`, out)
	require.Regexp(t, `(?m)^BenchmarkShard\t300\t[\d.]+ ns/op\t[\d.]+ req/s\t\d+ p50-ns\t`, out)

	code, again, _ := runMerge(t, "-format", "bench", "-test", "TestShard", dir)
	require.Equal(t, 0, code)
	require.Equal(t, out, again)
	code, out, errs = runMerge(t, "-test", "TestOther", dir)
	require.Equal(t, 2, code)
	require.Empty(t, out)
	require.Contains(t, errs, "there is no result of a shard")

	require.NoError(t, os.CopyFS(dir, os.DirFS(later)))
	code, _, errs = runMerge(t, dir)
	require.Equal(t, 2, code)
	require.Contains(t, errs, "there are results of 2 runs, met, missed: choose one")
	code, out, _ = runMerge(t, "-run", "missed", dir)
	require.Equal(t, 1, code)
	require.Contains(t, out, "verdict: FAIL\n  p50 ")
	code, _, errs = runMerge(t, "-run", "missed", "-format", "bench", dir)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "TestShard: FAIL", "what the report does not say")

	lost := filepath.Join(dir, "met.TestShard.1-of-3.json")
	text, err := os.ReadFile(lost)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(lost, int64(len(text)/2)))
	code, out, errs = runMerge(t, "-run", "met", dir)
	require.Equal(t, 2, code)
	require.Empty(t, out, "nothing is half merged")
	require.Contains(t, errs, "met.TestShard.1-of-3.json: truncated after ")
	require.NoError(t, os.Remove(lost))
	code, out, errs = runMerge(t, "-run", "met", dir)
	require.Equal(t, 2, code)
	require.Empty(t, out)
	require.Contains(t, errs, "of 3 shards, 1 wrote no result: 1")
}

// A shard whose process is killed has written nothing.
func TestMergeNamesAShardThatWasKilled(t *testing.T) {
	t.Parallel()
	srv := fixtures.NewServer(t, fixtures.WithHandler("/n/", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/n/101" { // of shard 1, which does not end by itself
			<-r.Context().Done()
		}
	})))
	dir := t.TempDir()
	start := time.Now().Add(4 * time.Second)
	var cmds []*exec.Cmd
	for i := range 2 {
		cmds = append(cmds, runShard(t, fmt.Sprintf("BRUNT_SHARD=%d/2", i), fmt.Sprintf("BRUNT_START=%.6f", float64(start.UnixMicro())/1e6),
			"BRUNT_RESULTS="+dir, shardTarget+"="+srv.URL, shardP50+"=1h"))
	}
	require.Eventually(t, func() bool { return srv.Hits() > 10 }, 30*time.Second, 10*time.Millisecond)
	require.NoError(t, cmds[1].Process.Kill())
	require.Error(t, cmds[1].Wait())
	require.NoError(t, cmds[0].Wait())
	code, out, errs := runMerge(t, dir)
	require.Equal(t, 2, code)
	require.Empty(t, out)
	require.Contains(t, errs, "TestShard, run run: of 2 shards, 1 wrote no result: 1")
}

// GitHub Actions is told what came of the whole run, and what a run lacks.
func TestMergeTellsActions(t *testing.T) {
	summary := inStep(t)
	dir := t.TempDir()
	for name, limit := range map[string]float64{"met": 1, "missed|::": 0} {
		t.Run(name, func(t *testing.T) {
			for i := range 2 {
				c := shards.Config{Shard: loadtest.Shard{Index: i, Count: 2}, Name: "run", Dir: dir}
				client := loadtest.Func(func(context.Context) error { return errors.New("planted") })
				c.Run(t, loadtest.SyncConfig{Client: client}, loadtest.Times(20, loadtest.Get("http://127.0.0.1/")), loadtest.SLO{MaxErrorRate: limit})
			}
		})
	}
	code, out, errs := runMerge(t, dir)
	require.Equal(t, 1, code)
	require.Equal(t, "::error title=TestMergeTellsActions/missed|%3A%3A::FAIL%0A  error rate  observed 100 %25 (20 of 20), wanted at most 0 %25 (set SLO.MaxErrorRate to allow some: 0 allows none)\n", errs)
	met, missed, ok := strings.Cut(out, "TestMergeTellsActions/missed|::, run ")
	require.True(t, ok)
	want := "\n### ✅ TestMergeTellsActions/met: PASS\n\n```\n" + met + "```\n\n" +
		"\n### 🔴 TestMergeTellsActions/missed&#124;::: FAIL\n\n```\nTestMergeTellsActions/missed|::, run " + missed + "```\n\n"
	require.Equal(t, want, read(summary))

	require.NoError(t, os.Remove(filepath.Join(dir, "run.TestMergeTellsActions-met.1-of-2.json")))
	code, _, errs = runMerge(t, dir)
	require.Equal(t, 2, code)
	const lacks = "TestMergeTellsActions/met, run run: of 2 shards, 1 wrote no result: 1\n"
	require.Equal(t, "::error title=brunt merge::"+lacks+"brunt: "+lacks, errs)
	want += "\n### ⚠️ Load test: could not be judged\n\n```\n" + lacks + "```\n\n"
	require.Equal(t, want, read(summary))
}

// INVALID is no miss: the two are told apart by whoever reads only the exit code.
func TestEachVerdictHasItsExitCode(t *testing.T) {
	for kind, want := range map[loadtest.VerdictKind]int{loadtest.VerdictPass: 0, loadtest.VerdictFail: 1, loadtest.VerdictInvalid: 2} {
		_, code := outcome(kind)
		require.Equal(t, want, code, kind)
	}
}

func TestMergeArguments(t *testing.T) {
	for want, args := range map[string][]string{
		"merge needs one directory, and got []":                 {},
		"-format is \"xml\": must be text, json, html or bench": {"-format", "xml", "d"},
		"flag provided but not defined: -x":                     {"-x", "d"},
		"no such file or directory":                             {filepath.Join(t.TempDir(), "none")},
		"there is no result of a shard":                         {t.TempDir()},
	} {
		code, out, errs := runMerge(t, args...)
		require.Equal(t, 2, code)
		require.Empty(t, out)
		require.Contains(t, errs, want)
	}
	code, out, errs := runMerge(t, "-h")
	require.Equal(t, 0, code)
	require.Empty(t, errs)
	require.True(t, strings.HasPrefix(out, "usage: brunt merge [flags] DIR\n"))
	require.Contains(t, out, "-format kind")
}
