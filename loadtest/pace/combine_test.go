package pace

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// model is what a schedule is: its arrivals, the numbers that they have, and its length.
type model struct {
	at     []time.Duration
	number []int64
	length time.Duration
}

func counted(at []time.Duration, length time.Duration) model {
	m := model{at: at, length: length}
	for i := range at {
		m.number = append(m.number, int64(i))
	}
	return m
}

func (m model) then(next model) model {
	at := slices.Clone(m.at)
	for _, t := range next.at {
		at = append(at, m.length+t)
	}
	return counted(at, m.length+next.length)
}

func (m model) merge(other model) model {
	at := slices.Concat(m.at, other.at)
	slices.Sort(at)
	return counted(at, max(m.length, other.length))
}

func (m model) take(n int) model {
	if n < len(m.at) {
		return model{m.at[:n], m.number[:n], m.at[n]}
	}
	return m
}

func (m model) until(d time.Duration) model {
	n, _ := slices.BinarySearch(m.at, d)
	return model{m.at[:n], m.number[:n], min(m.length, d)}
}

func (m model) shard(i, n int) model {
	part := model{length: m.length}
	for k := i; k < len(m.at); k += n {
		part.at, part.number = append(part.at, m.at[k]), append(part.number, m.number[k])
	}
	return part
}

// anyLeaf returns a schedule that nothing was combined for, and its model. What arrivals
// a leaf has, other tests say.
func anyLeaf(rng *rand.Rand, factor float64) (Schedule, model) {
	ms := func(n int) time.Duration { return time.Duration(1+rng.IntN(n)) * time.Millisecond }
	seed := rng.Uint64()
	var s Schedule
	switch rng.IntN(8) {
	case 0:
		s = Constant(rng.Float64() * 300).Until(ms(1000))
	case 1:
		s = Ramp(float64(rng.IntN(200)), float64(rng.IntN(200)), ms(1000))
	case 2:
		s = Sine(100, 100*rng.Float64(), ms(300)).Until(ms(1000))
	case 3:
		s = Poisson(rng.Float64()*200, seed).Until(ms(500))
	case 4:
		s = Ramp(0, 200, ms(500)).Exactly(int64(rng.IntN(60)), seed)
	case 5:
		s = Burst(int64(1+rng.IntN(9)), ms(200)).Until(ms(1000))
	case 6:
		at := []time.Duration{ms(100)}
		for range rng.IntN(30) {
			at = append(at, at[len(at)-1]+ms(30)*time.Duration(rng.IntN(2)))
		}
		s = Recorded(at...)
	default:
		return Schedule{}, model{}
	}
	s = s.Scale(factor)
	return s, counted(slices.Collect(s.All()), s.Duration())
}

// anySchedule returns a schedule and what it should be, of a tree of a depth. The same
// source gives the same tree at a factor of 1 as at another.
func anySchedule(rng *rand.Rand, depth int, factor float64) (Schedule, model) {
	if depth == 0 {
		return anyLeaf(rng, factor)
	}
	s, m := anySchedule(rng, depth-1, factor)
	n := rng.IntN(100)
	d := time.Duration(rng.IntN(int(2 * time.Second)))
	if n%2 == 0 {
		d = time.Duration(n) * 3 * time.Millisecond // at which something may be due
	}
	switch rng.IntN(6) {
	case 0:
		next, nextModel := anySchedule(rng, rng.IntN(depth), factor)
		if endsWithShape(s) && startsWithShape(next) { // they would be one shape
			return next.Merge(s), m.merge(nextModel)
		}
		switch (Schedule{}) {
		case s:
			return s.Then(next), nextModel
		case next:
			return s.Then(next), m
		}
		return s.Then(next), m.then(nextModel)
	case 1:
		other, otherModel := anySchedule(rng, rng.IntN(depth), factor)
		switch (Schedule{}) { // the zero Schedule changes nothing, numbers included
		case s:
			return s.Merge(other), otherModel
		case other:
			return s.Merge(other), m
		}
		return s.Merge(other), m.merge(otherModel)
	case 2:
		return s.Take(int64(n)), m.take(n)
	case 3:
		return s.Until(d), m.until(d)
	case 4:
		of := 1 + n%5
		return s.Shard(n%of, of), m.shard(n%of, of)
	default:
		return s, m
	}
}

