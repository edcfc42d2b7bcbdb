package capacity

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestConfigValidateReportsEveryFault(t *testing.T) {
	err := Config{
		Goals:   []Goal{{LossRatio: -0.1, ExceedRatio: 1}, {LossRatio: math.NaN(), Limit: -4, TrialDuration: -1, DurationSum: -2, InitialDuration: -3}, {TrialDuration: 9, DurationSum: 8}, {DurationSum: time.Second, InitialDuration: time.Minute}},
		MinRate: -1, MaxRate: math.Inf(1), Guess: math.NaN(), Width: 1e-5, Levels: 17, Budget: -4,
	}.Validate()
	require.ErrorIs(t, err, ErrConfig)
	for _, want := range []string{
		"Goals[0].LossRatio is -0.1", "Goals[0].ExceedRatio is 1", "Goals[1].LossRatio is NaN", "Goals[1].Limit is -4ns: must be 0 for none", "Goals[1].TrialDuration is -1ns",
		"Goals[1].DurationSum is -2ns", "Goals[1].InitialDuration is -3ns", "Goals[2].DurationSum is 8ns: must be TrialDuration, which is 9ns, at least",
		"Goals[3].InitialDuration is 1m0s: must be DurationSum, which is 1s, at most",
		"MinRate is -1", "MaxRate is +Inf", "Guess is NaN", "Width is 1e-05", "Levels is 17", "Budget is -4ns",
	} {
		require.ErrorContains(t, err, want)
	}
	s, err := New(Config{})
	require.Nil(t, s)
	require.ErrorIs(t, err, ErrConfig)
}

// The coarser a search, the shorter its sums, in equal steps.
func TestLevels(t *testing.T) {
	c := Config{Levels: 4, Goals: []Goal{
		{TrialDuration: time.Second, DurationSum: 8 * time.Second, InitialDuration: time.Second},
		{TrialDuration: 27 * time.Second, DurationSum: 27 * time.Second, InitialDuration: time.Second},
	}}.withDefaults()
	var got [][2]time.Duration
	for _, goals := range c.levels() {
		for _, g := range goals {
			got = append(got, [2]time.Duration{g.TrialDuration, g.DurationSum})
		}
	}
	const s = time.Second
	require.Equal(t, [][2]time.Duration{{s, s}, {s, s}, {s, 2 * s}, {3 * s, 3 * s}, {s, 4 * s}, {9 * s, 9 * s}, {s, 8 * s}, {27 * s, 27 * s}}, got)
}

// Each search is somewhat longer than the one before.
func TestEachLevelIsSearched(t *testing.T) {
	c := Config{Levels: 4, Goals: []Goal{{TrialDuration: 8 * time.Second, DurationSum: 8 * time.Second, InitialDuration: time.Second}}}
	r := search(t, c, step(1000), rand.New(rand.NewPCG(1, 1)))
	requireByDefinition(t, c, r)
	var lengths []time.Duration
	for _, trial := range r.Trials {
		lengths = append(lengths, trial.Duration.Round(time.Millisecond))
	}
	require.True(t, slices.IsSorted(lengths), lengths)
	require.Equal(t, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}, slices.Compact(lengths))
}

// A longer trial counts as long as it is, and shorter ones only ever count against a rate.
func TestShortTrialsOnlyHurt(t *testing.T) {
	g := Goal{LossRatio: 0.1, ExceedRatio: 0.5, TrialDuration: 2 * time.Second, DurationSum: 10 * time.Second}
	good := func(d time.Duration) Trial { return Trial{Duration: d * time.Second, Losses: []float64{0}} }
	bad := func(d time.Duration) Trial { return Trial{Duration: d * time.Second, Losses: []float64{1}} }
	for _, c := range []struct {
		reason string
		trials []Trial
		want   class
	}{
		{"none", nil, undecided},
		{"short ones are no evidence for it", []Trial{good(1), good(1), good(1), good(1), good(1), good(1), good(1), good(1), good(1), good(1)}, undecided},
		{"but against it", []Trial{bad(1), bad(1), bad(1), bad(1), bad(1), bad(1)}, upper},
		{"unless others make up for them", []Trial{bad(1), bad(1), bad(1), bad(1), bad(1), bad(1), good(1)}, undecided},
		{"long ones count by length", []Trial{good(5)}, lower},
		{"in either way", []Trial{bad(6)}, upper},
		{"half is enough", []Trial{good(2), good(3), bad(2), bad(1)}, lower},
		{"half bad is allowed", []Trial{bad(5), good(5)}, lower},
		{"beyond the sum, all count", []Trial{good(9), bad(10)}, upper},
		{"and so do short ones", []Trial{good(5), bad(4), bad(1), bad(1)}, upper},
	} {
		require.Equal(t, c.want, g.classify(0, c.trials), c.reason)
		require.Equal(t, c.want, oracleClass(g, 0, c.trials), c.reason)
	}
}

func TestObservePanicsOnWhatNextHasNotAskedFor(t *testing.T) {
	s, err := New(Config{Goals: []Goal{{}}, Guess: 100})
	require.NoError(t, err)
	for _, trial := range []Trial{
		{Rate: 99, Duration: 1, Losses: []float64{0}},
		{Rate: 100, Losses: []float64{0}},
		{Rate: 100, Duration: 1},
		{Rate: 100, Duration: 1, Losses: []float64{0, 0}},
		{Rate: 100, Duration: 1, Losses: []float64{math.NaN()}},
		{Rate: 100, Duration: 1, Losses: []float64{1.1}},
	} {
		require.Panics(t, func() { s.Observe(trial) }, "%+v", trial)
	}
	losses := []float64{0}
	s.Observe(Trial{Rate: 100, Duration: 1, Losses: losses})
	losses[0] = 1
	require.Zero(t, s.Result().Trials[0].Losses[0], "the searcher has its own")
	s.Result().Trials[0].Rate = 5
	require.InDelta(t, 100, s.Result().Trials[0].Rate, 0)
}
