package resilience

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBackoffSchedule(t *testing.T) {
	defaults := RetryConfig{}
	want := []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60}
	for i, seconds := range want {
		require.Equal(t, seconds*time.Second, defaults.Delay(i+1, 0.5), "wait after attempt %d", i+1)
	}
}

func TestBackoffJitter(t *testing.T) {
	rows := []struct {
		reason      string
		base, limit time.Duration
		jitter      float64
		attempt     int
		random      float64
		want        time.Duration
	}{
		{"the lower end of the jitter", time.Second, time.Minute, 0.1, 1, 0, 900 * time.Millisecond},
		{"the middle is the schedule itself", time.Second, time.Minute, 0.1, 1, 0.5, time.Second},
		{"a quarter above", time.Second, time.Minute, 0.5, 2, 0.75, 2500 * time.Millisecond},
		{"full jitter reaches zero", time.Second, time.Minute, 1, 1, 0, 0},
		{"no jitter ignores the random number", time.Second, time.Minute, NoJitter, 1, 0, time.Second},
		{"the cap comes after the jitter: up", time.Minute, time.Minute, 0.5, 1, 0.99, time.Minute},
		{"the cap comes after the jitter: down", time.Minute, time.Minute, 0.5, 1, 0, 30 * time.Second},
		{"attempt zero is the first", time.Second, time.Minute, NoJitter, 0, 0, time.Second},
		{"a negative attempt is the first", time.Second, time.Minute, NoJitter, -7, 0, time.Second},
		{"random above range", time.Second, time.Minute, 0.1, 1, 7, 1100 * time.Millisecond},
		{"random below range", time.Second, time.Minute, 0.1, 1, -7, 900 * time.Millisecond},
		{"random not a number", time.Second, time.Minute, 0.1, 1, math.NaN(), 1100 * time.Millisecond},
	}
	for _, row := range rows {
		got := backoffDelay(row.base, row.limit, row.jitter, row.attempt, row.random)
		require.InDelta(t, float64(row.want), float64(got), 1, row.reason)
	}
}

// An overflow in doubling turned waits negative, and retries into a hot loop,
// in more than one library; one doubled the first delay.
func TestBackoffPeerBug16Overflow(t *testing.T) {
	require.Equal(t, time.Second, RetryConfig{JitterFactor: NoJitter}.Delay(1, 0), "the first wait is BaseDelay, not its double")
	for _, limit := range []time.Duration{time.Minute, math.MaxInt64} {
		for _, random := range []float64{0, 0.5, math.Nextafter(1, 0)} {
			last := time.Duration(0)
			for attempt := 1; attempt < 200; attempt++ {
				got := backoffDelay(time.Second, limit, NoJitter, attempt, random)
				require.GreaterOrEqual(t, got, last, "attempt %d under %v", attempt, limit)
				last = got
				jittered := backoffDelay(time.Second, limit, 1, attempt, random)
				require.GreaterOrEqual(t, jittered, time.Duration(0))
				require.LessOrEqual(t, jittered, limit)
			}
		}
	}
	require.Equal(t, time.Minute, backoffDelay(time.Second, time.Minute, 0.1, math.MaxInt, 0.5))
}

func FuzzBackoff(f *testing.F) {
	f.Add(int64(time.Second), int64(time.Minute), 0.1, 3, 0.5)
	f.Add(int64(1), int64(math.MaxInt64), 1.0, 64, 0.999)
	f.Fuzz(func(t *testing.T, base, limit int64, jitter float64, attempt int, random float64) {
		cfg := RetryConfig{BaseDelay: time.Duration(base), MaxDelay: time.Duration(limit), JitterFactor: jitter}
		if cfg.Validate() != nil {
			t.Skip()
		}
		got := cfg.Delay(attempt, random)
		full := cfg.withDefaults()
		if got < 0 || got > full.MaxDelay {
			t.Fatalf("Delay = %v, want within [0, %v]", got, full.MaxDelay)
		}
	})
}
