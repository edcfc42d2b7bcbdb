package loadtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"example.com/brunt/loadtest/internal/text"
)

// String returns a report for people of several lines, without a newline at its end.
// In brackets behind a percentile is its 95 % confidence interval, if there is one.
func (r *EngineResult) String() string {
	var b strings.Builder
	name := r.Engine
	if name == "" {
		name = "no engine"
	}
	bound := fmt.Sprintf("concurrency %d", r.Concurrency)
	if r.Engine == "arrival" {
		bound = "MaxInFlight " + text.Count(int64(r.Concurrency))
	}
	fmt.Fprintf(&b, "%s, %s: %s requests in %v, %s req/s\n",
		name, bound, text.Count(r.Requests), text.Duration(r.Elapsed), text.Rate(r.RPS()))
	r.writeArrivals(&b)
	fmt.Fprintf(&b, "  outcome   %s\n", r.outcome())
	r.writeExcluded(&b)
	r.writeLatency(&b)
	r.writeErrors(&b)
	b.WriteString("  resources ")
	if !r.ConnectionsUnknown {
		fmt.Fprintf(&b, "%s connections opened, ", text.Count(r.ConnectionsOpened))
	}
	fmt.Fprintf(&b, "%s read, peak heap %s\n", text.Bytes(uint64(r.BytesRead)), text.Bytes(r.PeakMemory))
	if share := r.sinkShare(); share > 0.01 {
		fmt.Fprintf(&b, "  sink      took %s of the workers' time (%v in all)\n", text.Percent(share), text.Duration(r.SinkTime))
	}
	if len(r.Endpoints) > 0 {
		width := 0
		names := slices.Sorted(maps.Keys(r.Endpoints))
		for _, n := range names {
			width = max(width, len(n))
		}
		for _, n := range names {
			ep := r.Endpoints[n]
			fmt.Fprintf(&b, "  endpoint  %-*s  %s, %s", width, n, ep.outcome(), latencyLine(ep.Quantile))
			if r.openLoop() {
				fmt.Fprintf(&b, ", service p99 %v, lag p99 %v", text.Duration(ep.ServiceQuantile(0.99)), text.Duration(ep.LagQuantile(0.99)))
			}
			b.WriteByte('\n')
			if line := ep.serverLine(); line != "" {
				fmt.Fprintf(&b, "  … server  %-*s  %s\n", width, n, line)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Scenarios)) {
		fmt.Fprintf(&b, "  scenario  %s  %v\n", name, r.Scenarios[name])
	}
	if r.Sink != nil {
		fmt.Fprintf(&b, "  sink      %v\n", r.Sink)
	}
	r.writeWarnings(&b, "")
	return strings.TrimSuffix(b.String(), "\n")
}

// openLoop reports whether latencies are response times, of all requests or of some.
func (r *EngineResult) openLoop() bool { return r.Schedule != "" || r.Scheduled > 0 || r.lag != nil }

// scheduleWidth is how much of a schedule a report shows: one that was recorded may have
// millions of instants.
const scheduleWidth = 200

func (r *EngineResult) writeArrivals(b *strings.Builder) {
	if r.Schedule != "" {
		fmt.Fprintf(b, "  schedule  %s\n", text.Cut(r.Schedule, scheduleWidth))
	}
	if r.Scheduled > 0 {
		there := "in flight"
		if r.Users > 0 {
			there = "there at once"
		}
		fmt.Fprintf(b, "  arrivals  %s due; at most %s %s\n", text.Count(r.Scheduled), text.Count(int64(r.PeakInFlight)), there)
	}
}

func (r *EngineResult) writeExcluded(b *strings.Builder) {
	if len(r.Excluded) == 0 {
		return
	}
	before, after := r.ExcludedRequests()
	fmt.Fprintf(b, "  excluded  %s requests before what is counted, %s after\n", text.Count(before), text.Count(after))
}

func (r *EngineResult) writeLatency(b *strings.Builder) {
	label := "latency "
	if r.openLoop() {
		label = "response"
	}
	if r.Requests > 0 {
		fmt.Fprintf(b, "  %s  p50 %s  p95 %s  p99 %s  max %v\n",
			label, r.quantileText(0.50), r.quantileText(0.95), r.quantileText(0.99), text.Duration(r.Quantile(1)))
	}
	if r.ErrorCount > 0 && r.SuccessCount > 0 {
		fmt.Fprintf(b, "  … errors  %s\n", latencyLine(r.ErrorQuantile))
	}
	if r.Requests > 0 && r.openLoop() {
		fmt.Fprintf(b, "  service   %s\n  lag       %s\n", latencyLine(r.ServiceQuantile), latencyLine(r.LagQuantile))
	}
	r.write(b)
}

// write appends lines for people to b.
func (d *details) write(b *strings.Builder) {
	if line := d.serverLine(); line != "" {
		fmt.Fprintf(b, "  server    %s\n", line)
	}
	for p, h := range d.phases {
		if h.Count() > 0 {
			fmt.Fprintf(b, "  phase     %-7s  %s, %s requests\n", phaseKeys[p], latencyLine(h.Quantile), text.Count(h.Count()))
		}
	}
}

// serverLine returns what servers said; empty if nobody asked.
func (d *details) serverLine() string {
	switch {
	case d.server.Count() == 0 && d.unsaid == 0:
		return ""
	case d.server.Count() == 0:
		return fmt.Sprintf("no time in %s responses", text.Count(d.unsaid))
	case d.unsaid == 0:
		return latencyLine(d.server.Quantile)
	}
	return fmt.Sprintf("%s, no time in %s responses", latencyLine(d.server.Quantile), text.Count(d.unsaid))
}

// quantileText returns a quantile with its confidence interval, if it has one.
func (r *EngineResult) quantileText(q float64) string {
	line := text.Duration(r.Quantile(q))
	if lo, hi, err := r.ConfidenceInterval(q); err == nil {
		line += fmt.Sprintf(" [%v, %v]", text.Duration(lo), text.Duration(hi))
	}
	return line
}

func (r *EngineResult) writeErrors(b *strings.Builder) {
	for _, class := range text.ByCount(r.Errors) {
		fmt.Fprintf(b, "  error     %s × %s", text.Count(r.Errors[class]), class)
		single := class != ClassCheck || len(r.FailedChecks) < 2
		if example := r.ErrorExamples[class]; single && example != "" {
			fmt.Fprintf(b, ": %s", firstLine(example))
		}
		b.WriteByte('\n')
		if !single {
			failedChecks(r.FailedChecks).write(b)
		}
	}
	if len(r.StatusCodes) > 0 {
		b.WriteString("  status   ")
		for _, code := range slices.Sorted(maps.Keys(r.StatusCodes)) {
			fmt.Fprintf(b, " %d × %s", code, text.Count(r.StatusCodes[code]))
		}
		b.WriteByte('\n')
	}
}

// writeWarnings writes a line for each warning, but for those of kind except.
func (r *EngineResult) writeWarnings(b *strings.Builder, except WarningKind) {
	for _, w := range r.Warnings {
		if w.Kind != except {
			fmt.Fprintf(b, "  warning   %s\n", w.Text)
		}
	}
}

func (r *EngineResult) outcome() string {
	line := r.Stats.outcome()
	if r.Retries > 0 {
		line += fmt.Sprintf(", %s retries", text.Count(r.Retries))
	}
	if r.Unsent > 0 {
		line += fmt.Sprintf(", %s never sent", text.Count(r.Unsent))
	}
	return line
}

func (s *Stats) outcome() string {
	line := fmt.Sprintf("%s ok, %s failed", text.Count(s.SuccessCount), text.Count(s.ErrorCount))
	if s.ErrorCount > 0 {
		line += fmt.Sprintf(" (%s)", text.Share(s.ErrorCount, s.Requests))
	}
	if s.OtherCount > 0 {
		line += fmt.Sprintf(", %s other", text.Count(s.OtherCount))
	}
	if s.RejectedCount > 0 {
		line += fmt.Sprintf(", %s rejected by the breaker", text.Count(s.RejectedCount))
	}
	for _, lost := range []struct {
		n    int64
		what string
	}{{s.Missed, "missed"}, {s.Dropped, "dropped"}, {s.Canceled, "canceled"}} {
		if lost.n > 0 {
			line += fmt.Sprintf(", %s %s", text.Count(lost.n), lost.what)
		}
	}
	return line
}

func latencyLine(quantile func(float64) time.Duration) string {
	return fmt.Sprintf("p50 %v  p95 %v  p99 %v  max %v",
		text.Duration(quantile(0.50)), text.Duration(quantile(0.95)), text.Duration(quantile(0.99)), text.Duration(quantile(1)))
}

func firstLine(s string) string {
	if i := strings.IndexAny(s, "\r\n"); i >= 0 {
		return s[:i]
	}
	return s
}
