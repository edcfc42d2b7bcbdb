package pace

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	const s = time.Second
	for text, want := range map[string]Schedule{
		"none":             {},
		"1000/s for 10s":   Constant(1000).Until(10 * s),
		"1000/s":           Constant(1000),
		" 0.5/s\tfor  1m ": Constant(0.5).Until(60 * s),
		"6/m":              Constant(0.1),
		"6/min":            Constant(0.1),
		"36/h":             Constant(0.01),
		"1e3/s, take 5":    Constant(1000).Take(5),
		"100/s for 10s, ramp to 500/s over 30s, poisson":               Constant(100).Until(10 * s).Then(Ramp(100, 500, 30*s)).Poisson(1),
		"ramp to 500/s over 30s":                                       Ramp(0, 500, 30*s),
		"ramp from 9/s to 5/s over 30s for 3s":                         Ramp(9, 5, 30*s).Until(3 * s),
		"ramp to 5/s over 1s for 1s":                                   Ramp(0, 5, s),
		"at 0s 0s 0.5s":                                                Recorded(0, 0, s/2),
		"ramp to 100/s over 1m, 100/s for 5m, ramp to 0/s over 1m":     Stages(Stage{100, 60 * s}, Stage{100, 300 * s}, Stage{0, 60 * s}),
		"sine 5/s by 0/s every 1s":                                     Constant(5),
		"sine 100/s by 50/s every 1m for 10m":                          Sine(100, 50, 60*s).Until(600 * s),
		"100/s, poisson seed 7, until 1h":                              Poisson(100, 7).Until(3600 * s),
		"100/s for 10s, exactly 1000 seed 7":                           Exactly(1000, 10*s, 7),
		"burst 50 every 1s for 10s":                                    Burst(50, s).Until(10 * s),
		"at 0s 1ms 1ms 2s":                                             Recorded(0, time.Millisecond, time.Millisecond, 2*s),
		"at 1s 2s for 2s":                                              Recorded(s, 2*s).Until(2 * s),
		"5/s, merge (burst 5 every 1s), take 9, scale 2, shard 1 of 3": Constant(5).Merge(Burst(5, s)).Take(9).Scale(2).Shard(1, 3),
		"5/s for 1s, poisson, (6/s for 1s, poisson seed 2), 7/s":       Poisson(5, 1).Until(s).Then(Poisson(6, 2).Until(s)).Then(Constant(7)),
		"(5/s for 1s), (none), (((6/s for 1s)))":                       Constant(5).Until(s).Then(Constant(6).Until(s)),
	} {
		got, err := Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want.String(), got.String(), text)
		require.Equal(t, observed(want.Take(50)), observed(got.Take(50)), text)
		again, err := Parse(got.String())
		require.NoError(t, err, text)
		require.Equal(t, got.String(), again.String(), text)
	}
}

