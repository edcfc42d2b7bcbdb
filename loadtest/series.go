package loadtest

import (
	"cmp"
	"slices"
	"time"
)

// harvestEvery is the length of an interval.
const harvestEvery = time.Second

// part is what happened in a part of a run: an Interval or a block.
type part[T any] interface {
	// bounds returns where the part begins and ends, since the run began.
	bounds() (from, to time.Duration)
	// and returns the union with a part that begins later or overlaps this one.
	and(next T) T
	// later returns the part, begun and ended later.
	later(by time.Duration) T
}

// series holds the parts of a run in progress, one a harvest. When there are too many,
// neighbors are joined, and further ones are twice as long.
type series[T part[T]] struct {
	most  int // how many rows there may be
	rows  []T
	width int // how many harvests make a row; 0 counts as 1
	last  int // of how many the last row consists
}

func (s *series[T]) add(row T) {
	if s.last < s.width {
		s.extend(row)
		s.last++
		return
	}
	if len(s.rows) == s.most {
		s.rows = pair(s.rows)
		s.width = 2 * max(s.width, 1)
	}
	s.rows, s.last = append(s.rows, row), 1
}

// extend joins row to the last one.
func (s *series[T]) extend(row T) {
	n := len(s.rows)
	s.rows[n-1] = s.rows[n-1].and(row)
}

// close joins a last row that is less than half as long as the others to the one
// before: what little ends in it would look like a rate and a percentile.
func (s *series[T]) close() []T {
	if n := len(s.rows); n > 1 {
		last := s.rows[n-1]
		if from, to := last.bounds(); to-from < harvestEvery*time.Duration(max(s.width, 1))/2 {
			s.rows = s.rows[:n-1]
			s.extend(last)
		}
	}
	return s.rows
}

// end returns where the last row ends.
func (s *series[T]) end() (to time.Duration) {
	if n := len(s.rows); n > 0 {
		_, to = s.rows[n-1].bounds()
	}
	return to
}

// relabel gives the windows that were added last another cause.
func relabel(s *series[Interval], cause Cause, windows int) {
	n := len(s.rows)
	for i := range s.rows[n-min(n, windows/max(s.width, 1)):] {
		s.rows[n-1-i].Cause = cause
	}
}

// pair joins each two neighbors.
func pair[T part[T]](rows []T) []T {
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

// atMost joins neighbors until there are no more than most.
func atMost[T part[T]](most int, rows []T) []T {
	for len(rows) > most {
		rows = pair(rows)
	}
	return rows
}

// interleave returns the parts of two results in the order of time: a's later by shiftA,
// b's by shiftB. Neither is changed.
func interleave[T part[T]](a []T, shiftA time.Duration, b []T, shiftB time.Duration) []T {
	rows := slices.Concat(a, b)
	for i := range rows {
		if i < len(a) {
			rows[i] = rows[i].later(shiftA)
		} else {
			rows[i] = rows[i].later(shiftB)
		}
	}
	slices.SortStableFunc(rows, func(a, b T) int {
		from1, to1 := a.bounds()
		from2, to2 := b.bounds()
		return cmp.Or(cmp.Compare(from1, from2), cmp.Compare(to1, to2))
	})
	return rows
}
