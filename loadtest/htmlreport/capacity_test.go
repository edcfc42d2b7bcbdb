package htmlreport

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/capacity"
)

// searched is what a search finds of a service that answers 2,000 a second in time and a
// little less each time it is asked for more, in which the generator was late once. It is
// made up, the same every time.
func searched(t *testing.T, budget time.Duration) capacity.Result {
	t.Helper()
	s, err := capacity.New(capacity.Config{
		Goals: []capacity.Goal{{Name: "p99 ≤ 50ms", LossRatio: 0.01, Limit: 50 * time.Millisecond}, {Name: "errors ≤ 0.1 %", LossRatio: 0.001}},
		Guess: 12_000, Budget: budget,
	})
	require.NoError(t, err)
	var trials []capacity.Trial
	for {
		rate, d, ok := s.Next()
		if !ok {
			break
		}
		over := max(0, 1-2000/rate)
		trial := capacity.Trial{
			Rate: rate, Duration: d, Losses: []float64{over, over / 50}, Throughput: min(rate, 2000), Elapsed: d + 20*time.Millisecond,
			Scheduled: int64(rate), Errors: int64(rate * over / 50), Dropped: int64(rate * over / 10),
			P50: 4 * time.Millisecond, P99: 9*time.Millisecond + time.Duration(len(trials)%5)*time.Millisecond + time.Duration(over*float64(2*time.Second)),
		}
		if over > 0.02 {
			trial.Note = "dropped & late"
		}
		s.Observe(trial)
		trials = append(trials, s.Result().Trials[len(s.Result().Trials)-1])
		if len(trials) == 5 {
			late := trial
			late.Kind, late.Losses, late.Missed, late.Note = capacity.TrialInvalid, []float64{0.3, 0}, 300, "1 % of the requests began 45ms or more after they were due"
			trials = append(trials, late)
		}
	}
	r := s.Result()
	r.Trials = trials
	if r.End == nil {
		r.Trials = append(r.Trials, capacity.Trial{Kind: capacity.TrialControl, Rate: 1.25 * r.Upper, Duration: time.Second, Losses: []float64{0, 0}, P99: 300 * time.Microsecond, Elapsed: time.Second})
	}
	return r
}

// ended is what is known of a search that has ended for reason.
func ended(reason error, detail string, trials ...capacity.Trial) capacity.Result {
	r := capacity.Result{End: &capacity.EndError{Reason: reason, Detail: detail}, Trials: trials}
	if len(trials) > 0 {
		r.Goals = []capacity.GoalBounds{{Goal: capacity.Goal{Name: "p99 ≤ 50ms", LossRatio: 0.01, Limit: 50 * time.Millisecond}}}
	}
	return r
}

func one(kind capacity.TrialKind, rate, loss float64) capacity.Trial {
	return capacity.Trial{Kind: kind, Rate: rate, Duration: time.Second, Losses: []float64{loss}, Elapsed: time.Second}
}

func writtenSearch(t *testing.T, o Options, r capacity.Result) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, WriteCapacity(&b, o, r))
	return b.String()
}

func TestPageOfASearch(t *testing.T) {
	r := searched(t, 0)
	require.NoError(t, r.Err())
	page := writtenSearch(t, fixed, r)
	require.Equal(t, page, writtenSearch(t, fixed, r), "the same input gives the same bytes")
	page = withoutAssets(page)
	golden(t, "capacity.golden.html", page)
	require.NotContains(t, page, "ZgotmplZ")
	require.Contains(t, page, `data-verdict="`+perSecond(r.Capacity)+`" class="good"`)
	for key, want := range map[string]string{
		"capacity": perSecond(r.Capacity), "lower": perSecond(r.Lower), "upper": perSecond(r.Upper), "trials": fmt.Sprint(len(r.Trials)),
	} {
		require.Contains(t, page, `<dd data-tile="`+key+`">`+want+"<", key)
	}
	require.Equal(t, len(r.Trials), strings.Count(page, `<tr data-key="`)-len(r.Goals), "a row for each trial")
	require.Equal(t, 3, strings.Count(page, `class="excluded"`), "the warm-up, the invalid one, the control")
	require.Contains(t, page, `<td class="text bad">bad: dropped &amp; late</td>`)
	require.Contains(t, page, `<td class="text">warm-up, bad: dropped &amp; late</td>`)
	require.Contains(t, page, `<td class="text">control, good</td>`)
}

