package live

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/htmlreport"
	"example.com/brunt/loadtest/pace"
)

// What is shown when a run has ended are the intervals and counts of its result, whatever the
// engine, however odd its end, and with what Exclude leaves out.
func TestWhatIsShownIsTheResult(t *testing.T) {
	sleep := func(ctx context.Context) error {
		select {
		case <-time.After(137 * time.Millisecond):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	odd := 0
	failing := func(ctx context.Context) error {
		if odd++; odd%3 == 0 {
			return errors.New("planted")
		}
		return sleep(ctx)
	}
	for name, config := range map[string]func(func(loadtest.Progress)) loadtest.EngineConfig{
		"sync": func(f func(loadtest.Progress)) loadtest.EngineConfig {
			return loadtest.SyncConfig{Client: loadtest.Func(failing), OnProgress: f}
		},
		"async": func(f func(loadtest.Progress)) loadtest.EngineConfig {
			return loadtest.AsyncConfig{Client: loadtest.Func(sleep), OnProgress: f}
		},
		"with a warm-up and a ramp-down": func(f func(loadtest.Progress)) loadtest.EngineConfig {
			return loadtest.ThreadedConfig{Client: loadtest.Func(sleep), OnProgress: f, Exclude: loadtest.Exclude{WarmUp: 2 * time.Second, RampDown: 1500 * time.Millisecond}}
		},
		"arrival": func(f func(loadtest.Progress)) loadtest.EngineConfig {
			return loadtest.ArrivalConfig{Client: loadtest.Func(sleep), OnProgress: f, Schedule: pace.Constant(20), MaxInFlight: 2}
		},
	} {
		for _, d := range []time.Duration{300 * time.Millisecond, 4 * time.Second, 9800 * time.Millisecond, 10200 * time.Millisecond} {
			if strings.Contains(name, "warm-up") && d < 4*time.Second {
				continue // nothing would be counted
			}
			t.Run(name+" "+d.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := new(show)
					engine := loadtest.Start(t, config(s.add))
					for range 2 { // the second run takes the place of the first
						r, err := engine.Run(t.Context(), loadtest.For(d))
						require.NoError(t, err)
						l := s.view()
						require.Equal(t, r.Counts, l.Result.Counts)
						warm := r.StartedAt.Sub(l.Result.StartedAt)
						require.Len(t, l.Result.Intervals, len(r.Intervals))
						for i, want := range r.Intervals {
							got := parts.Later(l.Result.Intervals[i], -warm)
							got.Cause = want.Cause // which may be found later
							require.Equal(t, want, got)
						}
						require.Empty(t, l.Last)
						require.Zero(t, l.Until)
						if len(r.Excluded) > 0 {
							var want, got int64
							for _, iv := range r.Excluded {
								want += iv.Requests
							}
							for _, iv := range l.Result.Excluded {
								got += iv.Requests
							}
							require.LessOrEqual(t, got, want)
							require.Positive(t, got)
						}
					}
				})
			})
		}
	}
}

// A run of a day has no more rows than a page has room for, and they have every request.
func TestALongRunIsBounded(t *testing.T) {
	var tr track
	began := time.Now()
	var want int64
	for i := 1; i <= 86_400; i++ {
		n := int64(i % 7)
		want += n
		tr.add(second(i, n), began, mostRows)
	}
	var got int64
	for i, row := range tr.counted.Rows {
		got += row.Requests
		if i > 0 {
			require.Equal(t, tr.counted.Rows[i-1].To, row.From)
		}
	}
	require.Equal(t, want, got)
	require.LessOrEqual(t, len(tr.counted.Rows), mostRows)
	require.Greater(t, len(tr.counted.Rows), mostRows/4)
}

