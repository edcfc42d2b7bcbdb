package loadtest

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/faketb"
)

// attributes returns what a test with the verdict has as attributes.
func attributes(t *testing.T, v *judging) map[string]string {
	t.Helper()
	got := make(map[string]string)
	v.attributes(func(key, value string) {
		require.NotContains(t, got, key)
		require.False(t, strings.ContainsFunc(key+value, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) }), "%q %q", key, value)
		got[key] = value
	})
	return got
}

// Attributes are numbers in base units, and a metric that was not judged has none.
func TestAttributes(t *testing.T) {
	r := run1000()
	r.Endpoints = map[string]*Stats{"a\n b\x16--- PASS: x": {}}
	r.Scheduled, r.Missed = 2000, 500
	slo := SLO{
		P50: 20 * time.Millisecond, P99: 7 * time.Millisecond, P999: time.Second, MinRPS: 600, MaxPeakMemory: 1 << 20,
		MaxStall: time.Second, WorstSecondP99: time.Second, WorstSecondErrorRate: 0.5,
		Endpoints: map[string]SLO{"a\n b\x16--- PASS: x": {P99: time.Millisecond, MinRequests: 7}},
	}
	require.Equal(t, map[string]string{
		"brunt.verdict": "INVALID",
		"brunt.p50-ns":  "10002431", "brunt.p50-ns.max": "20000000",
		"brunt.p99-ns": "10002431", "brunt.p99-ns.max": "7000000",
		"brunt.p99.9-ns.max": "1000000000",
		"brunt.error-rate":   "0.01", "brunt.error-rate.max": "0",
		"brunt.missed": "0.25", "brunt.missed.max": "0.001",
		"brunt.dropped": "0", "brunt.dropped.max": "0",
		"brunt.achieved": "0.75", "brunt.achieved.min": "0.99",
		"brunt.req/s": "500", "brunt.req/s.min": "600",
		"brunt.requests": "1000", "brunt.requests.min": "1",
		"brunt.worst-p99-ns.max": "1000000000", "brunt.worst-errors.max": "0.5", "brunt.stall-ns.max": "1000000000",
		"brunt.peak-memory-B": "67108864", "brunt.peak-memory-B.max": "1048576",
		"brunt.a_b_---_PASS:_x-p99-ns.max": "1000000",
		"brunt.a_b_---_PASS:_x-error-rate": "0", "brunt.a_b_---_PASS:_x-error-rate.max": "0",
		"brunt.a_b_---_PASS:_x-requests": "0", "brunt.a_b_---_PASS:_x-requests.min": "7",
	}, attributes(t, slo.judge(r)))
	require.Equal(t, "PASS", attributes(t, SLO{MaxErrorRate: 0.01}.judge(run1000()))["brunt.verdict"])
}

// What GitHub Actions is to show: what was missed first, and of an INVALID run the causes.
func TestVerdictForActions(t *testing.T) {
	hostile := "a|b\n::error::<b>"
	slo := SLO{
		P99: 7 * time.Millisecond, P999: time.Second, MinRPS: 100, MaxErrorRate: 0.05,
		Endpoints: map[string]SLO{hostile: {}},
	}
	var b strings.Builder
	for _, v := range []Verdict{
		SLO{P99: time.Second, MaxErrorRate: 0.05}.Judge(run1000()),
		slo.Judge(run1000()),
		{Kind: VerdictInvalid, Causes: []CauseFinding{{Cause: CauseCPU, Windows: 3, Of: 10, Text: "the *generator* was late"}}},
	} {
		got := v.forActions("TestShop")
		b.WriteString(got.Mark + " " + got.Name + ": " + got.Outcome + "\n\n" + got.Body + "\nfailure:\n" + got.Failure + "\n\n")
	}
	golden(t, "actions.golden", b.String())
}

// A stand-in for a test does not tell the world that it has failed.
func TestAPlantedFailureIsNotReported(t *testing.T) {
	t.Setenv("GITHUB_ACTIONS", "true")
	t.Setenv("GITHUB_STEP_SUMMARY", t.TempDir()) // that cannot be written would be logged
	tb := faketb.Run(t, func(tb *faketb.TB) { Check(tb, run1000(), SLO{}) })
	require.Len(t, tb.Errors(), 1)
	require.NotContains(t, tb.Text(), "::error")
}

// One line is one line, whatever a request is called and an error says: a workflow command
// in it is not at the beginning of another.
func TestNoLineOfTheMessageIsAnothersName(t *testing.T) {
	r := run1000()
	r.ErrorExamples[ClassReset] = "x\r::error::y"
	tb := faketb.Run(t, func(tb *faketb.TB) {
		Check(tb, r, SLO{MaxErrorRate: 1, Endpoints: map[string]SLO{"a\n::error::b\r::error::c": {}}})
	})
	require.Contains(t, tb.Text(), "a ::error::b ::error::c requests")
	require.NotRegexp(t, `[\n\r]\s*::`, tb.Text())
}
