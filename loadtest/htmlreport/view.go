package htmlreport

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/internal/text"
)

// page is what the template shows: all numbers are text by now, except those of
// the charts.
type page struct {
	Title       string
	Subtitle    string
	Runs        []string
	Many        bool
	Live        bool // a run that goes on
	Open        bool // one of the runs is an open loop
	Tiles       []tile
	Verdict     string // PASS, FAIL or INVALID of all runs; empty without an SLO
	Objectives  []objectiveRow
	Search      *search // for a capacity, of a page that is about one
	Warnings    []warning
	Charts      []chart
	Notes       []string // why charts are missing, and what is not counted
	Summary     []row
	Times       []timesRow
	Quantiles   []string // the columns of Times
	Errors      []errorRow
	Statuses    []row
	Endpoints   []endpointRow
	Walked      bool // users walked through scenarios in one of the runs
	Scenarios   []scenarioRow
	Intervals   []intervalRow
	Environment []Fact
	Texts       []string
}

type tile struct{ Key, Label, Value, Class string }

type warning struct{ Run, Kind, Text string }

type objectiveRow struct {
	Run string
	loadtest.Objective
}

// row has one value for each run.
type row struct {
	Key, Label string
	Values     []string
	Prose      bool // values are text, which may take several lines
}

type errorRow struct{ Run, Class, Count, Share, Example string }

type endpointRow struct{ Run, Name, Requests, RPS, Errors, Share, P50, P95, P99, Max, Service, Lag string }

type intervalRow struct {
	Run, From, Requests, RPS, Errors, Rejected, P50, P99, InFlight, Heap string
	Due, Missed, Dropped, Canceled, Lag, Cause                           string // of an open loop
	Users, UsersFailed                                                   string // of a run with users
	Excluded                                                             bool
}

// quantile is a dash where it would only repeat the maximum.
func quantile(s *loadtest.Stats, q float64) string { return percentile(s.Requests, q, s.Quantile) }

// percentile is one of n values.
func percentile(n int64, q float64, of func(float64) time.Duration) string {
	if n == 0 || q < 1 && n < text.SamplesToShow(q) {
		return "–"
	}
	return text.Duration(of(q))
}

// quantileOf is a quantile with its confidence interval, if it has one.
func quantileOf(r *loadtest.EngineResult, q float64) string {
	line := quantile(&r.Stats, q)
	if lo, hi, err := r.ConfidenceInterval(q); err == nil {
		line += fmt.Sprintf(" [%s, %s]", text.Duration(lo), text.Duration(hi))
	}
	return line
}

// extreme is a latency that one request suffices for.
func extreme(s *loadtest.Stats, d time.Duration) string {
	if s.Requests == 0 {
		return "–"
	}
	return text.Duration(d)
}

func perSecond(f float64) string { return text.Rate(f) + "/s" }

func newPage(o Options, results []*loadtest.EngineResult) *page {
	p := &page{
		Title:       cmp.Or(o.Title, "Load test"),
		Runs:        names(o, results),
		Many:        len(results) > 1,
		Open:        slices.ContainsFunc(results, openLoop),
		Walked:      slices.ContainsFunc(results, walked),
		Environment: o.Environment,
		Summary:     summary(results),
		Statuses:    statuses(results),
	}
	if o.Environment == nil {
		p.Environment = Environment()
	}
	for i, r := range results {
		p.addRun(p.Runs[i], r)
		if o.SLO != nil {
			p.judge(p.Runs[i], o.SLO.Judge(r))
		}
	}
	if !p.Many {
		p.Tiles = append(tiles(results[0]), userTiles(results[0])...)
	}
	for _, q := range quantiles {
		p.Quantiles = append(p.Quantiles, q.Key)
	}
	p.Subtitle = subtitle(p.Runs, results)
	p.Charts, p.Notes = charts(p.Runs, results)
	for i, r := range results {
		if line := notCounted(r); line != "" {
			if p.Many {
				line = p.Runs[i] + ": " + line
			}
			p.Notes = append(p.Notes, line)
		}
	}
	return p
}

