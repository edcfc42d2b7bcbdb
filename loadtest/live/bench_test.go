package live

import (
	"testing"
	"time"
)

// BenchmarkEvent is what a run pays each second while it is watched, however many watch: the
// event of the most intervals that there are.
func BenchmarkEvent(b *testing.B) {
	s := &show{title: b.Name()}
	for i := range mostRows {
		p := second(i+1, int64(1000+i%37))
		p.Last.P99 = time.Duration(i%91) * time.Millisecond
		s.add(p)
	}
	size := 0
	for b.Loop() {
		event, err := s.view().Event()
		if err != nil {
			b.Fatal(err)
		}
		size = len(event)
	}
	b.ReportMetric(float64(size), "B/event")
}