// An end without a capacity is said, never a number.
func TestPagesOfSearchesWithoutACapacity(t *testing.T) {
	for name, row := range map[string]struct {
		r       capacity.Result
		verdict string
		charts  int
		want    []string
	}{
		"before the first trial": {ended(capacity.ErrMinRate, "one request at a time: refused"), "none", 0, []string{"ended before its first trial", ">even the least rate fails: one request at a time: refused</p>", "no objectives"}},
		"one trial":              {ended(capacity.ErrUnsettled, "5s after one", one(capacity.TrialCounted, 100, 0)), "none", 2, []string{"did not recover from a trial: 5s after one", `<dd data-tile="lower">–<`}},
		"the warm-up alone":      {ended(errors.New("stopped"), "", one(capacity.TrialWarmup, 100, 0.5)), "none", 1, []string{">stopped</p>"}},
		"budget":                 {searched(t, 4*time.Second), "none", 4, []string{"the time budget was spent before the bounds were close enough"}},
		"max rate":               {ended(capacity.ErrMaxRate, "100/s", one(capacity.TrialCounted, 100, 0), one(capacity.TrialCounted, 100, 0)), "none", 2, []string{"even the highest rate passes: 100/s"}},
		"invalid": {
			ended(capacity.ErrGenerator, "at 900/s it was late", one(capacity.TrialWarmup, 900, 1), one(capacity.TrialInvalid, 900, 1)), "INVALID", 2,
			[]string{">INVALID: the generator was the limit, so that the search says nothing of the service: at 900/s it was late</p>", `<td class="text">invalid, bad</td>`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			page := withoutAssets(writtenSearch(t, fixed, row.r))
			require.Contains(t, page, `data-verdict="`+row.verdict+`" class="bad"`)
			require.Contains(t, page, `<div class="bad"><dt>capacity</dt><dd data-tile="capacity">`+row.verdict+"<")
			require.Contains(t, page, fmt.Sprintf(`data-charts="%d"`, row.charts))
			for _, want := range row.want {
				require.Contains(t, page, want)
			}
		})
	}
}

func TestChartsOfASearch(t *testing.T) {
	r := searched(t, 0)
	cs := searchCharts(goalNames(&r), &r)
	var ids []string
	for _, c := range cs {
		ids = append(ids, c.ID)
	}
	require.Equal(t, searchChartIDs, ids)
	points := func(c chart, label string) (n int, s series) {
		for _, s := range c.Series {
			if s.Label == label {
				return len(s.X), s
			}
		}
		return 0, s
	}
	count := make(map[int]int)
	for _, trial := range r.Trials {
		count[mark(&r, trial)]++
	}
	for k, m := range marks {
		n, s := points(cs[0], m.name)
		require.Equal(t, count[k], n, m.name)
		require.NotEmpty(t, s.Points)
		for _, c := range cs[1:] { // each trial of the service, and each at a rate of its own
			n, s := points(c, m.name)
			if k == 3 {
				require.Zero(t, n)
				continue
			}
			require.Equal(t, count[k], n, "%s %s", c.ID, m.name)
			seen := make(map[value]bool)
			for _, x := range s.X {
				require.False(t, seen[x], "the script would draw one of the two")
				require.True(t, slices.ContainsFunc(r.Trials, func(t capacity.Trial) bool { return math.Abs(t.Rate/float64(x)-1) < 1e-6 }))
				seen[x] = true
			}
		}
	}
	require.Equal(t, []band{{value(r.Lower), value(r.Upper), "c0"}}, cs[1].Shade)
	_, s := points(cs[1], "may be lost")
	require.Equal(t, []value{0.01, 0.01}, s.Y)
	_, s = points(cs[3], "p99 ≤ 50ms")
	require.Equal(t, []value{50e6, 50e6}, s.Y, "the limit of a p99 stands among the p99s")
	require.Nil(t, cs[1].Range)
	require.Less(t, float64(cs[0].Range[1]), 2*r.Upper, "the warm-up does not hide the rest")
	require.Contains(t, cs[0].Label, "; lowest that fails: "+perSecond(r.Upper))
	require.Contains(t, cs[1].Label, fmt.Sprintf("%d good from 0 %% to ", count[0]))
	for _, c := range cs[1:3] {
		for _, s := range c.Series {
			for _, y := range s.Y {
				require.True(t, y == 0 || y > c.Least, "what is drawn for nothing lost is below all else")
			}
		}
	}

	// One bound is a line, and no bound nothing.
	bound := ended(capacity.ErrMaxRate, "", one(capacity.TrialCounted, 100, 0))
	bound.Lower = 100
	require.Equal(t, []band{{100, 100, "c0"}}, searchCharts(goalNames(&bound), &bound)[1].Shade)
	bound.Lower = 0
	require.Empty(t, searchCharts(goalNames(&bound), &bound)[1].Shade)
}

