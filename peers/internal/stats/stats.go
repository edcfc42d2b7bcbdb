// Package stats sums up a quantity that was measured several times, without
// supposing anything about its distribution.
package stats

import (
	"math"
	"slices"
)

// Spread is a quantity measured several times.
type Spread struct {
	Median, Min, Max float64
	// Lo and Hi bound the median with a confidence of at least 95 %, whatever the
	// values are distributed like; with fewer than six there are not enough for
	// that, and they are Min and Max.
	Lo, Hi float64
	// Values holds all of them, in the order of measuring.
	Values []float64
}

// Of is the spread of values.
func Of(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	cut := trim(n)
	return Spread{
		Median: (s[(n-1)/2] + s[n/2]) / 2,
		Min:    s[0], Max: s[n-1],
		Lo: s[cut], Hi: s[n-1-cut],
		Values: values,
	}
}

// trim is how many of n sorted values can be left out at each end so that the
// rest still spans the median with a confidence of 95 %. Each value lies below it
// with a probability of one half: it is the binomial distribution of n coins.
func trim(n int) int {
	const tail = 0.025
	term := math.Pow(0.5, float64(n)) // the probability of no value below
	below := term
	cut := 0
	for k := 1; k < n/2; k++ {
		term *= float64(n-k+1) / float64(k)
		if below += term; below > tail {
			break
		}
		cut = k
	}
	return cut
}
