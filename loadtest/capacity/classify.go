package capacity

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// class is what is known of a rate.
type class int8

const (
	undecided class = iota // further trials may make it either
	lower                  // it meets its goals, whatever further trials show
	upper                  // it does not
)

// tolerance is of sums of durations, in nanoseconds: a share of them is not a whole
// number.
const tolerance = 0.5

// classify tells from the trials of a rate whether it meets the goal with index i. The
// trials that are still to come, until there are DurationSum of them, are thought to be
// all good once, and all bad once: if that makes no difference, they need not be made.
//
// Trials shorter than the goal's, which other goals or coarser searches have made, only
// ever count against a rate: bad ones count as far as good ones do not make up for them.
func (g *Goal) classify(i int, trials []Trial) class {
	var good, bad, shortGood, shortBad float64
	for _, t := range trials {
		ok, short := t.Losses[i] <= g.LossRatio, t.Duration < g.TrialDuration
		switch d := float64(t.Duration); {
		case short && ok:
			shortGood += d
		case short:
			shortBad += d
		case ok:
			good += d
		default:
			bad += d
		}
	}
	bad += max(0, shortBad-shortGood*g.ExceedRatio/(1-g.ExceedRatio))
	whole := max(good+bad, float64(g.DurationSum))
	allowed := whole*g.ExceedRatio + tolerance
	switch {
	case bad > allowed:
		return upper
	case whole-good <= allowed:
		return lower
	}
	return undecided
}

// classify tells whether a rate meets all goals: it does not if it misses one.
func classify(goals []Goal, trials []Trial) class {
	all := lower
	for i := range goals {
		switch goals[i].classify(i, trials) {
		case upper:
			return upper
		case undecided:
			all = undecided
		}
	}
	return all
}

// relevant returns the smallest rate that is an upper bound, and the largest lower bound
// below it; -1 stands for none. classes are of rates in ascending order. A lower bound
// above an upper one was luck, or is of a service that does better when it has more to
// do: whoever is to rely on a rate cannot rely on that.
func relevant(classes []class) (lo, hi int) {
	hi = slices.Index(classes, upper)
	below := classes
	if hi >= 0 {
		below = classes[:hi]
	}
	lo = len(below) - 1
	for lo >= 0 && below[lo] != lower {
		lo--
	}
	return lo, hi
}

// quantileLoss returns the loss of the trial that decides whether a rate meets the goal:
// of its full trials in the order of their losses the one at 1 − ExceedRatio of the time,
// with everything lost in what is missing to DurationSum.
func (g *Goal) quantileLoss(i int, trials []Trial) float64 {
	full := slices.DeleteFunc(slices.Clone(trials), func(t Trial) bool { return t.Duration < g.TrialDuration })
	slices.SortFunc(full, func(a, b Trial) int { return cmp.Compare(a.Losses[i], b.Losses[i]) })
	var sum time.Duration
	for _, t := range full {
		sum += t.Duration
	}
	left := float64(max(sum, g.DurationSum)) * (1 - g.ExceedRatio)
	for _, t := range full {
		if left -= float64(t.Duration); left <= tolerance {
			return t.Losses[i]
		}
	}
	return 1
}

// throughput returns the conditional throughput of a rate: what is sure to come through
// of it, by the goal that loses most.
func throughput(goals []Goal, rate float64, trials []Trial) float64 {
	least := math.Inf(1)
	for i := range goals {
		least = min(least, rate*(1-goals[i].quantileLoss(i, trials)))
	}
	return least
}
