package capacity

import (
	"cmp"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The oracle restates the definitions as plainly as it can, with exact arithmetic, and
// shares no code with the searcher.

func ratio(f float64) *big.Rat            { return new(big.Rat).SetFloat64(f) }
func nanos(d time.Duration) *big.Rat      { return new(big.Rat).SetInt64(int64(d)) }
func sum(a, b *big.Rat) *big.Rat          { return new(big.Rat).Add(a, b) }
func minus(a, b *big.Rat) *big.Rat        { return new(big.Rat).Sub(a, b) }
func times(a, b *big.Rat) *big.Rat        { return new(big.Rat).Mul(a, b) }
func over(a, b *big.Rat) *big.Rat         { return new(big.Rat).Quo(a, b) }
func exceeds(bad, allowed *big.Rat) bool  { return minus(bad, allowed).Cmp(big.NewRat(1, 2)) > 0 } // half a nanosecond
func atLeast(sofar, wanted *big.Rat) bool { return !exceeds(wanted, sofar) }

// oracleClass imagines the trials that are missing to the duration sum: if the goal is
// missed though all were good, it is missed for certain, and if it is met though all
// were bad, it is met for certain.
func oracleClass(g Goal, i int, trials []Trial) class {
	e := ratio(g.ExceedRatio)
	missed := func(lastAreGood bool) bool {
		good, bad, shortGood, shortBad := new(big.Rat), new(big.Rat), new(big.Rat), new(big.Rat)
		add := func(to *big.Rat, d *big.Rat) { to.Add(to, d) }
		for _, t := range trials {
			isGood := t.Losses[i] <= g.LossRatio
			if t.Duration >= g.TrialDuration {
				if isGood {
					add(good, nanos(t.Duration))
				} else {
					add(bad, nanos(t.Duration))
				}
			} else if isGood {
				add(shortGood, nanos(t.Duration))
			} else {
				add(shortBad, nanos(t.Duration))
			}
		}
		if excess := minus(shortBad, times(shortGood, over(e, minus(big.NewRat(1, 1), e)))); excess.Sign() > 0 {
			add(bad, excess)
		}
		if missing := minus(nanos(g.DurationSum), sum(good, bad)); missing.Sign() > 0 {
			if lastAreGood {
				add(good, missing)
			} else {
				add(bad, missing)
			}
		}
		return exceeds(bad, times(e, sum(good, bad)))
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
	var full []Trial
	whole := new(big.Rat)
	for _, t := range trials {
		if t.Duration >= g.TrialDuration {
			full = append(full, t)
			whole.Add(whole, nanos(t.Duration))
		}
	}
	if whole.Cmp(nanos(g.DurationSum)) < 0 {
		whole = nanos(g.DurationSum)
	}
	wanted := times(whole, minus(big.NewRat(1, 1), ratio(g.ExceedRatio)))
	best := 1.0
	for _, candidate := range full {
		within := new(big.Rat)
		for _, t := range full {
			if t.Losses[i] <= candidate.Losses[i] {
				within.Add(within, nanos(t.Duration))
			}
		}
		if atLeast(within, wanted) {
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
	require.Equal(t, lo, r.Lower, "relevant lower bound\n%v", r)
	require.Equal(t, hi, r.Upper, "relevant upper bound\n%v", r)
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
	if c.Budget > 0 && r.End != nil && r.End.Reason == ErrBudget {
		longest := slices.MaxFunc(c.Goals, func(a, b Goal) int { return cmp.Compare(a.TrialDuration, b.TrialDuration) })
		require.Greater(t, spent+longest.TrialDuration, c.Budget, "ended for the budget before it was spent")
	}
	if r.End != nil {
		require.Zero(t, r.Capacity, "an irregular end is no number")
		switch r.End.Reason {
		case ErrMinRate:
			require.Zero(t, r.Lower)
			require.Equal(t, c.MinRate, r.Upper)
		case ErrMaxRate:
			require.Zero(t, r.Upper)
			require.Equal(t, c.MaxRate, r.Lower)
		case ErrBudget:
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
	require.Equal(t, want, r.Capacity, "conditional throughput\n%v", r)
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
