package benchgate

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lines writes n results of one benchmark, each value a little off the center.
func lines(name string, n int, unit string, center, spread float64) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Benchmark%s-2 100 %v %s\n", name, center*(1+spread*(float64(i)/float64(n)-0.5)), unit)
	}
	return b.String()
}

func judge(t *testing.T, base, head string, rules *Rules) *Report {
	t.Helper()
	set := new(Set)
	require.NoError(t, set.Read(Base, "base.txt", []byte(base)))
	require.NoError(t, set.Read(Head, "head.txt", []byte(head)))
	if rules == nil {
		rules = new(Rules)
	}
	rep, err := Judge(set, rules)
	require.NoError(t, err)
	return rep
}

func threshold(t *testing.T, text string) Threshold {
	t.Helper()
	th, err := ParseThreshold(text)
	require.NoError(t, err)
	return th
}

func TestVerdicts(t *testing.T) {
	const higher, lower, exact = "Unit req/s better=higher\n", "Unit widgets better=lower\n", "Unit widgets better=lower assume=exact\n"
	for name, c := range map[string]struct {
		base, head string
		rules      []string
		want       Verdict
		exit       int
	}{
		"slower":                                           {lines("A", 10, "ns/op", 100, .02), lines("A", 10, "ns/op", 120, .02), nil, Worse, 1},
		"faster":                                           {lines("A", 10, "ns/op", 120, .02), lines("A", 10, "ns/op", 100, .02), nil, Better, 0},
		"higher is better and it fell":                     {higher + lines("A", 10, "req/s", 120, .02), lines("A", 10, "req/s", 100, .02), nil, Worse, 1},
		"higher is better and it rose":                     {higher + lines("A", 10, "req/s", 100, .02), lines("A", 10, "req/s", 120, .02), nil, Better, 0},
		"a declared unit":                                  {lower + lines("A", 10, "widgets", 100, .02), lower + lines("A", 10, "widgets", 120, .02), nil, Worse, 1},
		"throughput needs no declaration":                  {lines("A", 10, "MB/s", 120, .02), lines("A", 10, "MB/s", 100, .02), nil, Worse, 1},
		"a direction at the base alone":                    {lower + lines("A", 10, "widgets", 100, .02), lines("A", 10, "widgets", 100, .02), nil, Unchanged, 2},
		"a direction at the head alone":                    {lines("A", 10, "widgets", 100, .02), lower + lines("A", 10, "widgets", 120, .02), nil, Worse, 1},
		"a direction each":                                 {lower + lines("A", 10, "widgets", 100, .02), strings.Replace(lower, "lower", "higher", 1) + lines("A", 10, "widgets", 100, .02), nil, NotGated, 2},
		"one side alone, of what is off":                   {lower + lines("A", 10, "widgets", 100, .02), lines("A", 10, "widgets", 120, .02), []string{"widgets=off"}, Noted, 0},
		"a direction that no one knows":                    {lines("A", 10, "widgets", 100, .02), lines("A", 10, "widgets", 900, .02), nil, Moved, 2},
		"a direction that no one knows, off":               {lines("A", 10, "widgets", 100, .02), lines("A", 10, "widgets", 900, .02), []string{"widgets=off"}, Noted, 0},
		"a direction that no one knows, a little":          {lines("A", 10, "widgets", 100, .01), lines("A", 10, "widgets", 104, .01), nil, Noted, 0},
		"loadtest's units need no declaration":             {lines("A", 10, "req/s", 120, .02), lines("A", 10, "req/s", 100, .02), nil, Worse, 1},
		"nor does a quantile":                              {lines("A", 10, "p99-ns", 100, .02), lines("A", 10, "p99-ns", 120, .02), nil, Worse, 1},
		"nor does memory":                                  {lines("A", 10, "peak-B", 100, .02), lines("A", 10, "peak-B", 120, .02), nil, Worse, 1},
		"a metric that some results lack":                  {lines("A", 10, "ns/op", 100, .02), lines("A", 9, "ns/op", 100, .02) + "BenchmarkA-2 1 5 B/op\n", []string{"B/op=off"}, NotShown, 2},
		"significant but below the threshold":              {lines("A", 10, "ns/op", 100, .01), lines("A", 10, "ns/op", 104, .01), nil, Unchanged, 0},
		"exactly the threshold":                            {lines("A", 10, "B/op", 100, 0), lines("A", 10, "B/op", 102, 0), nil, Worse, 1},
		"just below the threshold":                         {lines("A", 10, "B/op", 1000, 0), lines("A", 10, "B/op", 1019, 0), nil, Unchanged, 0},
		"a lower threshold":                                {lines("A", 10, "ns/op", 100, .01), lines("A", 10, "ns/op", 104, .01), []string{"ns/op=3"}, Worse, 1},
		"large but not significant":                        {lines("A", 10, "ns/op", 100, 4), lines("A", 10, "ns/op", 120, 4), nil, NotShown, 0},
		"one allocation from none":                         {lines("A", 10, "allocs/op", 0, 0), lines("A", 10, "allocs/op", 1, 0), nil, Worse, 1},
		"one allocation more":                              {lines("A", 10, "allocs/op", 7, 0), lines("A", 10, "allocs/op", 8, 0), nil, Worse, 1},
		"none from one allocation":                         {lines("A", 10, "allocs/op", 1, 0), lines("A", 10, "allocs/op", 0, 0), nil, Better, 0},
		"always the same":                                  {lines("A", 10, "allocs/op", 7, 0), lines("A", 10, "allocs/op", 7, 0), nil, Unchanged, 0},
		"for information":                                  {lines("A", 10, "ns/op", 100, .02), lines("A", 10, "ns/op", 300, .02), []string{"ns/op=off"}, Noted, 0},
		"off by the tidied name":                           {lines("A", 10, "ns/op", 100, .02), lines("A", 10, "ns/op", 300, .02), []string{"sec/op=off"}, Noted, 0},
		"off by a star, for another":                       {lines("A", 10, "ns/op", 100, .02), lines("A", 10, "ns/op", 300, .02), []string{"*=off@B"}, Worse, 1},
		"off by a star, for this":                          {lines("A", 10, "ns/op", 100, .02), lines("A", 10, "ns/op", 300, .02), []string{"*=off@^A"}, Noted, 0},
		"the last rule counts":                             {lines("A", 10, "ns/op", 100, .02), lines("A", 10, "ns/op", 300, .02), []string{"*=off", "ns/op=5"}, Worse, 1},
		"exact and larger, once":                           {exact + lines("A", 1, "widgets", 100, 0), exact + lines("A", 1, "widgets", 106, 0), nil, Worse, 1},
		"exact and the same":                               {exact + lines("A", 1, "widgets", 100, 0), exact + lines("A", 1, "widgets", 100, 0), nil, Unchanged, 0},
		"exact, but it is not":                             {exact + lines("A", 2, "widgets", 100, .1), exact + lines("A", 2, "widgets", 150, 0), nil, NotShown, 2},
		"five samples are too few for whatever difference": {lines("A", 5, "ns/op", 100, .02), lines("A", 5, "ns/op", 900, .02), nil, NotShown, 2},
		"five samples are too few though nothing changed":  {lines("A", 5, "ns/op", 100, 0), lines("A", 5, "ns/op", 100, 0), nil, NotShown, 2},
		"few samples of what is not gated":                 {lines("A", 2, "widgets", 100, 0), lines("A", 2, "widgets", 100, 0), nil, NotGated, 0},
	} {
		t.Run(name, func(t *testing.T) {
			rules := new(Rules)
			for _, r := range c.rules {
				rules.Thresholds = append(rules.Thresholds, threshold(t, r))
			}
			rep := judge(t, c.base, c.head, rules)
			require.Len(t, rep.Rows, 1)
			require.Equal(t, c.want, rep.Rows[0].Verdict, "%+v", rep)
			require.Equal(t, c.exit, rep.ExitCode(), "%+v", rep.Faults)
		})
	}
}

