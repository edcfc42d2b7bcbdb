package capacity

import (
	"context"
	"flag"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest"
)

// counting fails from call number most on since the last trial: what happens depends on
// no clock.
type counting struct {
	calls atomic.Int64
	most  int64
}

func (c *counting) call(context.Context) error {
	if c.calls.Add(1) > c.most {
		return errPlanted
	}
	return nil
}

// options are for trials so short that a search takes a second, and with an objective
// that no busy machine misses.
func (c *counting) options() Options {
	return Options{
		SLO: loadtest.SLO{P99: 20 * time.Second}, TrialDuration: 20 * time.Millisecond, DurationSum: 60 * time.Millisecond,
		Width: 0.1, Budget: time.Minute, OnTrial: func(Trial) { c.calls.Store(0) },
		Engine: loadtest.ArrivalConfig{MaxCatchUp: time.Minute, MaxInFlight: 10_000},
	}
}

// child says which benchmark a child process of a test is to run.
const child = "CAPACITY_TEST_BENCHMARK"

func BenchmarkChild(b *testing.B) {
	c := &counting{most: 100}
	o := c.options()
	o.Engine.Client = loadtest.Func(c.call)
	switch os.Getenv(child) {
	case "":
		b.Skip("for a test")
	case "invalid":
		o.Null = loadtest.Call("null", func(context.Context) error { return errPlanted })
	case "loop":
		for b.Loop() {
			Bench(b, o)
		}
		return
	case "bad":
		o.Width = 2
	}
	Bench(b, o)
}

// benched is what BenchmarkChild said in a process of its own, in a step of GitHub Actions.
type benched struct {
	out, summary string // what it printed, and what the summary of the step has
	ok           bool
}

// bench runs BenchmarkChild in a process of its own.
func bench(t *testing.T, what string, flags ...string) (b benched) {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	summary := filepath.Join(t.TempDir(), "summary")
	require.NoError(t, os.WriteFile(summary, nil, 0o600))
	cmd := exec.CommandContext(t.Context(), exe, append([]string{"-test.run=^$", "-test.bench=Child"}, flags...)...)
	cmd.Env = append(os.Environ(), child+"="+what, "GITHUB_ACTIONS=true", "GITHUB_STEP_SUMMARY="+summary, "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0") // nothing races after it
	data, err := cmd.CombinedOutput()
	b.out, b.ok = string(data), err == nil
	data, err = os.ReadFile(summary)
	require.NoError(t, err)
	b.summary = string(data)
	return b
}

// Whatever the time of a benchmark, it is one search, with a line that says which way its
// metrics are better.
func TestBenchReportsMetrics(t *testing.T) {
	for _, flags := range [][]string{nil, {"-test.benchtime=1x"}, {"-test.benchtime=3x", "-test.count=2"}} {
		b := bench(t, "good", flags...)
		out := b.out
		require.True(t, b.ok, out)
		require.True(t, strings.HasPrefix(out, units), "before the first benchmark:\n%s", out)
		require.Equal(t, 1, strings.Count(out, units))
		lines := regexp.MustCompile(`(?m)^BenchmarkChild\S*\s+\d+\t\s+(\S+) capacity-hi-req/s\t\s+(\S+) capacity-lo-req/s\t\s+(\S+) capacity-req/s\t\s+(\S+) trials$`)
		require.Len(t, lines.FindAllString(out, -1), max(1, len(flags)), out)
		require.NotContains(t, out, "ns/op")
		require.Contains(t, out, "passes and one of")
		require.Equal(t, max(1, len(flags)), strings.Count(out, "capacity 4,"), "one search for each count, and its summary\n%s", out)
		require.NotContains(t, out, "truncated")
		requireActionsTold(t, b, max(1, len(flags)), "<details><summary>✅ BenchmarkChild: capacity 4,", "")
	}
}

// Without a capacity there is no metric, and the benchmark fails and says why.
func TestBenchWithoutACapacity(t *testing.T) {
	for what, want := range map[string]struct{ says, summary, annotation string }{
		"invalid": {"INVALID: the generator was the limit", "<details open><summary>⚠️ BenchmarkChild: no capacity found", "no capacity found::capacity: INVALID: the generator was the limit"},
		"bad":     {"Width is 2", "<details open><summary>🔴 BenchmarkChild: no capacity found", "no capacity found::capacity: bad configuration: Width is 2"},
		"loop":    {"Bench within b.Loop()", "", ""},
	} {
		b := bench(t, what)
		require.False(t, b.ok, b.out)
		require.Contains(t, b.out, "--- FAIL: BenchmarkChild")
		require.Contains(t, b.out, want.says)
		require.NotContains(t, b.out, " capacity-req/s\t")
		if want.summary != "" {
			requireActionsTold(t, b, 1, want.summary, want.annotation)
		}
	}
	b := bench(t, "invalid", "-test.v", "-test.benchtime=1x")
	require.Contains(t, b.out, "warm-up", "all trials")
	require.Contains(t, b.out, "control")
}

