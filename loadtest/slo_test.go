package loadtest

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/faketb"
)

func TestJudgeShowsEachObjective(t *testing.T) {
	v := SLO{P50: 11 * time.Millisecond, P99: 9 * time.Millisecond, MaxErrorRate: 0.01, MinRPS: 500, MaxPeakMemory: 64 << 20}.Judge(run1000())
	require.Equal(t, Verdict{Kind: VerdictFail, Objectives: []Objective{
		{Name: "p50", Observed: "10ms", Wanted: "at most 11ms", Judged: true, Met: true},
		{Name: "p99", Observed: "10ms", Wanted: "at most 9ms", Judged: true},
		{Name: "error rate", Observed: "1 % (10 of 1,000)", Wanted: "at most 1 %", Judged: true, Met: true},
		{Name: "req/s", Observed: "500", Wanted: "at least 500", Judged: true, Met: true},
		{Name: "requests", Observed: "1,000", Wanted: "at least 1", Judged: true, Met: true},
		{Name: "peak memory", Observed: "64.0 MiB", Wanted: "at most 64.0 MiB", Judged: true, Met: true},
	}}, v)
	require.Equal(t, "FAIL\n  p99         observed 10ms, wanted at most 9ms", v.String())
	require.Equal(t, v.Objectives[1:2], v.Missed())
	data, err := json.Marshal(v)
	require.NoError(t, err)
	require.Contains(t, string(data), `{"kind":"FAIL","objectives":[{"name":"p50","observed":"10ms","wanted":"at most 11ms","judged":true,"met":true},`)

	v = SLO{MaxErrorRate: 0.01}.Judge(run1000())
	require.Equal(t, VerdictPass, v.Kind)
	require.Empty(t, v.Missed())
	require.Equal(t, "PASS", v.String())
}

// Each objective is met at its limit and missed beyond it; Check fails for the same, with
// one message that has the errors too.
func TestCheckFailsWhereJudgeDoes(t *testing.T) {
	refused := run1000()
	refused.RejectedCount = 250 // a fifth of what was due
	const all = 1               // error rate
	for name, tt := range map[string]struct {
		slo  SLO
		r    *EngineResult
		want string // the objective missed; empty for none
	}{
		"all at their limits": {SLO{
			P50: 11 * ms, P95: 11 * ms, P99: 11 * ms, MaxErrorRate: 0.01, MinRPS: 500, MinRequests: 1000, MaxPeakMemory: 64 << 20,
		}, run1000(), ""},
		"p50 beyond":              {SLO{P50: 9 * ms, MaxErrorRate: all}, run1000(), "p50         observed 10ms, wanted at most 9ms"},
		"p95 within":              {SLO{P95: 11 * ms, MaxErrorRate: all}, run1000(), ""},
		"p95 beyond":              {SLO{P95: 9 * ms, MaxErrorRate: all}, run1000(), "p95         observed 10ms, wanted at most 9ms"},
		"p99 beyond":              {SLO{P99: 9 * ms, MaxErrorRate: all}, run1000(), "p99         observed 10ms, wanted at most 9ms"},
		"errors at their limit":   {SLO{MaxErrorRate: 0.01}, run1000(), ""},
		"errors beyond":           {SLO{MaxErrorRate: 0.0099}, run1000(), "error rate  observed 1 % (10 of 1,000), wanted at most 0.99 %"},
		"errors without a word":   {SLO{}, run1000(), "error rate  observed 1 % (10 of 1,000), wanted at most 0 % (set SLO.MaxErrorRate to allow some: 0 allows none)"},
		"rate beyond":             {SLO{MaxErrorRate: all, MinRPS: 501}, run1000(), "req/s       observed 500, wanted at least 501"},
		"requests at their limit": {SLO{MaxErrorRate: all, MinRequests: 1000}, run1000(), ""},
		"requests beyond":         {SLO{MaxErrorRate: all, MinRequests: 1001}, run1000(), "requests    observed 1,000, wanted at least 1,001"},
		"refusals at their limit": {SLO{MaxErrorRate: all, MaxRejectedRate: 0.2}, refused, ""},
		"refusals beyond":         {SLO{MaxErrorRate: all, MaxRejectedRate: 0.19}, refused, "rejected    observed 20 % (250 of 1,250), wanted at most 19 %"},
		"refusals without a word": {SLO{MaxErrorRate: all}, refused, "rejected    observed 20 % (250 of 1,250), wanted at most 0 % (set SLO.MaxRejectedRate to allow some: 0 allows none)"},
		"memory beyond":           {SLO{MaxErrorRate: all, MaxPeakMemory: 1 << 20}, run1000(), "peak memory observed 64.0 MiB, wanted at most 1.0 MiB"},
		"nothing sent":            {SLO{}, &EngineResult{}, "requests    observed 0, wanted at least 1"},
	} {
		t.Run(name, func(t *testing.T) {
			v := tt.slo.Judge(tt.r)
			tb := faketb.Run(t, func(tb *faketb.TB) { Check(tb, tt.r, tt.slo) })
			if tt.want == "" {
				require.Equal(t, VerdictPass, v.Kind)
				require.Empty(t, tb.Errors())
				return
			}
			require.Equal(t, VerdictFail, v.Kind)
			require.Len(t, v.Missed(), 1)
			require.Equal(t, tt.want, v.Missed()[0].String())
			require.Len(t, tb.Errors(), 1)
			require.Contains(t, tb.Text(), "loadtest: 1 of the objectives missed\n  "+tt.want)
			if tt.r.ErrorCount > 0 {
				require.Contains(t, tb.Text(), "10 × reset: example of reset")
			}
		})
	}
}

