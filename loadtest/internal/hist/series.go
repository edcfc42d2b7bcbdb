package hist

import (
	"cmp"
	"slices"
	"time"
)

// Parts says how the parts of a stretch of time are handled, which may be of any type.
type Parts[T any] struct {
	// Bounds returns where a part begins and ends, since some instant.
	Bounds func(part T) (from, to time.Duration)
	// Join returns the union of a part with one that begins later or overlaps it.
	Join func(part, next T) T
	// Later returns the part, begun and ended later.
	Later func(part T, by time.Duration) T
}

// Series holds the parts of a time in progress. When there are too many, neighbors are
// joined, and further ones are twice as long.
type Series[T any] struct {
	Parts[T]
	Most  int           // how many rows there may be
	Every time.Duration // how long each part that is added is meant to be
	Rows  []T
	width int // how many parts make a row; 0 counts as 1
	last  int // of how many the last row consists
}

// Add adds the next part.
func (s *Series[T]) Add(part T) {
	if s.last < s.width {
		s.Extend(part)
		s.last++
		return
	}
	if len(s.Rows) == s.Most {
		s.Rows = s.pair(s.Rows)
		s.width = 2 * max(s.width, 1)
	}
	s.Rows, s.last = append(s.Rows, part), 1
}

// Extend joins a part to the last row, of which there is one.
func (s *Series[T]) Extend(part T) {
	n := len(s.Rows)
	s.Rows[n-1] = s.Join(s.Rows[n-1], part)
}

// Close joins a last row that is less than half as long as the others to the one before,
// and returns the rows: what little ends in it would look like a rate and a percentile.
func (s *Series[T]) Close() []T {
	if n := len(s.Rows); n > 1 {
		last := s.Rows[n-1]
		if from, to := s.Bounds(last); to-from < s.Every*time.Duration(max(s.width, 1))/2 {
			s.Rows = s.Rows[:n-1]
			s.Extend(last)
		}
	}
	return s.Rows
}

// End returns where the last row ends.
func (s *Series[T]) End() (to time.Duration) {
	if n := len(s.Rows); n > 0 {
		_, to = s.Bounds(s.Rows[n-1])
	}
	return to
}

// Latest returns the rows that hold none but so many parts, those that were added last.
func (s *Series[T]) Latest(parts int) []T {
	n := len(s.Rows)
	return s.Rows[n-min(n, parts/max(s.width, 1)):]
}

// pair joins each two neighbors.
func (p Parts[T]) pair(rows []T) []T {
	out := rows[:0]
	for i := 0; i < len(rows); i += 2 {
		row := rows[i]
		if i+1 < len(rows) {
			row = p.Join(row, rows[i+1])
		}
		out = append(out, row)
	}
	return out
}

// AtMost joins neighbors, in place, until there are no more than most.
func (p Parts[T]) AtMost(most int, rows []T) []T {
	for len(rows) > most {
		rows = p.pair(rows)
	}
	return rows
}

// Interleave returns the parts of a, later by shiftA, and of b, later by shiftB, in the
// order of time. Neither is changed.
func (p Parts[T]) Interleave(a []T, shiftA time.Duration, b []T, shiftB time.Duration) []T {
	rows := slices.Concat(a, b)
	for i := range rows {
		if i < len(a) {
			rows[i] = p.Later(rows[i], shiftA)
		} else {
			rows[i] = p.Later(rows[i], shiftB)
		}
	}
	slices.SortStableFunc(rows, func(a, b T) int {
		from1, to1 := p.Bounds(a)
		from2, to2 := p.Bounds(b)
		return cmp.Or(cmp.Compare(from1, from2), cmp.Compare(to1, to2))
	})
	return rows
}
