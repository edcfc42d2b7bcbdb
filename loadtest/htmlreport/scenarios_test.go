package htmlreport

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/internal/text"
	"example.com/brunt/loadtest/pace"
)

// visited is the result of users who arrive for 20 s, of which the first 4 s and the last 2 s
// are not counted: the service is slow until it is warm. It is the same every time.
func visited(t *testing.T) (r *loadtest.EngineResult) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var due []time.Duration
		for i := range 400 { // nothing falls on the border of two intervals
			due = append(due, 25*time.Millisecond+time.Duration(i)*50*time.Millisecond)
		}
		engine := loadtest.Start(t, loadtest.ArrivalConfig{
			Schedule: pace.Recorded(due...), MaxInFlight: 1000,
			Exclude: loadtest.Exclude{WarmUp: 4 * time.Second, RampDown: 1975 * time.Millisecond},
			Client: loadtest.Func(func(context.Context) error {
				cold := max(0, 3*time.Second-time.Since(began)) / 20
				time.Sleep(10*time.Millisecond + cold)
				return nil
			}),
		})
		call := &loadtest.Request{Name: "call"}
		buy := func(_ context.Context, u *loadtest.User) error {
			for range 2 {
				if _, err := u.Do(call); err != nil {
					return err
				}
			}
			if u.Number()%8 == 4 {
				return errors.New("sold <out>")
			}
			return u.Pause(time.Duration(u.Number()%5+1) * 100 * time.Millisecond)
		}
		browse := func(_ context.Context, u *loadtest.User) error {
			_, err := u.Do(call)
			return err
		}
		var err error
		r, err = engine.Run(t.Context(), loadtest.Cycle(loadtest.Walk("buy", buy), loadtest.Walk("browse", browse)))
		require.NoError(t, err)
	})
	r.PeakMemory, r.Warnings, r.Causes = 12<<20, nil, nil
	for _, rows := range [][]loadtest.Interval{r.Intervals, r.Excluded} {
		for i := range rows {
			rows[i].HeapBytes, rows[i].Cause = uint64(9<<20+i<<18), ""
		}
	}
	require.NotEmpty(t, r.Excluded)
	return r
}

func TestPageOfUsers(t *testing.T) {
	r := visited(t)
	page := withoutAssets(written(t, fixed, r))
	golden(t, "users.golden.html", page)
	buy, browse := r.Scenarios["buy"], r.Scenarios["browse"]
	require.Equal(t, []int64{140, 0, 140}, []int64{browse.Started, browse.Failed, browse.Finished}, "half of the arrivals in 14 s")
	require.EqualValues(t, 35, buy.Failed)
	require.Contains(t, page, `<tr data-key="buy"><th scope="row" class="text">buy</th><td class="num">140</td><td class="num">105</td><td class="num">35</td><td class="num">0</td><td class="num">280</td>`+
		`<td class="num">`+text.Duration(buy.P50())+`</td><td class="num">`+text.Duration(buy.P99())+`</td><td class="num">`+text.Duration(buy.Quantile(1))+`</td><td class="text"><code>sold &lt;out&gt;</code></td></tr>`)
	require.Contains(t, page, `<td class="num">0</td><td class="num">140</td><td class="num">10ms</td>`)
	require.Contains(t, page, `<dd data-tile="users">280<`)
	require.Contains(t, page, `<dd data-tile="user_error_rate">12.5 %<`)
	require.Contains(t, page, `<th scope="row">Users failed</th><td class="num">35 (12.5 %)</td>`)
}

// A result without users has nothing of them, and beside one with users zeros.
func TestPageOfUsersBesideNone(t *testing.T) {
	alone := withoutAssets(written(t, fixed, stored(t)))
	for _, word := range []string{"cenario", "sers", "not counted", "excluded", "Not counted"} {
		require.NotContains(t, alone, word)
	}
	o := fixed
	o.Names = []string{"requests", "users"}
	page := withoutAssets(written(t, o, stored(t), visited(t)))
	require.Contains(t, page, `<tr data-key="users"><th scope="row">Users</th><td class="num">0</td><td class="num">280</td></tr>`)
	require.Contains(t, page, `<tr data-key="buy"><td>users</td>`)
	require.Contains(t, page, `<p class="note">users: Not counted`)
}

func TestFewUsersAreADash(t *testing.T) {
	row := scenarios("", &loadtest.EngineResult{Scenarios: map[string]*loadtest.ScenarioStats{"s": {Started: 1, Failed: 1}}})[0]
	require.Equal(t, []string{"–", "–", "–"}, []string{row.P50, row.P99, row.Max}, "nobody has finished")
}

