package htmlreport

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/internal/text"
)

// chart is drawn by the page's script. Label says the same in words.
type chart struct {
	ID     string   `json:"id"`
	Title  string   `json:"title"`
	Hint   string   `json:"-"`
	Label  string   `json:"-"`
	X      string   `json:"x"`    // "time" in seconds, "percentile": 1/(1-q), logarithmic, "trial" from 1, or "rate" a second
	Unit   string   `json:"unit"` // of y: "ns", "rate", "count", "bytes" or "share" of 1
	Step   bool     `json:"step"` // a value holds from its x to the next
	Log    bool     `json:"log"`  // y starts out logarithmic; the reader may switch
	Series []series `json:"series"`
	Shade  []band   `json:"shade,omitempty"`
	Range  []value  `json:"range,omitempty"` // of a linear y; none means from 0 to the largest
	LogX   bool     `json:"logX,omitempty"`  // x is logarithmic
	Least  value    `json:"least,omitempty"` // stands for 0 on a logarithmic y; 0 means 1
}

// band is a part of the x axis that is shaded.
type band struct {
	From  value  `json:"from"`
	To    value  `json:"to"`
	Color string `json:"color"` // as of series
}

func (c chart) Switch() bool { return c.Unit == "ns" || c.Unit == "share" }

// Wide charts take the width of the page, others half of it.
func (c chart) Wide() bool { return c.ID == "latency" || c.ID == "percentiles" || c.ID == "walk" }

type series struct {
	Label string `json:"label"`
	Color string `json:"color"` // names a CSS variable: c0 to c7, good, bad, warn
	Dash  bool   `json:"dash"`
	Fill  bool   `json:"fill"`
	// Points, if not empty, are what is drawn instead of a line: "full" or "open".
	Points string  `json:"points,omitempty"`
	X      []value `json:"x"`
	Y      []value `json:"y"`

	counted []value // of Y, for the label
}

// value is a coordinate; JSON, which has no NaN, holds null for a gap.
type value float64

func (v value) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(v))
}

var gap = value(math.NaN())

func isGap(v value) bool { return math.IsNaN(float64(v)) }

const colors = 8

// logFrom is the ratio of the largest to the smallest value from which a linear
// axis would hide the smaller ones.
const logFrom = 20

// charts makes those for which there is something to show; notes say why the
// others are missing.
func charts(runs []string, results []*loadtest.EngineResult) (out []chart, notes []string) {
	intervals, requests := 0, int64(0)
	for _, r := range results {
		intervals, requests = max(intervals, len(r.Intervals)+len(r.Excluded)), max(requests, r.Requests)
	}
	if intervals >= 2 {
		out = timeCharts(runs, results)
	} else {
		notes = append(notes, "The run was too short to be cut into intervals, so there are no charts over time.")
	}
	if requests > 0 {
		// Above the four that come last.
		out = slices.Insert(out, max(0, len(out)-4), percentileChart(runs, results))
	} else {
		notes = slices.Insert(notes, 0, "Nothing was sent, so there are no latencies to draw.")
	}
	return out, notes
}

// label names what a series shows, and of which run if there are several.
func label(runs []string, i int, what string) string {
	switch {
	case len(runs) == 1:
		return what
	case what == "":
		return runs[i]
	}
	return runs[i] + " " + what
}

func color(runs []string, i int, single string) string {
	if len(runs) == 1 {
		return single
	}
	return fmt.Sprintf("c%d", i%colors)
}

// seconds keeps milliseconds: finer ones are invisible and make the file larger.
func seconds(d time.Duration) value { return value(math.Round(d.Seconds()*1e3) / 1e3) }

func round3(f float64) value { return value(math.Round(f*1e3) / 1e3) }

// texts show values by their unit.
var texts = map[string]func(value) string{
	"ns":    func(v value) string { return text.Duration(time.Duration(v)) },
	"rate":  func(v value) string { return perSecond(float64(v)) },
	"count": func(v value) string { return text.Count(int64(v)) },
	"bytes": func(v value) string { return text.Bytes(uint64(v)) },
	"share": func(v value) string { return text.Percent(float64(v)) },
}