func TestDirectionFromRules(t *testing.T) {
	base, head := lines("A", 10, "widgets", 100, .02), lines("A", 10, "widgets", 50, .02)
	require.Equal(t, Worse, judge(t, base, head, &Rules{Better: map[string]int{"widgets": +1}}).Rows[0].Verdict)
	require.Equal(t, Better, judge(t, base, head, &Rules{Better: map[string]int{"widgets": -1}}).Rows[0].Verdict)
}

// Ten unchanged benchmarks make one of p = 0.03 no news.
func TestCorrectionIsOverTheWholeComparison(t *testing.T) {
	base, head := lines("A", 10, "ns/op", 100, .3), lines("A", 10, "ns/op", 112, .3)
	alone := judge(t, base, head, nil)
	require.Less(t, alone.Rows[0].Comparison.P, 0.05)
	require.Equal(t, Worse, alone.Rows[0].Verdict)
	for i := range 10 {
		more := lines(fmt.Sprintf("B%c", 'a'+i), 10, "ns/op", 100, .3)
		base, head = base+more, head+more
	}
	together := judge(t, base, head, nil)
	require.Equal(t, 11, together.Family)
	require.Equal(t, alone.Rows[0].Comparison.P, together.Rows[0].Comparison.P) //nolint:testifylint // the same arithmetic
	require.Equal(t, NotShown, together.Rows[0].Verdict)
	require.Equal(t, 0, together.ExitCode())
}

