package peers

import (
	"math"
	"slices"
)

// Results is what a plan has measured.
type Results struct {
	plan    Plan
	samples map[sampleKey][]Measurement // one for each round, in order
}

type sampleKey struct {
	contestant  string
	concurrency int
}

// Metric is one number of a measurement.
type Metric func(Measurement) float64

// Spread is a quantity over the rounds.
type Spread struct {
	Median, Min, Max float64
	// Lo and Hi bound the median with a confidence of at least 95 %, whatever the
	// values are distributed like; with fewer than six there are not enough for
	// that, and they are Min and Max.
	Lo, Hi float64
	// Values holds one for each round, in order.
	Values []float64
}

func spread(values []float64) Spread {
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

// Of is the metric of one contestant; false if it did not take part.
func (r *Results) Of(contestant string, concurrency int, metric Metric) (Spread, bool) {
	ms := r.samples[sampleKey{contestant, concurrency}]
	values := make([]float64, len(ms))
	for i, m := range ms {
		values[i] = metric(m)
	}
	return spread(values), len(values) > 0
}

// Ratio is the metric of one contestant divided by another's of the same round;
// false if one of them did not take part, or has nothing to divide by.
func (r *Results) Ratio(contestant, by string, concurrency int, metric Metric) (Spread, bool) {
	a, ok := r.Of(contestant, concurrency, metric)
	b, okB := r.Of(by, concurrency, metric)
	if !ok || !okB {
		return Spread{}, false
	}
	values := make([]float64, len(a.Values))
	for i := range values {
		if b.Values[i] == 0 {
			return Spread{}, false
		}
		values[i] = a.Values[i] / b.Values[i]
	}
	return spread(values), true
}
