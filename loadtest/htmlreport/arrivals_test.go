package htmlreport

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/internal/text"
)

// arriving is a result of an open loop that is made up, the same every time: half a
// minute at 500/s, in which the generator stalled in second 10, and the service from 20
// to 23.
func arriving(t *testing.T) *loadtest.EngineResult {
	t.Helper()
	var all loadtest.Counts
	var ivs []loadtest.Interval
	for i := range 30 {
		iv := loadtest.Interval{
			From: time.Duration(i) * time.Second, To: time.Duration(i+1) * time.Second,
			Counts: loadtest.Counts{Scheduled: 500, Requests: 500, SuccessCount: 500},
			P50:    4*time.Millisecond + time.Duration(i%7)*60*time.Microsecond, P99: 11*time.Millisecond + time.Duration(i%5)*900*time.Microsecond,
			Lag: 70*time.Microsecond + time.Duration(i%4)*9*time.Microsecond, InFlight: 2 + i%3, HeapBytes: uint64(9<<20 + i*7919%13<<18),
		}
		switch {
		case i == 10:
			iv.Requests, iv.Missed, iv.Lag, iv.P99 = 380, 120, time.Second, 1011*time.Millisecond
		case i >= 20 && i < 23:
			iv.Requests, iv.Dropped, iv.InFlight, iv.P50, iv.P99, iv.Lag = 0, 450, 100, 0, 0, 0
			iv.Cause = loadtest.CauseInFlight
		case i == 23:
			iv.Requests, iv.P99 = 650, 3100*time.Millisecond
		case i == 29:
			iv.Requests, iv.Canceled = 498, 2
		}
		iv.SuccessCount = iv.Requests
		all.Scheduled, all.Requests = all.Scheduled+iv.Scheduled, all.Requests+iv.Requests
		all.Missed, all.Dropped, all.Canceled = all.Missed+iv.Missed, all.Dropped+iv.Dropped, all.Canceled+iv.Canceled
		ivs = append(ivs, iv)
	}
	require.Equal(t, all.Scheduled, all.Requests+all.Missed+all.Dropped+all.Canceled)
	start := time.Unix(1_700_000_000, 0)
	r, err := loadtest.Collect(func(yield func(loadtest.RequestResult, error) bool) {
		for i := range int(all.Requests) {
			x := loadtest.RequestResult{
				Name: []string{"home", "search"}[i%2], StatusCode: 200, Attempt: 1,
				Latency: 3*time.Millisecond + time.Duration(i*7919%13)*time.Millisecond/2, Lag: time.Duration(20+i*104729%60) * time.Microsecond,
			}
			switch {
			case i%100 == 7:
				x.Lag = time.Duration(i*31%1000) * time.Millisecond
			case i%250 == 9:
				x.Latency = 3 * time.Second
			}
			x.Timestamp = start.Add(time.Duration(i)*30*time.Second/time.Duration(all.Requests) + x.Lag)
			if !yield(x, nil) {
				return
			}
		}
	})
	require.NoError(t, err)
	r.Engine, r.Concurrency, r.PeakInFlight, r.Schedule = "arrival", 100, 100, "500/s for 30s"
	r.Scheduled, r.Missed, r.Dropped, r.Canceled = all.Scheduled, all.Missed, all.Dropped, all.Canceled
	r.Intervals, r.Elapsed, r.PeakMemory, r.ConnectionsOpened = ivs, 30*time.Second, 12<<20, 100
	r.ConnectionsUnknown = false
	return r
}

func TestPageOfAnOpenLoop(t *testing.T) {
	r := arriving(t)
	page := withoutAssets(written(t, fixed, r))
	golden(t, "open.golden.html", page)
	require.Contains(t, page, `<p class="sub">arrival 500/s for 30s, 30s, started`)
	for key, want := range map[string]string{
		"due": "15,000", "rps": perSecond(r.RPS()), "p99": text.Duration(r.P99()), "lag": text.Duration(r.LagQuantile(0.99)),
		"lost": text.Share(r.Missed+r.Dropped+r.Canceled, r.Scheduled),
	} {
		require.Contains(t, page, `<dd data-tile="`+key+`">`+want+"<", key)
	}
	for i, f := range []func(float64) time.Duration{r.Quantile, r.ServiceQuantile, r.LagQuantile} {
		row := `<tr data-key="` + []string{"response", "service", "lag"}[i] + `"><th scope="row">` + []string{"Response time", "Service time", "Lag"}[i] + "</th>"
		for _, q := range []float64{0.5, 0.9, 0.95, 0.99, 0.999, 1} {
			row += `<td class="num">` + text.Duration(f(q)) + "</td>"
		}
		require.Contains(t, page, row)
	}
	require.Equal(t, 3, strings.Count(page, "<td>in flight</td></tr>"), "the cause stands at the end of its intervals")
	ep := r.Endpoints["home"]
	require.Contains(t, page, `<td class="num">`+text.Duration(ep.ServiceQuantile(0.99))+`</td><td class="num">`+text.Duration(ep.LagQuantile(0.99))+"</td></tr>")
}

