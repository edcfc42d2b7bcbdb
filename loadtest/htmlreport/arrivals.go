package htmlreport

import (
	"slices"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/internal/text"
)

// This file says what a page has more of for open loops. Pages of closed ones have
// nothing of it.

// openLoop reports whether the latencies of r are response times.
func openLoop(r *loadtest.EngineResult) bool {
	return r.Schedule != "" || r.Scheduled > 0 || r.LagQuantile(1) > 0
}

// latencyWord is what latencies are called if all results agree.
func latencyWord(results []*loadtest.EngineResult) string {
	if slices.ContainsFunc(results, func(r *loadtest.EngineResult) bool { return !openLoop(r) }) {
		return "Latency"
	}
	return "Response time"
}

// scheduleWidth is how much is shown of a schedule, which may have been recorded and
// have millions of instants; nameWidth is how much of it names a run.
const (
	scheduleWidth = 400
	nameWidth     = 60
)

// timesRow is one of the three times of the requests of an open loop.
type timesRow struct {
	Run, Key, Label string
	Quantiles       []string // as in quantiles, and the maximum
}

var quantiles = []struct {
	Key string
	q   float64
}{{"p50", 0.5}, {"p90", 0.9}, {"p95", 0.95}, {"p99", 0.99}, {"p99.9", 0.999}}

func times(run string, r *loadtest.EngineResult) (rows []timesRow) {
	for _, kind := range []struct {
		key, label string
		quantile   func(float64) time.Duration
	}{
		{"response", "Response time", r.Quantile}, {"service", "Service time", r.ServiceQuantile}, {"lag", "Lag", r.LagQuantile},
	} {
		row := timesRow{Run: run, Key: kind.key, Label: kind.label}
		for _, q := range quantiles {
			row.Quantiles = append(row.Quantiles, percentile(r.Requests, q.q, kind.quantile))
		}
		row.Quantiles = append(row.Quantiles, extreme(&r.Stats, kind.quantile(1)))
		rows = append(rows, row)
	}
	return rows
}

// lost is the share of arrivals that were not sent.
func lost(r *loadtest.EngineResult) tile {
	n := r.Missed + r.Dropped + r.Canceled
	t := tile{"lost", "not sent", share(r, n), ""}
	if n > 0 {
		t.Class = "bad"
	}
	return t
}

// due is how many arrivals came due. A result of records does not know: those are of
// what was sent.
func due(r *loadtest.EngineResult) string {
	if r.Scheduled == 0 {
		return "–"
	}
	return text.Count(r.Scheduled)
}

// share is that of the arrivals which came due.
func share(r *loadtest.EngineResult, n int64) string {
	if r.Scheduled == 0 {
		return "–"
	}
	return text.Share(n, r.Scheduled)
}
