package pace

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// kolmogorov returns the Kolmogorov–Smirnov statistic of a sample against a
// distribution, times the root of its size: above 1.63 in 1 % of true samples.
func kolmogorov(sample []float64, below func(float64) float64) (d float64) {
	slices.Sort(sample)
	n := float64(len(sample))
	for i, x := range sample {
		d = max(d, float64(i+1)/n-below(x), below(x)-float64(i)/n)
	}
	return d * math.Sqrt(n)
}

func exponential(x float64) float64 { return -math.Expm1(-x) }

func even(x float64) float64 { return x }

func TestKolmogorovFindsWhatIsNotExponential(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var right, wrong, shifted []float64
	for range 10000 {
		x := rng.ExpFloat64()
		right, wrong, shifted = append(right, x), append(wrong, 2*rng.Float64()), append(shifted, x*1.05)
	}
	require.Less(t, kolmogorov(right, exponential), 1.63)
	require.Greater(t, kolmogorov(wrong, exponential), 10.0)
	require.Greater(t, kolmogorov(shifted, exponential), 1.63)
}

// shapes are those on which arrivals may be laid at random; each holds 20,000.
var shapes = map[string]Schedule{
	"constant": Constant(2000).Until(10 * time.Second),
	"ramp":     Ramp(0, 4000, 10*time.Second),
	"down":     Ramp(4000, 0, 10*time.Second),
	"sine":     Sine(2000, 2000, 3*time.Second).Until(9 * time.Second).Then(Constant(2000).Until(time.Second)),
	"stages":   Stages(Stage{1000, 10 * time.Second}, Stage{2000, 0}, Stage{3000, 6 * time.Second}),
}

// along returns Λ at each arrival of s, in arrivals, to tell the process from its shape.
func along(s Schedule) (x []float64) {
	f := s.root.(*flow)
	for at := range s.All() {
		i, _ := slices.BinarySearchFunc(f.pieces, at, func(p piece, at time.Duration) int {
			if p.end <= at {
				return -1
			}
			return 1
		})
		p := &f.pieces[i]
		x = append(x, p.base.add(p.integral(at-p.start)).hi/nano)
	}
	return x
}

func TestPoissonIsPoisson(t *testing.T) {
	for name, shape := range shapes {
		for seed := range uint64(5) {
			var gaps, counts []float64
			last := 0.0
			for _, x := range along(shape.Poisson(seed)) {
				gaps = append(gaps, x-last)
				last = x
				for int(x/20) >= len(counts) {
					counts = append(counts, 0)
				}
				counts[int(x/20)]++
			}
			require.InDelta(t, 20000, len(gaps), 4*math.Sqrt(20000), "%s, seed %d", name, seed)
			require.Less(t, kolmogorov(gaps, exponential), 1.8, "%s, seed %d", name, seed)
			// Independent of each other: the number in stretches of the same mean varies by that mean.
			var dispersion float64
			for _, n := range counts {
				dispersion += (n - 20) * (n - 20) / 20
			}
			require.InDelta(t, 1, dispersion/float64(len(counts)), 0.2, "%s, seed %d", name, seed)
		}
	}
}

func TestExactlyIsExact(t *testing.T) {
	for name, shape := range shapes {
		var firsts, all []float64
		var halves, square float64
		const seeds, n = 400, 50
		for seed := range uint64(seeds) {
			s := shape.Exactly(n, seed)
			require.EqualValues(t, n, s.Len())
			xs := along(s)
			require.Len(t, xs, n, name)
			half := 0.0
			for _, x := range xs {
				all = append(all, x/20000)
				if x < 10000 {
					half++
				}
			}
			firsts = append(firsts, xs[0]/20000)
			halves, square = halves+half/seeds, square+half*half/seeds
		}
		require.Less(t, kolmogorov(all, even), 1.8, name)
		// The first of n uniform numbers, and how many of them are in one half.
		require.Less(t, kolmogorov(firsts, func(x float64) float64 { return 1 - math.Pow(1-x, n) }), 1.8, name)
		require.InDelta(t, n/2, halves, 4*math.Sqrt(n/4.0/seeds), name)
		require.InDelta(t, n/4.0, square-halves*halves, 3, name)
	}
}

