package loadtest

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// SLO is a set of objectives for a run. A zero duration, rate or size sets no
// objective; a zero MaxErrorRate or MaxRejectedRate allows none at all.
type SLO struct {
	// P50, P95 and P99 are the longest latencies allowed at these quantiles, over
	// all requests sent. A quantile is judged only if ten requests lie beyond it:
	// P50 needs 20 requests, P95 200, P99 1000.
	P50, P95, P99 time.Duration
	// MaxErrorRate is the share of requests that may fail, from 0 to 1.
	MaxErrorRate float64
	// MaxRejectedRate is the share of the requests due that the engine's own
	// Breaker may refuse, from 0 to 1.
	MaxRejectedRate float64
	// MinRPS is the least number of requests per second.
	MinRPS float64
	// MinRequests is the least number of requests sent.
	MinRequests int64
	// MaxPeakMemory is the largest heap allowed, in bytes.
	MaxPeakMemory uint64
}

// Validate reports every fault; each matches [ErrConfig].
func (s SLO) Validate() error {
	var faults []error
	for _, q := range []struct {
		name string
		d    time.Duration
	}{{"P50", s.P50}, {"P95", s.P95}, {"P99", s.P99}} {
		if q.d < 0 {
			faults = append(faults, fault("SLO.%s is negative", q.name))
		}
	}
	if !(s.MaxErrorRate >= 0 && s.MaxErrorRate <= 1) {
		faults = append(faults, fault("SLO.MaxErrorRate is %v: must be from 0 to 1", s.MaxErrorRate))
	}
	if !(s.MaxRejectedRate >= 0 && s.MaxRejectedRate <= 1) {
		faults = append(faults, fault("SLO.MaxRejectedRate is %v: must be from 0 to 1", s.MaxRejectedRate))
	}
	if !(s.MinRPS >= 0) || math.IsInf(s.MinRPS, 1) {
		faults = append(faults, fault("SLO.MinRPS is %v: must be finite and not negative", s.MinRPS))
	}
	if s.MinRequests < 0 {
		faults = append(faults, fault("SLO.MinRequests is negative"))
	}
	return errors.Join(faults...)
}

// Check fails the test, and lets it go on, if r misses an objective of slo, with
// one message that holds what was observed and wanted of every objective missed
// and the most frequent errors. A quantile that rests on too few requests is not
// judged, which is a failure too: nobody knows whether the objective was met.
func Check(tb testing.TB, r *EngineResult, slo SLO) {
	tb.Helper()
	if err := slo.Validate(); err != nil {
		tb.Fatalf("loadtest: Check: %v", err)
	}
	if r == nil {
		tb.Fatal("loadtest: Check of a nil result")
	}
	if misses := slo.misses(r); len(misses) > 0 {
		tb.Errorf("loadtest: %d of the objectives missed\n  %s\n%s", len(misses), strings.Join(misses, "\n  "), indent(r.String()))
	}
}

// misses says of each objective that r does not meet what was observed and wanted.
func (s SLO) misses(r *EngineResult) []string {
	var out []string
	miss := func(name, observed, wanted string) {
		out = append(out, fmt.Sprintf("%-11s observed %s, wanted %s", name, observed, wanted))
	}
	for _, q := range []struct {
		name string
		q    float64
		max  time.Duration
	}{{"p50", 0.50, s.P50}, {"p95", 0.95, s.P95}, {"p99", 0.99, s.P99}} {
		switch got, need := r.Quantile(q.q), samplesToJudge(q.q); {
		case q.max == 0:
		case r.Requests < need:
			out = append(out, fmt.Sprintf("%-11s not judged: %s requests, needs %s (wanted at most %v)",
				q.name, thousands(r.Requests), thousands(need), q.max))
		case got > q.max:
			miss(q.name, precise(got, q.max), "at most "+q.max.String())
		}
	}
	if got := r.ErrorRate(); got > s.MaxErrorRate {
		miss("error rate", fmt.Sprintf("%.4g %% (%s of %s)", 100*got, thousands(r.ErrorCount), thousands(r.Requests)),
			fmt.Sprintf("at most %.4g %%", 100*s.MaxErrorRate))
	}
	if got := r.RejectedRate(); got > s.MaxRejectedRate {
		miss("rejected", fmt.Sprintf("%.4g %% (%s)", 100*got, thousands(r.RejectedCount)), fmt.Sprintf("at most %.4g %%", 100*s.MaxRejectedRate))
	}
	if got := r.RPS(); got < s.MinRPS {
		miss("req/s", fmt.Sprintf("%.4g", got), fmt.Sprintf("at least %.4g", s.MinRPS))
	}
	if r.Requests < max(s.MinRequests, 1) {
		miss("requests", thousands(r.Requests), "at least "+thousands(max(s.MinRequests, 1)))
	}
	if s.MaxPeakMemory > 0 && r.PeakMemory > s.MaxPeakMemory {
		miss("peak memory", bytesText(r.PeakMemory), "at most "+bytesText(s.MaxPeakMemory))
	}
	return out
}

// precise rounds for reading, but never so far that a miss looks like a hit.
func precise(got, limit time.Duration) string {
	if r := round(got); r > limit {
		return r.String()
	}
	return got.String()
}

func indent(s string) string { return "  " + strings.ReplaceAll(s, "\n", "\n  ") }
