package main

import (
	"flag"
	"io"
	"strings"
	"testing"

	"example.com/brunt/peers/internal/commandtest"
)

func TestMain(m *testing.M) { commandtest.Main(m, main) }

func TestWholeRun(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program and runs it dozens of times")
	}
	report, progress, err := commandtest.Run(t.Context(), t.TempDir(), "-rounds", "2", "-benchtime", "10x", "-bench", "RetrySuccess", "-seed", "7")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"-seed 7", "gobreaker/v2 v", "Noise:", "| RetrySuccess, timesince | one ", "retry success ≤ 10 ns net", "ns (raw ", "not measured", "beyond the floor",
		"RetrySuccess, by=all", "| avast.reused ",
	} {
		if !strings.Contains(report, want) {
			t.Errorf("the report lacks %q:\n%s", want, report)
		}
	}
	if !strings.Contains(progress, "round 2 of 2") {
		t.Errorf("got progress %q", progress)
	}
}

func TestParse(t *testing.T) {
	newFlags := func() *flag.FlagSet {
		f := flag.NewFlagSet("test", flag.ContinueOnError)
		f.SetOutput(io.Discard)
		return f
	}
	o, err := parse(newFlags(), []string{"-rounds", "3"})
	if err != nil || o.rounds != 3 || o.seed == 0 {
		t.Errorf("got %+v, %v, want three rounds and a seed", o, err)
	}
	for _, bad := range [][]string{{"-rounds", "0"}, {"surplus"}, {"-bench", "A/impl=b"}, {"-rounds", "many"}} {
		if _, err := parse(newFlags(), bad); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
}

func TestParseOutput(t *testing.T) {
	const out = "goos: linux\n" +
		"BenchmarkX/impl=a.permits/by=one-2   \t 1587138\t        31.37 ns/op\t       8 B/op\t       1 allocs/op\n" +
		"BenchmarkX/impl=b/by=32 \t 10\t 5 ns/op\nPASS\n"
	samples, order, err := parseOutput(out)
	if err != nil {
		t.Fatal(err)
	}
	a, b := variant{"X", "a.permits", "one"}, variant{"X", "b", "32"}
	if len(order) != 2 || order[0] != a || order[1] != b {
		t.Fatalf("got %v", order)
	}
	if samples[a] != (sample{31.37, 8, 1}) || samples[b] != (sample{ns: 5}) {
		t.Errorf("got %v", samples)
	}
	for _, bad := range []string{"BenchmarkY-2 1 5 ns/op\n", "BenchmarkX/impl=b/by=one-2 1 five ns/op\n"} {
		if _, _, err := parseOutput(bad); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
	if got, want := a.pattern(), `^BenchmarkX$/^impl=a\.permits$/^by=one$`; got != want {
		t.Errorf("got pattern %s, want %s", got, want)
	}
}

// made has one group, X, called by one, with these times in each round.
func made(rounds ...map[string]sample) *results {
	r := &results{samples: make(map[variant][]sample)}
	for _, impl := range []string{bare, clock, clock + twin, own, own + ".do", "peer"} {
		v := variant{"X", impl, "one"}
		r.order = append(r.order, v)
		for _, round := range rounds {
			r.samples[v] = append(r.samples[v], round[impl])
		}
	}
	return r
}

// The second round ran on a machine half as fast.
var example = []map[string]sample{
	{bare: {ns: 2}, clock: {ns: 30}, clock + twin: {ns: 31}, own: {ns: 40}, own + ".do": {ns: 45}, "peer": {ns: 100, bytes: 48, allocs: 1}},
	{bare: {ns: 4}, clock: {ns: 60}, clock + twin: {ns: 57}, own: {ns: 80}, own + ".do": {ns: 90}, "peer": {ns: 200, bytes: 48, allocs: 1}},
}

func TestJudge(t *testing.T) {
	slow := map[string]sample{clock: {ns: 30}, own: {ns: 40}, own + ".do": {ns: 45, allocs: 1}, "peer": {ns: 60}}
	tests := []struct {
		reason string
		rounds []map[string]sample
		bound  bound
		want   string
		value  float64
		kept   int
	}{
		{"above the clock in the same round", example, bound{above, "", "X", "one", own, clock, 15}, "met, within noise", 15, 1},
		{"far above the clock", example, bound{above, "", "X", "one", own, clock, 5}, "NOT met", 15, 0},
		{"as many times as fast in every round", example, bound{faster, "", "X", "one", own, "peer", 2.5}, "met", 2.5, 2},
		{"not fast enough in one round", append(example[:2:2], slow), bound{faster, "", "X", "one", own, "peer", 2}, "met, within noise", 2.5, 2},
		{"too slow by itself", example, bound{atMost, "", "X", "one", own, "", 30}, "NOT met", 57, 0},
		{"fast enough by itself", example, bound{atMost, "", "X", "one", own, "", 80}, "met", 57, 2},
		{"fast enough without the bare call only", example, bound{atMost, "", "X", "one", own, "", 58}, "met, within noise", 57, 1},
		{"nobody allocates", example, bound{kind: noAllocs, group: "X"}, "met", 0, 4},
		{"one way allocates in one round", append(example[:2:2], slow), bound{kind: noAllocs, group: "X"}, "NOT met", 0, 5},
		{"no such peer", example, bound{faster, "", "X", "one", own, "absent", 2}, "not measured", 0, 0},
		{"no such group", example, bound{kind: noAllocs, group: "Y"}, "not measured", 0, 0},
	}
	for _, tt := range tests {
		v := made(tt.rounds...).judge(tt.bound)
		if v.word() != tt.want || v.value.Median != tt.value || v.rounds != tt.kept {
			t.Errorf("%s: got %s, %g, %d rounds, want %s, %g, %d", tt.reason, v.word(), v.value.Median, v.rounds, tt.want, tt.value, tt.kept)
		}
	}
}

func TestReport(t *testing.T) {
	r := made(example...)
	var b strings.Builder
	if err := r.writeNoise(&b); err != nil {
		t.Fatal(err)
	}
	if err := r.writeTables(&b); err != nil {
		t.Fatal(err)
	}
	const want = `Noise: what the same code differs by when it is measured twice in a round.

| measured twice | by  | difference, ns |      min–max | ratio |   min–max |
|----------------|-----|---------------:|-------------:|------:|----------:|
| X, timesince   | one |           −1.0 | −3.0 to +1.0 |  0.99 | 0.95–1.03 |

X, by=one

| impl            | ns/op | min–max | − C, ns |  × C | × brunt |   min–max | B/op | allocs/op |
|-----------------|------:|--------:|--------:|-----:|--------:|----------:|-----:|----------:|
| direct          |   3.0 |     2–4 |   −42.0 | 0.07 |    0.05 | 0.05–0.05 |    0 |         0 |
| timesince.again |  44.0 |   31–57 |    −1.0 | 0.99 |    0.74 | 0.71–0.78 |    0 |         0 |
| timesince       |  45.0 |   30–60 |     0.0 | 1.00 |    0.75 | 0.75–0.75 |    0 |         0 |
| brunt           |  60.0 |   40–80 |   +15.0 | 1.33 |    1.00 | 1.00–1.00 |    0 |         0 |
| brunt.do        |  67.5 |   45–90 |   +22.5 | 1.50 |    1.12 | 1.12–1.12 |    0 |         0 |
| peer            | 150.0 | 100–200 |  +105.0 | 3.33 |    2.50 | 2.50–2.50 |   48 |         1 |
`
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Every bound is about something that is measured: a renamed benchmark would
// otherwise go unnoticed until somebody reads the report.
func TestBoundsAreMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	binary, err := build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r, err := measure(t.Context(), binary, options{rounds: 1, benchtime: "1x", bench: ".", seed: 1}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	bounds := bounds(r.order)
	if len(bounds) < 20 {
		t.Errorf("there are %d bounds", len(bounds))
	}
	for _, b := range bounds {
		if !r.judge(b).known {
			t.Errorf("not measured: %s", b)
		}
	}
}
