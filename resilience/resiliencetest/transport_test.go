package resiliencetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/faketb"
	"example.com/brunt/resilience"
)

func plain(base http.RoundTripper) http.RoundTripper { return base }

// brunts is a Transport as it is by default, with a timeout of each attempt, and a base that is
// set as its own would be.
func brunts(base http.RoundTripper) http.RoundTripper {
	policy, err := resilience.NewRetryPolicy(resilience.RetryConfig{AttemptTimeout: 10 * time.Second, JitterFactor: resilience.NoJitter})
	if err != nil {
		panic(err)
	}
	base.(*http.Transport).HTTP2 = &http.HTTP2Config{SendPingTimeout: 15 * time.Second}
	return resilience.NewTransport(resilience.TransportConfig{Base: base, Retry: policy})
}

func TestMatrixOfTransport(t *testing.T) { TestTransport(t, brunts) }

// With options, all of them stricter than the defaults, of which ExampleSweepTransport is.
func TestSweepOfTransport(t *testing.T) {
	SweepTransport(t, brunts, MaxAttempts(2), CallDeadline(20*time.Second), TimeLimit(time.Minute), Accept())
}

// net/http passes all that is asked of a client without retries but for the connections of
// HTTP/2 that die in silence: see TestNetHTTPKeepsADeadHTTP2Connection.
func TestMatrixOfNetHTTP(t *testing.T) {
	var dead []Deviation
	for _, shape := range []string{"GET", "PUT", "POST", "canceled-waiting"} {
		dead = append(dead, Deviation{"h2-stale-silent/" + shape, "HTTP2Config.SendPingTimeout is not set"})
	}
	TestTransport(t, plain, WithoutRetry(), Accept(dead...))
}

func TestSweepOfNetHTTP(t *testing.T) { SweepTransport(t, plain, WithoutRetry()) }

func TestCellsAreToldApart(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range transportCells() {
		require.False(t, seen[c.name()], c.name())
		seen[c.name()] = true
		require.NotEmpty(t, c.fault.says, c.name())
		for _, f := range c.fault.faults {
			require.NoError(t, f.Validate(), c.name())
		}
		require.True(t, c.fault.faults != nil || c.fault.fired != nil, "%s: it could not be said to have fired", c.name())
	}
}

func TestFaultsNarrowTheMatrix(t *testing.T) {
	m := CheckTransport(t, plain, WithoutRetry(), Faults("truncated", "503-once"), Faults("storm-503"))
	var got []string
	for _, c := range m.Cells {
		got = append(got, c.Fault+"/"+c.Shape)
	}
	require.Equal(t, []string{
		"503-once/GET", "503-once/PUT", "503-once/POST", "503-once/canceled-backing-off",
		"truncated/GET", "truncated/PUT", "truncated/POST", "truncated/canceled-waiting", "storm-503/storm",
	}, got)
}

// In every run the same, to the virtual nanosecond.
func TestCellsAreRepeatable(t *testing.T) {
	cfg := configure(t, nil)
	for _, name := range []string{"503-twice/PUT", "429-retry-after/GET", "slow-backend/GET", "response-lost/POST", "storm-503/storm", "trickle-body/canceled-reading"} {
		c := cellOf(t, name)
		first := runCell(t, c, cfg, brunts)
		for range 3 {
			require.Equal(t, first, runCell(t, c, cfg, brunts), name)
		}
	}
}

// A sweep finds what a client does wrong only if one event fails.
func TestSweepCatchesPlantedBugs(t *testing.T) {
	cfg := configure(t, nil)
	events, _ := sweepEvents(t, cfg, planted(""))
	require.Greater(t, len(events), 20)
	for fault, want := range map[string]string{
		"retries a POST":            "call 3, POST /work: the POST was executed 2 times",
		"leaves a goroutine":        "goroutines are left",
		"sends an empty body again": "call 2, PUT /work: the request was executed with a body that its caller did not send",
	} {
		t.Run(fault, func(t *testing.T) {
			var seen strings.Builder
			for _, e := range events {
				c := runCell(t, (&sweep{event: e}).cell(), cfg, planted(fault))
				require.NotEqual(t, Invalid, c.Verdict, "%v", e)
				fmt.Fprintln(&seen, c.Reasons)
			}
			require.Contains(t, seen.String(), want)
		})
	}
}