// What Validate refuses is not met by accident, and nil is no result.
func TestJudgeFailsClosed(t *testing.T) {
	for name, slo := range map[string]SLO{
		"error rate": {MaxErrorRate: math.NaN()}, "req/s": {MaxErrorRate: 1, MinRPS: math.NaN()},
		"p50": {MaxErrorRate: 1, P50: -1}, "rejected": {MaxErrorRate: 1, MaxRejectedRate: math.NaN()},
	} {
		require.Error(t, slo.Validate())
		v := slo.Judge(run1000())
		require.Equal(t, VerdictFail, v.Kind, name)
		require.Equal(t, name, v.Missed()[0].Name)
	}
	require.Equal(t, "requests", SLO{}.Judge(nil).Missed()[0].Name)
}

// Whoever only sets P99 learns which field lets an error pass, and only then.
func TestAForgottenFieldIsNamed(t *testing.T) {
	r := run1000()
	r.RejectedCount = 1
	text := faketb.Run(t, func(tb *faketb.TB) { Check(tb, r, SLO{P99: time.Second}) }).Text()
	require.Contains(t, text, "wanted at most 0 % (set SLO.MaxErrorRate to allow some: 0 allows none)")
	require.Contains(t, text, "wanted at most 0 % (set SLO.MaxRejectedRate to allow some: 0 allows none)")
	text = faketb.Run(t, func(tb *faketb.TB) { Check(tb, r, SLO{MaxErrorRate: 0.001, MaxRejectedRate: 0.0001}) }).Text()
	require.NotContains(t, text, "set SLO.")
}

// Log and Check together show the report once.
func TestCheckDoesNotRepeatTheReport(t *testing.T) {
	r := run1000()
	r.Warnings = []Warning{{Kind: WarnStall, Text: "stalled"}}
	text := faketb.Run(t, func(tb *faketb.TB) { Check(tb, r, SLO{}) }).Text()
	lines := strings.Split(r.String(), "\n")
	for _, line := range []int{0, 1, len(lines) - 2} { // requests, outcome and resources
		require.NotContains(t, text, strings.TrimSpace(lines[line]))
	}
	require.Contains(t, text, "latency   p50 10ms")
	require.Contains(t, text, "warning   stalled")
}

// What was observed never reads like the limit that it missed.
func TestAMissDoesNotReadLikeAHit(t *testing.T) {
	const limit = 1_234_123_456
	require.Equal(t, "1.234s", precise(limit, limit), "a hit is rounded")
	require.Equal(t, "1.234123457s", precise(limit+1, limit))
	require.Equal(t, "100.000001ms", precise(100*ms+1, 100*ms))
	r := run1000()
	r.ErrorCount, r.PeakMemory, r.Elapsed = 11, 64<<20+1, 2000*time.Millisecond+time.Microsecond
	v := SLO{MaxErrorRate: 0.010999, MinRPS: 500, MaxPeakMemory: 64 << 20}.Judge(r)
	var got []string
	for _, o := range v.Missed() {
		got = append(got, o.Observed+" / "+o.Wanted)
	}
	require.Equal(t, []string{
		"1.0999999999999999 % (11 of 1,000) / at most 1.1 %",
		"499.99975000012495 / at least 500",
		"67,108,865 B / at most 64.0 MiB",
	}, got)
}
