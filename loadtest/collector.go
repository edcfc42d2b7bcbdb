package loadtest

import (
	"runtime/metrics"
	"sync"
	"time"
)

// collector ends an interval of a run about once a second, and holds what has been
// counted so far. It is used by one goroutine at a time.
type collector struct {
	recorder *recorder
	memory   *peakSampler
	series   series
	blocks   blockSeries
	watcher  generatorWatch
	total    Counts   // since the run began
	labeler  *labeler // of an open loop; nil in a closed one

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
	row := c.recorder.harvest(last)
	row.From, row.To = c.series.end(), now
	b := c.recorder.recent
	b.from, b.to = row.From, row.To
	c.blocks.add(b)
	row.HeapBytes, row.InFlight = c.memory.interval(), c.inFlight()
	c.total.add(row.Counts)
	c.label(&row)
	if n := len(c.series.rows); n == 0 || row.To > row.From {
		c.series.add(row)
	} else if row.due() > 0 {
		// The last request ended before the last harvest, but was recorded after.
		row.To = row.From
		c.series.rows[n-1] = c.series.rows[n-1].and(row)
	}
	if last {
		c.series.close()
		if c.labeler != nil {
			c.series.relabel(c.labeler.finish())
		}
		row = c.series.rows[len(c.series.rows)-1]
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
	s := c.recorder.window
	s.length = row.To - row.From
	s.waited, s.wait = c.waits()
	var back int
	row.Cause, back = c.labeler.add(s)
	c.series.relabel(row.Cause, back)
}

// result returns what was seen, after finish.
func (c *collector) result(names []string) *EngineResult {
	res := c.recorder.result(names)
	res.Generator, res.Intervals, res.PeakMemory = c.watcher.generator(), c.series.rows, c.memory.peak
	res.blocks = c.blocks.close()
	return res
}

// heapMetric counts live objects and garbage not yet swept.
const heapMetric = "/memory/classes/heap/objects:bytes"

// peakSampler watches the size of the heap while a run goes on. It is safe for
// concurrent use.
type peakSampler struct {
	mu     sync.Mutex
	read   [1]metrics.Sample
	peak   uint64 // of the run
	recent uint64 // of the interval
}

func newPeakSampler() *peakSampler {
	s := &peakSampler{}
	s.read[0].Name = heapMetric
	s.sample()
	return s
}

func (s *peakSampler) sample() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.measure()
}

// measure returns the size of the heap now. The caller holds mu.
func (s *peakSampler) measure() uint64 {
	metrics.Read(s.read[:])
	now := s.read[0].Value.Uint64()
	s.peak, s.recent = max(s.peak, now), max(s.recent, now)
	return now
}

// interval returns the peak since the last call.
func (s *peakSampler) interval() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.measure()
	peak := s.recent
	s.recent = now
	return peak
}

// samplePeriod starts at a millisecond and grows with the age of the run: a
// long run has more garbage collections to show its peak, and no need to pay
// for a thousand looks a second.
func samplePeriod(age time.Duration) time.Duration {
	return min(max(age/1000, time.Millisecond), 10*time.Millisecond)
}

// watch samples until stop is closed.
func (s *peakSampler) watch(stop <-chan struct{}) {
	start := time.Now()
	timer := time.NewTimer(samplePeriod(0))
	defer timer.Stop()
	for {
		select {
		case <-stop:
			s.sample()
			return
		case <-timer.C:
			s.sample()
			timer.Reset(samplePeriod(time.Since(start)))
		}
	}
}