// between says what a line on a chart says at a glance.
func between(s series, show func(value) string) string {
	lo, hi := limits([]series{s})
	if lo > hi {
		return s.Label + " without values"
	}
	return strings.TrimSpace(fmt.Sprintf("%s from %s to %s", s.Label, show(value(lo)), show(value(hi))))
}

// limits returns the least and the largest value; lo is above hi if there is none.
func limits(ss []series) (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, s := range ss {
		for _, v := range s.Y {
			if !isGap(v) {
				lo, hi = min(lo, float64(v)), max(hi, float64(v))
			}
		}
	}
	return lo, hi
}

func wide(ss []series) bool {
	lo, hi := limits(ss)
	return lo > 0 && hi >= logFrom*lo
}

func timeCharts(runs []string, results []*loadtest.EngineResult) []chart {
	latency := chart{ID: "latency", Title: latencyWord(results) + " over time", Hint: "of the requests that ended in each interval, failed or not; a gap: none did", Unit: "ns", Step: true}
	lag := chart{ID: "lag", Title: "Lag over time", Hint: "99 % of the requests that ended in each interval were sent so long after they were due, or less", Unit: "ns", Step: true}
	lost := chart{ID: "lost", Title: "Arrivals not sent", Hint: "a second; missed: the generator was late; dropped: MaxInFlight requests were open", Unit: "rate", Step: true}
	throughput := chart{ID: "throughput", Title: "Throughput over time", Hint: "requests that ended, a second", Unit: "rate", Step: true}
	failures := chart{ID: "errors", Title: "Errors over time", Hint: "failed requests, a second", Unit: "rate", Step: true}
	inFlight := chart{ID: "inflight", Title: "In flight", Hint: "requests being attempted at the end of each interval", Unit: "count"}
	heap := chart{ID: "heap", Title: "Heap", Hint: "largest in each interval, of the whole process", Unit: "bytes"}
	single := len(results) == 1
	var shade []band
	for i, r := range results {
		all, counted := slots(timeline(r)), slots(r.Intervals)
		shade = append(shade, bands(all, color(runs, i, "c7"))...)
		add := func(c *chart, s series, y func(slot) value) {
			s.Label, s.Color = label(runs, i, s.Label), color(runs, i, s.Color)
			points := sampled
			if c.Step {
				points = stepped
			}
			s.X, s.Y = points(all, y)
			_, s.counted = points(counted, y)
			c.Series = append(c.Series, s)
		}
		area := func(c *chart, what, color string, y func(slot) value) {
			if !single {
				what = "" // the run's name says enough
			}
			add(c, series{Label: what, Color: color, Fill: single}, y)
		}
		add(&latency, series{Label: "p50", Color: "c0", Dash: !single}, func(s slot) value { return s.p50 })
		add(&latency, series{Label: "p99", Color: "c1"}, func(s slot) value { return s.p99 })
		area(&throughput, "requests", "good", func(s slot) value { return round3(s.requests) })
		if openLoop(r) {
			throughput.Hint = "requests that ended, a second, and arrivals that came due"
			add(&throughput, series{Label: "due", Color: "c0", Dash: true}, func(s slot) value { return round3(s.due) })
			add(&lag, series{Label: "lag p99", Color: "c1"}, func(s slot) value { return s.lag })
			add(&lost, series{Label: "missed", Color: "warn", Dash: true}, func(s slot) value { return round3(s.missed) })
			add(&lost, series{Label: "dropped", Color: "bad"}, func(s slot) value { return round3(s.dropped) })
			if r.Canceled > 0 {
				lost.Hint = "a second; missed: the generator was late; dropped: MaxInFlight requests were open; canceled: the run was stopped"
				add(&lost, series{Label: "canceled", Color: "c7"}, func(s slot) value { return round3(s.canceled) })
			}
		}
		area(&failures, "errors", "bad", func(s slot) value { return round3(s.errors) })
		if r.RejectedRate() > 0 {
			failures.Hint = "failed requests, and those the breaker rejected, a second"
			add(&failures, series{Label: "rejected", Color: "warn", Fill: single, Dash: true}, func(s slot) value { return round3(s.refused) })
		}
		if r.UsersFailed > 0 {
			failures.Hint += "; users whose scenario failed, a second"
			add(&failures, series{Label: "users failed", Color: "c5", Dash: true}, func(s slot) value { return round3(s.usersFailed) })
		}
		area(&inFlight, "in flight", "c4", func(s slot) value { return s.inFlight })
		area(&heap, "heap", "c3", func(s slot) value { return s.heap })
	}
	latency.Log, lag.Log = wide(latency.Series), wide(lag.Series)
	out := []chart{latency, throughput, failures, inFlight, heap}
	if len(lag.Series) > 0 {
		out = slices.Insert(out, 1, lag, lost)
	}
	for i := range out {
		c := &out[i]
		c.X, c.Shade = "time", shade
		var words []string
		for _, s := range c.Series {
			words = append(words, between(series{Label: s.Label, Y: s.counted}, texts[c.Unit]))
		}
		c.Label = c.Title + ": " + strings.Join(words, "; ")
	}
	return out
}

