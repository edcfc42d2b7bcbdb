package readback

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest"
)

// base is how much wider than its lower bound a bucket of an exported histogram is at most.
var base = math.Exp2(1. / 32)

// holds checks that Prometheus has of the shards that by selects what r says.
func (p *prometheus) holds(at time.Time, by string, r *loadtest.EngineResult) {
	t := p.t
	t.Helper()
	sum := func(want int64, metric, matchers string) {
		t.Helper()
		require.InDelta(t, float64(want), p.value(at, fmt.Sprintf("sum(%s{%s, %s})", metric, by, matchers)), 0, "%s{%s}", metric, matchers)
	}
	sum(r.Requests, "loadtest_requests_total", "")
	sum(r.SuccessCount, "loadtest_requests_total", `loadtest_outcome="success"`)
	sum(r.ErrorCount, "loadtest_requests_total", `loadtest_outcome="error"`)
	sum(r.ErrorCount, "loadtest_errors_total", "")
	for class, n := range r.Errors {
		sum(n, "loadtest_errors_total", fmt.Sprintf("error_type=%q", class))
	}
	for status, n := range r.StatusCodes {
		sum(n, "loadtest_responses_total", fmt.Sprintf(`http_response_status_code="%d"`, status))
	}
	sum(r.Dropped, "loadtest_unsent_total", `loadtest_reason="dropped"`)
	sum(r.Missed, "loadtest_unsent_total", `loadtest_reason="missed"`)
	sum(r.Canceled, "loadtest_unsent_total", `loadtest_reason="canceled"`)
	sum(r.RejectedCount, "loadtest_unsent_total", `loadtest_reason="rejected"`)
	sum(r.Scheduled, "loadtest_scheduled_total", "")
	sum(r.Retries, "loadtest_retries_total", "")
	sum(r.BytesRead, "loadtest_received_bytes_total", "")
	sum(r.ConnectionsOpened, "loadtest_connections_total", "")
	sum(r.Scenarios["buy"].Finished, "loadtest_users_total", `loadtest_outcome="finished"`)
	sum(r.Scenarios["buy"].Failed, "loadtest_users_total", `loadtest_outcome="failed"`)
	sum(0, "loadtest_in_flight", "")

	same := func(h loadtest.Histogram, metric, matchers string) {
		t.Helper()
		require.Positive(t, h.Count(), "%s{%s}: nothing to compare", metric, matchers)
		of := fmt.Sprintf("sum(%s{%s, %s})", metric, by, matchers)
		require.InDelta(t, float64(h.Count()), p.value(at, "histogram_count("+of+")"), 0, of)
		require.InEpsilon(t, h.Sum(), p.value(at, "histogram_sum("+of+")"), 1e-9, of)
		for _, q := range []float64{0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999} {
			p.isQuantile(at, q, of, h)
		}
	}
	same(r.SuccessHistogram(), "loadtest_response_duration_seconds", `loadtest_outcome="success"`)
	same(r.ErrorHistogram(), "loadtest_response_duration_seconds", `loadtest_outcome="error"`)
	same(r.Histogram(), "loadtest_response_duration_seconds", "")
	same(r.ServiceHistogram(), "loadtest_service_duration_seconds", "")
	same(r.LagHistogram(), "loadtest_lag_duration_seconds", "")
	same(r.ServerHistogram(), "loadtest_server_duration_seconds", "")
	same(r.PhaseHistogram(loadtest.PhaseHeaders), "loadtest_phase_duration_seconds", `loadtest_phase="headers"`)
	for name, e := range r.Endpoints {
		same(e.Histogram(), "loadtest_endpoint_duration_seconds", fmt.Sprintf("loadtest_endpoint=%q", name))
	}
	same(r.Scenarios["buy"].Histogram(), "loadtest_scenario_duration_seconds", `loadtest_scenario="buy"`)
}

// isQuantile checks that Prometheus has a quantile of h of what a query selects: it is in
// the bucket of the value at the result's rank, ceil(q·n), or where that bucket ends with
// it, at most at the beginning of the bucket of the next value.
func (p *prometheus) isQuantile(at time.Time, q float64, query string, h loadtest.Histogram) {
	t := p.t
	t.Helper()
	got := p.value(at, fmt.Sprintf("histogram_quantile(%v, %s)", q, query))
	low, high := h.Quantile(q).Seconds(), h.Quantile(q+1/float64(h.Count())).Seconds()
	require.GreaterOrEqual(t, got, low/base*(1-1e-9), "%s q=%v", query, q)
	require.LessOrEqual(t, got, max(low*base*1.001, high*1.001, 1e-100), "%s q=%v", query, q)
}

// Two shards that know nothing of each other: each is in Prometheus what its result says,
// and both together are what the merged result says.
func TestPrometheusHoldsWhatTheResultsSay(t *testing.T) {
	p := newPrometheus(t)
	merged := new(loadtest.EngineResult)
	var end time.Time
	for shard := range 2 {
		run := runShard(t, shard, 2)
		p.send(run.collected...)
		at := run.result.StartedAt.Add(run.result.Elapsed)
		p.holds(at, fmt.Sprintf(`job="shop", instance="virtual/%d"`, shard), run.result)
		require.GreaterOrEqual(t, len(run.collected), 20, "about once a second")
		merged.Merge(run.result)
		end = at
	}
	p.holds(end, `job="shop"`, merged)
	require.InDelta(t, 1, p.value(end, `target_info{job="shop", instance="virtual/1", loadtest_run_name="virtual", loadtest_shard_index="1", loadtest_shard_count="2"}`), 0)
}

// The series of intervals is in the counters: what they grow by from one report to the
// next is what the interval counts, and they never fall.
func TestPrometheusHoldsTheSeries(t *testing.T) {
	p := newPrometheus(t)
	run := runShard(t, 0, 1)
	p.send(run.collected...)
	var before, counted float64
	for i, row := range run.result.Intervals[:len(run.result.Intervals)-1] {
		at := run.result.StartedAt.Add(row.To)
		now := p.value(at, "sum(loadtest_requests_total)")
		require.InDelta(t, float64(row.Requests), now-before, 0, "interval %d", i)
		n := p.value(at, "histogram_count(sum(loadtest_response_duration_seconds))")
		require.InDelta(t, float64(row.Requests), n-counted, 0, "interval %d", i)
		require.InDelta(t, float64(row.InFlight), p.value(at, "sum(loadtest_in_flight)"), 0)
		require.InDelta(t, float64(row.HeapBytes), p.value(at, "max(loadtest_heap_bytes)"), 0)
		require.InDelta(t, row.To.Seconds(), p.value(at, "max(loadtest_elapsed_seconds)"), 0)
		before, counted = now, n
	}
	end := run.result.StartedAt.Add(run.result.Elapsed)
	for _, metric := range []string{"loadtest_requests_total", "loadtest_errors_total", "loadtest_response_duration_seconds", "loadtest_endpoint_duration_seconds", "loadtest_lag_duration_seconds"} {
		require.Zero(t, p.value(end, "sum(resets("+metric+"[1h]))"), metric)
	}
}
