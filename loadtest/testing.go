package loadtest

import (
	"context"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"example.com/brunt/loadtest/internal/text"
	"example.com/brunt/loadtest/pace"
)

// closePatience is how long Start's cleanup lets requests in flight go on.
const closePatience = 5 * time.Second

// Start returns a new engine and closes it when the test or benchmark ends. A bad
// configuration ends the test at once; a Close that cannot prove that every goroutine
// and connection of the engine is gone fails it.
func Start(tb testing.TB, cfg EngineConfig) Engine {
	tb.Helper()
	if cfg == nil {
		tb.Fatal("loadtest: Start without a configuration")
	}
	e, err := cfg.New()
	if err != nil {
		tb.Fatalf("loadtest: Start: %v", err)
	}
	tb.Cleanup(func() {
		// tb.Context is canceled before cleanups run.
		ctx, cancel := context.WithTimeout(context.Background(), closePatience)
		defer cancel()
		if err := e.Close(ctx); err != nil {
			tb.Errorf("loadtest: closing the engine: %v", err)
		}
	})
	return e
}

// units says in benchmark output which way each metric is better, as benchstat and
// gates read it.
const units = `Unit req/s better=higher
Unit p50-ns better=lower
Unit p95-ns better=lower
Unit p99-ns better=lower
Unit err/op better=lower
Unit peak-B better=lower
Unit missed/op better=lower
Unit dropped/op better=lower
Unit lag-p99-ns better=lower
`

// printUnits writes the Unit lines once a process. The first call comes from the
// probing run of the first benchmark, before its name is printed: the one moment
// at which a line on standard output does not break a result.
var printUnits = sync.OnceFunc(func() {
	if f := flag.Lookup("test.bench"); f != nil && f.Value.String() != "" {
		os.Stdout.WriteString(units)
	}
})

// Bench sends b.N requests, cycling through reqs, and reports
//
//	req/s    requests per second
//	p50-ns   latency quantiles; p95 from 20 requests on, p99 from 100
//	p95-ns
//	p99-ns
//	err/op   share of requests that failed
//	peak-B   largest heap during the run, in bytes, after a collection before it
//
// and, of an [ArrivalEngine], whose latencies are response times,
//
//	missed/op   share of arrivals for which this process was too late
//	dropped/op  share of arrivals that found MaxInFlight requests open
//	lag-p99-ns  how late requests began
//
// next to ns/op, which is the wall time of the run divided by b.N: so
// -benchtime=5000x means 5000 requests. The collection, and whatever came before
// the call, are outside the measured time. Without reqs it sends empty ones,
// which only a [Func] client takes.
//
// A run that cannot start, in which no request got a response, or whose schedule ends
// before b.N arrivals, fails the benchmark. Errors and warnings of the run are logged.
// Bench does not close e.
//
// Bench is itself the loop of the benchmark. Within b.Loop, which would measure it as
// one operation, it fails.
func Bench(b *testing.B, e Engine, reqs ...*Request) *EngineResult {
	b.Helper()
	if b.N == 0 { // what it is until b.Loop has returned false
		b.Fatal("loadtest: Bench within b.Loop(): Bench sends b.N requests itself; call it once and without the loop: loadtest.Bench(b, engine, requests...)")
	}
	printUnits()
	runtime.GC()
	b.ResetTimer()
	r, err := e.Run(b.Context(), Times(b.N, reqs...))
	b.StopTimer()
	if err != nil {
		b.Fatalf("loadtest: %v", err)
	}
	if due := r.begun(); due < int64(b.N) {
		b.Fatalf("loadtest: Bench: the schedule %q has %d arrivals, and b.N is %d: use one without an end, or a shorter -benchtime", r.Schedule, due, b.N)
	}
	if r.ErrorCount == r.Requests && len(r.StatusCodes) == 0 {
		b.Fatalf("loadtest: no request succeeded\n%v", r)
	}
	ReportMetrics(b, r)
	if r.ErrorCount > 0 {
		b.Logf("%v", r)
	} else if b.N > 1 {
		for _, w := range r.Warnings {
			if w.Kind != WarnFewSamples {
				b.Logf("warning: %s", w.Text)
			}
		}
	}
	return r
}

// ReportMetrics reports r as [Bench] does, for a benchmark that makes its run
// itself, such as one of a fixed duration or with a sink. ns/op remains b.N's,
// unless the benchmark reports another.
func ReportMetrics(b *testing.B, r *EngineResult) {
	b.Helper()
	printUnits()
	for unit, value := range r.metrics() {
		b.ReportMetric(value, unit)
	}
}

// WriteBenchmark writes r to w as the output of a benchmark that [Bench] has reported, for
// benchstat and brunt compare: the Unit lines, and one line for name, which must be that of
// a benchmark, such as "BenchmarkShop/pool=naive". It is for results that no benchmark of
// this process has measured, such as merged ones. Its ns/op is Elapsed ÷ Requests.
func WriteBenchmark(w io.Writer, name string, r *EngineResult) error {
	if !strings.HasPrefix(name, "Benchmark") || strings.ContainsFunc(name, unicode.IsSpace) {
		return fmt.Errorf("loadtest: %q is no name of a benchmark: must begin with Benchmark and hold no white space", name)
	}
	var line strings.Builder
	fmt.Fprintf(&line, "%s%s\t%d", units, name, max(r.Requests, 1))
	write := func(unit string, value float64) {
		format := "%.4g"
		if value >= 1000 {
			format = "%.0f" // without an exponent
		}
		fmt.Fprintf(&line, "\t"+format+" %s", value, unit)
	}
	write("ns/op", float64(r.Elapsed)/float64(max(r.Requests, 1)))
	for unit, value := range r.metrics() {
		write(unit, value)
	}
	line.WriteString("\n")
	_, err := io.WriteString(w, line.String())
	return err
}

