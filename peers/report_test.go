package peers

import (
	"strings"
	"testing"
	"time"
)

// made is what a plan would have measured with 10 connections if contestants took
// just these times, in microseconds a request.
func made(rounds ...map[string]float64) *Results {
	r := &Results{samples: make(map[cell][]Measurement), out: make(map[cell]error)}
	r.plan = Plan{Connections: []int{10}, Rounds: len(rounds)}
	for _, name := range []string{PlainRoundTrip, PlainAgain, BruntAsync, Vegeta} {
		r.plan.Contestants = append(r.plan.Contestants, Contestant{Name: name})
	}
	for _, round := range rounds {
		for name, us := range round {
			d := time.Duration(us * 1000 * float64(time.Microsecond))
			at := cell{name, 10}
			r.samples[at] = append(r.samples[at], Measurement{
				Contestant: name, Connections: 10, Succeeded: 1000, Failed: 1,
				Elapsed: d, Lifetime: d, CPU: d, ServerCPU: d / 2, Allocs: 36_000, RSS: 12_340_000,
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
	if err := r.WriteTables(&b, Outside); err != nil {
		t.Fatal(err)
	}
	met, err := r.WriteVerdicts(&b, []Bound{
		{Subject: BruntAsync, Reference: PlainRoundTrip, Connections: 10, Quantity: "CPU/request", Metric: Measurement.CPUPerRequest, Limit: 1.05},
		{Subject: BruntAsync, Reference: Vegeta, Connections: 10, Quantity: "req/s", Metric: Measurement.Rate, Limit: 1.45, AtLeast: true},
		{Subject: BruntAsync, Reference: FortioStandard, Connections: 10, Quantity: "req/s", Metric: Measurement.Rate, Limit: 1.35, AtLeast: true},
		{Subject: BruntAsync, Connections: 10, Quantity: "peak RSS", Unit: "MB", Metric: Measurement.PeakRSS, Limit: 15},
		{Subject: BruntAsync, Connections: 10, Quantity: "errors", Metric: Measurement.Errors, Limit: 0, Always: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	if met {
		t.Error("all bounds are met although one is not measured")
	}
	const want = `Noise, what the same contestant differs by from itself:

| what is the same                        | connections | req/s |     min–max | CPU/request |     min–max |
|-----------------------------------------|------------:|------:|------------:|------------:|------------:|
| plain-roundtrip-again ÷ plain-roundtrip |          10 | 0.976 | 0.952–1.000 |       1.025 | 1.000–1.050 |

10 connections; medians of 2 rounds. × is the ratio of req/CPU s to plain-roundtrip in the same round.

| contestant            | req/s |     min–max | CPU µs/request |   min–max |     × |     min–max | allocs/request | peak RSS MB | errors | client busy | server busy |
|-----------------------|------:|------------:|---------------:|----------:|------:|------------:|---------------:|------------:|-------:|------------:|------------:|
| plain-roundtrip       | 37500 | 25000–50000 |           30.0 | 20.0–40.0 | 1.000 | 1.000–1.000 |           36.0 |        12.3 |      2 |       100 % |        50 % |
| plain-roundtrip-again | 36905 | 23810–50000 |           31.0 | 20.0–42.0 | 0.976 | 0.952–1.000 |           36.0 |        12.3 |      2 |       100 % |        50 % |
| brunt-async           | 35227 | 25000–45455 |           31.0 | 22.0–40.0 | 0.955 | 0.909–1.000 |           36.0 |        12.3 |      2 |       100 % |        50 % |
| vegeta                | 25000 | 16667–33333 |           45.0 | 30.0–60.0 | 0.667 | 0.667–0.667 |           36.0 |        12.3 |      2 |       100 % |        50 % |

| bound                                                               | measured | 95 % interval | rounds that keep it |               verdict |
|---------------------------------------------------------------------|---------:|--------------:|--------------------:|----------------------:|
| CPU/request of brunt-async ≤ 1.05 × plain-roundtrip, 10 connections |    1.050 |   1.000–1.100 |              1 of 2 |     met, within noise |
| req/s of brunt-async ≥ 1.45 × vegeta, 10 connections                |    1.432 |   1.364–1.500 |              1 of 2 | NOT met, within noise |
| req/s of brunt-async ≥ 1.35 × fortio-standard, 10 connections       |        – |             – |                   – |          not measured |
| peak RSS of brunt-async ≤ 15 MB, 10 connections                     |   12.340 | 12.340–12.340 |              2 of 2 |                   met |
| errors of brunt-async ≤ 0, 10 connections                           |    1.000 |   1.000–1.000 |              0 of 2 |               NOT met |
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

func TestAlways(t *testing.T) {
	r := &Results{samples: map[cell][]Measurement{{"a", 1}: {{Failed: 0}, {Failed: 0}, {Failed: 2}}}}
	b := Bound{Subject: "a", Connections: 1, Metric: Measurement.Errors, Always: true}
	if v := r.Judge(b); v.Met || v.Rounds != 2 || v.Word() != "NOT met" {
		t.Errorf("got %+v for errors in one round of three", v)
	}
	b.Always = false
	if v := r.Judge(b); !v.Met {
		t.Errorf("got %+v by the median", v)
	}
}

func TestGrowth(t *testing.T) {
	r := &Results{samples: map[cell][]Measurement{
		{"a", 100}:    {{Memory: 2 << 20}, {Memory: 3 << 20}},
		{"a", 10_100}: {{Memory: 102 << 20, Open: 10_100}, {Memory: 93 << 20, Open: 10_099}},
		{"b", 10_100}: {{Memory: 102 << 20}},
		{"d", 100}:    {{Memory: 2 << 20}},
		{"d", 10_100}: {{Memory: 60 << 20, Connections: 10_100, Open: 10_099}},
		{"c", 100}:    {{}},
		{"c", 10_100}: {{}},
	}}
	got, ok := r.Growth("a", 100, 10_100, Measurement.MemoryKiB)
	if !ok || got.Max != 10.24 || got.Min != 9.216 {
		t.Errorf("got %+v, %t, want 9.216 to 10.24 KiB", got, ok)
	}
	for _, name := range []string{"b", "c", "d"} {
		if got, ok := r.Growth(name, 100, 10_100, Measurement.MemoryKiB); ok {
			t.Errorf("%s: got %+v without anything to compare", name, got)
		}
	}
	r.plan = Plan{Contestants: []Contestant{{Name: "a"}, {Name: "b"}}, Connections: []int{100, 10_100}}
	var b strings.Builder
	if err := r.WriteMemory(&b); err != nil {
		t.Fatal(err)
	}
	const want = `Memory of the client's process, from 100 to 10100 connections:

| contestant | open at once | heap and stacks at 100, MB | at 10100 | KiB a connection | peak RSS at 100, MB | at 10100 | KiB a connection |
|------------|-------------:|---------------------------:|---------:|-----------------:|--------------------:|---------:|-----------------:|
| a          |        10099 |                        2.6 |    102.2 |              9.7 |                   – |        – |                – |

`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
