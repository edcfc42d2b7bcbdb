package benchrun

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/perf/benchfmt"

	"example.com/brunt/internal/benchgate"
)

func TestValidateReportsEveryFault(t *testing.T) {
	c := Config{Bench: "(", Skip: "(", Count: 5, Max: 4, AA: -1, CPU: 0, Timeout: -1, Rules: benchgate.Rules{Alpha: 3}}
	err := c.Validate()
	require.ErrorIs(t, err, benchgate.ErrConfig)
	for _, flag := range []string{"-bench", "-skip", "-count", "-max", "-aa", "-cpu", "-timeout", "alpha"} {
		require.ErrorContains(t, err, flag+" is ")
	}
	_, err = Run(t.Context(), c)
	require.ErrorContains(t, err, "-count is 5, want 6 or more")
}

// Two pairs of the base with itself say little about the noise, and nothing about the
// head's: what results leave room for is never called something that would be seen.
func TestNothingIsSaidToBeSeenThatWasNot(t *testing.T) {
	const line = "BenchmarkA-2 1 %v ns/op\n"
	text := func(values ...float64) (text string) {
		for _, v := range values {
			text += fmt.Sprintf(line, v)
		}
		return text
	}
	quiet, noisy := text(100, 101, 100, 101, 100, 101, 100, 101, 100, 101), text(100, 340, 90, 330, 110, 350, 100, 345, 95, 105)
	for name, c := range map[string]struct {
		base, head string
		visible    bool
	}{
		"the base is noisier than two pairs": {noisy, noisy, true},
		"the head alone is noisy":            {quiet, noisy, false},
	} {
		t.Run(name, func(t *testing.T) {
			o := &Outcome{Set: new(benchgate.Set), cfg: Config{AA: 2, CPU: 2, Count: 10, Max: 10}}
			require.NoError(t, o.Set.Read(benchgate.Base, "base", []byte(c.base)))
			require.NoError(t, o.Set.Read(benchgate.Head, "head", []byte(c.head)))
			for side := range o.Noise {
				var err error
				o.Noise[side], _, err = o.Set.Parse(benchgate.Base, "noise", []byte(text(100, 101)))
				require.NoError(t, err)
			}
			var err error
			o.Report, err = o.judge()
			require.NoError(t, err)
			row := o.Report.Rows[0]
			require.Equal(t, benchgate.NotShown, row.Verdict)
			o.predict()
			require.Equal(t, c.visible, row.Visible != nil)
			if c.visible {
				require.GreaterOrEqual(t, *row.Visible, row.Worst())
			}
		})
	}
}

func TestLooksCoverEveryJudgement(t *testing.T) {
	for _, c := range []struct{ count, limit, want int }{{10, 0, 3}, {10, 10, 1}, {10, 11, 2}, {6, 30, 5}} {
		require.Equal(t, c.want, (&Config{Count: c.count, Max: c.limit}).looks(), "%+v", c)
	}
}

// A leaf's pattern, split at slashes as testing does, matches it and none beside it.
func TestPatternIsExact(t *testing.T) {
	matches := func(pattern, name string) bool {
		p, n := strings.Split(pattern, "/"), strings.Split(name, "/")
		if len(p) != len(n) {
			return false
		}
		for i := range p {
			if !regexp.MustCompile(p[i]).MatchString(n[i]) {
				return false
			}
		}
		return true
	}
	names := []string{"A", "A#01", "AB", "A/b", "A/b#01", "A/size=1.5", "A/size=115", "A/b/c", "A/(x|y)", "A/x"}
	for _, n := range names {
		for _, other := range names {
			require.Equal(t, n == other, matches(leaf{"p", n}.pattern(), "Benchmark"+other), "%s and %s", n, other)
		}
	}
}

func TestIterations(t *testing.T) {
	result := func(iters int, values ...benchfmt.Value) *benchfmt.Result {
		return &benchfmt.Result{Iters: iters, Values: values}
	}
	sec := func(v float64) benchfmt.Value { return benchfmt.Value{Value: v, Unit: "sec/op"} }
	require.Equal(t, 1000, iterations(result(5, sec(1e-4)), 100*time.Millisecond))
	require.Equal(t, 1, iterations(result(1, sec(3)), 100*time.Millisecond))
	require.Equal(t, 50, iterations(result(10, benchfmt.Value{Value: 1, Unit: "x"}), 100*time.Millisecond), "no time: by the calibration's own count")
	require.Equal(t, 1_000_000_000, iterations(result(1e9, sec(0)), 100*time.Millisecond))
}

func TestNames(t *testing.T) {
	c := &Config{CPU: 2}
	require.Equal(t, "A/n=2", c.strip("A/n=2-2"))
	c.CPU = 1
	require.Equal(t, "A/n=2-2", c.strip("A/n=2-2"), "testing adds nothing at GOMAXPROCS 1")
	require.True(t, blamed([]benchgate.Fault{{Bench: "A"}}, leaf{"p", "A/b"}))
	require.False(t, blamed([]benchgate.Fault{{Bench: "A"}}, leaf{"p", "AB"}))
	require.True(t, blamed([]benchgate.Fault{{Text: "the whole process"}}, leaf{"p", "AB"}))
}
