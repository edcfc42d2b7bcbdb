package resilience

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Only a limiter with a permit to spare, nobody in its queue and room in its counter
// lets a newcomer in without the mutex. Without this the limiter would be right all
// the same, and slow.
func TestLimiterStateLetsANewcomerIn(t *testing.T) {
	one, limit := limiterActiveOne, 3*limiterLimitOne
	for name, c := range map[string]struct {
		state uint64
		free  bool
	}{
		"none active":                         {limit, true},
		"one permit to spare":                 {limit + 2*one, true},
		"all active":                          {limit + 3*one, false},
		"more active than the limit, resized": {limit + 4*one, false},
		"somebody waits":                      {limit + limiterQueued, false},
		"the counter is full":                 {limit + limiterAcqFull, false},
		"the counter is nearly full":          {limit + limiterAcqFull - 1, true},
		"released once too often":             {limit - one, false},
		"a limit of one":                      {limiterLimitOne, true},
		"a limit of one that is taken":        {limiterLimitOne + one, false},
	} {
		require.Equal(t, c.free, limiterFree(c.state), name)
	}
	require.NotZero(t, (limit-one)&limiterBorrowed)
	require.Zero(t, (LimiterMaxConcurrent*limiterLimitOne+LimiterMaxConcurrent*one)&limiterBorrowed)
	require.Equal(t, uint64(LimiterMaxConcurrent), limiterLimit(LimiterMaxConcurrent*limiterLimitOne))
}
