package benchgate

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		want   float64
		sorted []float64
	}{{5, []float64{5}}, {2, []float64{1, 3}}, {2, []float64{1, 2, 4}}, {3, []float64{1, 2, 4, 8}}} {
		require.InDelta(t, c.want, median(c.sorted), 0)
	}
}

// U is how many pairs have the smaller of the two in a, ties counting half.
func TestSmallerUCountsPairs(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		a, b := make([]float64, 1+rng.IntN(6)), make([]float64, 1+rng.IntN(6))
		for _, s := range [][]float64{a, b} {
			for i := range s {
				s[i] = float64(rng.IntN(5)) // with ties
			}
			slices.Sort(s)
		}
		u := 0.0
		for _, x := range a {
			for _, y := range b {
				if x < y {
					u++
				} else if x == y {
					u += 0.5
				}
			}
		}
		require.InDelta(t, min(u, float64(len(a)*len(b))-u), smallerU(a, b), 0, "%v %v", a, b)
	}
}

func TestCriticalU(t *testing.T) {
	require.Equal(t, []float64{1, 1}, uCounts(1))
	require.Equal(t, []float64{1, 1, 2, 1, 1}, uCounts(2))
	require.InDelta(t, 0, criticalU(4, .05), 0, "the table's")
	require.InDelta(t, -1, criticalU(4, 2.0/70), 0, "p is the level itself, and not below it")
	require.InDelta(t, 0, criticalU(4, math.Nextafter(2.0/70, 1)), 0)
	require.InDelta(t, 1, criticalU(1, 3), 0, "any")
}

func TestRate(t *testing.T) {
	const always = 2 // as an alpha
	rate := func(p Power, change float64, noise ...float64) float64 { return p.Rate(noise, change) }
	require.InDelta(t, 1, rate(Power{N: 1, Alpha: always}, 1, 5), 0)
	require.Zero(t, rate(Power{Alpha: always}, 1, 5), "no samples")
	require.Zero(t, rate(Power{N: 6, Alpha: always}, 1), "no noise to draw from")
	require.InDelta(t, 1, rate(Power{N: 6, Alpha: .05, Threshold: .5}, .5, 2), 0, "the threshold itself")
	require.Zero(t, rate(Power{N: 6, Alpha: .05, Threshold: math.Nextafter(.5, 1)}, .5, 2))
	require.InDelta(t, 1, rate(Power{N: 4, Alpha: .05}, .5, 2), 0, "the critical value itself")
	require.Zero(t, rate(Power{N: 30, Alpha: .05}, -1, 0, -1, -1), "the wrong way, or not at all where most of the base is 0")
	require.Zero(t, rate(Power{N: 30, Alpha: .05}, -1, 0, 0, -1), "no change of the median")
	require.InDelta(t, .5, rate(Power{N: 2, Alpha: always, Threshold: .1, Trials: 10000, Seed: 1}, .1, 1, 10), .2, "the median of few is chance")
}

// The ladder of changes is climbed until one is confirmed nine times out of ten.
func TestVisibleIsTheFirst(t *testing.T) {
	exactly := false
	for seed := range uint64(100) {
		p := Power{N: 6, Family: 1, Looks: 1, Alpha: .05, Threshold: .05, Seed: seed, Trials: 10}
		noise := []float64{100, 104, 96, 110, 90, 101, 99}
		got := p.Visible(noise)
		for _, change := range []float64{.05, .06, .07, .08, .1, .12, .15, .2, .25, .3, .4, .5, .75, 1, 1.5, 2, 4} {
			rate := p.Rate(noise, change)
			if change < got {
				require.Less(t, rate, .9)
				continue
			}
			require.InDelta(t, change, got, 0)
			require.GreaterOrEqual(t, rate, .9)
			exactly = exactly || rate == .9
			break
		}
	}
	require.True(t, exactly, "nine of ten are enough, and were never met")
	p := Power{N: 6, Alpha: .05, Threshold: .05}
	require.InDelta(t, .05, p.Visible([]float64{1}), 0, "the threshold itself")
	require.Zero(t, p.Visible([]float64{0, 0}), "any change of nothing")
	for _, noise := range [][]float64{nil, {0, 0, 1}, {0, 0, -1}} {
		require.True(t, math.IsInf(p.Visible(noise), 1), "%v", noise)
	}
}
