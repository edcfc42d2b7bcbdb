package loadtest

import "time"

// collector ends an interval of its run about once a second, and says how the
// run stands. One goroutine at a time uses it.
type collector struct {
	run    *run
	memory *peakSampler
	series series
	look   lookout
	tell   *teller // nil if nobody listens

	// Since the run began.
	requests, failed, rejected int64
}

// watch harvests until stop is closed. A harvest that comes late makes its
// interval longer, and those that it missed are not made up for.
func (c *collector) watch(stop <-chan struct{}) {
	timer := time.NewTimer(harvestEvery)
	defer timer.Stop()
	var begin <-chan time.Time // nil: never
	if !virtual(c.run.base) {
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
		now := c.run.now()
		c.harvest(now, false)
		c.look.look()
		timer.Reset((now/harvestEvery+1)*harvestEvery - c.run.now())
	}
}

func (c *collector) harvest(now time.Duration, last bool) {
	row := c.run.recorder.harvest(last)
	row.From, row.To = c.series.end(), now
	row.HeapBytes = c.memory.interval()
	for _, w := range c.run.workers {
		if w.slot.state.Load() != slotIdle {
			row.InFlight++
		}
	}
	c.requests += row.Requests
	c.failed += row.ErrorCount
	c.rejected += row.RejectedCount
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
	if c.tell != nil {
		c.tell.put(c.progress(row, now, last))
	}
}

func (c *collector) progress(row Interval, now time.Duration, done bool) Progress {
	p := Progress{
		Engine: c.run.core.name, Elapsed: now, Planned: c.run.feed.planned(),
		Requests: c.requests, ErrorCount: c.failed, RejectedCount: c.rejected, Size: c.run.feed.size(),
		Last: row, InFlight: row.InFlight, HeapBytes: row.HeapBytes, Done: done,
	}
	if now > 0 {
		p.RPS = float64(c.requests) / now.Seconds()
	}
	return p
}

// teller calls OnProgress. A report that comes while one is being told replaces
// another that waits.
type teller struct {
	run  *run
	next chan Progress // has room for one; closed after the last
}

func (t *teller) put(p Progress) {
	for {
		select {
		case t.next <- p:
			return
		default:
		}
		select {
		case <-t.next:
		default:
		}
	}
}

// talk calls OnProgress until next is closed or a call does not return.
func (t *teller) talk() {
	orderly := false
	defer func() {
		if !orderly {
			t.run.crash(recover())
		}
	}()
	for p := range t.next {
		t.run.core.progress(p)
	}
	orderly = true
}
