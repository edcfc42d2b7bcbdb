package loadtest

import (
	"runtime/metrics"
	"sync"
	"time"
)

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
