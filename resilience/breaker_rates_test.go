package resilience

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/race"
)

// breakerTrips makes calls at a constant rate, of which failed says which fail, for
// at most d, and returns when and why the breaker tripped; reason 0 means that it
// did not.
func breakerTrips(t *testing.T, cfg BreakerConfig, rate int64, d time.Duration, failed func(at time.Duration, i int64) bool) (at time.Duration, reason Reason) {
	t.Helper()
	require.NoError(t, cfg.Validate())
	var c breakerCore
	c.onMove = func(_, to *breakerEra, why Reason, _ windowCounts) { at, reason = time.Duration(to.since), why }
	c.init(cfg.rules(), 0)
	for i := int64(0); reason == 0; i++ {
		now := i * int64(time.Second) / rate
		if now >= int64(d) {
			break
		}
		e, _, _, _ := c.admit(now)
		o := breakerSuccess
		if failed(time.Duration(now), i) {
			o = breakerFailure
		}
		c.finish(e, now, o)
	}
	return at, reason
}

// What the docs say that thresholds do at 1, 100 and 10,000 requests a second.
func TestBreakerThresholdsAtRates(t *testing.T) {
	const healthy = time.Minute
	outage := func(at time.Duration, _ int64) bool { return at >= healthy }
	rates := []int64{1, 100, 10_000}
	if race.Enabled { // arithmetic on one goroutine, slow under -race
		rates = rates[:2]
	}
	for _, rate := range rates {
		// Five failures a minute: one call in 12 × rate, 8.3 % at 1 req/s.
		evenly := func(n int64) func(time.Duration, int64) bool {
			return func(_ time.Duration, i int64) bool { return i%n == n-1 }
		}
		_, reason := breakerTrips(t, BreakerConfig{}, rate, 100*time.Second, evenly(10*rate))
		require.Equal(t, ReasonFailures, reason, "10 %% at 1 req/s and its like trip, at %d req/s", rate)
		_, reason = breakerTrips(t, BreakerConfig{}, rate, 100*time.Second, evenly(16*rate))
		require.Zero(t, reason, "6 %% at 1 req/s and its like do not, at %d req/s", rate)

		off := BreakerConfig{FailureThreshold: NoThreshold}
		_, reason = breakerTrips(t, off, rate, 100*time.Second, evenly(3))
		require.Zero(t, reason, "a third of the calls, at %d req/s", rate)
		at, reason := breakerTrips(t, off, rate, 100*time.Second, outage)
		require.Equal(t, ReasonErrorRate, reason)
		require.InDelta(t, 28.5, (at - healthy).Seconds(), 1.5, "half a window of 54 to 60 s, at %d req/s", rate)
		at, reason = breakerTrips(t, off, rate, time.Minute, func(time.Duration, int64) bool { return true })
		require.Equal(t, ReasonErrorRate, reason)
		require.Equal(t, 9*time.Second/time.Duration(rate), at, "MinRequests of a new window")

		row := BreakerConfig{FailureThreshold: NoThreshold, ConsecutiveFailures: 10}
		at, reason = breakerTrips(t, row, rate, 100*time.Second, outage)
		require.Equal(t, ReasonConsecutive, reason)
		require.Equal(t, 9*time.Second/time.Duration(rate), at-healthy, "the tenth call of an outage, at %d req/s", rate)

		// The settings that the docs recommend.
		safe := BreakerConfig{FailureThreshold: NoThreshold, ErrorRateThreshold: 0.5, MinRequests: 20, WindowDuration: 30 * time.Second}
		_, reason = breakerTrips(t, safe, rate, 100*time.Second, evenly(3))
		require.Zero(t, reason, "a third of the calls, at %d req/s", rate)
		at, reason = breakerTrips(t, safe, rate, 100*time.Second, outage)
		require.Equal(t, ReasonErrorRate, reason)
		require.InDelta(t, 14.25, (at - healthy).Seconds(), 0.75, "half a window of 27 to 30 s, at %d req/s", rate)
	}
}
