package loadtest

import (
	"time"

	"example.com/brunt/loadtest/internal/hist"
	"example.com/brunt/loadtest/internal/label"
	"example.com/brunt/loadtest/internal/text"
)

// Interval is what happened in a part of a run, usually a second.
type Interval struct {
	// From and To are offsets since EngineResult.StartedAt. A request belongs to
	// the interval in which it ended.
	From, To time.Duration
	// Counts are of the requests that ended in the interval, or were refused.
	Counts
	// P50 and P99 are over the latencies of all requests sent, as Stats.Quantile;
	// 0 if there were none.
	P50, P99 time.Duration
	// Lag is the 99th percentile of the lags; 0 in a closed loop.
	Lag time.Duration
	// Cause is what kept the interval from being what the schedule of an open loop asked
	// for, or how the service changed: what three intervals in a row show, at the least.
	Cause Cause
	// InFlight is how many requests were being attempted at To.
	InFlight int
	// HeapBytes is the largest heap seen in the interval, as in
	// EngineResult.PeakMemory.
	HeapBytes uint64
	// Excluded is set of the rows of [EngineResult.Excluded].
	Excluded bool
}

// RPS returns the number of requests sent per second; 0 for an interval of no length.
func (i Interval) RPS() float64 {
	return text.PerSecond(i.Requests, i.To-i.From)
}

const (
	// harvestEvery is the length of an interval.
	harvestEvery = time.Second
	// maxIntervals bounds the intervals of a run.
	maxIntervals = 3600
)

var intervals = hist.Parts[Interval]{
	Bounds: func(i Interval) (from, to time.Duration) { return i.From, i.To },
	Join:   Interval.and,
	Later: func(i Interval, by time.Duration) Interval {
		i.From, i.To = i.From+by, i.To+by
		return i
	},
}

func newSeries() hist.Series[Interval] {
	return hist.Series[Interval]{Parts: intervals, Most: maxIntervals, Every: harvestEvery}
}

// and merges i with next, which starts later or overlaps it.
func (i Interval) and(next Interval) Interval {
	out := Interval{
		From: min(i.From, next.From), To: max(i.To, next.To),
		Counts:    i.Counts,
		P99:       max(i.P99, next.P99),
		Lag:       max(i.Lag, next.Lag),
		Cause:     Cause(label.Worse(label.Cause(i.Cause), label.Cause(next.Cause))),
		InFlight:  next.InFlight,
		HeapBytes: max(i.HeapBytes, next.HeapBytes),
		Excluded:  i.Excluded && next.Excluded,
	}
	out.add(next.Counts)
	if next.From < i.To { // of runs side by side
		out.InFlight += i.InFlight
	}
	if out.Requests > 0 {
		out.P50 = time.Duration((float64(i.P50)*float64(i.Requests) + float64(next.P50)*float64(next.Requests)) / float64(out.Requests))
	}
	return out
}