func TestCellsAreReported(t *testing.T) {
	of := func(v Verdict) Cell {
		c := Cell{Fault: "f", Shape: "GET", Verdict: v, Outcome: "gave up", Error: "EOF", Reproduction: "do this"}
		if v != Pass {
			c.Reasons = []string{"it is so"}
		}
		return c
	}
	for _, row := range []struct {
		cell     Cell
		accepted bool
		want     string
	}{
		{of(Pass), false, ""},
		{of(Pass), true, `error: f/GET passes: take it off the accepted deviations, where its reason is "why"`},
		{of(Fail), false, "error: f/GET: it is so\nseen: FAIL: gave up after 0 attempts, 0 dials and 0s, 0 executions: EOF\nreproduce: do this\nto accept it: resiliencetest.Deviation{Property: \"f/GET\", Reason: \"…\"}"},
		{of(Fail), true, "skip: accepted deviation: why\nf/GET: it is so"},
		{of(Known), false, "skip: f/GET: it is so"},
		{of(Known), true, "skip: f/GET: it is so"},
		{of(Invalid), false, "error: f/GET: INVALID, which is not passed: it is so\nreproduce: do this"},
		{of(Invalid), true, "error: f/GET: INVALID, which is not passed: it is so\nreproduce: do this"},
	} {
		tb := faketb.Run(t, func(tb *faketb.TB) { report(tb, row.cell, row.accepted, "why") })
		said := ""
		for _, text := range tb.Errors() {
			said += "error: " + text
		}
		for _, text := range tb.Skips() {
			said += "skip: " + text
		}
		require.Equal(t, row.want, said)
	}
}

func TestTransportOptionsThatAreNotLegal(t *testing.T) {
	tb := faketb.Run(t, func(tb *faketb.TB) {
		configure(tb, []TransportOption{MaxAttempts(0), CallDeadline(-time.Second), TimeLimit(-2 * time.Second), Faults("calm", "storms")})
	})
	require.Equal(t, []string{"resiliencetest: options: MaxAttempts is 0, want 1 or more; CallDeadline is -1s, want more than 0; TimeLimit is -2s, want more than the CallDeadline, -1s; Faults has \"storms\", which is no line of the matrix"}, tb.Fatals())
}

func TestMatrix(t *testing.T) {
	m := Matrix{Cells: []Cell{
		{Fault: "a", Shape: "GET", Verdict: Pass, Attempts: 1},
		{Fault: "a", Shape: "canceled-reading", Verdict: Fail, Attempts: 2, Reasons: []string{"it is so"}},
		{Fault: "storm", Shape: "storm", Verdict: Invalid, Attempts: 100},
	}}
	require.Equal(t, ""+
		"fault  GET      PUT  POST  canceled  storm\n"+
		"a      pass 1×  -    -     FAIL 2×   -\n"+
		"storm  -        -    -     -         INVALID 100×\n"+
		"1 passed, 0 known, 1 failed, 1 invalid\n"+
		"a/canceled-reading: it is so\n", m.String())
	c, ok := m.Cell("a/GET")
	require.True(t, ok)
	require.Equal(t, m.Cells[0], c)
	_, ok = m.Cell("a/PUT")
	require.False(t, ok)
	text, err := json.Marshal(m)
	require.NoError(t, err)
	var back struct {
		Pass, Fail, Invalid int
		Cells               []Cell
	}
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, m.Cells, back.Cells)
	require.Equal(t, []int{1, 1, 1}, []int{back.Pass, back.Fail, back.Invalid})
	text, err = json.Marshal(Matrix{})
	require.NoError(t, err)
	require.JSONEq(t, `{"pass":0,"known":0,"fail":0,"invalid":0,"cells":[]}`, string(text))
}
