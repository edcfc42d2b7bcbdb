package capacity

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The fields' comments promise these figures.
func TestDefaults(t *testing.T) {
	c := Config{Goals: []Goal{{}}}.withDefaults()
	require.InDelta(t, 1, c.MinRate, 0)
	require.InDelta(t, 1e6, c.MaxRate, 0)
	require.InDelta(t, 1e6, c.Guess, 0)
	require.InDelta(t, 0.02, c.Width, 0)
	require.Equal(t, Goal{
		ExceedRatio: 0.5, TrialDuration: time.Second, DurationSum: 7 * time.Second, InitialDuration: 2 * time.Second,
	}, c.Goals[0].withDefaults())
}
