package htmlreport

import (
	"slices"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/internal/text"
)

// slot is what a chart shows between two instants of a run.
type slot struct {
	from, to                  time.Duration
	requests, errors, refused float64 // a second
	due, missed, dropped      float64 // arrivals of an open loop, a second
	canceled, usersFailed     float64
	p50, p99, lag             value // nanoseconds, or a gap
	inFlight, heap            value
	apart                     float64 // of requests, what is not counted
	counted, excluded         bool    // there is an interval that is, and one that is not
}

// slots puts intervals end to end. Those of a merged result may overlap: then
// the rates and the requests in flight add up, P99 and Lag are the largest, P50 the mean
// weighted by rate, and the heap the largest, as in the intervals themselves.
func slots(ivs []loadtest.Interval) []slot {
	var cuts []time.Duration
	for _, iv := range ivs {
		cuts = append(cuts, iv.From, iv.To)
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	var out []slot
	var open []loadtest.Interval // may reach into the slot
	next := 0
	for i := 1; i < len(cuts); i++ {
		s := slot{from: cuts[i-1], to: cuts[i], p50: gap, p99: gap, lag: gap}
		for ; next < len(ivs) && ivs[next].From <= s.from; next++ {
			open = append(open, ivs[next])
		}
		open = slices.DeleteFunc(open, func(iv loadtest.Interval) bool { return iv.To <= s.from })
		if len(open) == 0 {
			continue // a pause, such as between merged runs
		}
		var weighted float64
		for _, iv := range open {
			perSecond := func(n int64) float64 { return text.PerSecond(n, iv.To-iv.From) }
			rps := iv.RPS()
			s.requests += rps
			s.errors += perSecond(iv.ErrorCount)
			s.refused += perSecond(iv.RejectedCount)
			s.due += perSecond(iv.Scheduled)
			s.missed += perSecond(iv.Missed)
			s.dropped += perSecond(iv.Dropped)
			s.canceled += perSecond(iv.Canceled)
			if iv.Excluded {
				s.apart += rps
			}
			s.excluded, s.counted = s.excluded || iv.Excluded, s.counted || !iv.Excluded
			s.usersFailed += perSecond(iv.UsersFailed)
			if !besides(iv, open) {
				s.inFlight += value(iv.InFlight)
			}
			s.heap = max(s.heap, value(iv.HeapBytes))
			weighted += rps * float64(iv.P50)
			if iv.Requests > 0 {
				s.p99, s.lag = largest(s.p99, iv.P99), largest(s.lag, iv.Lag)
			}
		}
		if s.requests > 0 {
			s.p50 = round3(weighted / s.requests)
		}
		out = append(out, s)
	}
	return out
}

// largest returns the larger one; any is larger than a gap.
func largest(v value, d time.Duration) value {
	if isGap(v) {
		return value(d)
	}
	return max(v, value(d))
}

// stepped is one value for each slot, holding until its end. A gap begins a
// millisecond late, or the line before it would end a slot early.
func stepped(slots []slot, y func(slot) value) (xs, ys []value) {
	add := func(at time.Duration, v value) { xs, ys = append(xs, seconds(at)), append(ys, v) }
	end := func(at time.Duration) {
		if n := len(ys); n > 0 && !isGap(ys[n-1]) {
			add(at, ys[n-1])
		}
	}
	for i, s := range slots {
		v := y(s)
		if i > 0 && slots[i-1].to < s.from {
			end(slots[i-1].to)
			add(slots[i-1].to+time.Millisecond, gap)
		}
		if isGap(v) {
			end(s.from)
			add(s.from+time.Millisecond, v)
			continue
		}
		add(s.from, v)
	}
	if n := len(slots); n > 0 {
		end(slots[n-1].to)
	}
	return xs, ys
}

// sampled is one value at the end of each slot. It starts with a gap, so that
// all charts of a run cover the same time.
func sampled(slots []slot, y func(slot) value) (xs, ys []value) {
	for i, s := range slots {
		if i == 0 || slots[i-1].to < s.from {
			xs, ys = append(xs, seconds(s.from)), append(ys, gap)
		}
		xs, ys = append(xs, seconds(s.to)), append(ys, y(s))
	}
	return xs, ys
}