// perDecade is how many points the percentile curve has from 90 % to 99 %, and
// from each number of nines to the next.
const perDecade = 40

// curve samples quantiles at even steps of log(1/(1-q)), as far as n requests
// tell them apart, and ends with the maximum.
func curve(n int64, quantile func(float64) time.Duration) (xs, ys []value) {
	if n == 0 {
		return nil, nil
	}
	for k := 0; ; k++ {
		x := math.Pow(10, float64(k)/perDecade)
		if x >= float64(n) {
			break
		}
		xs, ys = append(xs, round3(x)), append(ys, value(quantile(1-1/x)))
	}
	return append(xs, value(n)), append(ys, value(quantile(1)))
}

func percentileChart(runs []string, results []*loadtest.EngineResult) chart {
	c := chart{
		ID: "percentiles", Title: latencyWord(results) + " by percentile", X: "percentile", Unit: "ns",
		Hint: "that share of the requests took at most so long; each step to the right is another nine",
	}
	var words []string
	add := func(s series, n int64, q func(float64) time.Duration) {
		s.X, s.Y = curve(n, q)
		c.Series = append(c.Series, s)
		if n > 0 {
			words = append(words, fmt.Sprintf("%s: half within %s, 99 %% within %s, the slowest took %s",
				cmp.Or(s.Label, "all"), text.Duration(q(0.5)), text.Duration(q(0.99)), text.Duration(q(1))))
		}
	}
	for i, r := range results {
		what := ""
		switch {
		case len(results) > 1:
		case openLoop(r):
			what = "response time"
		default:
			what = "all requests"
		}
		add(series{Label: label(runs, i, what), Color: color(runs, i, "c0")}, r.Requests, r.Quantile)
		if openLoop(r) {
			add(series{Label: label(runs, i, "service time"), Color: color(runs, i, "c3"), Dash: true}, r.Requests, r.ServiceQuantile)
			if len(results) == 1 {
				add(series{Label: "lag", Color: "c1"}, r.Requests, r.LagQuantile)
			}
		}
		if len(results) == 1 && r.ErrorCount > 0 && r.ErrorCount < r.Requests {
			add(series{Label: "without error", Color: "good", Dash: true}, r.Requests-r.ErrorCount, r.SuccessQuantile)
			add(series{Label: "with error", Color: "bad"}, r.ErrorCount, r.ErrorQuantile)
		}
		if reported, _ := r.ServerTimes(); len(results) == 1 && reported > 0 {
			add(series{Label: "server, as it says", Color: "c1", Dash: true}, reported, r.ServerQuantile)
		}
	}
	c.Log = wide(c.Series)
	c.Label = c.Title + ": " + strings.Join(words, "; ")
	return c
}