// judge adds the verdict on a run. One that is INVALID is all that counts, and else one
// that fails.
func (p *page) judge(run string, v loadtest.Verdict) {
	if p.Verdict == "" || v.Kind == loadtest.VerdictInvalid || v.Kind == loadtest.VerdictFail && p.Verdict == string(loadtest.VerdictPass) {
		p.Verdict = string(v.Kind)
	}
	for _, o := range v.Objectives {
		p.Objectives = append(p.Objectives, objectiveRow{run, o})
	}
}

// names tells results apart by what ran them, and by their place if that is not
// enough.
func names(o Options, results []*loadtest.EngineResult) []string {
	if len(o.Names) > 0 {
		return o.Names
	}
	out := make([]string, len(results))
	for i, r := range results {
		out[i] = fmt.Sprintf("%s × %d", cmp.Or(r.Engine, "no engine"), r.Concurrency)
		if r.Engine == "arrival" {
			out[i] = "arrival " + text.Cut(r.Schedule, nameWidth)
		}
	}
	same := make(map[string]int)
	for _, n := range out {
		same[n]++
	}
	for i, n := range out {
		if same[n] > 1 {
			out[i] = fmt.Sprintf("%s (%d)", n, i+1)
		}
	}
	return out
}

func subtitle(runs []string, results []*loadtest.EngineResult) string {
	if len(results) > 1 {
		return fmt.Sprintf("%d results: %s", len(results), strings.Join(runs, ", "))
	}
	line := fmt.Sprintf("%s, %s", runs[0], text.Duration(results[0].Elapsed))
	if at := started(results[0]); at != "–" {
		line += ", started " + at
	}
	return line
}

func started(r *loadtest.EngineResult) string {
	if r.StartedAt.IsZero() {
		return "–"
	}
	return r.StartedAt.UTC().Format("2006-01-02 15:04:05 UTC")
}

// failedTile shows the share of n that failed.
func failedTile(key, label string, failed, n int64) tile {
	t := tile{key, label, text.Share(failed, n), ""}
	if failed > 0 {
		t.Class = "bad"
	}
	return t
}

func tiles(r *loadtest.EngineResult) []tile {
	failed := failedTile("error_rate", "failed", r.ErrorCount, r.Requests)
	rps := tile{"rps", "throughput", perSecond(r.RPS()), ""}
	p99 := tile{"p99", "99 % within", quantile(&r.Stats, 0.99), ""}
	slowest := tile{"max", "slowest", extreme(&r.Stats, r.Quantile(1)), ""}
	if openLoop(r) {
		return []tile{
			{"due", "arrivals due", due(r), ""},
			rps, lost(r), failed,
			{"p50", "median response time", quantile(&r.Stats, 0.50), ""},
			p99, slowest,
			{"lag", "99 % of lags within", percentile(r.Requests, 0.99, r.LagQuantile), ""},
		}
	}
	return []tile{
		rps,
		{"p50", "median latency", quantile(&r.Stats, 0.50), ""},
		p99, slowest, failed,
		{"requests", "requests", text.Count(r.Requests), ""},
	}
}

