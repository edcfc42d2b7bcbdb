package capacity

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest"
)

// outcomes is a result of requests in groups of equals.
func outcomes(t *testing.T, groups ...group) *loadtest.EngineResult {
	t.Helper()
	begin := time.Date(2026, 1, 2, 15, 0, 0, 0, time.UTC)
	r, err := loadtest.Collect(func(yield func(loadtest.RequestResult, error) bool) {
		for _, g := range groups {
			one := loadtest.RequestResult{Latency: g.service, Lag: g.lag, Timestamp: begin.Add(g.lag), Attempt: 1, Class: g.class}
			if g.class != loadtest.ClassNone {
				one.Err = errPlanted
			}
			for range g.n {
				if !yield(one, nil) {
					return
				}
			}
		}
	})
	require.NoError(t, err)
	r.Scheduled = r.Requests
	return r
}

type group struct {
	n            int
	service, lag time.Duration
	class        loadtest.ErrorClass
}

// A trial loses what was scheduled and not answered well in time. It is invalid where that
// is the generator's fault, and only where it would be good otherwise.
func TestJudge(t *testing.T) {
	const ms = time.Millisecond
	p99 := Goal{Name: "p99", LossRatio: 0.01, Limit: 50 * ms}
	errors := Goal{Name: "errors", LossRatio: 0.001}
	for _, c := range []struct {
		reason string
		result *loadtest.EngineResult
		change func(*loadtest.EngineResult)
		tight  bool
		losses []float64
		kind   TrialKind
		note   string
	}{
		{"all is well", outcomes(t, group{1000, 10 * ms, 0, 0}), nil, false, []float64{0, 0}, TrialCounted, ""},
		{"as long as allowed", outcomes(t, group{500, 50 * ms, 0, 0}, group{500, 30 * ms, 20 * ms, 0}, group{5, 99 * ms, 0, 0}), nil, false, []float64{5. / 1005, 0}, TrialCounted, ""},
		{"slow", outcomes(t, group{980, 10 * ms, 0, 0}, group{20, 51 * ms, 0, 0}), nil, false, []float64{0.02, 0}, TrialCounted, ""},
		{"errors, however quick", outcomes(t, group{980, 10 * ms, 0, 0}, group{20, ms, 0, loadtest.ClassReset}), nil, false, []float64{0.02, 0.02}, TrialCounted, "20 of 1,000 failed, reset: planted"},
		{"failed checks", outcomes(t, group{998, 10 * ms, 0, 0}, group{2, ms, 0, loadtest.ClassCheck}), nil, false, []float64{0.002, 0.002}, TrialCounted, "2 of 1,000 failed, check: planted"},
		{"dropped, as the service was slow", outcomes(t, group{900, 10 * ms, 0, 0}), func(r *loadtest.EngineResult) { r.Scheduled, r.Dropped = 1000, 100 }, false, []float64{0.1, 0.1}, TrialCounted, ""},
		{"dropped, as there was no room", outcomes(t, group{900, 10 * ms, 0, 0}), func(r *loadtest.EngineResult) {
			r.Scheduled, r.Dropped = 1000, 100
			r.Causes = []loadtest.CauseFinding{{Cause: loadtest.CauseInFlight, Windows: 1, Of: 1, Text: "raise MaxInFlight"}}
		}, true, []float64{0.1, 0.1}, TrialInvalid, "in flight: raise MaxInFlight"},
		{"a few dropped, as there was no room", outcomes(t, group{995, 10 * ms, 0, 0}), func(r *loadtest.EngineResult) {
			r.Scheduled, r.Dropped = 1000, 5
		}, true, []float64{0.005, 0.005}, TrialInvalid, "5 arrivals were dropped; raise MaxInFlight"},
		{"rejected by the breaker", outcomes(t, group{900, 10 * ms, 0, 0}), func(r *loadtest.EngineResult) { r.Scheduled, r.RejectedCount = 1000, 100 }, false, []float64{0.1, 0.1}, TrialCounted, ""},
		{"missed", outcomes(t, group{900, 10 * ms, 0, 0}), func(r *loadtest.EngineResult) { r.Scheduled, r.Missed = 1000, 100 }, false, []float64{0.1, 0.1}, TrialInvalid, "began"},
		{"sent late", outcomes(t, group{900, 10 * ms, 0, 0}, group{100, 10 * ms, 45 * ms, 0}), nil, false, []float64{0.1, 0}, TrialInvalid, "1 % of the requests began 45ms or more after they were due"},
		{"sent late, and slow too", outcomes(t, group{900, 10 * ms, 0, 0}, group{50, 10 * ms, 45 * ms, 0}, group{50, 60 * ms, 45 * ms, 0}), nil, false, []float64{0.1, 0}, TrialCounted, ""},
		{"sent late, but good", outcomes(t, group{995, 10 * ms, 0, 0}, group{5, 10 * ms, 45 * ms, 0}), nil, false, []float64{0.005, 0}, TrialCounted, ""},
		{"no ports", outcomes(t, group{900, 10 * ms, 0, 0}, group{100, ms, 0, loadtest.ClassLocal}), nil, false, []float64{0.1, 0.1}, TrialInvalid, "began"},
		{"slow, and short of processors", outcomes(t, group{1000, 60 * ms, 0, 0}), func(r *loadtest.EngineResult) {
			r.Causes = []loadtest.CauseFinding{{Cause: loadtest.CauseCPU, Windows: 1, Of: 1, Text: "cpu"}}
		}, false, []float64{1, 0}, TrialCounted, ""},
		{"slow, as it waits for connections", outcomes(t, group{1000, 60 * ms, 0, 0}), func(r *loadtest.EngineResult) {
			r.Causes = []loadtest.CauseFinding{{Cause: loadtest.CauseConnections, Windows: 1, Of: 1, Text: "raise the limit on connections"}}
		}, false, []float64{1, 0}, TrialInvalid, "connections: raise the limit on connections"},
		{"nothing scheduled", &loadtest.EngineResult{}, nil, false, []float64{0, 0}, TrialCounted, ""},
	} {
		t.Run(c.reason, func(t *testing.T) {
			if c.change != nil {
				c.change(c.result)
			}
			trial := judge([]Goal{p99, errors}, c.result, c.tight)
			require.InDeltaSlice(t, c.losses, trial.Losses, 1e-12)
			require.Equal(t, c.kind, trial.Kind)
			require.Contains(t, trial.Note, c.note)
			require.Equal(t, c.note == "", trial.Note == "")
		})
	}
}