func endsWithShape(s Schedule) bool {
	return s.root != nil && isShape(partsOf(s.root)[len(partsOf(s.root))-1])
}

func startsWithShape(s Schedule) bool { return s.root != nil && isShape(partsOf(s.root)[0]) }

// observed walks through s.
func observed(s Schedule) model {
	m := model{length: s.Duration()}
	c := s.Cursor()
	for at, ok := c.Next(); ok; at, ok = c.Next() {
		m.at, m.number = append(m.at, at), append(m.number, c.Index())
	}
	return m
}

func requireModel(t *testing.T, want model, s Schedule, args ...any) {
	t.Helper()
	got := observed(s)
	message := fmt.Sprint(args...) + ": " + s.String()
	require.NoError(t, s.Validate(), message)
	require.True(t, slices.Equal(want.at, got.at), "%s\nwant %v\ngot  %v", message, want.at, got.at)
	require.True(t, slices.Equal(want.number, got.number), "%s\nwant numbers %v\ngot          %v", message, want.number, got.number)
	require.Equal(t, want.length, got.length, message)
	require.True(t, slices.IsSorted(got.at), message)
	if n := s.Len(); n != -1 {
		require.EqualValues(t, len(want.at), n, message)
	}
}

func TestCombinationsAreAsTheModelSays(t *testing.T) {
	for seed := range uint64(2000) {
		s, m := anySchedule(rand.New(rand.NewPCG(seed, 0)), int(seed%6), 1)
		requireModel(t, m, s, "seed ", seed)
		again, err := Parse(s.String())
		require.NoError(t, err, "seed %d", seed)
		requireModel(t, m, again, "parsed, seed ", seed)
		require.Equal(t, s.String(), again.String(), "seed %d", seed)
	}
}

// Shards together are the whole, and each walks through its own no matter how it is skipped through.
func TestShardsAreTheWhole(t *testing.T) {
	for seed := range uint64(1000) {
		rng := rand.New(rand.NewPCG(seed, 0))
		whole, m := anySchedule(rng, int(seed%5), 1)
		n := 1 + rng.IntN(7)
		var together Schedule
		for i := range n {
			shard := whole.Shard(i, n)
			requireModel(t, m.shard(i, n), shard, "seed ", seed)
			requireModel(t, m.shard(i, n).shard(1, 3), shard.Shard(1, 3), "seed ", seed)
			together = together.Merge(shard)
		}
		require.True(t, slices.Equal(m.at, observed(together).at), "seed %d: %d shards of %v", seed, n, whole)
	}
}

func TestScaleOfACombinationIsThatOfItsParts(t *testing.T) {
	for seed := range uint64(500) {
		for _, factor := range []float64{0.37, 1, 2.5} {
			s, _ := anySchedule(rand.New(rand.NewPCG(seed, 0)), int(seed%5), 1)
			want, _ := anySchedule(rand.New(rand.NewPCG(seed, 0)), int(seed%5), factor)
			require.Equal(t, want.String(), s.Scale(factor).String(), "seed %d: %v at %v", seed, s, factor)
		}
	}
}