// Metrics that never vary cannot raise an alarm, so they cost no power.
func TestConstantMetricsAreNotCounted(t *testing.T) {
	base, head := lines("A", 10, "ns/op", 100, .3), lines("A", 10, "ns/op", 112, .3)
	for i := range 50 {
		more := lines(fmt.Sprintf("B%c%c", 'a'+i/26, 'a'+i%26), 10, "allocs/op", 3, 0)
		base, head = base+more, head+more
	}
	rep := judge(t, base, head, nil)
	require.Equal(t, 1, rep.Family)
	require.Equal(t, Worse, rep.Rows[0].Verdict)
}

func TestLooksCost(t *testing.T) {
	base, head := lines("A", 10, "ns/op", 100, .3), lines("A", 10, "ns/op", 112, .3)
	one, three := judge(t, base, head, nil).Rows[0], judge(t, base, head, &Rules{Looks: 3}).Rows[0]
	require.InEpsilon(t, 3*one.Adjusted, three.Adjusted, 1e-12)
}

// Too few for the family: six samples can give 0.0022 at best, of which 24 are too many.
func TestTooFewForTheFamily(t *testing.T) {
	var base, head string
	for i := range 24 {
		name := fmt.Sprintf("B%c", 'a'+i)
		base, head = base+lines(name, 6, "ns/op", 100, .1), head+lines(name, 6, "ns/op", 200, .1)
	}
	rep := judge(t, base, head, nil)
	require.Equal(t, 2, rep.ExitCode())
	require.Len(t, rep.Faults, 24)
	require.Equal(t, TooFew, rep.Faults[0].Kind)
	require.Contains(t, rep.Faults[0].Text, "7 a side are needed")
}

func TestVanishedAndNew(t *testing.T) {
	a, b := lines("A", 10, "ns/op", 100, .02), lines("B", 10, "ns/op", 100, .02)
	rep := judge(t, a+b, a, nil)
	require.Equal(t, 2, rep.ExitCode())
	require.Equal(t, "vanished at head: B-2: only the base has it", rep.Faults[0].String())

	rep = judge(t, a, a+b, nil)
	require.Equal(t, 0, rep.ExitCode())
	require.Equal(t, []string{"B-2"}, rep.New)

	rep = judge(t, a+b, a, &Rules{RemovedOK: regexp.MustCompile("^B")})
	require.Equal(t, 0, rep.ExitCode())
	require.Equal(t, []string{"B-2"}, rep.Gone)

	// A metric of a benchmark that is still there.
	rep = judge(t, strings.ReplaceAll(a, "ns/op", "ns/op 5 B/op"), a, nil)
	require.Equal(t, 2, rep.ExitCode())
	require.Equal(t, Vanished, rep.Faults[0].Kind)
	require.Equal(t, "B/op", rep.Faults[0].Unit)

	// A regression counts for more than what could not be judged.
	rep = judge(t, a+b, lines("A", 10, "ns/op", 200, .02), nil)
	require.Equal(t, 1, rep.ExitCode())
	require.Len(t, rep.Faults, 1)

	// Nothing in common is not the same as no regression.
	require.Equal(t, 2, judge(t, "", "", nil).ExitCode())
}

