package benchgate

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/perf/benchmath"
)

// What is judged at a bound itself, and what each condition does alone.

func TestFullName(t *testing.T) {
	for _, c := range []struct{ pkg, bench, want string }{
		{"", "", ""},
		{"p/q", "", "p/q"},
		{"", "A-2", "A-2"},
		{"p/q", "A-2", "p/q.A-2"},
	} {
		require.Equal(t, c.want, fullName(c.pkg, c.bench))
		require.Equal(t, c.want, (&Row{Metric: Metric{Pkg: c.pkg, Bench: c.bench}}).Name())
	}
}

func TestHarmNeedsADirection(t *testing.T) {
	require.InDelta(t, 0.5, (&Row{Delta: 0.5, Better: -1}).Harm(), 0)
	require.InDelta(t, -0.5, (&Row{Delta: 0.5, Better: +1}).Harm(), 0)
	require.Zero(t, (&Row{Delta: 0.5}).Harm(), "neither harm nor good")
}

func TestWorst(t *testing.T) {
	row := func(better int, baseLo, baseHi, headLo, headHi float64) *Row {
		return &Row{Better: better, Summary: [2]benchmath.Summary{{Lo: baseLo, Hi: baseHi}, {Lo: headLo, Hi: headHi}}}
	}
	require.InDelta(t, 0.5, row(-1, 100, 120, 90, 150).Worst(), 1e-12, "from the base's lower end to the head's upper")
	require.InDelta(t, 0.25, row(+1, 100, 120, 90, 150).Worst(), 1e-12, "from the base's upper end to the head's lower")
	require.InDelta(t, 0.5, row(0, 100, 120, 90, 150).Worst(), 1e-12, "of no direction, up")
	require.True(t, math.IsInf(row(+1, 0, 120, 90, 150).Worst(), 1), "no share of nothing")
	require.True(t, math.IsInf(row(-1, math.NaN(), 120, 90, 150).Worst(), 1), "an interval that is not known")
	for _, known := range []*Row{{Delta: -0.5, Better: +1, exact: true}, {Delta: -0.5, Better: +1, constant: true}} {
		require.InDelta(t, 0.5, known.Worst(), 0, "what does not vary needs no interval")
	}
	require.Zero(t, (&Row{Delta: 0.5, Better: +1, exact: true}).Worst())
}

func TestAlphaIsNotBelowItself(t *testing.T) {
	rep := &Report{Alpha: 0.05, Family: 1}
	row := func(p float64, better int) *Row {
		return &Row{
			Delta: 0.5, Threshold: 0.5, Better: better, Adjusted: p,
			Summary:    [2]benchmath.Summary{{Lo: 100, Hi: 100}, {Lo: 100, Hi: 100}},
			Comparison: benchmath.Comparison{P: p, N1: MinSamples, N2: MinSamples},
		}
	}
	below := math.Nextafter(0.05, 0)
	require.Equal(t, Worse, rep.judge(row(below, -1), new(Rules)))
	require.Equal(t, Unchanged, rep.judge(row(0.05, -1), new(Rules)))
	require.Equal(t, Moved, rep.judge(row(below, 0), new(Rules)))
	require.Equal(t, NotGated, rep.judge(row(0.05, 0), new(Rules)))

	information := row(below, -1)
	information.Threshold = math.Inf(1)
	require.Equal(t, Noted, rep.judge(information, new(Rules)))
	information.Comparison.P = 0.05
	require.Equal(t, NotGated, rep.judge(information, new(Rules)))
	information.Delta, information.Comparison.P = 0, 0
	require.Equal(t, NotGated, rep.judge(information, new(Rules)), "what has not moved is not noted, whatever p is")
	require.Empty(t, rep.Faults)
}