func summary(results []*loadtest.EngineResult) []row {
	var rows []row
	add := func(key, label string, value func(r *loadtest.EngineResult) string) {
		values := make([]string, len(results))
		for i, r := range results {
			values[i] = value(r)
		}
		rows = append(rows, row{Key: key, Label: label, Values: values, Prose: key == "schedule"})
	}
	number := func(key, label string, n func(r *loadtest.EngineResult) int64) {
		add(key, label, func(r *loadtest.EngineResult) string { return text.Count(n(r)) })
	}
	anyOpen := slices.ContainsFunc(results, openLoop)
	ofOpen := func(key, label string, value func(r *loadtest.EngineResult) string) {
		if anyOpen {
			add(key, label, func(r *loadtest.EngineResult) string {
				if !openLoop(r) {
					return "–"
				}
				return value(r)
			})
		}
	}
	arrivals := func(key, label string, n func(r *loadtest.EngineResult) int64) {
		ofOpen(key, label, func(r *loadtest.EngineResult) string {
			return fmt.Sprintf("%s (%s)", text.Count(n(r)), share(r, n(r)))
		})
	}
	add("started", "Started", started)
	add("elapsed", "Duration", func(r *loadtest.EngineResult) string { return text.Duration(r.Elapsed) })
	add("engine", "Engine", func(r *loadtest.EngineResult) string { return cmp.Or(r.Engine, "–") })
	ofOpen("schedule", "Schedule", func(r *loadtest.EngineResult) string { return cmp.Or(text.Cut(r.Schedule, scheduleWidth), "–") })
	bound := "Concurrency"
	switch {
	case latencyWord(results) == "Response time":
		bound = "MaxInFlight"
	case anyOpen:
		bound = "Concurrency or MaxInFlight"
	}
	number("concurrency", bound, func(r *loadtest.EngineResult) int64 { return int64(r.Concurrency) })
	peak := "Peak in flight"
	if slices.ContainsFunc(results, walked) {
		peak = "Peak in flight, or of users"
	}
	ofOpen("peak_in_flight", peak, func(r *loadtest.EngineResult) string { return text.Count(int64(r.PeakInFlight)) })
	ofOpen("scheduled", "Arrivals due", due)
	arrivals("missed", "Missed", func(r *loadtest.EngineResult) int64 { return r.Missed })
	arrivals("dropped", "Dropped", func(r *loadtest.EngineResult) int64 { return r.Dropped })
	arrivals("canceled", "Canceled", func(r *loadtest.EngineResult) int64 { return r.Canceled })
	if slices.ContainsFunc(results, walked) {
		number("users", "Users", func(r *loadtest.EngineResult) int64 { return r.Users })
		add("users_failed", "Users failed", func(r *loadtest.EngineResult) string {
			return fmt.Sprintf("%s (%s)", text.Count(r.UsersFailed), text.Share(r.UsersFailed, r.Users))
		})
		number("users_canceled", "Users canceled", func(r *loadtest.EngineResult) int64 { return r.UsersCanceled })
	}
	number("requests", "Requests", func(r *loadtest.EngineResult) int64 { return r.Requests })
	add("rps", "Throughput", func(r *loadtest.EngineResult) string { return perSecond(r.RPS()) })
	add("min", "Fastest", func(r *loadtest.EngineResult) string { return extreme(&r.Stats, r.Quantile(0)) })
	add("mean", "Mean "+strings.ToLower(latencyWord(results)), func(r *loadtest.EngineResult) string { return extreme(&r.Stats, r.Mean()) })
	for _, q := range quantiles {
		add(q.Key, q.Key, func(r *loadtest.EngineResult) string { return quantileOf(r, q.q) })
	}
	add("max", "Slowest", func(r *loadtest.EngineResult) string { return extreme(&r.Stats, r.Quantile(1)) })
	number("success", "Succeeded", func(r *loadtest.EngineResult) int64 { return r.SuccessCount })
	number("errors", "Failed", func(r *loadtest.EngineResult) int64 { return r.ErrorCount })
	add("error_rate", "Failed, share", func(r *loadtest.EngineResult) string { return text.Share(r.ErrorCount, r.Requests) })
	number("other", "Neither (1xx, 3xx)", func(r *loadtest.EngineResult) int64 { return r.OtherCount })
	number("rejected", "Rejected by the breaker", func(r *loadtest.EngineResult) int64 { return r.RejectedCount })
	number("unsent", "Never sent", func(r *loadtest.EngineResult) int64 { return r.Unsent })
	number("retries", "Retries", func(r *loadtest.EngineResult) int64 { return r.Retries })
	add("connections", "Connections opened", func(r *loadtest.EngineResult) string {
		if r.ConnectionsUnknown {
			return "–"
		}
		return text.Count(r.ConnectionsOpened)
	})
	add("bytes", "Read", func(r *loadtest.EngineResult) string { return text.Bytes(uint64(max(r.BytesRead, 0))) })
	add("heap", "Peak heap", func(r *loadtest.EngineResult) string { return text.Bytes(r.PeakMemory) })
	return rows
}