func TestConfigurationThatDiffers(t *testing.T) {
	a := lines("A", 10, "ns/op 3 B/op", 100, .02)
	rep := judge(t, "cpu: old\n"+a, "cpu: new\n"+a, nil)
	require.Equal(t, 2, rep.ExitCode())
	require.NotEmpty(t, rep.Faults)
	require.Contains(t, rep.Faults[0].String(), "recorded under cpu: old and under cpu: new")
	require.Equal(t, 0, judge(t, "cpu: old\n"+a, "cpu: new\n"+a, &Rules{Ignore: []string{"cpu"}}).ExitCode())
	require.Equal(t, 0, judge(t, "commit: 1\n"+a, "commit: 2\n"+a, nil).ExitCode())
	// A stray line that became configuration half-way.
	rep = judge(t, a+"warn: hot\n"+a, a, nil)
	require.Equal(t, 2, rep.ExitCode())
	require.Contains(t, rep.Faults[0].String(), "warn: hot")
}

func TestZerosKeepTheirUnit(t *testing.T) {
	base := "Unit p99-ns better=lower\n" + lines("A", 9, "p99-ns", 100, .02) + "BenchmarkA-2 1 0 p99-ns\n"
	rep := judge(t, base, base, nil)
	require.Len(t, rep.Rows, 1)
	require.Equal(t, 10, rep.Rows[0].Comparison.N1)
}

func TestSettled(t *testing.T) {
	settled := func(spread float64, head float64) bool {
		return judge(t, lines("A", 10, "ns/op", 100, spread), lines("A", 10, "ns/op", head, spread), nil).Rows[0].Settled()
	}
	require.True(t, settled(.02, 100), "narrow and the same")
	require.True(t, settled(.02, 200), "worse")
	require.True(t, settled(.02, 50), "better")
	require.False(t, settled(.5, 104), "wide")
	require.False(t, settled(.02, 104.5), "the threshold is inside the interval")
}

// What results leave room for: the interval of each median is from the second to
// the ninth of ten values.
func TestNotShown(t *testing.T) {
	for name, c := range map[string]struct {
		unit               string
		base, head, spread float64
		threshold          string
		want               Verdict
		worst              float64
	}{
		"narrow and the same":                {"ns/op", 100, 100, .02, "ns/op=5", Unchanged, .014},
		"narrow, and the rate fell a little": {"req/s", 100, 98, .02, "req/s=5", Unchanged, .034},
		"wide":                               {"ns/op", 100, 100, .5, "ns/op=5", NotShown, .4375},
		"wide, and the rate is the same":     {"req/s", 100, 100, .5, "req/s=5", NotShown, .296},
		"wide, but so is the threshold":      {"ns/op", 100, 100, .5, "ns/op=50", Unchanged, .4375},
		"wide, for information only":         {"ns/op", 100, 100, .5, "ns/op=off", NotGated, .4375},
		"narrow beside no threshold":         {"ns/op", 100, 100, .001, "ns/op=0", NotShown, .0007},
		"always the same, no threshold":      {"ns/op", 100, 100, 0, "ns/op=0", Unchanged, 0},
		"hardly better":                      {"ns/op", 100, 96, .2, "ns/op=5", NotShown, .106},
		"nothing that could be a base":       {"ns/op", 0, 0, 0, "ns/op=5", Unchanged, 0},
	} {
		t.Run(name, func(t *testing.T) {
			const unit = "Unit req/s better=higher\n"
			rules := &Rules{Thresholds: []Threshold{threshold(t, c.threshold)}}
			base, head := unit+lines("A", 10, c.unit, c.base, c.spread), unit+lines("A", 10, c.unit, c.head, c.spread)
			rep := judge(t, base, head, rules)
			row := rep.Rows[0]
			require.Equal(t, c.want, row.Verdict)
			require.InDelta(t, c.worst, row.Worst(), .01)
			require.Equal(t, c.want != NotShown, row.Settled())
			require.Equal(t, 0, rep.ExitCode())
			rules.RequirePower = true
			require.Equal(t, map[bool]int{true: 2}[c.want == NotShown], judge(t, base, head, rules).ExitCode())
		})
	}
	// One error in ten requests, now and then: no share of nothing is ruled out.
	rep := judge(t, lines("A", 10, "ns/op", 0, 0), lines("A", 9, "ns/op", 0, 0)+"BenchmarkA-2 1 .1 ns/op\n", nil)
	require.Equal(t, NotShown, rep.Rows[0].Verdict)
	require.True(t, math.IsInf(rep.Rows[0].Worst(), 1))
}

