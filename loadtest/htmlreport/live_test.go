package htmlreport

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/internal/text"
)

// goingOn is the first ten seconds of stored, in an open loop that was late.
func goingOn(t *testing.T) Live {
	t.Helper()
	r := &loadtest.EngineResult{Engine: "arrival", StartedAt: stored(t).StartedAt, Elapsed: 10 * time.Second, Intervals: minute(1)[:10]}
	for i := range r.Intervals {
		iv := &r.Intervals[i]
		iv.Scheduled, iv.Missed, iv.Lag = iv.Requests+7, 7, time.Duration(i)*time.Millisecond
		r.Requests, r.ErrorCount, r.Scheduled, r.Missed = r.Requests+iv.Requests, r.ErrorCount+iv.ErrorCount, r.Scheduled+iv.Scheduled, r.Missed+iv.Missed
	}
	r.Warnings = []loadtest.Warning{{Kind: "shards", Text: "shard 3 of 4 is <silent>"}}
	return Live{Title: "Checkout", State: "running: 10s of 1m0s", Result: r, Last: []loadtest.Interval{r.Intervals[4], r.Intervals[5], r.Intervals[2]}}
}

// The charts of a run that goes on are those that its report will have of the same
// intervals, and the page holds nothing that only a report knows.
func TestALivePageHasTheChartsOfTheReport(t *testing.T) {
	l := goingOn(t)
	page, err := l.Page()
	require.NoError(t, err)
	golden(t, "live.golden.html", withoutAssets(string(page)))
	rps, p50 := 0.0, 0.0
	for _, iv := range l.Last {
		rps, p50 = rps+iv.RPS(), p50+iv.RPS()*float64(iv.P50)
	}
	for key, want := range map[string]string{
		"rps": perSecond(rps), "p50": text.Duration(time.Duration(p50 / rps)), "inflight": "145",
		"p99": text.Duration(l.Last[1].P99), "lag": "5ms", // of the one that is worst
	} {
		require.Contains(t, string(page), `data-tile="`+key+`">`+want+"<")
	}
	event, err := l.Event()
	require.NoError(t, err)
	var u struct {
		Main   string
		Charts json.RawMessage
	}
	require.NoError(t, json.Unmarshal(event, &u))
	require.Contains(t, string(page), "<main>\n"+u.Main+"</main>", "an event fills the page as the page begins")
	require.JSONEq(t, jsonOf(t, timeCharts([]string{""}, []*loadtest.EngineResult{l.Result})), string(u.Charts))
}

// A page is of what is known: nothing, or a run that has ended.
func TestALivePageAtTheBeginningAndTheEnd(t *testing.T) {
	page, err := Live{Result: new(loadtest.EngineResult)}.Page()
	require.NoError(t, err)
	require.Contains(t, string(page), "There are no charts before")
	require.Contains(t, string(page), "uPlot=", "the charts will come")
	l := goingOn(t)
	l.Last = nil
	page, err = l.Page()
	require.NoError(t, err)
	require.Contains(t, string(page), `data-tile="rps">4,159/s<`)
	require.NotContains(t, string(page), "throughput now")
}
