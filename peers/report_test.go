package peers

import (
	"strings"
	"testing"
	"time"
)

// made is what a plan of two rounds would have measured if contestants took just
// these times, in microseconds a request.
func made(rounds ...map[string]float64) *Results {
	r := &Results{samples: make(map[sampleKey][]Measurement)}
	r.plan = Plan{Concurrencies: []int{10}, Requests: 1000, Rounds: len(rounds)}
	for _, name := range []string{PlainRoundTrip, PlainAgain, BruntAsync, Vegeta} {
		r.plan.Contestants = append(r.plan.Contestants, Contestant{Name: name})
	}
	for _, round := range rounds {
		for name, us := range round {
			d := time.Duration(us * 1000 * float64(time.Microsecond))
			key := sampleKey{name, 10}
			r.samples[key] = append(r.samples[key], Measurement{
				Contestant: name, Concurrency: 10, Requests: 1000, Wall: d, CPU: d, ServerCPU: d / 2, Allocs: 36_000,
			})
		}
	}
	return r
}

// The second round ran on a machine half as fast: ratios within a round do not
// notice.
var example = []map[string]float64{
	{PlainRoundTrip: 20, PlainAgain: 20, BruntAsync: 22, Vegeta: 30},
	{PlainRoundTrip: 40, PlainAgain: 42, BruntAsync: 40, Vegeta: 60},
}

func TestReport(t *testing.T) {
	r := made(example...)
	var b strings.Builder
	if err := r.WriteNoise(&b); err != nil {
		t.Fatal(err)
	}
	b.WriteByte('\n')
	if err := r.WriteTables(&b); err != nil {
		t.Fatal(err)
	}
	b.WriteByte('\n')
	met, err := r.WriteVerdicts(&b, []Bound{
		{BruntAsync, PlainRoundTrip, 10, "CPU/request", Measurement.CPUPerRequest, 1.05, false},
		{BruntAsync, Vegeta, 10, rate, Measurement.Rate, 1.45, true},
		{BruntAsync, FortioStandard, 10, rate, Measurement.Rate, 1.35, true},
	})
	if err != nil {
		t.Fatal(err)
	}
	if met {
		t.Error("all bounds are met although one is not measured")
	}
	const want = `Noise: plain-roundtrip-again ÷ plain-roundtrip, which are the same.

| connections | req/s |     min–max | CPU/request |     min–max |
|------------:|------:|------------:|------------:|------------:|
|          10 | 0.976 | 0.952–1.000 |       1.025 | 1.000–1.050 |

10 connections, 1000 requests a round; medians of 2 rounds. × is the ratio to plain-roundtrip in the same round.

| contestant            | req/s | × req/s |     min–max | CPU µs/request | × CPU |     min–max | allocs/request | client busy | server busy |
|-----------------------|------:|--------:|------------:|---------------:|------:|------------:|---------------:|------------:|------------:|
| plain-roundtrip       | 37500 |   1.000 | 1.000–1.000 |           30.0 | 1.000 | 1.000–1.000 |           36.0 |       100 % |        50 % |
| plain-roundtrip-again | 36905 |   0.976 | 0.952–1.000 |           31.0 | 1.025 | 1.000–1.050 |           36.0 |       100 % |        50 % |
| brunt-async           | 35227 |   0.955 | 0.909–1.000 |           31.0 | 1.050 | 1.000–1.100 |           36.0 |       100 % |        50 % |
| vegeta                | 25000 |   0.667 | 0.667–0.667 |           45.0 | 1.500 | 1.500–1.500 |           36.0 |       100 % |        50 % |

| bound                                                               | ratio | 95 % interval | rounds that keep it |               verdict |
|---------------------------------------------------------------------|------:|--------------:|--------------------:|----------------------:|
| CPU/request of brunt-async ≤ 1.05 × plain-roundtrip, 10 connections | 1.050 |   1.000–1.100 |              1 of 2 |     met, within noise |
| req/s of brunt-async ≥ 1.45 × vegeta, 10 connections                | 1.432 |   1.364–1.500 |              1 of 2 | NOT met, within noise |
| req/s of brunt-async ≥ 1.35 × fortio-standard, 10 connections       |     – |             – |                   – |          not measured |
`
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestRatiosAreTakenWithinARound(t *testing.T) {
	// Absolute times differ ninefold from round to round; the ratio does not.
	r := made(
		map[string]float64{PlainRoundTrip: 10, Vegeta: 15},
		map[string]float64{PlainRoundTrip: 20, Vegeta: 30},
		map[string]float64{PlainRoundTrip: 90, Vegeta: 135},
	)
	got, ok := r.Ratio(Vegeta, PlainRoundTrip, 10, Measurement.CPUPerRequest)
	if !ok || got.Median != 1.5 || got.Min != 1.5 || got.Max != 1.5 {
		t.Errorf("got %+v, %t, want 1.5 in every round", got, ok)
	}
	if _, ok := r.Ratio(Vegeta, FortioFast, 10, Measurement.CPUPerRequest); ok {
		t.Error("got a ratio to a contestant that did not take part")
	}
}

func TestVerdictWord(t *testing.T) {
	b := Bound{Metric: Measurement.CPUPerRequest, Limit: 1.05}
	tests := []struct {
		reason         string
		lo, median, hi float64
		want           string
	}{
		{"all below", 1.00, 1.01, 1.02, "met"},
		{"all above", 1.06, 1.07, 1.08, "NOT met"},
		{"reaches above", 1.00, 1.04, 1.08, "met, within noise"},
		{"reaches below", 1.00, 1.06, 1.08, "NOT met, within noise"},
	}
	for _, tt := range tests {
		v := Verdict{
			Bound: b, Known: true,
			Met:   b.keeps(tt.median),
			Clear: b.keeps(tt.lo) == b.keeps(tt.hi),
		}
		if got := v.Word(); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.reason, got, tt.want)
		}
	}
}

func TestBoundsInCPUTime(t *testing.T) {
	all := Bounds([]int{10, 100})
	cpu := InCPUTime(all)
	if len(all) != 16 || len(cpu) != 8 {
		t.Fatalf("got %d bounds and %d of them in CPU time, want 16 and 8", len(all), len(cpu))
	}
	if got, want := cpu[0].String(), "req/CPU s of brunt-threaded ≥ 1.35 × vegeta, 10 connections"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