// What one change does to several metrics is one finding, the largest change first.
func TestFindings(t *testing.T) {
	server := func(name string, factor float64) string {
		text := ""
		for i := range 10 {
			v := factor * (1 + float64(i)/1000)
			text += fmt.Sprintf("Benchmark%s-2 1 %v ns/op %v req/s %v p99-ns 7 allocs/op\n", name, 100*v, 100/v, 300*v*factor)
		}
		return text
	}
	const units = "Unit req/s better=higher\nUnit p99-ns better=lower\n"
	rep := judge(t, units+server("Quick", 1)+server("Slow", 1)+server("Same", 1), units+server("Quick", .5)+server("Slow", 1.5)+server("Same", 1), nil)
	names := func(v Verdict) (list [][]string) {
		for _, rows := range rep.Findings(v) {
			var units []string
			for _, row := range rows {
				require.Equal(t, rows[0].Name(), row.Name())
				units = append(units, row.Unit)
			}
			list = append(list, append(units, rows[0].Bench))
		}
		return list
	}
	require.Equal(t, [][]string{{"p99-sec", "sec/op", "req/s", "Slow-2"}}, names(Worse))
	require.Equal(t, [][]string{{"req/s", "p99-sec", "sec/op", "Quick-2"}}, names(Better))
	require.Equal(t, [][]string{{"allocs/op", "Quick-2"}, {"allocs/op", "Slow-2"}, {"sec/op", "req/s", "p99-sec", "allocs/op", "Same-2"}}, names(Unchanged))
	require.Len(t, rep.With(Worse), 3)
	require.Empty(t, rep.Findings(NotShown))
}

func TestHolm(t *testing.T) {
	require.InDeltaSlice(t, []float64{.03, .06, .06, .02}, holm([]float64{.01, .04, .03, .005}), 1e-12)
	require.Equal(t, []float64{1, 1}, holm([]float64{.9, .8}))
	require.Empty(t, holm(nil))
}

func TestRulesValidate(t *testing.T) {
	bad := Rules{Alpha: 2, Looks: -1, Thresholds: []Threshold{{Metric: "", Share: 1}, {Metric: "x", Share: math.NaN()}}}
	err := bad.Validate()
	require.ErrorIs(t, err, ErrConfig)
	require.Equal(t, 4, strings.Count(err.Error(), ErrConfig.Error()))
	_, err = Judge(new(Set), &bad)
	require.ErrorIs(t, err, ErrConfig)
}

func TestParseThreshold(t *testing.T) {
	for _, text := range []string{"", "=5", "x", "x=", "x=-1", "x=NaN", "x=Inf", "x=5@(", "[=5"} {
		_, err := ParseThreshold(text)
		require.ErrorIs(t, err, ErrConfig, text)
	}
	th := threshold(t, "req/s=7.5%@Load")
	require.InEpsilon(t, 0.075, th.Share, 1e-12)
	require.True(t, th.matches("req/s", "pkg.Load-2"))
	require.False(t, th.matches("req/s", "pkg.Other-2"))
	require.True(t, threshold(t, "p99-ns=off").matches("p99-sec", ""))
	require.True(t, threshold(t, "p*-sec=5").matches("p99-sec", ""))
	require.False(t, threshold(t, "p*-sec=5").matches("req/s", ""))
}

func TestLoadRules(t *testing.T) {
	file := t.TempDir() + "/rules.json"
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	write(`{"alpha": 0.01, "thresholds": ["req/s=10"], "better": {"w": "higher"}, "ignore": ["cpu"], "removed_ok": "^x", "require_power": true, "prepare": "make"}`)
	r, err := LoadRules(file)
	require.NoError(t, err)
	require.InEpsilon(t, 0.01, r.Alpha, 1e-12)
	require.Len(t, r.Thresholds, 1)
	require.Equal(t, map[string]int{"w": 1}, r.Better)
	require.Equal(t, []string{"cpu"}, r.Ignore)
	require.True(t, r.RemovedOK.MatchString("xy"))
	require.True(t, r.RequirePower)
	require.Equal(t, "make", r.Prepare)
	for _, text := range []string{
		``, `[]`, `{"alpha": 0}`, `{"alpha": 1}`, `{"tresholds": []}`, `{"thresholds": ["x"]}`,
		`{"better": {"w": "up"}}`, `{"removed_ok": "("}`, `{} {}`,
	} {
		write(text)
		_, err := LoadRules(file)
		require.ErrorIs(t, err, ErrConfig, text)
	}
	_, err = LoadRules(file + "x")
	require.ErrorIs(t, err, os.ErrNotExist)
}