// What a schedule is made of comes factor times as often.
func TestScaleOfTheParts(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct{ got, want Schedule }{
		{Constant(3).Scale(4), Constant(12)},
		{Ramp(1, 5, s).Scale(4), Ramp(4, 20, s)},
		{Sine(3, 2, s).Scale(4), Sine(12, 8, s)},
		{Poisson(3, 7).Scale(4), Poisson(12, 7)},
		{Exactly(3, s, 7).Scale(4), Exactly(12, s, 7)},
		{Burst(3, s).Scale(4), Burst(3, s/4)},
		{Burst(3, 1000).Scale(1000), Burst(3, 1)},
		// To the nearest whole, on both sides of it.
		{Burst(3, 14).Scale(4), Burst(3, 4)},
		{Burst(3, 13).Scale(4), Burst(3, 3)},
		{Recorded(13, 14, 15).Scale(4), Recorded(3, 4, 4)},
		{Constant(4).Until(s).Exactly(14, 7).Scale(0.25), Constant(1).Until(s).Exactly(4, 7)},
		{Constant(4).Until(s).Exactly(13, 7).Scale(0.25), Constant(1).Until(s).Exactly(3, 7)},
		{Recorded(s, 2*s).Scale(4), Recorded(s/4, s/2)},
		{Constant(1).Scale(1e9), Constant(1e9)},
	} {
		require.NoError(t, tt.got.Validate())
		require.Equal(t, tt.want.String(), tt.got.String())
		require.Equal(t, observed(tt.want.Take(30)), observed(tt.got.Take(30)), tt.got)
	}
}

// A ramp is a constant rate once Scale has rounded its two to one, and counts as one:
// what is left of the slope would be ten arrivals here.
func TestScaleLeavesNoSlope(t *testing.T) {
	ramp := Ramp(5e8, math.Nextafter(5e8, 1e9), 10*year).Scale(0.3)
	require.Equal(t, "150000000/s for 87600h0m0s", ramp.String())
	second := Constant(3).Until(time.Second)
	want := Constant(1.5e8).Until(10 * year).Then(second)
	got := ramp.Then(second)
	require.Equal(t, want.Len(), got.Len())
	at, _, ok := got.root.steps()(want.Len() - 2)
	require.True(t, ok)
	require.Equal(t, 10*year+333333333, at)
}

// Until ends a schedule wherever it falls, and changes none that is not longer.
func TestUntilOfShapes(t *testing.T) {
	const s = time.Second
	steps := Constant(1).Until(2 * s).Then(Constant(4).Until(2 * s)).Then(Constant(2).Until(2 * s))
	for d, want := range map[time.Duration][]time.Duration{
		s:       {0},
		2 * s:   {0, s},
		3 * s:   {0, s, 2 * s, 2250 * time.Millisecond, 2500 * time.Millisecond, 2750 * time.Millisecond},
		3*s + 1: {0, s, 2 * s, 2250 * time.Millisecond, 2500 * time.Millisecond, 2750 * time.Millisecond, 3 * s},
	} {
		require.Equal(t, counted(want, d), observed(steps.Until(d)), "%v", d)
	}
	require.Equal(t, observed(steps), observed(steps.Until(6*s)))
	require.Equal(t, observed(steps), observed(steps.Until(7*s)))
	for _, d := range []time.Duration{s, 2 * s} {
		require.EqualValues(t, 5, Exactly(5, s, 1).Until(d).Len(), "nothing was cut off")
	}
}

// An arrival that would be due at the end, to the nanosecond, is none.
func TestNothingIsDueAtTheEnd(t *testing.T) {
	for seed := range uint64(100) {
		for _, shape := range []Schedule{Constant(1e9).Until(1), Constant(1e9).Until(3)} {
			for _, s := range []Schedule{shape, shape.Poisson(seed), shape.Exactly(3, seed)} {
				for at := range s.All() {
					require.Less(t, at, s.Duration(), s)
				}
			}
		}
	}
}

func TestShardOfAConstantRateCostsNoMore(t *testing.T) {
	// One of a billion shards: who steps through the others does not end.
	for _, s := range []Schedule{Constant(1e9), Ramp(1e9, 0, year), Burst(100, time.Microsecond), Constant(1e9).Take(1e18)} {
		c := s.Shard(1e9-1, 1e9).Cursor()
		for k := range int64(1000) {
			_, ok := c.Next()
			require.True(t, ok)
			require.Equal(t, (k+1)*1e9-1, c.Index())
		}
	}
}

