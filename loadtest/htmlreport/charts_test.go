package htmlreport

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest"
)

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

func second(i, n int64) loadtest.Interval {
	return loadtest.Interval{
		From: time.Duration(i) * time.Second, To: time.Duration(i+1) * time.Second,
		Counts: loadtest.Counts{Requests: n}, P50: time.Duration(n), P99: time.Duration(2 * n), InFlight: int(n), HeapBytes: uint64(n),
	}
}

func TestStepsHoldUntilTheirEndAndBreakAtGaps(t *testing.T) {
	ivs := []loadtest.Interval{second(0, 10), second(1, 0), second(2, 30), second(5, 40)}
	xs, ys := stepped(slots(ivs), func(s slot) value { return s.p50 })
	require.Equal(t, "[0,1,1.001,2,3,3.001,5,6]", jsonOf(t, xs))
	require.Equal(t, "[10,10,null,30,30,null,40,40]", jsonOf(t, ys))
	xs, ys = stepped(slots(ivs[:2]), func(s slot) value { return value(s.requests) })
	require.Equal(t, "[0,1,2] [10,0,0]", jsonOf(t, xs)+" "+jsonOf(t, ys))
	xs, ys = sampled(slots(ivs), func(s slot) value { return s.inFlight })
	require.Equal(t, "[0,1,2,3,5,6]", jsonOf(t, xs))
	require.Equal(t, "[null,10,0,30,null,40]", jsonOf(t, ys))
	xs, ys = stepped(nil, nil)
	require.Empty(t, xs)
	require.Empty(t, ys)
}

// The intervals of a merged result overlap: a chart adds up what went on at once.
func TestOverlappingIntervalsAddUp(t *testing.T) {
	b := second(0, 30)
	b.From, b.To, b.ErrorCount, b.RejectedCount = 500*time.Millisecond, 1500*time.Millisecond, 3, 6
	got := slots([]loadtest.Interval{second(0, 10), b, second(1, 20)})
	require.Equal(t, []slot{
		{from: 0, to: 500e6, requests: 10, p50: 10, p99: 20, inFlight: 10, heap: 10, counted: true},
		{from: 500e6, to: 1e9, requests: 40, errors: 3, refused: 6, p50: 25, p99: 60, inFlight: 40, heap: 30, counted: true},
		{from: 1e9, to: 1500e6, requests: 50, errors: 3, refused: 6, p50: 26, p99: 60, inFlight: 50, heap: 30, counted: true},
		{from: 1500e6, to: 2e9, requests: 20, p50: 20, p99: 40, inFlight: 20, heap: 20, counted: true},
	}, got)
	require.Empty(t, slots([]loadtest.Interval{{}}), "an interval of no length")
}

func TestCurve(t *testing.T) {
	r := stored(t)
	xs, ys := curve(r.Requests, r.Quantile)
	end := len(xs) - 1
	require.Equal(t, []int64{1, 10, 100, r.Requests},
		[]int64{int64(xs[0]), int64(xs[perDecade]), int64(xs[2*perDecade]), int64(xs[end])})
	require.Equal(t, []time.Duration{r.Quantile(0), r.Quantile(0.9), r.Quantile(0.99), r.Quantile(1)},
		[]time.Duration{time.Duration(ys[0]), time.Duration(ys[perDecade]), time.Duration(ys[2*perDecade]), time.Duration(ys[end])})
	for i := 1; i < len(xs); i++ {
		require.Greater(t, xs[i], xs[i-1])
		require.GreaterOrEqual(t, ys[i], ys[i-1])
	}
	xs, ys = curve(1, func(float64) time.Duration { return 7 })
	require.Equal(t, "[1] [7]", jsonOf(t, xs)+" "+jsonOf(t, ys))
	xs, _ = curve(0, nil)
	require.Empty(t, xs)
}

func TestChartsOfOneAndOfTwo(t *testing.T) {
	labels := func(c chart) (out []string) {
		for _, s := range c.Series {
			out = append(out, s.Label+"/"+s.Color)
		}
		return out
	}
	r := stored(t)
	cs, notes := charts([]string{"a"}, []*loadtest.EngineResult{r})
	require.Empty(t, notes)
	require.Equal(t, []string{"p50/c0", "p99/c1"}, labels(cs[0]))
	require.Equal(t, []string{"all requests/c0", "without error/good", "with error/bad"}, labels(cs[1]))
	require.Equal(t, []string{"errors/bad"}, labels(cs[3]))
	require.True(t, cs[0].Log, "a stall of seconds among milliseconds")
	require.Equal(t, "In flight: in flight from 48 to 50", cs[4].Label)

	refusing := stored(t)
	refusing.RejectedCount = 1
	cs, _ = charts([]string{"a", "b"}, []*loadtest.EngineResult{r, refusing})
	require.Equal(t, []string{"a p50/c0", "a p99/c0", "b p50/c1", "b p99/c1"}, labels(cs[0]))
	require.Equal(t, []string{"a/c0", "b/c1"}, labels(cs[1]))
	require.Equal(t, []string{"a/c0", "b/c1", "b rejected/c1"}, labels(cs[3]))

	var fields map[string]any
	require.NoError(t, json.Unmarshal([]byte(jsonOf(t, r)), &fields))
	fields["server_histogram"] = fields["success_histogram"]
	var reporting loadtest.EngineResult
	require.NoError(t, json.Unmarshal([]byte(jsonOf(t, fields)), &reporting))
	cs, _ = charts([]string{"a"}, []*loadtest.EngineResult{&reporting})
	require.Contains(t, labels(cs[1]), "server, as it says/c1")

	silent := &loadtest.EngineResult{Intervals: []loadtest.Interval{second(0, 0), second(1, 0)}}
	cs, notes = charts([]string{"a"}, []*loadtest.EngineResult{silent})
	require.Len(t, notes, 1)
	require.Equal(t, "Latency over time: p50 without values; p99 without values", cs[0].Label)
	require.False(t, cs[0].Log)
}

func TestValueHasNoNaN(t *testing.T) {
	require.Equal(t, "[null,null,1.5]", jsonOf(t, []value{gap, value(math.Inf(1)), 1.5}))
}
