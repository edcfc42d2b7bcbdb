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

// bands returns the time in which more was left out than counted. Some is counted among
// what was left out, and the other way round: a request belongs to the interval in which
// it ended.
func bands(slots []slot, color string) (out []band) {
	for _, s := range slots {
		if !s.excluded || s.counted && s.apart <= s.requests/2 {
			continue
		}
		from, to := seconds(s.from), seconds(s.to)
		if n := len(out); n > 0 && out[n-1].To == from {
			out[n-1].To = to
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
	before, after := r.ExcludedRequests()
	return fmt.Sprintf("Not counted, as Exclude says: %s requests before what is counted, and %s after. "+
		"Charts over time show them shaded, the table of intervals marks them, and no other number has them.", text.Count(before), text.Count(after))
}