func TestThenOfShapesKeepsTheRhythm(t *testing.T) {
	// 1.5 arrivals, and then three times as many a second: the next is due when half a second's worth is.
	s := Constant(1).Until(1500 * time.Millisecond).Then(Constant(3).Until(time.Second))
	require.Equal(t, []time.Duration{0, time.Second, 1666666667, 2 * time.Second, 2333333333}, slices.Collect(s.All()))
	a, b, c := Constant(7).Until(time.Second/3), Ramp(3, 9, time.Second/7), Burst(3, time.Second).Until(time.Second)
	for _, parts := range [][3]Schedule{{a, b, c}, {c, a, b}, {a, c, b}, {a, b, a}, {{}, a, b}, {a, {}, b}, {a, b, {}}} {
		left := parts[0].Then(parts[1]).Then(parts[2])
		right := parts[0].Then(parts[1].Then(parts[2]))
		require.Equal(t, observed(left), observed(right))
		require.Equal(t, left.String(), right.String())
	}
}

func TestStages(t *testing.T) {
	s := Stages(Stage{100, 0}, Stage{100, time.Minute}, Stage{500, 30 * time.Second}, Stage{0, time.Second})
	require.Equal(t, "100/s for 1m0s, ramp to 500/s over 30s, ramp to 0/s over 1s", s.String())
	require.Equal(t, 91*time.Second, s.Duration())
	require.EqualValues(t, 6000+9000+250, s.Len())
	require.Zero(t, Stages())
}

func TestLenAndDurationOfWhatHasNoEnd(t *testing.T) {
	for _, s := range []Schedule{
		Constant(1), Sine(2, 1, time.Second), Poisson(1, 1), Burst(1, time.Second), Recorded(1).Then(Constant(1)),
		Constant(1).Merge(Recorded(1)), Constant(1).Shard(0, 2), Poisson(5, 1).Shard(0, 2),
	} {
		require.EqualValues(t, -1, s.Len(), s)
		require.Zero(t, s.Duration(), s)
		require.Len(t, slices.Collect(s.Take(3).All()), 3, s)
		require.NotZero(t, s.Take(3).Duration(), s)
	}
	require.Equal(t, int64(1e12), Poisson(5, 1).Take(1e12).Len())
	require.EqualValues(t, -1, Poisson(5, 1).Until(time.Hour).Len())
	require.EqualValues(t, -1, Constant(0).Poisson(1).Take(5).Len(), "there are none, of which only counting tells")
	require.Equal(t, int64(math.MaxInt64-1), Burst(2, 2).Until(math.MaxInt64-1).Len(), "the most that can be told")
	require.EqualValues(t, 5, Burst(2, 1).Merge(Poisson(1, 1).Until(time.Second)).Take(5).Len(), "there are more than can be told")
	require.EqualValues(t, 5, Poisson(1, 1).Until(1).Then(Burst(2, 1).Until(forever-9)).Take(5).Len(), "there are more than can be told")
	twice := Constant(1.0 / (200 * 365 * 24 * 3600)) // in 292 years
	pairs := Burst(2, 1)                             // more than can be numbered
	require.Equal(t, time.Duration(1<<62-1), pairs.Shard(0, 2).Take(1<<62-1).Duration(), "number 2⁶³-2")
	require.Equal(t, forever, pairs.Shard(1, 2).Take(1<<62).Duration(), "no number is so high")
	require.Zero(t, twice.Take(2).Duration(), "the third, at which it would end, never comes")
	require.NotZero(t, twice.Take(1).Duration())
	require.Zero(t, Constant(0).Len())
	require.Zero(t, Constant(0).Take(5).Duration())
	require.Empty(t, slices.Collect(Constant(0).All()))
	require.Empty(t, slices.Collect(Constant(0).Take(1).Then(Constant(1)).All()))
	var zero Schedule
	require.Zero(t, zero.Len())
	require.Zero(t, zero.Duration())
	require.NoError(t, zero.Validate())
	require.Equal(t, zero, zero.Take(3).Until(time.Second).Scale(2).Shard(0, 3).Poisson(1).Merge(zero).Then(zero))
}

