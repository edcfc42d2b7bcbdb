package pace

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// listed is a RecordedFunc of at.
func listed(at ...time.Duration) Schedule {
	return RecordedFunc(int64(len(at)), at[len(at)-1], func() func() (time.Duration, bool) {
		return nextOf(at)
	})
}

func nextOf(rest []time.Duration) func() (time.Duration, bool) {
	return func() (time.Duration, bool) {
		if len(rest) == 0 {
			return 0, false
		}
		first := rest[0]
		rest = rest[1:]
		return first, true
	}
}

// streaming returns n with each recording in it read anew by each walk.
func streaming(n node) node {
	switch n := n.(type) {
	case *recorded:
		return listed(n.at...).root
	case *sequence:
		parts := make([]node, len(n.parts))
		for i, part := range n.parts {
			parts[i] = streaming(part)
		}
		return &sequence{parts}
	case *merged:
		return &merged{streaming(n.a), streaming(n.b)}
	case *taken:
		return newTaken(streaming(n.node), n.n).root
	case *cut:
		return &cut{streaming(n.node), n.d}
	case *sharded:
		return &sharded{streaming(n.node), n.i, n.n}
	}
	return n
}

// What is read anew by each walk combines as what is in memory does.
func TestRecordedFuncCombinesAsRecordedDoes(t *testing.T) {
	found := 0
	for seed := range uint64(2000) {
		s, m := anySchedule(rand.New(rand.NewPCG(seed, 0)), int(seed%6), 1)
		if s.root == nil {
			continue
		}
		streamed := Schedule{root: streaming(s.root)}
		requireModel(t, m, streamed, "seed ", seed)
		require.Equal(t, s.Len(), streamed.Len(), "seed %d", seed)
		for _, factor := range []float64{0.37, 2.5} {
			require.Equal(t, observed(s.Scale(factor)), observed(streamed.Scale(factor)), "seed %d at %v", seed, factor)
		}
		if streamed.String() != s.String() {
			found++
		}
	}
	require.Greater(t, found, 200, "there was one to stream")
}

func TestRecordedFuncSaysWhatItIs(t *testing.T) {
	s := listed(0, time.Second, time.Second, 4*time.Second)
	require.EqualValues(t, 4, s.Len())
	require.Equal(t, 4*time.Second, s.Duration())
	require.InEpsilon(t, 1.0, s.Rate(0), 0, "the mean")
	require.InEpsilon(t, 2.0, s.Scale(2).Rate(time.Second), 0)
	require.Zero(t, s.Rate(4*time.Second))
	require.Equal(t, "4 recorded over 4s", s.String())
	require.Equal(t, "1/s for 1s, (4 recorded over 4s, take 2)", Constant(1).Until(time.Second).Then(s.Take(2)).String())
	_, err := Parse(s.String())
	require.ErrorIs(t, err, ErrSchedule)
	none := RecordedFunc(0, 0, func() func() (time.Duration, bool) { panic("never opened") })
	require.NoError(t, none.Validate())
	require.Empty(t, slices.Collect(none.All()))
}

func TestRecordedFuncRefusesNonsense(t *testing.T) {
	require.Equal(t, []string{"RecordedFunc: n is -1", "RecordedFunc: last is -2ns", "RecordedFunc: open is nil"}, faultsOf(RecordedFunc(-1, -2, nil).Validate()))
	require.Equal(t, []string{"Scale: factor is 0.5"}, faultsOf(listed(1<<62).Scale(0.5).Validate()))
}

// A schedule never decreases, ends by its length and has no more arrivals than it says,
// whatever a function returns.
func TestRecordedFuncKeepsItsPromises(t *testing.T) {
	for name, tt := range map[string]struct{ says, want []time.Duration }{
		"back in time": {[]time.Duration{5, 3, -1, 7}, []time.Duration{5, 5, 5, 7}},
		"too late":     {[]time.Duration{1, math.MaxInt64, 2, 3}, []time.Duration{1, 9, 9, 9}},
		"too few":      {[]time.Duration{1, 2}, []time.Duration{1, 2}},
		"too many":     {[]time.Duration{1, 2, 3, 4, 5, 6}, []time.Duration{1, 2, 3, 4}},
	} {
		s := RecordedFunc(4, 9, func() func() (time.Duration, bool) { return nextOf(tt.says) })
		require.Equal(t, tt.want, slices.Collect(s.All()), name)
		var slow []time.Duration
		for _, at := range tt.want {
			slow = append(slow, 2*at)
		}
		require.Equal(t, slow, slices.Collect(s.Scale(0.5).All()), name)
		c := s.Cursor()
		for range 10 {
			c.Next()
		}
		require.EqualValues(t, len(tt.want)-1, c.Index(), name)
	}
}

func TestRecordedFuncIsWalkedByManyAtOnce(t *testing.T) {
	s := listed(0, 1, 2, 3, 5, 8).Scale(0.5).Shard(0, 2)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { // ends after a walk
			require.Equal(t, []time.Duration{0, 4, 10}, slices.Collect(s.All()))
		})
	}
	wg.Wait()
}

func TestRecordedFuncCostsNoAllocationAnArrival(t *testing.T) {
	at := time.Duration(0)
	s := RecordedFunc(math.MaxInt32, math.MaxInt32, func() func() (time.Duration, bool) {
		return func() (time.Duration, bool) { at++; return at, true }
	})
	c := s.Scale(2).Shard(1, 3).Cursor()
	require.Zero(t, testing.AllocsPerRun(100, func() { c.Next() }))
}
