package peers

import (
	"errors"
	"fmt"

	"example.com/brunt/peers/internal/stats"
)

// Results is what a plan has measured.
type Results struct {
	plan    Plan
	samples map[cell][]Measurement // one for each round, in order
	out     map[cell]error         // why there are none
}

type cell struct {
	contestant  string
	connections int
}

// Metric is one number of a measurement.
type Metric func(Measurement) float64

// Spread is a quantity over the rounds: its median with an interval, its
// extremes, and the values themselves, one for each round in order.
type Spread = stats.Spread

// Failed is the error about each contestant that was there and is out.
func (r *Results) Failed() error {
	var faults []error
	for _, n := range r.plan.Connections {
		for _, c := range r.plan.Contestants {
			if err := r.out[cell{c.Name, n}]; err != nil && !errors.Is(err, ErrNotInstalled) {
				faults = append(faults, fmt.Errorf("%s, %d connections: %w", c.Name, n, err))
			}
		}
	}
	return errors.Join(faults...)
}

// Of is the metric of one contestant; false if it did not take part.
func (r *Results) Of(contestant string, connections int, metric Metric) (Spread, bool) {
	ms := r.samples[cell{contestant, connections}]
	values := make([]float64, len(ms))
	for i, m := range ms {
		values[i] = metric(m)
	}
	return stats.Of(values), len(values) > 0
}

// Ratio is the metric of one contestant divided by another's of the same round;
// false if one of them did not take part, or has nothing to divide by.
func (r *Results) Ratio(contestant, by string, connections int, metric Metric) (Spread, bool) {
	return r.combine(cell{contestant, connections}, cell{by, connections}, metric, func(a, b float64) (float64, bool) {
		return per(a, b), b != 0
	})
}

// Growth is what the metric of one contestant grows by with each connection, from
// base connections to more of them, in the same round.
func (r *Results) Growth(contestant string, base, connections int, metric Metric) (Spread, bool) {
	more := float64(connections - base)
	return r.combine(cell{contestant, connections}, cell{contestant, base}, metric, func(a, b float64) (float64, bool) {
		return per(a-b, more), more > 0 && a > 0 && b > 0
	})
}

func (r *Results) combine(a, b cell, metric Metric, f func(a, b float64) (float64, bool)) (Spread, bool) {
	as, ok := r.Of(a.contestant, a.connections, metric)
	bs, okB := r.Of(b.contestant, b.connections, metric)
	if !ok || !okB {
		return Spread{}, false
	}
	values := make([]float64, len(as.Values))
	for i := range values {
		if values[i], ok = f(as.Values[i], bs.Values[i]); !ok {
			return Spread{}, false
		}
	}
	return stats.Of(values), true
}
