package resilience

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// To the nanosecond, where a comparison turns: the doubling ends only where it would
// pass the limit, and what has no jitter is not rounded.
func TestBackoffAtItsBounds(t *testing.T) {
	for name, c := range map[string]struct {
		base, limit time.Duration
		jitter      float64
		attempt     int
		random      float64
		want        time.Duration
	}{
		"the last doubling under an odd limit": {1, 3, NoJitter, 2, 0.5, 2},
		"the doubling that would pass it":      {1, 3, NoJitter, 3, 0.5, 3},
		"a doubling that meets the limit":      {1, 4, NoJitter, 3, 0.5, 4},
		"a base of the limit":                  {7, 7, NoJitter, 1, 0.5, 7},
		"the 62nd doubling":                    {1, math.MaxInt64, NoJitter, 63, 0.5, 1 << 62},
		"the 63rd would be negative":           {1, math.MaxInt64, NoJitter, 64, 0.5, math.MaxInt64},
		"a wait that no float64 holds":         {1<<53 + 1, math.MaxInt64, 0, 1, 0.5, 1<<53 + 1},
		"a limit that no float64 holds":        {math.MaxInt64, math.MaxInt64, 1, 1, 0.5, math.MaxInt64},
		"jitter that meets the limit":          {8, 12, 0.5, 1, 1, 12},
	} {
		require.Equal(t, c.want, backoffDelay(c.base, c.limit, c.jitter, c.attempt, c.random), name)
	}
}