// within agrees with counting, up to what a histogram can tell.
func TestWithinCounts(t *testing.T) {
	const n = 1000
	var groups []group
	for i := range n {
		groups = append(groups, group{1, time.Duration(i+1) * time.Millisecond, 0, 0})
	}
	r := outcomes(t, groups...)
	for _, d := range []int{0, 1, 2, 10, 499, 500, 998, 999, 1000, 2000} {
		require.EqualValues(t, min(d, n), within(r.Quantile, r.Requests, time.Duration(d)*time.Millisecond), "%d ms", d)
	}
	require.Zero(t, within(r.Quantile, 0, time.Second))
}

// What is shown of a search says what the trials were for.
func TestResultText(t *testing.T) {
	goals := []GoalBounds{{Goal: Goal{Name: "p99 ≤ 50ms", LossRatio: 0.01}, Lower: 980, Upper: 1000}, {Goal: Goal{Name: "errors ≤ 0.1 %", LossRatio: 0.001}, Lower: 980}}
	trial := func(kind TrialKind, rate float64, loss float64, p99 time.Duration, note string) Trial {
		return Trial{Kind: kind, Rate: rate, Duration: time.Second, Losses: []float64{loss, 0}, P99: p99, Note: note}
	}
	r := Result{
		Capacity: 979.5, Lower: 980, Upper: 1000, Width: 0.02, Goals: goals,
		Trials: []Trial{
			trial(TrialWarmup, 6400, 0.8, 300*time.Millisecond, ""),
			trial(TrialCounted, 980, 0.0005, 12*time.Millisecond, ""),
			trial(TrialInvalid, 1000, 0.02, 60*time.Millisecond, "1 % of the requests began 45ms or more after they were due"),
			trial(TrialCounted, 1000, 0.3, 80*time.Millisecond, "300 of 1,000 failed, reset"),
			trial(TrialControl, 1250, 0, time.Millisecond, ""),
		},
	}
	text := fmt.Sprintln(r)
	r.End, r.Capacity, r.Lower = &EndError{ErrMinRate, "1,000/s"}, 0, 0
	text += fmt.Sprintln(r)
	r = Result{End: &EndError{Reason: errPlanted}}
	text += fmt.Sprintln(r)
	golden(t, "result.txt", text)
}