// metrics yields what Bench reports of r, as units and values.
func (r *EngineResult) metrics() iter.Seq2[string, float64] {
	return func(yield func(string, float64) bool) {
		more := yield("req/s", r.RPS()) && r.Stats.metrics("", 0.50, 0.95, 0.99)(yield) && yield("peak-B", float64(r.PeakMemory))
		if more && r.Scheduled > 0 {
			_ = yield("missed/op", share(r.Missed, r.Scheduled)) && yield("dropped/op", share(r.Dropped, r.Scheduled)) &&
				yield("lag-p99-ns", nanos(r.LagQuantile(0.99)))
		}
	}
}

// metrics yields quantiles of which s can show more than its maximum, and the share of
// errors, in units that begin with prefix. It returns whether there may be more.
func (s *Stats) metrics(prefix string, quantiles ...float64) func(yield func(string, float64) bool) bool {
	return func(yield func(string, float64) bool) bool {
		for _, q := range quantiles {
			if s.Requests >= text.SamplesToShow(q) && !yield(fmt.Sprintf("%sp%v-ns", prefix, 100*q), nanos(s.Quantile(q))) {
				return false
			}
		}
		return yield(prefix+"err/op", s.ErrorRate())
	}
}

// nanos returns 1 ns at the least: benchstat treats a 0 as another unit than its
// neighbors.
func nanos(d time.Duration) float64 { return float64(max(d, time.Nanosecond)) }

// ReportEndpoints reports p50-ns, p99-ns and err/op of each name in r.Endpoints, with the
// name before it: home-p99-ns. White space in a name becomes an underscore. brunt
// compare knows which way these are better.
func ReportEndpoints(b *testing.B, r *EngineResult) {
	b.Helper()
	for name, ep := range r.Endpoints {
		ep.metrics(strings.Join(strings.Fields(name), "_")+"-", 0.50, 0.99)(func(unit string, value float64) bool {
			b.ReportMetric(value, unit)
			return true
		})
	}
}

// Pace sends requests over net/http when schedule says, in the words of [pace.Parse] such
// as "1000/s for 10s", cycling through reqs, and returns the result: an [ArrivalEngine]
// with default settings, for a test. It ends the test if schedule is not valid or has no
// end, if there are no reqs, or if the run ends with an error.
//
//	r := loadtest.Pace(t, "1000/s for 10s", loadtest.Get(url))
//	loadtest.Check(t, r, loadtest.SLO{P99: 50 * time.Millisecond})
func Pace(tb testing.TB, schedule string, reqs ...*Request) *EngineResult {
	tb.Helper()
	s, err := pace.Parse(schedule)
	if err != nil {
		tb.Fatalf("loadtest: Pace: %v", err)
	}
	if len(reqs) == 0 {
		tb.Fatal("loadtest: Pace: no requests: pass at least one, such as loadtest.Get(url)")
	}
	if s.Duration() == 0 && s.Len() < 0 {
		tb.Fatalf("loadtest: Pace: the schedule %q has no end: say how long, as in %q", schedule, schedule+" for 10s")
	}
	r, err := Start(tb, ArrivalConfig{Schedule: s}).Run(tb.Context(), Cycle(reqs...))
	if err != nil {
		tb.Fatalf("loadtest: Pace: %v", err)
	}
	return r
}

// Check fails the test, which goes on, if r misses an objective of slo or is INVALID. One
// message has what was observed and wanted of every objective missed, the causes, the
// latencies, the errors and the warnings; log r for the rest. A quantile that rests on
// too few requests is not judged, which is a failure too.
//
// The verdict and what was observed and wanted of each objective are attributes of the
// test as well, which go test -json and -v show: brunt.verdict is PASS, FAIL or INVALID,
// brunt.p99-ns what was observed, brunt.p99-ns.max what was allowed, brunt.req/s.min what
// was wanted at least. Within GitHub Actions the summary of the step gets a table of them,
// and a failure an annotation at the line of the test. A benchmark has no attributes, and
// is in the summary only if it fails.
func Check(tb testing.TB, r *EngineResult, slo SLO) {
	tb.Helper()
	if err := slo.Validate(); err != nil {
		tb.Fatalf("loadtest: Check: %v", err)
	}
	if r == nil {
		tb.Fatal("loadtest: Check of a nil result")
	}
	v := slo.judge(r)
	annotation := v.report(tb)
	var b strings.Builder
	switch v.Kind {
	case VerdictPass:
		return
	case VerdictInvalid:
		b.WriteString("loadtest: INVALID: the load was not what the schedule says, so this run says nothing of the service; change what is named here and run again")
	default:
		fmt.Fprintf(&b, "loadtest: %d of the objectives missed", len(v.Missed()))
	}
	b.WriteString(v.details() + "\n")
	r.writeLatency(&b)
	r.writeErrors(&b)
	r.writeWarnings(&b, WarnCause)
	tb.Errorf("%s", strings.TrimSuffix(b.String(), "\n")+annotation)
}
