package loadtest

import (
	"cmp"
	"slices"
	"time"

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
}

// RPS returns the number of requests sent per second; 0 for an interval of no length.
func (i Interval) RPS() float64 {
	return text.PerSecond(i.Requests, i.To-i.From)
}

const (
	// harvestEvery is the length of an interval.
	harvestEvery = time.Second
	// maxIntervals bounds the rows of a run.
	maxIntervals = 3600
)

// and merges i with next, which starts later or overlaps it.
func (i Interval) and(next Interval) Interval {
	out := Interval{
		From: min(i.From, next.From), To: max(i.To, next.To),
		Counts:    i.Counts,
		P99:       max(i.P99, next.P99),
		Lag:       max(i.Lag, next.Lag),
		Cause:     worse(i.Cause, next.Cause),
		InFlight:  next.InFlight,
		HeapBytes: max(i.HeapBytes, next.HeapBytes),
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

// pair joins each two neighbors.
func pair[T interface{ and(T) T }](rows []T) []T {
	out := rows[:0]
	for i := 0; i < len(rows); i += 2 {
		row := rows[i]
		if i+1 < len(rows) {
			row = row.and(rows[i+1])
		}
		out = append(out, row)
	}
	return out
}

// series holds the intervals of a run in progress. When there are too many, neighbors
// are joined, and further ones are twice as long.
type series struct {
	rows  []Interval
	width int // how many harvests make a row; 0 counts as 1
	last  int // of how many the last row consists
}

func (s *series) add(row Interval) {
	n := len(s.rows)
	if s.last < s.width {
		s.rows[n-1] = s.rows[n-1].and(row)
		s.last++
		return
	}
	if n == maxIntervals {
		s.rows = pair(s.rows)
		s.width = 2 * max(s.width, 1)
	}
	s.rows, s.last = append(s.rows, row), 1
}

// close joins a last row that is less than half as long as the others to the one
// before: what little ends in it would look like a rate and a percentile.
func (s *series) close() {
	n := len(s.rows)
	if n > 1 && s.rows[n-1].To-s.rows[n-1].From < harvestEvery*time.Duration(max(s.width, 1))/2 {
		s.rows[n-2] = s.rows[n-2].and(s.rows[n-1])
		s.rows = s.rows[:n-1]
	}
}

// relabel gives the windows that were added last another cause.
func (s *series) relabel(cause Cause, windows int) {
	n := len(s.rows)
	for i := range s.rows[n-min(n, windows/max(s.width, 1)):] {
		s.rows[n-1-i].Cause = cause
	}
}

// end returns where the last row ends.
func (s *series) end() time.Duration {
	if n := len(s.rows); n > 0 {
		return s.rows[n-1].To
	}
	return 0
}

// shift returns a copy of rows, later by d.
func shift(rows []Interval, d time.Duration) []Interval {
	rows = slices.Clone(rows)
	for i := range rows {
		rows[i].From += d
		rows[i].To += d
	}
	return rows
}

// interleave puts the rows of two results in order of time, and joins neighbors
// if there are too many.
func interleave(a, b []Interval) []Interval {
	rows := slices.Concat(a, b)
	slices.SortStableFunc(rows, func(a, b Interval) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
	for len(rows) > maxIntervals {
		rows = pair(rows)
	}
	return rows
}