// The last report of a run contains those before that were too short for a row of their own.
func TestTheLastReportReplacesWhatItContains(t *testing.T) {
	for name, tt := range map[string]struct {
		from, to time.Duration
		want     []time.Duration // the ends of rows
	}{
		"the next":             {3 * time.Second, 3700 * time.Millisecond, []time.Duration{1e9, 2e9, 3e9, 3.7e9}},
		"with the last":        {2 * time.Second, 3200 * time.Millisecond, []time.Duration{1e9, 2e9, 3.2e9}},
		"reported before":      {2 * time.Second, 3 * time.Second, []time.Duration{1e9, 2e9, 3e9}},
		"all":                  {0, 3300 * time.Millisecond, []time.Duration{3.3e9}},
		"not from a row's end": {2500 * time.Millisecond, 3300 * time.Millisecond, []time.Duration{1e9, 2e9, 3e9}},
		"of no length":         {0, 0, []time.Duration{1e9, 2e9, 3e9}},
	} {
		t.Run(name, func(t *testing.T) {
			var tr track
			began := time.Now()
			for i := 1; i <= 3; i++ {
				tr.add(second(i, 5), began, mostRows)
			}
			end := second(4, 5)
			end.Done, end.Last.From, end.Last.To = true, tt.from, tt.to
			tr.add(end, began, mostRows)
			var got []time.Duration
			for _, row := range tr.counted.Rows {
				got = append(got, row.To)
			}
			require.Equal(t, tt.want, got)
		})
	}
}

// Two processes side by side add up where both have told, and a chart does not sag where one
// is yet to.
func TestShardsAddUpAsTheirClocksSay(t *testing.T) {
	a, b := new(track), new(track)
	began := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for i := 1; i <= 3; i++ {
		a.add(second(i, 10), began, mostRows)
	}
	for i := 1; i <= 2; i++ {
		b.add(second(i, 100), began.Add(500*time.Millisecond), mostRows)
	}
	l := join([]*track{a, b, new(track)})
	require.Equal(t, int64(230), l.Result.Requests)
	require.Equal(t, began, l.Result.StartedAt)
	require.Equal(t, 3*time.Second, l.Result.Elapsed)
	require.Equal(t, 2500*time.Millisecond, l.Until)
	u := eventOf(t, l)
	require.Equal(t, "0:10 0.5:110 1:110 1.5:110 2:110", u.line(t, "throughput", "requests"))
	require.Equal(t, "0:gap 0.5:10 1:110 1.5:110 2:110", u.line(t, "inflight", "in flight"))
	require.Contains(t, u.Main, `data-tile="rps">110/s<`)
	require.Contains(t, u.Main, `data-tile="inflight">110<`)

	// One that says nothing holds up nothing.
	b.quiet = true
	l = join([]*track{a, b})
	require.Equal(t, 3*time.Second, l.Until)
	require.Equal(t, []loadtest.Interval{a.last.Last}, l.Last)
	require.Equal(t, "0:10 0.5:110 1:110 1.5:110 2:110 2.5:10 3:10", eventOf(t, l).line(t, "throughput", "requests"))
}

func TestAPageThatHasNothingYet(t *testing.T) {
	u := eventOf(t, htmlreport.Live{Title: "<b>", State: "waiting", Result: new(loadtest.EngineResult)})
	require.Contains(t, u.Main, "There are no charts before")
	require.Contains(t, u.Main, "<h1>&lt;b&gt;</h1>")
	require.Empty(t, u.Charts)
	require.NotContains(t, u.Main, "Summary")
}

func TestAClockTellsRunsApart(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 9, 0, time.UTC)
	began := now.Add(-time.Second)
	var c clock
	require.Equal(t, began, c.start(second(1, 1), now))
	require.Equal(t, began, c.start(second(2, 1), now.Add(1700*time.Millisecond)), "a report that comes late is of the same run")
	require.Equal(t, now.Add(4*time.Second), c.start(second(1, 1), now.Add(5*time.Second)), "another one, after one that was never done")
	done := second(2, 1)
	done.Done = true
	c.start(done, now.Add(6*time.Second))
	require.Equal(t, now.Add(7*time.Second), c.start(second(3, 1), now.Add(10*time.Second)), "another one, after one that was")
}