func TestParseErrorsPointAtTheWord(t *testing.T) {
	for text, want := range map[string]string{
		"":                           `at the end of "": want a rate such as 100/s, or ramp, sine, burst, at or (`,
		"100":                        `"100" at offset 0 of "100": want a rate such as 100/s, or ramp, sine, burst, at or (`,
		"100/s for":                  `at the end of "100/s for": want a duration such as 10s or 1h30m`,
		"100/s for 10":               `"10" at offset 10 of "100/s for 10": want a duration such as 10s or 1h30m`,
		"100/s fro 10s":              `"fro" at offset 6 of "100/s fro 10s": want for, a comma, or the end`,
		"100/x for 10s":              `"100/x" at offset 0 of "100/x for 10s": want a rate such as 100/s, 6/m or 6/h`,
		"ramp 5/s over 1s":           `"5/s" at offset 5 of "ramp 5/s over 1s": want "to"`,
		"ramp to 5/s over 1s for 2s": `"2s" at offset 24 of "ramp to 5/s over 1s for 2s": want at most 1s, in which the ramp ends`,
		"5/s for 1s, poison":         `"poison" at offset 12 of "5/s for 1s, poison": want a rate such as 100/s, or ramp, sine, burst, at, ( or poisson, exactly, take, until, scale, shard, merge`,
		"poisson":                    `"poisson" at offset 0 of "poisson": want a rate such as 100/s, or ramp, sine, burst, at or (`,
		"5/s, poisson seed -1":       `"-1" at offset 18 of "5/s, poisson seed -1": want a seed: a whole number from 0`,
		"5/s, take 1.5":              `"1.5" at offset 10 of "5/s, take 1.5": want a whole number`,
		"5/s, scale x":               `"x" at offset 11 of "5/s, scale x": want a number such as 1.5`,
		"5/s, merge 5/s":             `"5/s" at offset 11 of "5/s, merge 5/s": want "("`,
		"(5/s":                       `at the end of "(5/s": want ")"`,
		"5/s)":                       `")" at offset 3 of "5/s)": want for, a comma, or the end`,
		"5/s,":                       `at the end of "5/s,": want a rate such as 100/s, or ramp, sine, burst, at, ( or poisson, exactly, take, until, scale, shard, merge`,
		strings.Repeat("(", 102):     `"(" at offset 101 of "` + strings.Repeat("(", 102) + `": want at most 100 parentheses in each other`,
		// What was understood, and is at fault.
		"5/s for 1s, -5/s": `"-5/s" at offset 12 of "5/s for 1s, -5/s": Constant: rate is -5/s: must be from 0 to 1e+09/s`,
		"5/s, 6/s":         `"6/s" at offset 5 of "5/s, 6/s": Then: what comes before it has no end: must have one, by Until or Take (in text: for)`,
		"5/s, exactly 6":   `"exactly" at offset 5 of "5/s, exactly 6": Exactly: the schedule has no end: must have one, by Until (in text: for)`,
		"burst 0 every 0s": "\"burst\" at offset 0 of \"burst 0 every 0s\": Burst: n is 0: must be positive\nBurst: every is 0s: must be positive",
	} {
		s, err := Parse(text)
		require.ErrorIs(t, err, ErrSchedule, text)
		require.Equal(t, "pace: bad schedule: "+want, err.Error())
		require.Zero(t, s)
		var wrong *ParseError
		require.ErrorAs(t, err, &wrong)
		require.Equal(t, text, wrong.Text)
		require.True(t, strings.HasPrefix(text[wrong.Offset:], wrong.Word))
	}
}

var manyShards = regexp.MustCompile(`of \\+?0*[1-9]\d\d|shard.*shard.*shard`)

func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"none", "1000/s for 10s", "100/s for 10s, ramp to 500/s over 30s, poisson", "0.1/m",
		"ramp from 1e9/s to 0/s over 87600h for 1ns", "sine 3/s by 3/s every 1s for 1m, exactly 100 seed 18446744073709551615",
		"burst 50 every 1s, take 120, at 0s 1ms 5ms for 3ms", "5/s, merge (6/s, poisson), shard 1 of 3, shard 0 of 2, scale 0.3",
		"5/s for 1s, poisson, take 999999999999, (7/s for 1s, poisson seed 3), until 1h", "((at 0s), none)", "5/s,", "(", "1/s fro 3s",
		"0/s for 10s, exactly 0", "1e-300/s, scale 1e9", "at 9223372036854775807ns, 5/s",
		"ramp from 5e-324/s to 1e-323/s over 1s, scale 0.1", "sine 1/s by 5e-324/s every 1s, scale 0.1, poisson", "5e-324/s for 1h, 0/s for 1h, exactly 9",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			var wrong *ParseError
			require.ErrorAs(t, err, &wrong)
			require.ErrorIs(t, err, ErrSchedule)
			require.True(t, strings.HasPrefix(text[wrong.Offset:], wrong.Word))
			return
		}
		require.NoError(t, s.Validate())
		again, err := Parse(s.String())
		require.NoError(t, err, "%q", s)
		require.Equal(t, s.String(), again.String())
		require.Equal(t, s.Len(), again.Len())
		a, b := s.Cursor(), again.Cursor()
		var last time.Duration
		if manyShards.MatchString(text) {
			return // each may have to walk through all others
		}
		for range 3000 {
			at, ok := a.Next()
			at2, ok2 := b.Next()
			require.Equal(t, ok, ok2, "%q", s)
			require.Equal(t, at, at2, "%q", s)
			require.Equal(t, a.Index(), b.Index())
			if !ok {
				break
			}
			require.GreaterOrEqual(t, at, last, "%q", s)
			last = at
		}
	})
}
