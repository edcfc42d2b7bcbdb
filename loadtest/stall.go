package loadtest

import (
	"fmt"
	"slices"
	"time"

	"example.com/brunt/loadtest/internal/text"
)

const (
	// stallShare is the part of the median rate below which an interval stalls.
	stallShare = 0.1
	// stallRequests is how many requests the median interval must have, so that
	// an interval with next to none cannot be chance.
	stallRequests = 10
)

// stall is a period in which next to no request ended.
type stall struct {
	Interval
	usual float64 // requests per second in the median interval
}

// stalls returns the periods whose rate is below stallShare of the median. Periods
// shorter than two median latencies are ignored: slow requests arrive in rounds. So are
// those in which the breaker refused requests.
func (r *EngineResult) stalls() []stall {
	rows := r.Intervals
	if n := len(rows); n > 1 && rows[n-1].To-rows[n-1].From < harvestEvery {
		rows = rows[:n-1] // the short end of the run
	}
	if len(rows) < 3 {
		return nil
	}
	rates := make([]float64, len(rows))
	counts := make([]int64, len(rows))
	for i, row := range rows {
		rates[i], counts[i] = row.RPS(), row.Requests
	}
	slices.Sort(rates)
	slices.Sort(counts)
	usual := rates[len(rates)/2]
	if counts[len(counts)/2] < stallRequests {
		return nil
	}
	var out []stall
	for _, row := range rows {
		if row.RPS() >= stallShare*usual || row.RejectedCount > 0 {
			continue
		}
		if n := len(out); n > 0 && out[n-1].To == row.From {
			out[n-1].Interval = out[n-1].and(row)
			continue
		}
		out = append(out, stall{row, usual})
	}
	return slices.DeleteFunc(out, func(s stall) bool { return s.To-s.From <= 2*r.P50() })
}

// stallText describes the longest stall; empty if there is none.
func (r *EngineResult) stallText() string {
	all := r.stalls()
	if len(all) == 0 {
		return ""
	}
	s := slices.MaxFunc(all, func(a, b stall) int { return int(a.To - a.From - b.To + b.From) })
	line := fmt.Sprintf("stalled from %v to %v: %s req/s instead of about %s, %s in flight at its end",
		s.From.Round(100*time.Millisecond), s.To.Round(100*time.Millisecond), text.Rate(s.RPS()), text.Rate(s.usual), text.Count(int64(s.InFlight)))
	if n := len(all) - 1; n > 0 {
		line += fmt.Sprintf("; and %d shorter", n)
	}
	return line
}