// What is not counted is drawn and listed, in its place and marked, but in no other number.
func TestWhatIsNotCountedIsShown(t *testing.T) {
	r := visited(t)
	page := withoutAssets(written(t, fixed, r))
	var before, after int64
	for _, iv := range r.Excluded {
		if iv.From < 0 {
			before += iv.Requests
		} else {
			after += iv.Requests
		}
	}
	require.Equal(t, []int64{120, 60}, []int64{before, after}, "20 users a second, half of whom send two")
	require.Contains(t, page, "120 requests before what is counted, and 60 after.")
	require.Equal(t, len(r.Excluded), strings.Count(page, `<tr class="excluded"><th scope="row">`))
	require.Equal(t, len(r.Excluded), strings.Count(page, " s, not counted</th>"))
	require.Contains(t, page, `<tr class="excluded"><th scope="row">-4.0 to -3.0 s, not counted</th>`)
	require.Less(t, strings.Index(page, ">-4.0 to -3.0 s"), strings.Index(page, ">0.0–1.0 s"))

	cs, notes := charts([]string{"a"}, []*loadtest.EngineResult{r})
	require.Empty(t, notes)
	end := seconds(r.Excluded[len(r.Excluded)-1].To)
	for _, c := range cs {
		if c.X != "time" {
			require.Empty(t, c.Shade)
			continue
		}
		require.Equal(t, []band{{-4, 0, "c7"}, {14, end, "c7"}}, c.Shade, c.ID)
		require.InDelta(t, -4, float64(c.Series[0].X[0]), 0, c.ID)
	}
	require.Contains(t, cs[0].Label, "p50 from 10ms to 10ms", "the words are of what is counted")
	_, hi := limits(cs[0].Series)
	require.Greater(t, time.Duration(hi), 100*time.Millisecond, "the line is of all")

	cs, _ = charts([]string{"a", "b"}, []*loadtest.EngineResult{stored(t), r})
	require.Equal(t, []band{{-4, 0, "c1"}, {14, end, "c1"}}, cs[0].Shade, "in the color of its run")
}

// A row of what is not counted beside one of what is adds its requests, but the requests in
// flight are those of both.
func TestExcludedBesideCounted(t *testing.T) {
	out := second(0, 4)
	out.Excluded, out.From = true, -500*time.Millisecond
	in := second(0, 6)
	out.InFlight = in.InFlight
	r := &loadtest.EngineResult{Intervals: []loadtest.Interval{in, second(1, 8)}, Excluded: []loadtest.Interval{out}}
	got := slots(timeline(r))
	require.Len(t, got, 3)
	require.Equal(t, []value{6, 6, 8}, []value{got[0].inFlight, got[1].inFlight, got[2].inFlight})
	require.InDelta(t, out.RPS()+6, got[1].requests, 1e-9)
	require.Equal(t, "[-0.5,0,1,2]", func() string {
		xs, _ := sampled(got, func(s slot) value { return s.inFlight })
		return jsonOf(t, xs)
	}())
}

// Where some is counted and some is not, the time is that of what is more.
func TestBands(t *testing.T) {
	at := func(from, to, requests int, excluded bool) loadtest.Interval {
		return loadtest.Interval{From: time.Duration(from) * time.Second, To: time.Duration(to) * time.Second, Counts: loadtest.Counts{Requests: int64(requests)}, Excluded: excluded}
	}
	got := bands(slots([]loadtest.Interval{
		at(-3, -1, 0, true), at(-1, 0, 5, true), at(0, 1, 4, true), at(0, 1, 6, false), at(1, 2, 9, false),
		at(2, 3, 6, true), at(2, 3, 4, false), at(3, 4, 1, true), at(6, 7, 1, true),
	}), "x")
	require.Equal(t, []band{{-3, 0, "x"}, {2, 4, "x"}, {6, 7, "x"}}, got)
	require.Empty(t, bands(nil, "x"))
}

func TestBrowserDrawsUsers(t *testing.T) {
	browser(t)
	r := visited(t)
	path := Attach(t, Options{Title: "Users, and what is not counted"}, r)
	_, console := show(t, path, "--screenshot="+strings.TrimSuffix(path, ".html")+".png", "--window-size=1200,3000")
	require.Empty(t, console, "the page as it is")
	for _, width := range []int{1200, 500} {
		s := inspect(t, written(t, Options{}, r), fmt.Sprintf("--window-size=%d,900", width))
		requireDrawn(t, s, openCharts...)
		require.Equal(t, "280", s.Tiles["users"])
		require.Equal(t, text.Duration(r.Scenarios["buy"].P99()), s.Tables["scenarios"]["buy"][7])
		require.Len(t, s.Tables["intervals"], len(r.Intervals)+len(r.Excluded))
	}
	r.Excluded = nil
	plain := inspect(t, written(t, Options{}, r), "--window-size=1200,900")
	shaded := inspect(t, written(t, Options{}, visited(t)), "--window-size=1200,900")
	require.Greater(t, shaded.Charts["chart-lost"].Painted, 2*plain.Charts["chart-lost"].Painted, "the shade covers a third of the chart")
}