// Six samples a side give 2/924 at best: the family, the looks and alpha all decide
// whether that is enough, and a p of alpha itself is not.
func TestHowManySamplesAreEnough(t *testing.T) {
	least := smallestP(MinSamples, MinSamples)
	require.InDelta(t, 2.0/924, least, 1e-12)
	for name, c := range map[string]struct {
		n1, n2, family, looks int
		alpha                 float64
		constant              bool
		need                  int // a side; 0: they are enough
	}{
		"six":                               {6, 6, 1, 1, .05, false, 0},
		"five and six":                      {5, 6, 1, 1, .05, false, 6},
		"six and five":                      {6, 5, 1, 1, .05, false, 6},
		"five of what never varies":         {5, 5, 1, 1, .05, true, 6},
		"six of what never varies":          {6, 6, 1000, 1, .05, true, 0},
		"a family of 23":                    {6, 6, 23, 1, .05, false, 0},
		"a family of 24":                    {6, 6, 24, 1, .05, false, 7},
		"23 looks":                          {6, 6, 1, 23, .05, false, 0},
		"24 looks":                          {6, 6, 1, 24, .05, false, 7},
		"a family of 6 looked at 4 times":   {6, 6, 6, 4, .05, false, 7},
		"alpha is the least p":              {6, 6, 1, 1, least, false, 7},
		"alpha is a little above":           {6, 6, 1, 1, math.Nextafter(least, 1), false, 0},
		"no family, so one for the message": {5, 5, 0, 1, least, false, 7},
	} {
		t.Run(name, func(t *testing.T) {
			rep := &Report{Alpha: c.alpha, Family: c.family}
			row := &Row{Metric: Metric{Pkg: "p", Bench: "A-2", Unit: "sec/op"}, constant: c.constant, Comparison: benchmath.Comparison{N1: c.n1, N2: c.n2}}
			require.Equal(t, c.need > 0, row.tooFew(rep, &Rules{Looks: c.looks}))
			if c.need == 0 {
				require.Empty(t, rep.Faults)
				return
			}
			require.Equal(t, []Fault{{TooFew, "", "p", "A-2", "sec/op", fmt.Sprintf(
				"%d and %d; with %d metrics gated together and alpha %v, %d a side are needed", c.n1, c.n2, c.family, c.alpha, c.need)}}, rep.Faults)
		})
	}
}

// What has no direction, or is for information, is in no family that costs power.
func TestTheFamilyIsWhatCanFail(t *testing.T) {
	base, head := lines("A", 10, "ns/op", 100, .02), lines("A", 10, "ns/op", 100, .03)
	for _, name := range []string{"B", "C"} {
		base, head = base+lines(name, 10, "widgets", 100, .02), head+lines(name, 10, "widgets", 100, .03)
		base, head = base+lines(name, 10, "gadgets", 100, .02), head+lines(name, 10, "gadgets", 100, .03)
	}
	rep := judge(t, base, head, &Rules{Thresholds: []Threshold{threshold(t, "gadgets=off")}, Better: map[string]int{"gadgets": +1}})
	require.Equal(t, 1, rep.Family)
}

// A benchmark that is gone hides none of those after it.
func TestWhatFollowsABenchmarkThatIsGoneIsJudged(t *testing.T) {
	a, b := lines("A", 10, "ns/op", 100, .02), lines("B", 10, "ns/op", 100, .02)
	rep := judge(t, a+b, lines("B", 10, "ns/op", 200, .02), nil)
	require.Len(t, rep.Rows, 1)
	require.Equal(t, Worse, rep.Rows[0].Verdict)
	require.Len(t, rep.Faults, 1)
}

// Without a benchmark in common there is no verdict, unless nothing can be lost.
func TestExitCodeWithoutARow(t *testing.T) {
	a, b := lines("A", 10, "ns/op", 100, .02), lines("B", 10, "ns/op", 100, .02)
	removed := &Rules{RemovedOK: regexp.MustCompile("^B")}
	require.Equal(t, 0, judge(t, "", a, removed).ExitCode(), "the first benchmarks")
	require.Equal(t, 2, judge(t, b, "", removed).ExitCode(), "the last ones are gone")
	require.Equal(t, 2, judge(t, b, a, removed).ExitCode(), "others in place of those that are gone")
	require.Equal(t, 0, judge(t, a+b, a, removed).ExitCode())
}

