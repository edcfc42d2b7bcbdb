package loadtest

import "time"

// collector ends an interval of a run about once a second, and keeps what has been
// seen so far. One goroutine at a time uses it.
type collector struct {
	recorder *recorder
	memory   *peakSampler
	series   series
	look     lookout
	total    Counts // since the run began

	base     time.Time
	now      func() time.Duration // since base
	inFlight func() int
	report   func(row Interval, now time.Duration, done bool) // nil if nobody listens
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
			c.look.start()
			continue
		case <-timer.C:
		}
		now := c.now()
		c.harvest(now, false)
		c.look.look()
		timer.Reset((now/harvestEvery+1)*harvestEvery - c.now())
	}
}

// finish ends the last interval. The workers must have ended, and watch too.
func (c *collector) finish(elapsed time.Duration) {
	c.look.stop()
	c.harvest(elapsed, true)
}

func (c *collector) harvest(now time.Duration, last bool) {
	row := c.recorder.harvest(last)
	row.From, row.To = c.series.end(), now
	row.HeapBytes, row.InFlight = c.memory.interval(), c.inFlight()
	c.total.add(row.Counts)
	if n := len(c.series.rows); n == 0 || row.To > row.From {
		c.series.add(row)
	} else if row.Requests+row.RejectedCount > 0 {
		// The last request ended before the last harvest, but was recorded after.
		row.To = row.From
		c.series.rows[n-1] = c.series.rows[n-1].and(row)
	}
	if last {
		c.series.close()
		row = c.series.rows[len(c.series.rows)-1]
	}
	if c.report != nil {
		c.report(row, now, last)
	}
}

// result returns what was seen, after finish.
func (c *collector) result(names []string) *EngineResult {
	res := c.recorder.result(names)
	res.Generator, res.Intervals, res.PeakMemory = c.look.generator(), c.series.rows, c.memory.peak
	return res
}