func TestOptionsOfASearch(t *testing.T) {
	r := searched(t, 0)
	torn := r
	torn.Trials = []capacity.Trial{one(capacity.TrialCounted, math.NaN(), 0)}
	for name, row := range map[string]struct {
		o    Options
		r    capacity.Result
		is   error
		text string
	}{
		"zero":  {Options{}, capacity.Result{}, ErrNoResult, "htmlreport: no result: the search has made no trial"},
		"every": {Options{Names: []string{"a"}, SLO: &loadtest.SLO{}}, r, ErrConfig, "htmlreport: bad options: Names is set: a search is one result; set Title\nhtmlreport: bad options: SLO is set: a search has objectives of its own"},
		"torn":  {Options{}, torn, ErrNoResult, "htmlreport: no result: Trials[0] has the rate NaN and 1 losses: must have a positive and finite one, and as many as there are Goals, 2"},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			err := WriteCapacity(&b, row.o, row.r)
			require.ErrorIs(t, err, row.is)
			require.EqualError(t, err, row.text)
			require.Empty(t, b.String())
		})
	}
	require.ErrorIs(t, WriteCapacity(brokenPipe{}, fixed, r), io.ErrClosedPipe)
}

func TestAttachCapacity(t *testing.T) {
	tb := &recorder{dir: t.TempDir()}
	r := searched(t, 0)
	path := AttachCapacity(tb, fixed, r)
	require.Equal(t, filepath.Join(tb.dir, "report.html"), path)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, writtenSearch(t, fixed, r), string(text))
	require.Equal(t, filepath.Join(tb.dir, "report-2.html"), AttachCapacity(tb, fixed, r))
	require.Empty(t, tb.Errors())
	require.Empty(t, AttachCapacity(tb, fixed, capacity.Result{}))
	require.Len(t, tb.Errors(), 1)
}

// hostileSearch has text in each place that others fill.
func hostileSearch(t *testing.T, text string) capacity.Result {
	t.Helper()
	r := searched(t, 0)
	r.Goals[0].Name, r.Goals[1].Name = text, text
	r.End, r.Capacity = &capacity.EndError{Reason: errors.New(text), Detail: text}, 0
	for i := range r.Trials {
		r.Trials[i].Note = text
	}
	r.Trials[0].Kind = capacity.TrialKind(text)
	return r
}

func TestHostileTextOfASearchIsEscaped(t *testing.T) {
	attack := `</script><img src=x onerror=alert(1)>` + "\u2028" + `<!--`
	page := withoutAssets(writtenSearch(t, Options{Title: attack, Environment: []Fact{{attack, attack}}}, hostileSearch(t, attack)))
	require.NotContains(t, page, "<img")
	require.NotContains(t, page, "<!--")
	require.Equal(t, 3, strings.Count(page, "</script>"))
}

var searchChartIDs = []string{"walk", "loss-0", "loss-1", "p99"}

func TestBrowserDrawsASearch(t *testing.T) {
	browser(t)
	r := searched(t, 0)
	path := AttachCapacity(t, Options{Title: "A search"}, r)
	_, console := show(t, path, "--screenshot="+strings.TrimSuffix(path, ".html")+".png", "--window-size=1200,2800")
	require.Empty(t, console, "the page as it is")
	for _, width := range []int{1200, 500} {
		s := inspect(t, writtenSearch(t, Options{}, r), fmt.Sprintf("--window-size=%d,900", width))
		requireDrawn(t, s, searchChartIDs...)
		require.Equal(t, perSecond(r.Capacity), s.Verdict)
		require.Len(t, s.Tables["trials"], len(r.Trials))
		require.Contains(t, s.Charts["chart-walk"].Legend, "lowest that fails")
		require.Contains(t, s.Charts["chart-p99"].Legend, "p99 ≤ 50ms")
	}
	for name, r := range map[string]capacity.Result{
		"one":        ended(capacity.ErrUnsettled, "", one(capacity.TrialCounted, 100, 0)),
		"one warmup": ended(capacity.ErrUnsettled, "", one(capacity.TrialWarmup, 100, 0)),
		"invalid":    ended(capacity.ErrGenerator, "", one(capacity.TrialWarmup, 900, 1), one(capacity.TrialInvalid, 900, 1)),
	} {
		s := inspect(t, writtenSearch(t, Options{}, r), "--window-size=1200,900")
		ids := []string{"walk", "loss-0"}
		if name == "one warmup" {
			ids = ids[:1]
		}
		requireDrawn(t, s, ids...)
	}

	far := one(capacity.TrialCounted, 100_000, 0.9)
	s := inspect(t, writtenSearch(t, Options{}, ended(capacity.ErrBudget, "", one(capacity.TrialCounted, 10, 0), far, far)), "--window-size=1200,900")
	require.Equal(t, []string{"2", "0", "linear", "log", "log"}, []string{s.Rendered, s.Errors, s.Charts["chart-walk"].X, s.Charts["chart-walk"].Y, s.Charts["chart-loss-0"].X})

	attack := `</script></style></title><script>window.pwned=1</script><img src="x" onerror="window.pwned=1"><!--` + "\u2028" + `{{.}}'"-->`
	s = inspect(t, writtenSearch(t, Options{Title: attack}, hostileSearch(t, attack)))
	requireDrawn(t, s, searchChartIDs...)
	require.False(t, s.Pwned)
	require.Zero(t, s.Injected)
	require.Contains(t, s.Tables["goals"], attack)
}
