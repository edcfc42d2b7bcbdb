package loadtest

import (
	"runtime/metrics"
	"time"
)

// heapMetric counts live objects and garbage not yet swept.
const heapMetric = "/memory/classes/heap/objects:bytes"

// peakSampler watches the size of the heap while a run goes on.
type peakSampler struct {
	read [1]metrics.Sample
	peak uint64
}

func newPeakSampler() *peakSampler {
	s := &peakSampler{}
	s.read[0].Name = heapMetric
	s.sample()
	return s
}

func (s *peakSampler) sample() {
	metrics.Read(s.read[:])
	s.peak = max(s.peak, s.read[0].Value.Uint64())
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
