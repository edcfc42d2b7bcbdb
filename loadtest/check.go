package loadtest

import (
	"strings"
	"testing"
)

// Check fails the test, and lets it go on, if r misses an objective of slo, with
// one message that holds what was observed and wanted of every objective missed,
// the latencies, the most frequent errors and the warnings; log r itself for the
// rest of the report. A quantile that rests on too few requests is not judged,
// which is a failure too: nobody knows whether the objective was met.
func Check(tb testing.TB, r *EngineResult, slo SLO) {
	tb.Helper()
	if err := slo.Validate(); err != nil {
		tb.Fatalf("loadtest: Check: %v", err)
	}
	if r == nil {
		tb.Fatal("loadtest: Check of a nil result")
	}
	missed := slo.Judge(r).Missed()
	if len(missed) == 0 {
		return
	}
	var b strings.Builder
	for _, o := range missed {
		b.WriteString("\n  " + o.String())
	}
	b.WriteByte('\n')
	r.writeLatency(&b)
	r.writeErrors(&b)
	r.writeWarnings(&b)
	tb.Errorf("loadtest: %d of the objectives missed%s", len(missed), strings.TrimSuffix(b.String(), "\n"))
}
