package loadtest

import (
	"time"

	"example.com/brunt/loadtest/internal/heap"
	"example.com/brunt/loadtest/internal/hist"
	"example.com/brunt/loadtest/internal/label"
)

// collector ends an interval of a run about once a second, and holds what has been
// counted so far. It is used by one goroutine at a time.
type collector struct {
	recorder *recorder
	memory   *heap.Sampler
	series   hist.Series[Interval]
	blocks   hist.Series[hist.Block]
	excluded hist.Series[Interval]
	counted  counted
	at       time.Duration // of the last harvest
	watcher  generatorWatch
	peak     uint64         // the largest heap so far
	total    Counts         // since the run began
	labeler  *label.Labeler // of an open loop; nil in a closed one

	base     time.Time
	now      func() time.Duration // since base
	inFlight func() int
	waits    func() (requests int64, sum time.Duration)       // for connections, since the last call
	report   func(row Interval, now time.Duration, done bool) // nil without OnProgress
	abort    func(now time.Duration)                          // nil without an Abort
}

// watch harvests until stop is closed. A harvest that comes late makes its
// interval longer, and those that it missed are not made up for.
func (c *collector) watch(stop <-chan struct{}) {
	timer := time.NewTimer(harvestEvery)
	defer timer.Stop()
	var begin <-chan time.Time // nil: never
	if !virtual(c.base) {
		t := time.NewTimer(watchAfter)
		defer t.Stop()
		begin = t.C
	}
	for {
		select {
		case <-stop:
			return
		case <-begin:
			c.watcher.start()
			continue
		case <-timer.C:
		}
		now := c.now()
		c.harvest(now, false)
		c.watcher.collect()
		timer.Reset((now/harvestEvery+1)*harvestEvery - c.now())
	}
}

// finish ends the last interval. The workers must have ended, and watch too.
func (c *collector) finish(elapsed time.Duration) {
	c.watcher.stop()
	c.harvest(elapsed, true)
}

func (c *collector) harvest(now time.Duration, last bool) {
	row, excluded := c.recorder.harvest(last)
	if len(c.series.Rows) == 0 {
		row.From = min(c.counted.from, now)
	} else {
		row.From = c.series.End()
	}
	row.To = now
	b := c.recorder.recent
	b.From, b.To = row.From, row.To
	row.HeapBytes, row.InFlight = c.memory.Recent(), c.inFlight()
	c.peak = max(c.peak, row.HeapBytes)
	c.total.add(row.Counts)
	excluded.Excluded, excluded.From, excluded.To = true, c.at, max(now, c.at)
	excluded.HeapBytes, excluded.InFlight = row.HeapBytes, row.InFlight
	c.at = excluded.To
	if excluded.asked() > 0 {
		if warm := c.counted.from; excluded.From < warm {
			excluded.To = min(excluded.To, warm)
		}
		c.excluded.Add(excluded)
	}
	switch {
	case row.asked() == 0 && c.counted.outside(row.From, now, c.total.asked() == 0):
		row = excluded
	case len(c.series.Rows) == 0 || row.To > row.From:
		c.label(&row)
		c.series.Add(row)
		c.blocks.Add(b)
	case row.asked() > 0:
		c.label(&row)
		// The last request ended before the last harvest, but was recorded after.
		row.To, b.To = row.From, row.From
		c.series.Extend(row)
		c.blocks.Extend(b)
	}
	if last {
		c.series.Close()
		if c.labeler != nil {
			c.relabel(c.labeler.Finish())
		}
		if n := len(c.series.Rows); n > 0 {
			row = c.series.Rows[n-1]
		}
	}
	if c.report != nil {
		c.report(row, now, last)
	}
	if c.abort != nil && !last {
		c.abort(now)
	}
}

// label labels the interval of an open loop that ends, and those before it that turn out
// to have the same cause.
func (c *collector) label(row *Interval) {
	if c.labeler == nil {
		return
	}
	w := c.recorder.window
	w.Length = row.To - row.From
	w.Waited, w.Wait = c.waits()
	cause, back := c.labeler.Add(w)
	row.Cause = Cause(cause)
	c.relabel(cause, back)
}

// relabel gives the windows that were added last another cause.
func (c *collector) relabel(cause label.Cause, windows int) {
	rows := c.series.Latest(windows)
	for i := range rows {
		rows[i].Cause = Cause(cause)
	}
}

// result returns what was seen, after finish, as of start.
func (c *collector) result(names []endpointName, start time.Duration) *EngineResult {
	res := c.recorder.result(names)
	res.Generator, res.PeakMemory = c.watcher.generator(), c.peak
	res.Intervals, res.Excluded, res.blocks = c.series.Rows, c.excluded.Rows, c.blocks.Close()
	for i, row := range res.Intervals {
		res.Intervals[i].From, res.Intervals[i].To = max(row.From-start, 0), max(row.To-start, 0)
	}
	for i, row := range res.Excluded {
		res.Excluded[i] = intervals.Later(row, -start)
	}
	for i, b := range res.blocks {
		res.blocks[i].From, res.blocks[i].To = max(b.From-start, 0), max(b.To-start, 0)
	}
	return res
}
