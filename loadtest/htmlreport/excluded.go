package htmlreport

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/internal/text"
)

// This file says how what Exclude has left out of a result is shown and told apart.

// timeline returns the intervals of r and what was excluded, in the order of From.
func timeline(r *loadtest.EngineResult) []loadtest.Interval {
	all := slices.Concat(r.Excluded, r.Intervals)
	slices.SortStableFunc(all, func(a, b loadtest.Interval) int { return cmp.Compare(a.From, b.From) })
	return all
}

// besides reports whether iv is what was not counted beside one of others: what both say of
// the whole process is the same then.
func besides(iv loadtest.Interval, others []loadtest.Interval) bool {
	return iv.Excluded && slices.ContainsFunc(others, func(o loadtest.Interval) bool { return !o.Excluded && o.To == iv.To })
}

// bands returns the time of intervals, in the order of From, with those that touch joined.
func bands(ivs []loadtest.Interval, color string) (out []band) {
	for _, iv := range ivs {
		from, to := seconds(iv.From), seconds(iv.To)
		if n := len(out); n > 0 && from <= out[n-1].To {
			out[n-1].To = max(out[n-1].To, to)
			continue
		}
		out = append(out, band{from, to, color})
	}
	return out
}

// stretch shows a stretch of time.
func stretch(from, to time.Duration) string {
	if from < 0 {
		return fmt.Sprintf("%.1f to %.1f s", from.Seconds(), to.Seconds())
	}
	return fmt.Sprintf("%.1f–%.1f s", from.Seconds(), to.Seconds())
}

// notCounted says what Exclude has left out; it is empty if that is nothing.
func notCounted(r *loadtest.EngineResult) string {
	if len(r.Excluded) == 0 {
		return ""
	}
	var before, after int64
	for _, iv := range r.Excluded {
		if iv.From < 0 {
			before += iv.Requests
		} else {
			after += iv.Requests
		}
	}
	return fmt.Sprintf("Not counted, as Exclude says: %s requests before what is counted, and %s after. "+
		"Charts over time show them shaded, the table of intervals marks them, and no other number has them.", text.Count(before), text.Count(after))
}
