package capacity

import (
	"cmp"
	"errors"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The oracle restates the definitions as plainly as it can, with exact arithmetic, and
// shares no code with the searcher.

func ratio(f float64) *big.Rat { return new(big.Rat).SetFloat64(f) }

func nanos(d time.Duration) *big.Rat { return new(big.Rat).SetInt64(int64(d)) }

// exceeds allows for half a nanosecond.
func exceeds(d, allowed *big.Rat) bool {
	return new(big.Rat).Sub(d, allowed).Cmp(big.NewRat(1, 2)) > 0
}

// oracleClass imagines the trials that are missing to the duration sum: if the goal is
// missed though all were good, it is missed for certain, and if it is met though all
// were bad, it is met for certain.
func oracleClass(g Goal, i int, trials []Trial) class {
	took := make(map[[2]bool]time.Duration) // by whether they are good, and full
	for _, t := range trials {
		took[[2]bool{t.Losses[i] <= g.LossRatio, t.Duration >= g.TrialDuration}] += t.Duration
	}
	missed := func(future bool) bool {
		good, bad := nanos(took[[2]bool{true, true}]), nanos(took[[2]bool{false, true}])
		// bad ÷ (bad + good) = e is what good ones make up for
		e := ratio(g.ExceedRatio)
		makesUp := new(big.Rat).Quo(e, new(big.Rat).Sub(big.NewRat(1, 1), e))
		excess := new(big.Rat).Sub(nanos(took[[2]bool{false, false}]), makesUp.Mul(makesUp, nanos(took[[2]bool{true, false}])))
		if excess.Sign() > 0 {
			bad.Add(bad, excess)
		}
		whole := new(big.Rat).Add(good, bad)
		if missing := new(big.Rat).Sub(nanos(g.DurationSum), whole); missing.Sign() > 0 {
			whole = nanos(g.DurationSum)
			if !future {
				bad.Add(bad, missing)
			}
		}
		return exceeds(bad, e.Mul(e, whole))
	}
	switch {
	case missed(true):
		return upper
	case !missed(false):
		return lower
	}
	return undecided
}

// oracleAll is the class of a rate by all goals.
func oracleAll(goals []Goal, trials []Trial) class {
	var classes []class
	for i, g := range goals {
		classes = append(classes, oracleClass(g, i, trials))
	}
	switch {
	case slices.Contains(classes, upper):
		return upper
	case slices.Contains(classes, undecided):
		return undecided
	}
	return lower
}

// oracleBounds are the relevant bounds; 0 for none.
func oracleBounds(trials []Trial, classOf func([]Trial) class) (lo, hi float64) {
	at := make(map[float64][]Trial)
	for _, t := range trials {
		if t.Kind == TrialCounted {
			at[t.Rate] = append(at[t.Rate], t)
		}
	}
	for rate, of := range at {
		if classOf(of) == upper && (hi == 0 || rate < hi) {
			hi = rate
		}
	}
	for rate, of := range at {
		if classOf(of) == lower && (hi == 0 || rate < hi) && rate > lo {
			lo = rate
		}
	}
	return lo, hi
}

// oracleLoss is the least loss that trials of the share 1 − ExceedRatio of the time did
// not exceed; what is missing to the duration sum lost everything.
func oracleLoss(g Goal, i int, trials []Trial) float64 {
	var whole time.Duration
	isFull := func(t Trial) bool { return t.Duration >= g.TrialDuration }
	for _, t := range trials {
		if isFull(t) {
			whole += t.Duration
		}
	}
	wanted := new(big.Rat).Sub(big.NewRat(1, 1), ratio(g.ExceedRatio))
	wanted.Mul(wanted, nanos(max(whole, g.DurationSum)))
	best := 1.0
	for _, candidate := range trials {
		var within time.Duration
		for _, t := range trials {
			if isFull(t) && t.Losses[i] <= candidate.Losses[i] {
				within += t.Duration
			}
		}
		if isFull(candidate) && !exceeds(wanted, nanos(within)) {
			best = min(best, candidate.Losses[i])
		}
	}
	return best
}

// requireByDefinition holds a result of c against the definitions, by its own trials.
func requireByDefinition(t *testing.T, c Config, r Result) {
	t.Helper()
	c = c.withDefaults()
	lo, hi := oracleBounds(r.Trials, func(of []Trial) class { return oracleAll(c.Goals, of) })
	require.InDelta(t, lo, r.Lower, 0, "relevant lower bound\n%v", r)
	require.InDelta(t, hi, r.Upper, 0, "relevant upper bound\n%v", r)
	for i, g := range r.Goals {
		lo, hi := oracleBounds(r.Trials, func(of []Trial) class { return oracleClass(c.Goals[i], i, of) })
		require.Equal(t, [2]float64{lo, hi}, [2]float64{g.Lower, g.Upper}, "bounds of goal %d\n%v", i, r)
	}
	var spent time.Duration
	for i, tr := range r.Trials {
		require.Equal(t, i == 0, tr.Kind == TrialWarmup, "the first trial is thrown away")
		require.True(t, tr.Rate >= c.MinRate && tr.Rate <= c.MaxRate)
		spent += tr.Elapsed
	}
	if c.Budget > 0 && errors.Is(r.Err(), ErrBudget) {
		longest := slices.MaxFunc(c.Goals, func(a, b Goal) int { return cmp.Compare(a.TrialDuration, b.TrialDuration) })
		require.Greater(t, spent+longest.TrialDuration, c.Budget, "ended for the budget before it was spent")
	}
	if r.End != nil {
		require.Zero(t, r.Capacity, "an irregular end is no number")
		switch {
		case errors.Is(r.End, ErrMinRate):
			require.Zero(t, r.Lower)
			require.InDelta(t, c.MinRate, r.Upper, 0)
		case errors.Is(r.End, ErrMaxRate):
			require.Zero(t, r.Upper)
			require.InDelta(t, c.MaxRate, r.Lower, 0)
		case errors.Is(r.End, ErrBudget):
			require.Positive(t, c.Budget)
		default:
			t.Fatalf("ended with %v", r.End)
		}
		return
	}
	require.Positive(t, r.Lower)
	require.LessOrEqual(t, (r.Upper-r.Lower)/r.Upper, c.Width*(1+1e-4), "width\n%v", r)
	want := r.Lower
	for i, g := range c.Goals {
		want = min(want, r.Lower*(1-oracleLoss(g, i, slices.DeleteFunc(slices.Clone(r.Trials), func(t Trial) bool {
			return t.Kind != TrialCounted || t.Rate != r.Lower
		}))))
	}
	require.InDelta(t, want, r.Capacity, 0, "conditional throughput\n%v", r)
}

// needed reports whether some further trial could change the class of a rate, by the
// strictest of the goals.
func needed(c Config, r []Trial, rate float64) bool {
	var of []Trial
	for _, t := range r {
		if t.Kind == TrialCounted && t.Rate == rate {
			of = append(of, t)
		}
	}
	return oracleAll(c.withDefaults().Goals, of) == undecided
}

// The class of a rate is known as soon as whatever comes until the duration sum would
// lead to the same, and not before.
func TestClassIsKnownOnceNoFutureCanChangeIt(t *testing.T) {
	const n = 7
	for _, exceed := range []float64{0.01, 0.15, 0.3, 0.5, 0.7, 0.95} {
		g := Goal{LossRatio: 0.1, ExceedRatio: exceed, TrialDuration: time.Second, DurationSum: n * time.Second}
		// trials whose bit is set are bad
		trials := func(bits uint, n int) (out []Trial) {
			for i := range n {
				out = append(out, Trial{Duration: time.Second, Losses: []float64{float64(bits >> i & 1)}})
			}
			return out
		}
		final := func(bits uint) class {
			bad := 0
			for i := range n {
				bad += int(bits >> i & 1)
			}
			if float64(bad) <= exceed*n {
				return lower
			}
			return upper
		}
		for made := range n + 1 {
			for past := range uint(1) << made {
				seen := map[class]bool{}
				for future := range uint(1) << (n - made) {
					seen[final(past|future<<made)] = true
				}
				want := undecided
				for c := range seen {
					if len(seen) == 1 {
						want = c
					}
				}
				require.Equal(t, want, g.classify(0, trials(past, made)), "exceed ratio %v, %d trials, %b", exceed, made, past)
			}
		}
	}
}
