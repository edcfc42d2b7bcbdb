package peers

import (
	"math"
	"slices"
	"time"
)

// schedule is the instants that rate requests a second were due at, fitted to a log
// of when a server answered: it begins as late as it can without an answer that came
// before its request was due.
type schedule struct {
	begin time.Duration
	every float64 // ns
}

func fit(log []time.Duration, rate int) schedule {
	s := schedule{begin: math.MaxInt64, every: float64(time.Second) / float64(rate)}
	for i, at := range log {
		s.begin = min(s.begin, at-time.Duration(float64(i)*s.every))
	}
	return s
}

func (s schedule) due(i int) time.Duration { return s.begin + time.Duration(float64(i)*s.every) }

// Distances tells, in ascending order, how long after they were due the requests of a
// log came, if the i-th was due i/rate seconds after the first.
func Distances(log []time.Duration, rate int) []time.Duration {
	s := fit(log, rate)
	out := make([]time.Duration, len(log))
	for i, at := range log {
		out[i] = at - s.due(i)
	}
	slices.Sort(out)
	return out
}

// Frozen tells, in ascending order, how long n users who come at a rate would have
// waited for a server that was frozen once, for about that time, and has kept a log.
// Those who came while it was frozen waited until it went on, which is the end of the
// longest gap in its log, and the others not at all.
func Frozen(log []time.Duration, rate, n int, frozen time.Duration) []time.Duration {
	var from, to time.Duration
	for i := 1; i < len(log); i++ {
		if log[i]-log[i-1] > to-from {
			from, to = log[i-1], log[i]
		}
	}
	from = max(from, to-frozen) // a contestant may have been silent before that
	s := fit(log, rate)
	out := make([]time.Duration, n)
	for i := range out {
		if due := s.due(i); from < due && due < to {
			out[i] = to - due
		}
	}
	slices.Sort(out)
	return out
}

// LatencyOf is the percentiles of sorted, which is in ascending order.
func LatencyOf(sorted []time.Duration) Latency {
	if len(sorted) == 0 {
		return Latency{}
	}
	at := func(q float64) time.Duration {
		return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
	}
	return Latency{P50: at(0.5), P90: at(0.9), P99: at(0.99), P999: at(0.999), Max: at(1)}
}
