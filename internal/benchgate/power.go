package benchgate

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// Power predicts, from samples of a benchmark that was compared with itself, how
// often a change would be confirmed.
type Power struct {
	N         int     // samples a side
	Family    int     // gated metrics judged together
	Looks     int     // planned looks
	Alpha     float64 // of the whole comparison
	Threshold float64 // share
	Seed      uint64
	Trials    int // resamplings for each prediction; 0 means 400
}

// Rate returns the share of comparisons in which a change by the given share (0.1 is
// ten percent more) is confirmed, with both sides drawn with replacement from noise.
func (p Power) Rate(noise []float64, change float64) float64 {
	if len(noise) == 0 || p.N < 1 {
		return 0
	}
	critical := criticalU(p.N, p.Alpha/float64(max(1, p.Family))/float64(max(1, p.Looks)))
	rng := rand.New(rand.NewPCG(p.Seed, 1))
	trials, hits := cmp.Or(p.Trials, 400), 0
	base, head := make([]float64, p.N), make([]float64, p.N)
	for range trials {
		for i := range p.N {
			base[i] = noise[rng.IntN(len(noise))]
			head[i] = noise[rng.IntN(len(noise))] * (1 + change)
		}
		slices.Sort(base)
		slices.Sort(head)
		d := delta(median(base), median(head))
		if d*change > 0 && math.Abs(d) >= p.Threshold && smallerU(base, head) <= critical {
			hits++
		}
	}
	return float64(hits) / float64(trials)
}

// Visible returns the smallest change, of those in a fixed ladder, that would be
// confirmed at least nine times out of ten; +Inf if none of them. It is 0, any
// change at all, for noise that is 0 throughout.
func (p Power) Visible(noise []float64) float64 {
	if len(noise) > 0 && slices.Max(noise) == 0 && slices.Min(noise) == 0 {
		return 0
	}
	for _, change := range []float64{.01, .02, .03, .04, .05, .06, .07, .08, .1, .12, .15, .2, .25, .3, .4, .5, .75, 1, 1.5, 2, 4} {
		if change >= p.Threshold && p.Rate(noise, change) >= 0.9 {
			return change
		}
	}
	return math.Inf(1)
}

func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// smallerU is quick where benchmath's test, which is exact with ties too, takes a hundred
// times as long. It returns the smaller of the two Mann-Whitney U statistics of sorted samples.
func smallerU(a, b []float64) float64 {
	u, less := 0.0, 0
	for _, x := range b {
		for less < len(a) && a[less] < x {
			less++
		}
		equal := less
		for equal < len(a) && a[equal] == x {
			equal++
		}
		u += float64(less) + float64(equal-less)/2
	}
	return min(u, float64(len(a)*len(b))-u)
}

// criticalU returns the largest U at which samples of n a side without ties differ at
// the two-sided level; -1 if there is none. ways[u] counts the interleavings of
// the two samples that have the statistic u.
func criticalU(n int, level float64) float64 {
	ways := uCounts(n)
	total, sum := 0.0, 0.0
	for _, w := range ways {
		total += w
	}
	for u, w := range ways {
		if sum += w; 2*sum/total >= level {
			return float64(u - 1)
		}
	}
	return float64(len(ways) - 1)
}

// uCounts returns the coefficients of the Gaussian binomial of 2n over n.
func uCounts(n int) []float64 {
	c := make([]float64, n*n+1)
	c[0] = 1
	for i := 1; i <= n; i++ {
		for u := len(c) - 1; u >= n+i; u-- { // times 1 - q^(n+i)
			c[u] -= c[u-n-i]
		}
		for u := i; u < len(c); u++ { // over 1 - q^i
			c[u] += c[u-i]
		}
	}
	return c
}