// requireActionsTold requires that each of so many searches is in the summary of the step,
// and one without a capacity an annotation at the line of the benchmark.
func requireActionsTold(t *testing.T, b benched, searches int, summary, annotation string) {
	t.Helper()
	require.Equal(t, searches, strings.Count(b.summary, "<details"), b.summary)
	require.Equal(t, searches, strings.Count(b.summary, summary), b.summary)
	require.Contains(t, b.summary, "(bench&#95;test.go:")
	if !strings.Contains(annotation, "bad configuration") {
		require.Contains(t, b.summary, "| goal | passes at | fails at |\n|---|---|---|\n| p99 ")
	}
	if annotation == "" {
		require.NotContains(t, b.out, "::error")
		return
	}
	require.Regexp(t, `(?m)^\s+::error file=\S+[/\\]bench_test\.go,line=\d+,title=BenchmarkChild%3A `+annotation, b.out)
}

// Of several shards, shard 0 tells what all of them have found.
func TestAFollowerTellsGitHubActionsNothing(t *testing.T) {
	summary := filepath.Join(t.TempDir(), "summary")
	require.NoError(t, os.WriteFile(summary, nil, 0o600))
	t.Setenv("GITHUB_ACTIONS", "true")
	t.Setenv("GITHUB_STEP_SUMMARY", summary)
	for _, follower := range []bool{true, false} {
		annotation, err := Result{follower: follower}.tellActions("BenchmarkX", errPlanted)
		require.NoError(t, err)
		require.Equal(t, follower, annotation == "")
		got, err := os.ReadFile(summary)
		require.NoError(t, err)
		require.Equal(t, follower, len(got) == 0)
	}
}

// The result is that of Search.
func TestBenchReturnsTheResult(t *testing.T) {
	c := &counting{most: 100}
	o := c.options()
	o.Engine.Client = loadtest.Func(c.call)
	var r Result
	time := flag.Lookup("test.benchtime").Value
	before := time.String()
	require.NoError(t, time.Set("1x"))
	defer time.Set(before) //nolint:errcheck // it was its value
	b := testing.Benchmark(func(b *testing.B) { r = Bench(b, o) })
	require.Positive(t, r.Capacity)
	require.Equal(t, map[string]float64{
		"ns/op": 0, "capacity-req/s": r.Capacity, "capacity-lo-req/s": r.Lower, "capacity-hi-req/s": r.Upper, "trials": float64(len(r.Trials)),
	}, b.Extra)
}

// Over real sockets, against a server in this process, the generator is checked against
// another one, with a request that looks the same.
func TestSearchOverLoopback(t *testing.T) {
	for _, client := range []loadtest.Client{nil, loadtest.Wire(loadtest.ConnectionConfig{})} {
		c := &counting{most: 60}
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c.call(r.Context()) != nil {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}))
		defer srv.Close()
		o := c.options()
		o.Engine.Client = client
		r, err := Search(t.Context(), o, loadtest.Post(srv.URL, "text/plain", []byte("hello")))
		require.NoError(t, err, r)
		// 60 calls in 20 ms, of which those that saw that the service had settled take some
		require.InDelta(t, 3000, r.Upper, 600, r)
		require.Contains(t, r.String(), "status 503")
		last := r.Trials[len(r.Trials)-1]
		require.Equal(t, TrialControl, last.Kind)
		require.Zero(t, last.Errors)
		requireJSON(t, r)
	}
}

// What the generator is checked with is like what it sends, but for where to.
func TestNullRequests(t *testing.T) {
	post := loadtest.Post("http://service.invalid/a?b", "text/plain", []byte("hello"))
	post.Check = func(loadtest.Response) error { return errPlanted }
	d := &driver{http: true, requests: []*loadtest.Request{post, loadtest.Call("f", func(context.Context) error { return errPlanted })}}
	requests, stop, err := d.null(d.http)
	require.NoError(t, err)
	require.Len(t, requests, 1)
	require.Contains(t, requests[0].URL, "http://127.0.0.1:")
	require.Equal(t, &loadtest.Request{Method: "POST", URL: requests[0].URL, Header: post.Header, Body: post.Body}, requests[0])
	resp, err := http.Post(requests[0].URL, "text/plain", strings.NewReader("hello")) //nolint:noctx // it is closed below
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	http.DefaultClient.CloseIdleConnections()
	stop()
	for reason, d := range map[string]*driver{
		"functions":          {},
		"their own network":  {http: true, options: Options{Engine: loadtest.ArrivalConfig{Conn: loadtest.ConnectionConfig{DialContext: (&net.Dialer{}).DialContext}}}},
		"their own requests": {http: true, options: Options{Null: post}},
	} {
		requests, stop, err := d.null(d.http)
		require.NoError(t, err, reason)
		require.Len(t, requests, 1)
		require.Equal(t, d.options.Null == nil, requests[0].Func != nil, reason)
		stop()
	}
}