func statuses(results []*loadtest.EngineResult) []row {
	codes := make(map[int]bool)
	for _, r := range results {
		for c := range r.StatusCodes {
			codes[c] = true
		}
	}
	var rows []row
	for _, c := range slices.Sorted(maps.Keys(codes)) {
		values := make([]string, len(results))
		for i, r := range results {
			values[i] = fmt.Sprintf("%s (%s)", text.Count(r.StatusCodes[c]), text.Share(r.StatusCodes[c], r.Requests))
		}
		code := strconv.Itoa(c)
		rows = append(rows, row{Key: code, Label: code, Values: values})
	}
	return rows
}

// checksByCount returns the checks that failed; none if one did, whose example is that of
// its class.
func checksByCount(r *loadtest.EngineResult) []string {
	if len(r.FailedChecks) < 2 {
		return nil
	}
	counts := make(map[string]int64, len(r.FailedChecks))
	for want, failed := range r.FailedChecks {
		counts[want] = failed.Count
	}
	return text.ByCount(counts)
}

func (p *page) addRun(name string, r *loadtest.EngineResult) {
	if openLoop(r) {
		p.Times = append(p.Times, times(name, r)...)
	}
	for _, w := range r.Warnings {
		p.Warnings = append(p.Warnings, warning{name, string(w.Kind), w.Text})
	}
	for _, c := range text.ByCount(r.Errors) {
		p.Errors = append(p.Errors, errorRow{
			Run: name, Class: c.String(), Count: text.Count(r.Errors[c]), Share: text.Share(r.Errors[c], r.Requests), Example: r.ErrorExamples[c],
		})
	}
	for _, want := range checksByCount(r) {
		failed := r.FailedChecks[want]
		p.Errors = append(p.Errors, errorRow{
			Run: name, Class: "check: " + text.Cut(want, 80), Count: text.Count(failed.Count), Share: text.Share(failed.Count, r.Requests), Example: failed.Example,
		})
	}
	for _, n := range slices.Sorted(maps.Keys(r.Endpoints)) {
		ep := r.Endpoints[n]
		p.Endpoints = append(p.Endpoints, endpointRow{
			Run: name, Name: n, Requests: text.Count(ep.Requests), RPS: perSecond(text.PerSecond(ep.Requests, r.Elapsed)),
			Errors: text.Count(ep.ErrorCount), Share: text.Share(ep.ErrorCount, ep.Requests),
			P50: quantile(ep, 0.50), P95: quantile(ep, 0.95), P99: quantile(ep, 0.99), Max: extreme(ep, ep.Quantile(1)),
			Service: percentile(ep.Requests, 0.99, ep.ServiceQuantile), Lag: percentile(ep.Requests, 0.99, ep.LagQuantile),
		})
	}
	p.Scenarios = append(p.Scenarios, scenarios(name, r)...)
	for _, iv := range timeline(r) {
		row := intervalRow{
			Run: name, From: stretch(iv.From, iv.To), Excluded: iv.Excluded,
			Users: text.Count(iv.Users), UsersFailed: text.Count(iv.UsersFailed),
			Requests: text.Count(iv.Requests), RPS: perSecond(iv.RPS()), Errors: text.Count(iv.ErrorCount), Rejected: text.Count(iv.RejectedCount),
			Due: "–", Missed: "–", Dropped: "–", Canceled: "–", Lag: "–",
			P50: "–", P99: "–", InFlight: text.Count(int64(iv.InFlight)), Heap: text.Bytes(iv.HeapBytes),
		}
		if iv.Requests > 0 {
			row.P50, row.P99 = text.Duration(iv.P50), text.Duration(iv.P99)
		}
		if openLoop(r) {
			row.Due, row.Missed, row.Dropped, row.Canceled = text.Count(iv.Scheduled), text.Count(iv.Missed), text.Count(iv.Dropped), text.Count(iv.Canceled)
			row.Cause = string(iv.Cause)
			if iv.Requests > 0 {
				row.Lag = text.Duration(iv.Lag)
			}
		}
		p.Intervals = append(p.Intervals, row)
	}
	p.Texts = append(p.Texts, r.String())
}
