package live

import (
	"cmp"
	"fmt"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/htmlreport"
	"example.com/brunt/loadtest/internal/hist"
)

// mostRows bounds the intervals of a page: beyond, neighbors are joined.
const mostRows = 1800

var parts = hist.Parts[loadtest.Interval]{
	Bounds: func(i loadtest.Interval) (from, to time.Duration) { return i.From, i.To },
	Join:   loadtest.Interval.Join,
	Later: func(i loadtest.Interval, by time.Duration) loadtest.Interval {
		i.From, i.To = i.From+by, i.To+by
		return i
	},
}

// clock tells when the run began of which reports tell, one run after another.
type clock struct {
	began time.Time
	last  loadtest.Progress
}

func (c *clock) start(p loadtest.Progress, now time.Time) time.Time {
	if c.began.IsZero() || c.last.Done || p.Elapsed < c.last.Elapsed {
		c.began = now.Add(-p.Elapsed)
	}
	c.last = p
	return c.began
}

// track is the run of one process, as its reports tell it.
type track struct {
	began             time.Time // zero before the first report
	last              loadtest.Progress
	counted, excluded hist.Series[loadtest.Interval]
	quiet             bool // it should have told more by now
}

// add adds a report of the run that began then. Another run takes the place of the one
// before.
func (t *track) add(p loadtest.Progress, began time.Time, most int) {
	if !began.Equal(t.began) {
		rows := hist.Series[loadtest.Interval]{Parts: parts, Most: most, Every: time.Second}
		*t = track{began: began, counted: rows, excluded: rows}
	}
	t.last = p
	switch {
	case p.Last.To <= p.Last.From:
	case p.Last.Excluded:
		t.excluded.Add(p.Last)
	case p.Done: // it may contain others
		rows := t.counted.Rows
		for len(rows) > 0 && rows[len(rows)-1].From >= p.Last.From {
			rows = rows[:len(rows)-1]
		}
		if t.counted.Rows = rows; t.counted.End() <= p.Last.From {
			t.counted.Rows = append(t.counted.Rows, p.Last)
		}
	default:
		t.counted.Add(p.Last)
	}
}

// join makes one run of those that have begun.
func join(tracks []*track) htmlreport.Live {
	r := new(loadtest.EngineResult)
	for _, t := range tracks {
		if !t.began.IsZero() && (r.StartedAt.IsZero() || t.began.Before(r.StartedAt)) {
			r.StartedAt = t.began
		}
	}
	l := htmlreport.Live{Result: r}
	for _, t := range tracks {
		if t.began.IsZero() {
			continue
		}
		after := t.began.Sub(r.StartedAt)
		r.Engine = cmp.Or(r.Engine, t.last.Engine)
		r.Elapsed = max(r.Elapsed, after+t.last.Elapsed)
		r.Counts = loadtest.Interval{Counts: r.Counts}.Join(loadtest.Interval{Counts: t.last.Counts}).Counts
		r.Intervals = parts.Interleave(r.Intervals, 0, t.counted.Rows, after)
		r.Excluded = parts.Interleave(r.Excluded, 0, t.excluded.Rows, after)
		if !t.last.Done && !t.quiet {
			l.Last = append(l.Last, t.last.Last)
			if end := after + t.last.Last.To; l.Until == 0 || end < l.Until {
				l.Until = end
			}
		}
	}
	return l
}

// extent says how far a run has come.
func extent(elapsed, planned time.Duration) string {
	if planned > 0 {
		return fmt.Sprintf("%v of %v", elapsed.Round(time.Second), planned.Round(time.Second))
	}
	return elapsed.Round(time.Second).String()
}
