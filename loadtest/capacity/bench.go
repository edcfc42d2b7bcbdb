package capacity

import (
	"errors"
	"flag"
	"os"
	"strings"
	"sync"
	"testing"

	"example.com/brunt/internal/ghactions"
	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/internal/text"
)

// units says in benchmark output which way each metric is better.
const units = `Unit capacity-req/s better=higher
Unit capacity-lo-req/s better=higher
Unit capacity-hi-req/s better=higher
`

// printUnits writes the Unit lines once a process, at the one moment at which a line on
// standard output breaks no result: before the name of the first benchmark.
var printUnits = sync.OnceFunc(func() {
	if f := flag.Lookup("test.bench"); f != nil && f.Value.String() != "" {
		os.Stdout.WriteString(units)
	}
})

// Bench makes one [Search], whatever b.N and -benchtime are, and reports
//
//	capacity-req/s     Result.Capacity
//	capacity-lo-req/s  Result.Lower
//	capacity-hi-req/s  Result.Upper
//	trials             how many were made
//
// in place of ns/op, and logs what is known by goal, and with -v every trial. For a
// confidence interval use -count. A search that ends without a capacity fails the
// benchmark with the reason and what is known, and no metric: of an INVALID one, for which
// the generator was the limit, the cause and what to change. Within GitHub Actions the
// summary of the step gets it too, and a failure an annotation.
//
// Of several shards only shard 0 reports; the benchmark is skipped in the others.
//
// Bench must not be called within b.Loop.
func Bench(b *testing.B, o Options, reqs ...*loadtest.Request) Result {
	b.Helper()
	if b.N == 0 { // what it is until b.Loop has returned false
		b.Fatal("capacity: Bench within b.Loop(): Bench makes one search; call it once and without the loop")
	}
	printUnits()
	var r Result
	var err error
	for searched := false; b.Loop(); searched = true { // runs once, however long it takes
		if !searched {
			o.name = b.Name()
			r, err = Search(b.Context(), o, reqs...)
		}
	}
	shown := r.summary()
	if testing.Verbose() { // otherwise package testing shows ten lines
		shown = r.String()
	}
	annotation, unwritten := r.tellActions(b.Name(), err)
	if unwritten != nil {
		b.Logf("capacity: %v", unwritten)
	}
	if err != nil {
		if !strings.HasPrefix(shown, err.Error()) { // as it does but for bad options
			shown = err.Error() + "\n" + shown
		}
		b.Fatal(shown + annotation)
	}
	if r.follower {
		b.Skip("capacity: shard 0 reports the search of all shards\n" + shown)
	}
	b.ReportMetric(0, "ns/op") // hides it
	b.ReportMetric(r.Capacity, "capacity-req/s")
	b.ReportMetric(r.Lower, "capacity-lo-req/s")
	b.ReportMetric(r.Upper, "capacity-hi-req/s")
	b.ReportMetric(float64(len(r.Trials)), "trials")
	b.Log(shown)
	return r
}

// tellActions tells GitHub Actions what the search of a benchmark has found.
func (r Result) tellActions(benchmark string, err error) (annotation string, unwritten error) {
	if r.follower {
		return "", nil // shard 0 tells
	}
	t := ghactions.Test{Name: benchmark, Mark: "✅", Outcome: "capacity " + text.Rate(r.Capacity) + "/s"}
	if err != nil {
		t.Mark, t.Outcome, t.Failure = "🔴", "no capacity found", err.Error()
		if errors.Is(err, ErrGenerator) {
			t.Mark = "⚠️"
		}
		t.Body = ghactions.Escape(t.Failure, 1000) + "\n\n"
	}
	rate := func(f float64) string {
		if f == 0 {
			return "–"
		}
		return text.Rate(f) + "/s"
	}
	var rows [][]string
	for _, g := range r.Goals {
		rows = append(rows, []string{g.Name, rate(g.Lower), rate(g.Upper)})
	}
	if len(rows) > 0 {
		t.Body += ghactions.Table([]string{"goal", "passes at", "fails at"}, rows...)
	}
	return t.Report()
}