func TestWhatIsUnreadable(t *testing.T) {
	f := Fault{Kind: Unreadable, Pkg: "p", Bench: "A", Unit: "x"}
	for _, c := range []struct {
		change func(*Fault, *Metric)
		want   bool
	}{
		{func(*Fault, *Metric) {}, true},
		{func(f *Fault, _ *Metric) { f.Kind = Failed }, false},
		{func(_ *Fault, m *Metric) { m.Unit = "y" }, false},
		{func(_ *Fault, m *Metric) { m.Bench = "B" }, false},
		{func(_ *Fault, m *Metric) { m.Pkg = "q" }, false},
		{func(_ *Fault, m *Metric) { m.Pkg = "" }, true}, // ignored
	} {
		f, m := f, Metric{Pkg: "p", Bench: "A", Unit: "x"}
		c.change(&f, &m)
		require.Equal(t, c.want, isUnreadable([]Fault{f}, m), "%v %v", f, m)
	}
}

// What leaves room for a change by just the threshold is not shown to be unchanged.
func TestRoomForTheThreshold(t *testing.T) {
	rep := &Report{Alpha: 0.05, Family: 1}
	row := &Row{
		Better: -1, Threshold: 0.5, Adjusted: 1, Comparison: benchmath.Comparison{P: 1, N1: MinSamples, N2: MinSamples},
		Summary: [2]benchmath.Summary{{Lo: 100, Hi: 100}, {Lo: 100, Hi: 150}},
	}
	require.Equal(t, NotShown, rep.judge(row, new(Rules)))
	row.Threshold = math.Nextafter(0.5, 1)
	require.Equal(t, Unchanged, rep.judge(row, new(Rules)))
}

func TestOneSidedRowsHaveOneSummary(t *testing.T) {
	base := lines("A", 10, "ns/op", 100, .02)
	rep := judge(t, base, strings.ReplaceAll(base, "ns/op", "ns/op 5 B/op"), nil)
	require.Len(t, rep.OneSided, 1)
	require.Equal(t, benchmath.Summary{}, rep.OneSided[0].Summary[Base])
	require.InDelta(t, 5, rep.OneSided[0].Summary[Head].Center, 0)
}

// Changes are told by their size, and what has not changed in the order of the input.
func TestOrderOfFindings(t *testing.T) {
	for v, sorted := range map[Verdict]bool{Worse: true, Better: true, Moved: true, Noted: true, Unchanged: false, NotShown: false, NotGated: false} {
		rep := new(Report)
		for i, delta := range []float64{.1, -.3, .2} {
			rep.Rows = append(rep.Rows, &Row{Metric: Metric{Bench: fmt.Sprint(i)}, Delta: delta, Verdict: v})
		}
		got := ""
		for _, row := range rep.With(v) {
			got += row.Bench
		}
		require.Equal(t, map[bool]string{true: "120", false: "012"}[sorted], got, v)
		require.Equal(t, sorted, rep.Rows[0].Changed())
	}
}

func TestUnnamedUnits(t *testing.T) {
	for unit, want := range map[string]string{
		"login-p99-ns": "p99-ns", "login-p99-sec": "p99-ns", "a-b-err/op": "err/op", "p99-ns": "p99-ns", "loginp99-ns": "loginp99-ns", "login-rows/s": "login-rows/s",
	} {
		require.Equal(t, want, unnamed(unit))
	}
}

func TestAlphaHasARange(t *testing.T) {
	for alpha, ok := range map[float64]bool{
		0: true, math.SmallestNonzeroFloat64: true, math.Nextafter(1, 0): true, 1: false, -math.SmallestNonzeroFloat64: false, math.Inf(1): false, math.NaN(): false,
	} {
		require.Equal(t, ok, (&Rules{Alpha: alpha}).Validate() == nil, alpha)
	}
}

// Of what is known rates alone are better the higher they are.
func TestDirectionsThatAreKnown(t *testing.T) {
	for unit, way := range directions {
		require.Equal(t, map[bool]int{true: +1, false: -1}[strings.HasSuffix(unit, "/s")], way, unit)
	}
}