// A closed loop beside an open one has dashes for what it does not have, and beside
// another closed one not even those.
func TestPageOfTwo(t *testing.T) {
	open, closed := arriving(t), stored(t)
	open.Intervals, closed.Intervals = open.Intervals[9:12], closed.Intervals[:4]
	closed.RejectedCount, closed.Intervals[1].RejectedCount = 7, 7
	o := fixed
	o.Names = []string{"open", "closed"}
	page := withoutAssets(written(t, o, open, closed))
	golden(t, "two.golden.html", page)
	require.Contains(t, page, `<tr data-key="missed"><th scope="row">Missed</th><td class="num">120 (0.8 %)</td><td class="num">–</td></tr>`)
	require.Contains(t, page, ">Latency over time<", "they do not agree on what it is")
	page = withoutAssets(written(t, o, closed, stored(t)))
	for _, word := range []string{"chedule", "MaxInFlight", "esponse time", "ervice", "Lag", "Due", "issed", "ropped", "anceled", "Cause"} {
		require.NotContains(t, page, word)
	}
}

// Records are of what was sent: their result knows the lag, but not how much was due.
func TestPageOfTheRecordsOfAnOpenLoop(t *testing.T) {
	r, err := loadtest.ReadJSONL(strings.NewReader(`{"url":"u","status_code":200,"latency_ms":1.5,"timestamp":1700000000.25,"lag_ms":250}` + "\n"))
	require.NoError(t, err)
	r.Concurrency, r.PeakInFlight = 100, 7
	page := written(t, fixed, r)
	for _, want := range []string{`<th scope="row">Peak in flight</th><td class="num">7</td>`, `<dd data-tile="due">–<`, `<dd data-tile="lost">–<`, "median response time</dt>", `<td class="num">250ms</td></tr>`} {
		require.Contains(t, page, want)
	}
}

func TestALongScheduleIsCut(t *testing.T) {
	r := arriving(t)
	r.Schedule = "at " + strings.Repeat("1s ", 100_000)
	r.Intervals = nil
	page := withoutAssets(written(t, fixed, r))
	require.Less(t, len(page), 20_000)
	require.Contains(t, page, "1s …")
}

func TestChartsOfAnOpenLoop(t *testing.T) {
	labels := func(c chart) (out []string) {
		for _, s := range c.Series {
			out = append(out, s.Label+"/"+s.Color)
		}
		return out
	}
	r, closed := arriving(t), stored(t)
	cs, notes := charts([]string{"a"}, []*loadtest.EngineResult{r})
	require.Empty(t, notes)
	var ids []string
	for _, c := range cs {
		ids = append(ids, c.ID)
	}
	require.Equal(t, openCharts, ids)
	require.Equal(t, "Lag over time: lag p99 from 70µs to 1s", cs[1].Label)
	require.Equal(t, "Arrivals not sent: missed from 0/s to 120/s; dropped from 0/s to 450/s; canceled from 0/s to 2/s", cs[2].Label)
	require.Equal(t, []string{"response time/c0", "service time/c3", "lag/c1"}, labels(cs[3]))
	require.Equal(t, []string{"requests/good", "due/c0"}, labels(cs[4]))
	require.True(t, cs[1].Log, "a lag of a second among microseconds")
	slow := *r
	slow.Intervals = r.Intervals[23:]
	cs, _ = charts([]string{"a"}, []*loadtest.EngineResult{&slow})
	require.Equal(t, []bool{true, false}, []bool{cs[0].Log, cs[1].Log}, "each by its own values")

	r.Canceled = 0
	cs, _ = charts([]string{"a", "b"}, []*loadtest.EngineResult{closed, r})
	require.Equal(t, []string{"b lag p99/c1"}, labels(cs[1]))
	require.Equal(t, []string{"b missed/c1", "b dropped/c1"}, labels(cs[2]))
	require.Equal(t, []string{"a/c0", "b/c1", "b service time/c1"}, labels(cs[3]))
	require.Equal(t, []string{"a/c0", "b/c1", "b due/c1"}, labels(cs[4]))
}

// Arrivals of results side by side add up, and of their lags the larger one counts.
func TestOverlappingArrivalsAddUp(t *testing.T) {
	a, b := second(0, 10), second(0, 20)
	a.Scheduled, a.Missed, a.Dropped, a.Canceled, a.Lag = 10, 1, 2, 3, 5
	b.Scheduled, b.Missed, b.Dropped, b.Canceled, b.Lag = 20, 10, 20, 30, 4
	c := second(1, 0)
	c.Scheduled, c.Lag = 7, 9
	got := slots([]loadtest.Interval{a, b, c})
	require.Len(t, got, 2)
	require.Equal(t, []float64{30, 11, 22, 33, 5}, []float64{got[0].due, got[0].missed, got[0].dropped, got[0].canceled, float64(got[0].lag)})
	require.InDelta(t, 7, got[1].due, 0)
	require.True(t, isGap(got[1].lag), "nothing ended")
}

func TestBrowserDrawsAnOpenLoop(t *testing.T) {
	browser(t)
	r := arriving(t)
	path := Attach(t, Options{Title: "An open loop"}, r)
	_, console := show(t, path, "--screenshot="+strings.TrimSuffix(path, ".html")+".png", "--window-size=1200,2600")
	require.Empty(t, console, "the page as it is")
	for _, width := range []string{"1200", "500"} {
		s := inspect(t, written(t, Options{}, r), "--window-size="+width+",900")
		requireDrawn(t, s, openCharts...)
		require.Equal(t, text.Duration(r.LagQuantile(0.99)), s.Tiles["lag"])
		require.Equal(t, text.Duration(r.ServiceQuantile(0.5)), s.Tables["times"]["service"][1])
		require.Contains(t, s.Charts["chart-lost"].Legend, "dropped")
	}
	requireDrawn(t, inspect(t, written(t, Options{}, stored(t), r)), openCharts...)
}

var openCharts = []string{"latency", "lag", "lost", "percentiles", "throughput", "errors", "inflight", "heap"}