// The sum of gaps has no drift of its own: 100,000 arrivals are where a sum of 400
// bits has them, to the nanosecond.
func TestPoissonDoesNotDrift(t *testing.T) {
	c := Poisson(1e-3, 7).Cursor() // the last after three years
	draw := rand.New(rand.NewPCG(7, 0))
	total := number(0)
	for range 100_000 {
		got, ok := c.Next()
		require.True(t, ok)
		total = calc(add, total, number(draw.ExpFloat64()*nano))
		want, _ := calc(add, calc(quo, total, number(1e-3)), number(0.5)).Int64()
		if got != time.Duration(want) { // require would take most of the time
			require.Equal(t, time.Duration(want), got, "arrival %d", c.Index())
		}
	}
}

// Arrivals that are closer together than a wave is exact are in order nevertheless.
func TestArrivalsAreInOrder(t *testing.T) {
	for _, s := range []Schedule{
		Sine(9e8, 1e8, 100_000*time.Second), // the most that there may be
		Sine(9e8, 1e8, 100_000*time.Second).Poisson(1),
		Sine(9e8, 1e8, 100_000*time.Second).Until(100_000*time.Second).Exactly(9e13, 2),
		Ramp(0, 1e9, year).Poisson(1),
		Poisson(1e9, 1),
	} {
		last := time.Duration(0)
		for at := range s.Take(100_000).All() {
			if at < last {
				require.GreaterOrEqual(t, at, last, s)
			}
			last = at
		}
	}
}

func TestSeeds(t *testing.T) {
	first := func(s Schedule) []time.Duration { return slices.Collect(s.Take(100).All()) }
	for _, random := range []func(seed uint64) Schedule{
		func(seed uint64) Schedule { return Poisson(100, seed) },
		func(seed uint64) Schedule { return Exactly(100, time.Second, seed) },
	} {
		one, again, two := first(random(1)), first(random(1)), first(random(2))
		require.Equal(t, one, again)
		require.NotEqual(t, one, two)
	}
	// The same on every machine and with every version.
	require.Equal(t, "93.936621ms", fmt.Sprint(first(Poisson(5, 1))[0]))
}

func TestExactlyOfAll(t *testing.T) {
	require.Empty(t, slices.Collect(Exactly(0, time.Second, 1).All()))
	require.Equal(t, time.Second, Exactly(0, time.Second, 1).Duration())
	// As many as there are nanoseconds: all of them before the end.
	at := slices.Collect(Exactly(1000, time.Microsecond, 1).All())
	require.Len(t, at, 1000)
	require.True(t, slices.IsSorted(at))
	require.Less(t, at[999], time.Microsecond)
}

func TestNextDoesNotAllocate(t *testing.T) {
	for name, s := range benchmarked {
		c := s.Cursor()
		require.Zero(t, testing.AllocsPerRun(1000, func() { c.Next() }), name)
	}
}

var benchmarked = map[string]Schedule{
	"constant": Constant(1000),
	"ramp":     Ramp(0, 1e9, 1000*time.Hour),
	"sine":     Sine(1000, 500, time.Minute),
	"stages":   Stages(Stage{1e9, 1000 * time.Hour}, Stage{0, 1000 * time.Hour}),
	"poisson":  Poisson(1000, 1),
	"exactly":  Exactly(1e12, 1e4*time.Hour, 1),
	"burst":    Burst(10, time.Second),
	"shard":    Constant(1000).Shard(17, 1000),
	"merge":    Constant(1000).Merge(Constant(300)),
	"then":     Burst(10, time.Second).Take(5).Then(Constant(1000)),
}

func BenchmarkNext(b *testing.B) {
	for _, name := range slices.Sorted(maps.Keys(benchmarked)) {
		b.Run("schedule="+name, func(b *testing.B) {
			b.ReportAllocs()
			c := benchmarked[name].Cursor()
			for b.Loop() {
				if _, ok := c.Next(); !ok {
					b.Fatal("the schedule ended")
				}
			}
		})
	}
}
