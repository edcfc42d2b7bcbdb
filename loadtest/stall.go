package loadtest

import (
	"cmp"
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
	usual float64 // requests per second in the median interval, or due in an open loop
	// before and after are how long the stall lasted in the intervals at its ends, told
	// from what is missing there.
	before, after time.Duration
}

func (s stall) length() time.Duration { return s.before + s.To - s.From + s.after }

// stalls returns the periods whose rate is below stallShare of what was due, which is
// the median rate in a closed loop, and reports whether the run is long enough to tell.
// Periods shorter than two median latencies are ignored: slow requests arrive in rounds.
// So are those in which the breaker refused requests.
func (r *EngineResult) stalls() ([]stall, bool) {
	rows := r.Intervals
	if n := len(rows); n > 1 && rows[n-1].To-rows[n-1].From < harvestEvery {
		rows = rows[:n-1] // the short end of the run
	}
	if len(rows) < 3 {
		return nil, false
	}
	due := func(i Interval) float64 { return float64(i.Scheduled - i.Missed) }
	if r.Scheduled == 0 {
		counts := make([]int64, len(rows))
		rates := make([]float64, len(rows))
		for i, row := range rows {
			counts[i], rates[i] = row.Requests, row.RPS()
		}
		slices.Sort(counts)
		slices.Sort(rates)
		if counts[len(counts)/2] < stallRequests {
			return nil, false
		}
		usual := rates[len(rates)/2]
		due = func(i Interval) float64 { return usual * (i.To - i.From).Seconds() }
	}
	if !slices.ContainsFunc(rows, func(i Interval) bool { return due(i) >= stallRequests }) {
		return nil, false
	}
	// missing returns how long nothing ended in the interval at an end of a stall.
	missing := func(i Interval) time.Duration {
		share := 1 - float64(i.Requests)/max(due(i), 1)
		if due(i) < stallRequests || i.RejectedRate() > 0 || share < stallShare {
			return 0
		}
		return time.Duration(share * float64(i.To-i.From))
	}
	var out []stall
	for k, row := range rows {
		n := len(out)
		follows := n > 0 && out[n-1].To == row.From
		if due(row) < stallRequests || float64(row.Requests) >= stallShare*due(row) || row.RejectedRate() > 0 {
			if follows {
				out[n-1].after = missing(row)
			}
			continue
		}
		if follows {
			out[n-1].Interval = out[n-1].and(row)
			continue
		}
		s := stall{Interval: row, usual: due(row) / (row.To - row.From).Seconds()}
		if k > 0 && rows[k-1].To == row.From {
			s.before = missing(rows[k-1])
		}
		out = append(out, s)
	}
	return slices.DeleteFunc(out, func(s stall) bool { return s.To-s.From <= 2*r.P50() }), true
}

func longestStall(all []stall) stall {
	return slices.MaxFunc(all, func(a, b stall) int { return cmp.Compare(a.length(), b.length()) })
}

// stallText describes the longest stall; empty if there is none.
func (r *EngineResult) stallText() string {
	all, _ := r.stalls()
	if len(all) == 0 {
		return ""
	}
	s := longestStall(all)
	line := fmt.Sprintf("stalled from %v to %v: %s req/s instead of about %s, %s in flight at its end",
		s.From.Round(100*time.Millisecond), s.To.Round(100*time.Millisecond), text.Rate(s.RPS()), text.Rate(s.usual), text.Count(int64(s.InFlight)))
	if n := len(all) - 1; n > 0 {
		line += fmt.Sprintf("; and %d shorter", n)
	}
	return line
}
