package loadtest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// String is a report for a person, several lines long, without a line break at
// its end.
func (r *EngineResult) String() string {
	var b strings.Builder
	name := r.Engine
	if name == "" {
		name = "no engine"
	}
	fmt.Fprintf(&b, "%s, concurrency %d: %s requests in %v, %s req/s\n",
		name, r.Concurrency, thousands(r.Requests), r.Elapsed.Round(time.Millisecond), rate(r.RPS()))
	fmt.Fprintf(&b, "  outcome   %s\n", r.outcome())
	r.writeLatency(&b)
	r.writeErrors(&b)
	b.WriteString("  resources ")
	if !r.ConnectionsUnknown {
		fmt.Fprintf(&b, "%s connections opened, ", thousands(r.ConnectionsOpened))
	}
	fmt.Fprintf(&b, "%s read, peak heap %s\n", bytesText(uint64(r.BytesRead)), bytesText(r.PeakMemory))
	if share := r.sinkShare(); share > 0.01 {
		fmt.Fprintf(&b, "  sink      took %.3g %% of the workers' time (%v in all)\n", 100*share, round(r.SinkTime))
	}
	if len(r.Endpoints) > 0 {
		width := 0
		names := slices.Sorted(maps.Keys(r.Endpoints))
		for _, n := range names {
			width = max(width, len(n))
		}
		for _, n := range names {
			ep := r.Endpoints[n]
			fmt.Fprintf(&b, "  endpoint  %-*s  %s, %s\n", width, n, ep.outcome(), latencyLine(ep.latencies()))
		}
	}
	if r.Sink != nil {
		fmt.Fprintf(&b, "  sink      %v\n", r.Sink)
	}
	r.writeWarnings(&b)
	return strings.TrimSuffix(b.String(), "\n")
}

func (r *EngineResult) writeLatency(b *strings.Builder) {
	if r.Requests > 0 {
		fmt.Fprintf(b, "  latency   %s\n", latencyLine(r.latencies()))
	}
	if r.ErrorCount > 0 && r.SuccessCount > 0 {
		fmt.Fprintf(b, "  … errors  %s\n", latencyLine(r.bad))
	}
}

func (r *EngineResult) writeErrors(b *strings.Builder) {
	for _, class := range r.topErrors() {
		fmt.Fprintf(b, "  error     %s × %s", thousands(r.Errors[class]), class)
		if text := r.ErrorExamples[class]; text != "" {
			fmt.Fprintf(b, ": %s", firstLine(text))
		}
		b.WriteByte('\n')
	}
	if len(r.StatusCodes) > 0 {
		b.WriteString("  status   ")
		for _, code := range slices.Sorted(maps.Keys(r.StatusCodes)) {
			fmt.Fprintf(b, " %d × %s", code, thousands(r.StatusCodes[code]))
		}
		b.WriteByte('\n')
	}
}

func (r *EngineResult) writeWarnings(b *strings.Builder) {
	for _, w := range r.Warnings {
		fmt.Fprintf(b, "  warning   %s\n", w.Text)
	}
}

func (r *EngineResult) outcome() string {
	text := r.Stats.outcome()
	if r.Retries > 0 {
		text += fmt.Sprintf(", %s retries", thousands(r.Retries))
	}
	if r.Unsent > 0 {
		text += fmt.Sprintf(", %s never sent", thousands(r.Unsent))
	}
	return text
}

func (s *Stats) outcome() string {
	text := fmt.Sprintf("%s ok, %s failed", thousands(s.SuccessCount), thousands(s.ErrorCount))
	if s.ErrorCount > 0 {
		text += fmt.Sprintf(" (%.3g %%)", 100*s.ErrorRate())
	}
	if s.OtherCount > 0 {
		text += fmt.Sprintf(", %s other", thousands(s.OtherCount))
	}
	if s.RejectedCount > 0 {
		text += fmt.Sprintf(", %s rejected by the breaker", thousands(s.RejectedCount))
	}
	return text
}

func latencyLine(h *histogram) string {
	return fmt.Sprintf("p50 %v  p95 %v  p99 %v  max %v",
		round(h.quantile(0.50)), round(h.quantile(0.95)), round(h.quantile(0.99)), round(h.quantile(1)))
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// rate shows whole requests from 100 a second on, three digits below.
func rate(f float64) string {
	if f >= 100 {
		return thousands(int64(f + 0.5))
	}
	return strconv.FormatFloat(f, 'g', 3, 64)
}

// thousands groups digits: 1,234,567.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// bytesText scales to the unit that leaves one to four digits before the point.
func bytesText(n uint64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	f, suffix := float64(n), ""
	for _, suffix = range []string{"KiB", "MiB", "GiB", "TiB"} {
		if f /= unit; f < unit {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", f, suffix)
}
