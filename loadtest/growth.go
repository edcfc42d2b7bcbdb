package loadtest

import (
	"time"
)

// HeapGrowth returns by how much the heap grew from the offset from until the end of
// the run, as a share of the largest heap of any interval: 0.05 is 5 %, and a
// heap that shrank is below 0. It is the slope of a straight line laid through
// HeapBytes by least squares, each interval weighing as much as it is long, so
// that neither a single collection nor a short last interval decides. It is 0
// where fewer than three intervals begin at from or later.
func (r *EngineResult) HeapGrowth(from time.Duration) float64 {
	var peak uint64
	var rows []Interval
	for _, row := range r.Intervals {
		peak = max(peak, row.HeapBytes)
		if row.From >= from {
			rows = append(rows, row)
		}
	}
	if len(rows) < 3 || peak == 0 {
		return 0
	}
	at := func(row Interval) (x, y, weight float64) {
		return (row.From + row.To).Seconds() / 2, float64(row.HeapBytes), (row.To - row.From).Seconds()
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
