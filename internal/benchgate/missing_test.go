package benchgate

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// faultsAndNew returns what a comparison says of what only one side has.
func faultsAndNew(t *testing.T, base, head string, rules *Rules) (said []string) {
	t.Helper()
	rep := judge(t, base, head, rules)
	for _, f := range rep.Faults {
		said = append(said, f.String())
	}
	for _, name := range rep.New {
		said = append(said, "new: "+name)
	}
	return said
}

func TestWhatOnlyOneSideHas(t *testing.T) {
	of := func(name string, n int) string { return lines(name, n, "ns/op", 100, .02) }
	in := func(pkg, text string) string { return "pkg: " + pkg + "\n" + text }
	both := strings.ReplaceAll(of("A", 10), "ns/op", "ns/op 5 B/op")
	for name, c := range map[string]struct {
		base, head string
		rules      []string
		want       []string
	}{
		"a metric of the base":          {both, of("A", 10), nil, []string{"vanished at head: A-2 B/op: the head does not report the metric"}},
		"one that is off":               {both, of("A", 10), []string{"B/op=off"}, nil},
		"a metric of the head":          {of("A", 10), both, nil, nil},
		"one configuration of the head": {"cpu: X\n" + of("A", 10), "cpu: X\n" + of("A", 10) + "cpu: Y\n" + of("A", 10), nil, []string{"not comparable: A-2: recorded under cpu: X and under cpu: Y; if that does not matter, say -ignore and the key"}},
		"new, in as few as are enough":  {of("A", 10), of("A", 10) + of("B", MinSamples), nil, []string{"new: B-2"}},
		"new, in too few":               {of("A", 10), of("A", 10) + of("B", MinSamples-1), nil, []string{"incomplete at head: B-2: only the head has it, in 5 of what are 10 results of others: was something printed into its name?"}},
		"new, and others are as few":    {of("A", MinSamples), of("A", MinSamples) + of("B", 2), nil, []string{"incomplete at head: B-2: only the head has it, in 2 of what are 6 results of others: was something printed into its name?"}},
		"new, where all are too few":    {"", of("A", MinSamples-1) + of("B", 2), nil, []string{"new: A-2", "new: B-2"}},
		"counted once for all metrics":  {both, both + of("B", 2), nil, []string{"incomplete at head: B-2: only the head has it, in 2 of what are 10 results of others: was something printed into its name?"}},
		"and in all configurations": {
			"cpu: X\n" + of("A", 6) + "cpu: Y\n" + of("A", 6), "cpu: X\n" + of("A", 6) + "cpu: Y\n" + of("A", 6) + of("B", 2), nil,
			[]string{"incomplete at head: B-2: only the head has it, in 2 of what are 12 results of others: was something printed into its name?"},
		},
		"in another package":             {in("p", of("A", 10)), in("q", of("A", 10)), nil, []string{"not comparable: p.A-2: recorded in package p and q; if the package does not matter, say -ignore pkg"}},
		"in another, which the base has": {in("p", of("A", 10)) + in("q", of("B", 10)), in("q", of("A", 10)+of("B", 10)), nil, []string{"vanished at head: p.A-2: only the base has it", "new: q.A-2"}},
		"in another, beside its own":     {in("p", of("A", 10)+of("B", 10)), in("p", of("B", 10)) + in("q", of("A", 10)), nil, []string{"vanished at head: p.A-2: only the base has it", "new: q.A-2"}},
		"not in the other either":        {in("p", of("A", 10)+of("C", 10)), in("q", of("A", 10)), nil, []string{"not comparable: p.A-2: recorded in package p and q; if the package does not matter, say -ignore pkg", "vanished at head: p.C-2: only the base has it"}},
		"failed":                         {of("A", 10) + of("B", 10), of("A", 10) + "--- FAIL: BenchmarkB-2\n", nil, []string{"failed at head: B-2"}},
		"a part of what failed":          {of("A", 10) + of("B/x", 10), of("A", 10) + "--- FAIL: BenchmarkB\n", nil, []string{"failed at head: B"}},
		"beside what failed":             {of("A", 10) + of("B", 10), of("A", 10) + "--- FAIL: BenchmarkBx\n", nil, []string{"failed at head: Bx", "vanished at head: B-2: only the base has it"}},
		"beside what has the same start": {of("A", 10) + of("Bx", 10), of("A", 10) + "--- FAIL: BenchmarkB\n", nil, []string{"failed at head: B", "vanished at head: Bx-2: only the base has it"}},
		"failed at the base":             {of("A", 10) + of("B", 10) + "--- FAIL: BenchmarkB-2\n", of("A", 10), nil, []string{"failed at base: B-2", "vanished at head: B-2: only the base has it"}},
		"nobody knows what of it failed": {of("A", 10) + of("B", 10), of("A", 10) + "panic: oh\n", nil, []string{"failed at head: panic: oh", "vanished at head: B-2: only the base has it"}},
	} {
		rules := new(Rules)
		for _, r := range c.rules {
			rules.Thresholds = append(rules.Thresholds, threshold(t, r))
		}
		require.Equal(t, c.want, faultsAndNew(t, c.base, c.head, rules), name)
	}
}

func TestDifference(t *testing.T) {
	const remedy = "; if that does not matter, say -ignore and the key"
	for _, c := range [][3]string{
		{"", "a: 1", "recorded under nothing of the kind and under a: 1"},
		{"a: 1\nb: 2", "b: 2", "recorded under a: 1 and under nothing of the kind"},
		{"a: 1\nb: 2\nc: 3", "a: 2\nc: 3", "recorded under a: 1, b: 2 and under a: 2"},
	} {
		require.Equal(t, c[2]+remedy, difference(c[0], c[1]))
	}
}
