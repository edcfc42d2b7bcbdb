// Package heap watches how large the heap gets, and judges whether it grows.
package heap

import (
	"runtime/metrics"
	"sync"
	"time"
)

// metric counts live objects and garbage not yet swept.
const metric = "/memory/classes/heap/objects:bytes"

// Sampler keeps the largest size of the heap that it sees. It is safe for concurrent use.
type Sampler struct {
	mu     sync.Mutex
	read   [1]metrics.Sample
	recent uint64 // the largest size since Recent was called
}

// NewSampler returns a sampler that has looked once.
func NewSampler() *Sampler {
	s := &Sampler{}
	s.read[0].Name = metric
	s.sample()
	return s
}

func (s *Sampler) sample() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.measure()
}

// measure returns the size of the heap now. The caller holds mu.
func (s *Sampler) measure() uint64 {
	metrics.Read(s.read[:])
	now := s.read[0].Value.Uint64()
	s.recent = max(s.recent, now)
	return now
}

// Recent returns the largest size seen since the last call.
func (s *Sampler) Recent() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.measure()
	peak := s.recent
	s.recent = now
	return peak
}

// period starts at a millisecond and grows with the age of the watch: a
// long one has more garbage collections to show its peak, and no need to pay
// for a thousand looks a second.
func period(age time.Duration) time.Duration {
	return min(max(age/1000, time.Millisecond), 10*time.Millisecond)
}

// Watch samples until stop is closed.
func (s *Sampler) Watch(stop <-chan struct{}) {
	start := time.Now()
	timer := time.NewTimer(period(0))
	defer timer.Stop()
	for {
		select {
		case <-stop:
			s.sample()
			return
		case <-timer.C:
			s.sample()
			timer.Reset(period(time.Since(start)))
		}
	}
}
