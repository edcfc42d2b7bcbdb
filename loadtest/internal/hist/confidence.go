package hist

import (
	"math"
	"time"
)

const (
	// MinBlocks is how many blocks a variance needs.
	MinBlocks = 5
	// MinBeyond is to how many independent latencies those beyond a quantile must amount.
	MinBeyond = 4
	// tailFactor says how much larger is the tail whose clustering is averaged with that
	// of the tail beyond a quantile, in which there is little to see it by.
	tailFactor = 3
)

// Confidence returns the 95 % confidence interval of the quantile q of h, for q between 0
// and 1. blocks are the parts of h, MinBlocks of them or more and none empty. There is an
// interval, and ok is true, where the latencies beyond the quantile amount to so many that
// are independent of each other, MinBeyond at the least.
func Confidence(h *Histogram, blocks []Block, q float64) (lo, hi time.Duration, independent float64, ok bool) {
	all := JoinAll(blocks)
	clustering, freedom := spread(blocks, all, q)
	wide, _ := spread(blocks, all, wider(q))
	tail := min(q, 1-q)
	beyond := float64(all.N) * tail
	// The variance of how many lie beyond is beyond·(1 − tail)·clustering.
	independent = beyond / ((clustering + wide) / 2) / (1 - tail)
	few, many := gammaQuantiles(beyond, independent, studentT(freedom))
	if independent < MinBeyond || few < 0.5 {
		return 0, 0, independent, false
	}
	// Between the values at those ranks (Woodruff 1952).
	n := float64(all.N)
	if q >= 0.5 {
		few, many = n-many, n-few // from below
	}
	return h.Quantile(math.Ceil(few) / n), h.Quantile((math.Floor(many) + 1) / n), independent, true
}

// wider returns the quantile whose tail is tailFactor times that of q, or the median.
func wider(q float64) float64 {
	if q < 0.5 {
		return min(tailFactor*q, 0.5)
	}
	return max(1-tailFactor*(1-q), 0.5)
}

// spread says how much the number of latencies beyond the quantile q varies in blocks, whose
// sum is all: its variance, as a multiple of what it would be if they were independent, and
// the degrees of freedom of that estimate. The number of latencies below the quantile is, in
// each block, q times its latencies and a rest; from the rests follows the variance of their
// sum, as that of a ratio estimator (Cochran 1977, Sampling Techniques, section 2.11).
func spread(blocks []Block, all Block, q float64) (clustering, freedom float64) {
	index, share := all.at(q)
	n := float64(len(blocks))
	rests := make([]float64, len(blocks))
	// Where exactly in its cell a value lies is not known, and adds to the variance.
	_, in := all.upTo(index)
	unseen := share * (1 - share) * float64(in)
	var sum2, sum4, neighbors float64
	for i, b := range blocks {
		below, in := b.upTo(index)
		x := float64(below) + share*float64(in) - q*float64(b.N)
		rests[i] = x
		sum2 += x * x
		sum4 += x * x * x * x
		if i > 0 {
			neighbors += x * rests[i-1]
		}
	}
	variance := sum2*n/(n-1) + unseen
	freedom = n - 1
	if sum2 > 0 {
		// A few blocks that differ much from the others tell the variance less exactly: it
		// varies itself by (kurtosis − 1)/n of its square, and a variance of so many degrees
		// of freedom by 2/freedom (Satterthwaite 1946).
		if kurtosis := n * sum4 / (sum2 * sum2); kurtosis > 1 {
			freedom = max(min(freedom, 2*n/(kurtosis-1)), 2)
		}
		// What is within one standard error is taken for chance.
		if r := correlation(neighbors, sum2, n); r > 1/math.Sqrt(n) {
			variance *= inflation(r)
		}
	}
	return variance / (float64(all.N) * q * (1 - q)), freedom
}

// correlation returns how alike neighbors are: the autocorrelation at lag one of n values
// whose mean was subtracted, by the sums of their products and of their squares. 1/n is
// what the subtraction takes off (Marriott and Pope 1954). It is 0 if they are opposites,
// and 0.8 at the most, for an inflation of 9.
func correlation(neighbors, squares, n float64) float64 {
	return min(max(neighbors/squares+1/n, 0), 0.8)
}

// inflation returns by how much neighbors that are alike, as in a first-order
// autoregression, make the variance of a mean larger (Bayley and Hammersley 1946).
func inflation(correlation float64) float64 { return (1 + correlation) / (1 - correlation) }

// gammaQuantiles returns between which numbers a count lies, by the quantile t of a
// standardized distribution, if its mean is mean and its variance mean²/shape. Counts of
// clusters are skewed as a gamma distribution is (the cube root of which is close to
// normal: Wilson and Hilferty 1931).
func gammaQuantiles(mean, shape, t float64) (few, many float64) {
	root := func(t float64) float64 {
		c := max(1-1/(9*shape)+t/(3*math.Sqrt(shape)), 0)
		return mean * c * c * c
	}
	return root(-t), root(t)
}

// studentT returns the 97.5th percentile of Student's t distribution, for two degrees of
// freedom or more to within 0.8 %, from four on within 0.03 % (the expansion of Cornish and
// Fisher, Abramowitz and Stegun 26.7.5).
func studentT(freedom float64) float64 {
	const z = 1.959963984540054
	z2 := z * z
	return z * (1 + ((z2+1)/4+
		((5*z2+16)*z2+3)/96/freedom+
		(((3*z2+19)*z2+17)*z2-15)/384/(freedom*freedom)+
		((((79*z2+776)*z2+1482)*z2-1920)*z2-945)/92160/(freedom*freedom*freedom))/freedom)
}
