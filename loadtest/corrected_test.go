package loadtest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The stall that a closed loop hides: 1 worker at 100/s, of 10 s the server is frozen for
// one. The truth is that of the 1,000 requests due 100 wait for up to a second.
func TestCorrectedShowsTheStallThatAClosedLoopHides(t *testing.T) {
	latencies := []time.Duration{time.Second}
	for range 900 {
		latencies = append(latencies, time.Millisecond)
	}
	var s Stats
	for i, d := range latencies {
		s.record(d, 0, i%3 == 0) // failed or not
	}
	require.InEpsilon(t, time.Millisecond, s.P99(), 0.001)
	c := s.Corrected(10 * time.Millisecond)
	require.EqualValues(t, 99, c.Added())
	require.Contains(t, c.String(), "(99 latencies added to 901 measured)")
	require.InEpsilon(t, (0.9+1+99*0.5)/1000, c.Mean().Seconds(), 0.01)
	require.InEpsilon(t, 900*time.Millisecond, c.Quantile(0.99), 0.02)
	require.InEpsilon(t, 500*time.Millisecond, c.Quantile(0.95), 0.02)
}