func TestCursorPastTheEnd(t *testing.T) {
	for seed := range uint64(300) {
		s, m := anySchedule(rand.New(rand.NewPCG(seed, 0)), int(seed%5), 1)
		c := s.Cursor()
		require.EqualValues(t, -1, c.Index())
		for range m.at {
			c.Next()
		}
		last := c.Index()
		for range 100 {
			at, ok := c.Next()
			require.False(t, ok, s)
			require.Zero(t, at, s)
			require.Equal(t, last, c.Index())
		}
	}
}

func TestTheEndOfTime(t *testing.T) {
	last := time.Duration(math.MaxInt64 - 5)
	s := Recorded(last).Then(Burst(1, time.Nanosecond))
	require.Equal(t, []time.Duration{last, last, last + 1, last + 2, last + 3, last + 4}, slices.Collect(s.All()))
	require.Len(t, slices.Collect(Constant(1.0/(200*365*24*3600)).All()), 2)
	require.Len(t, slices.Collect(Burst(2, 200*year).All()), 4)
}

func TestFaults(t *testing.T) {
	nan := math.NaN()
	for want, s := range map[string]Schedule{
		"Constant: rate is -1/s: must be from 0 to 1e+09/s":                                                              Constant(-1),
		"Constant: rate is NaN/s: must be from 0 to 1e+09/s":                                                             Poisson(nan, 1),
		"Constant: rate is +Inf/s: must be from 0 to 1e+09/s":                                                            Constant(math.Inf(1)).Until(time.Second).Take(4),
		"Ramp: to is 2e+09/s: must be from 0 to 1e+09/s":                                                                 Ramp(1, 2e9, time.Second),
		"Ramp: d is 0s: must be positive":                                                                                Ramp(1, 2, 0),
		"Stages: Rate of stage 1 is -3/s: must be from 0 to 1e+09/s":                                                     Stages(Stage{1, 1}, Stage{-3, 1}),
		"Stages: Duration of stage 0 is -1ns: must not be negative":                                                      Stages(Stage{1, -1}),
		"Sine: amplitude is 3/s: must be at most the mean, which is 2/s":                                                 Sine(2, 3, 1),
		"Sine: mean and amplitude are 9e+08/s and 3e+08/s: must be at most 1e+09/s together":                             Sine(9e8, 3e8, 1),
		"Sine: a period of 1000h0m0s at 9e+08/s has 3.24e+15 arrivals: must have at most 1e+14":                          Sine(9e8, 1, 1000*time.Hour),
		"Sine: mean and amplitude are 9e+08/s and 4e+08/s: must be at most 1e+09/s together":                             Sine(9e7, 4e7, 1).Scale(10),
		"Sine: period is -1ns: must be positive":                                                                         Sine(2, 1, -1),
		"Exactly: d is 0s: must be positive":                                                                             Exactly(5, 0, 1),
		"Exactly: n is -5: must not be negative":                                                                         Exactly(-5, 1, 1),
		"Exactly: the schedule has no end: must have one, by Until (in text: for)":                                       Constant(4).Exactly(5, 1),
		"Exactly: n is 5: must be 0 where the rate is 0":                                                                 Constant(0).Until(5).Exactly(5, 1),
		"Poisson: it has its arrivals already: must follow constants, ramps, stages and sines, and precede all else":     Constant(1).Take(4).Poisson(1),
		"Burst: n is 0: must be positive":                                                                                Burst(0, 1),
		"Burst: every is 0s: must be positive":                                                                           Burst(1, 0),
		"Scale: factor is 1e+09: must leave between bursts that come every 1ms from 1ns to 292 years":                    Burst(1, time.Millisecond).Scale(1e9),
		"Scale: factor is 0.5: must leave between bursts that come every 1281023h53m38.427387904s from 1ns to 292 years": Burst(1, 1<<62).Scale(0.5),
		"Scale: factor is 2: must leave fewer than 2⁶³ arrivals":                                                         Constant(1).Until(time.Second).Exactly(1<<62, 1).Scale(2),
		"Then: 2562047h47m16.854775802s and 5ns: must be less than 292 years together":                                   Constant(1).Until(math.MaxInt64 - 5).Then(Constant(2).Until(5)),
		"Scale: factor is 0.5: must leave instant 0, 1281023h53m38.427387904s, within 292 years":                         Recorded(1 << 62).Scale(0.5),
		"Recorded: instant 1 is 1ns: must not be before 2ns":                                                             Recorded(2, 1),
		"Recorded: instant 0 is -2ns: must not be before 0s":                                                             Recorded(-2),
		"Then: what comes before it has no end: must have one, by Until or Take (in text: for)":                          Constant(1).Then(Constant(2)),
		"Take: n is -1: must not be negative":                                                                            Constant(1).Take(-1),
		"Until: d is -1ns: must not be negative":                                                                         Constant(1).Until(-1),
		"Shard: shard 3 of 3: must be from 0 to the number of shards less one":                                           Constant(1).Shard(3, 3),
		"Shard: shard -1 of 3: must be from 0 to the number of shards less one":                                          Constant(1).Shard(-1, 3),
		"Shard: shard 0 of 0: must be from 0 to the number of shards less one":                                           Constant(1).Shard(0, 0),
		"Scale: factor is -1: must be positive, and at most 1e+09":                                                       Constant(1).Scale(-1),
		"Scale: factor is 0: must be positive, and at most 1e+09":                                                        Constant(1).Scale(0),
		"Scale: factor is NaN: must be positive, and at most 1e+09":                                                      Schedule{}.Scale(nan),
		"Scale: the rate is 2e+09/s: must be from 0 to 1e+09/s":                                                          Constant(1e9).Scale(2),
	} {
		err := s.Validate()
		require.ErrorIs(t, err, ErrSchedule, want)
		require.Equal(t, "pace: bad schedule: "+want, err.Error())
		require.Equal(t, err.Error(), s.String())
		// And it is a schedule still.
		for _, s := range []Schedule{s, s.Take(4), s.Until(1), s.Until(0), s.Scale(2), s.Shard(0, 2), s.Merge(Constant(1)), Constant(1).Merge(s), s.Then(s), Constant(1).Until(1).Then(s), s.Poisson(1), s.Exactly(4, 1)} {
			require.Error(t, s.Validate(), want)
			require.Empty(t, slices.Collect(s.All()))
			require.Zero(t, s.Len())
			require.Zero(t, s.Duration())
			require.Zero(t, s.Rate(0))
		}
	}
	all := Ramp(-1, -2, -3).Take(-4)
	require.Equal(t, []string{"Exactly: d is 0s"}, faultsOf(Exactly(0, 0, 1).Validate()))
	require.Equal(t, []string{"Ramp: from is -1/s", "Ramp: to is -2/s", "Ramp: d is -3ns", "Take: n is -4"}, faultsOf(all.Validate()))
}

// faultsOf returns the lines of err up to the remedy.
func faultsOf(err error) (faults []string) {
	for line := range strings.Lines(err.Error()) {
		text, _, _ := strings.Cut(strings.TrimPrefix(line, "pace: bad schedule: "), ": must")
		faults = append(faults, text)
	}
	return faults
}
