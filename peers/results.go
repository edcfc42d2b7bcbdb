package peers

import "example.com/brunt/peers/internal/stats"

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

// Spread is a quantity over the rounds: its median with an interval, its
// extremes, and the values themselves, one for each round in order.
type Spread = stats.Spread

// Of is the metric of one contestant; false if it did not take part.
func (r *Results) Of(contestant string, concurrency int, metric Metric) (Spread, bool) {
	ms := r.samples[sampleKey{contestant, concurrency}]
	values := make([]float64, len(ms))
	for i, m := range ms {
		values[i] = metric(m)
	}
	return stats.Of(values), len(values) > 0
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
	return stats.Of(values), true
}
