package heap

import "time"

// Interval is a stretch of time in which the heap was at most so large.
type Interval struct {
	From, To time.Duration
	Bytes    uint64
}

// Growth returns by how much the heap grew from the offset from on, as a share of the
// largest of all: the slope of a straight line laid through the intervals by least
// squares, each weighing as much as it is long. It is 0 where fewer than three begin at
// from or later.
func Growth(all []Interval, from time.Duration) float64 {
	var peak uint64
	var rows []Interval
	for _, row := range all {
		peak = max(peak, row.Bytes)
		if row.From >= from {
			rows = append(rows, row)
		}
	}
	if len(rows) < 3 || peak == 0 {
		return 0
	}
	at := func(row Interval) (x, y, weight float64) {
		return (row.From + row.To).Seconds() / 2, float64(row.Bytes), (row.To - row.From).Seconds()
	}
	var whole, meanX float64
	for _, row := range rows {
		x, _, w := at(row)
		whole, meanX = whole+w, meanX+w*x
	}
	if whole == 0 {
		return 0
	}
	meanX /= whole
	var xx, xy float64
	end := rows[0].To
	for _, row := range rows {
		x, y, w := at(row)
		w *= x - meanX // of which the sum is 0: x and y need not be centered too
		xx += w * x
		xy += w * y
		end = max(end, row.To)
	}
	if xx == 0 {
		return 0
	}
	return xy / xx * (end - rows[0].From).Seconds() / float64(peak)
}
