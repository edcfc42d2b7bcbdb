package capacity

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"example.com/brunt/loadtest/internal/text"
)

// Searcher looks for the highest rate that meets all goals of a [Config]. It has no
// clock and makes no trials, but says which to make next, and learns what came of it:
//
//	for {
//		rate, d, ok := s.Next()
//		if !ok {
//			break
//		}
//		s.Observe(try(rate, d))
//	}
//	result := s.Result()
//
// It is not safe for concurrent use.
type Searcher struct {
	config Config
	levels [][]Goal // the coarsest first
	// Rates are numbered: number k is growth to the power of k, but for the first, which is
	// MinRate, and the last, MaxRate. Neighbors are at most Width apart, so that the last
	// search ends with two of them.
	growth      float64
	first, last int

	warm     bool // the first trial has been made
	level    int
	start    int // where to begin
	lo, hi   int // bounds of the search before, or none
	reach    int // how far to go next beyond the last bound if there is one only
	current  int // the rate being tried, or none
	trials   map[int][]Trial
	log      []Trial // all, in order
	spent    time.Duration
	finished bool
	end      *EndError // if it is not as it should be
}

// none is no number of a rate.
const none = math.MinInt

// farthest is the factor by which the next trial may exceed the largest rate tried so
// far: what was too much takes time to go away.
const farthest = 4

// New returns a Searcher that has made no trial, or every fault of c; each matches
// [ErrConfig].
func New(c Config) (*Searcher, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	s := &Searcher{
		config: c, levels: c.levels(), growth: 1 / (1 - c.Width),
		lo: none, hi: none, current: none, trials: make(map[int][]Trial),
	}
	s.first = int(math.Floor(s.position(c.MinRate) + rounding))
	s.last = max(int(math.Ceil(s.position(c.MaxRate)-rounding)), s.first+1)
	s.reach = s.width()
	return s, nil
}

// rounding is of logarithms.
const rounding = 1e-6

// position returns the number of a rate, with a fraction.
func (s *Searcher) position(rate float64) float64 { return math.Log(rate) / math.Log(s.growth) }

func (s *Searcher) rate(k int) float64 {
	switch {
	case k <= s.first:
		return s.config.MinRate
	case k >= s.last:
		return s.config.MaxRate
	}
	return math.Pow(s.growth, float64(k))
}

// width returns how far apart the bounds may be at the end of the search that goes on.
func (s *Searcher) width() int { return 1 << (len(s.levels) - 1 - s.level) }

// Next returns the next trial to make, and false if the search has ended. It returns the
// same until Observe is called.
func (s *Searcher) Next() (rate float64, d time.Duration, ok bool) {
	if s.finished {
		return 0, 0, false
	}
	if !s.warm {
		rate = min(max(s.config.Guess, s.config.MinRate), s.config.MaxRate)
	} else {
		for s.current == none || s.class(s.level, s.trials[s.current]) != undecided {
			if s.current = s.choose(); s.current != none {
				continue
			}
			if s.level == len(s.levels)-1 {
				s.finish()
				return 0, 0, false
			}
			s.refine()
		}
		rate = s.rate(s.current)
	}
	for i, g := range s.levels[s.level] {
		if g.classify(i, s.trials[s.current]) == undecided {
			d = max(d, g.TrialDuration)
		}
	}
	if budget := s.config.Budget; budget > 0 && s.spent+d > budget {
		s.finished = true
		s.end = &EndError{ErrBudget, fmt.Sprintf("%v of %v: %s", s.spent.Round(time.Millisecond), budget, s.soFar())}
		return 0, 0, false
	}
	return rate, d, true
}

// bounds returns the numbers of the relevant bounds of a level, or none.
func (s *Searcher) bounds(level int) (lo, hi int) {
	return s.boundsBy(func(trials []Trial) class { return s.class(level, trials) })
}

// class returns the class of a rate at a level: what is known for the last is known for
// each.
func (s *Searcher) class(level int, trials []Trial) class {
	if known := classify(s.levels[len(s.levels)-1], trials); known != undecided {
		return known
	}
	return classify(s.levels[level], trials)
}

// boundsBy returns the numbers of the relevant bounds, or none, with rates classified by
// their trials.
func (s *Searcher) boundsBy(classify func([]Trial) class) (lo, hi int) {
	numbers := slices.Sorted(maps.Keys(s.trials))
	classes := make([]class, len(numbers))
	for i, k := range numbers {
		classes[i] = classify(s.trials[k])
	}
	number := func(i int) int {
		if i < 0 {
			return none
		}
		return numbers[i]
	}
	lo, hi = relevant(classes)
	return number(lo), number(hi)
}

// choose returns the number of the rate to try next, or none if the level is through. No
// rate that it returns is decided: there is none between the relevant bounds.
func (s *Searcher) choose() int {
	switch lo, hi := s.bounds(s.level); {
	case lo != none && hi != none:
		if hi-lo <= s.width() {
			return none
		}
		return middle(lo, hi)
	case lo == s.last || hi == s.first: // there is no other bound
		return none
	case lo != none:
		if s.hi != none && s.hi > lo {
			return s.hi
		}
		return min(lo+s.step(), s.last)
	case hi != none:
		if s.lo != none && s.lo < hi {
			return s.lo
		}
		return max(hi-s.step(), s.first)
	}
	switch { // by what the search before has found
	case s.lo != none && s.hi != none && s.hi-s.lo > s.width():
		return middle(s.lo, s.hi)
	case s.lo != none:
		return s.lo
	case s.hi != none:
		return s.hi
	}
	return s.start
}

// middle halves the logarithm of the rates, and so is the smaller of two in the middle.
func middle(lo, hi int) int { return lo + (hi-lo)/2 }

// step returns how far to go beyond a bound: twice as far each time.
func (s *Searcher) step() int {
	step := s.reach
	s.reach = max(min(2*s.reach, int(math.Log(farthest)/math.Log(s.growth))), s.reach)
	return step
}

// refine begins the next search, where this one has ended.
func (s *Searcher) refine() {
	s.lo, s.hi = s.bounds(s.level)
	s.level++
	s.reach = s.width()
}

func (s *Searcher) finish() {
	s.finished = true
	switch lo, hi := s.bounds(s.level); {
	case lo == none:
		s.end = &EndError{ErrMinRate, fmt.Sprintf("%s/s", text.Rate(s.rate(hi)))}
	case hi == none:
		s.end = &EndError{ErrMaxRate, fmt.Sprintf("%s/s", text.Rate(s.rate(lo)))}
	}
}

// Observe records the trial that Next has asked for. It panics if Next has asked for
// none, or for another rate, if t does not have a loss from 0 to 1 for each goal, or if
// its duration is not above 0.
func (s *Searcher) Observe(t Trial) {
	rate, _, ok := s.Next()
	if !ok || t.Rate != rate {
		panic(fmt.Sprintf("capacity: Observe of a trial at %v/s: Next has asked for %v/s, %v", t.Rate, rate, ok))
	}
	if len(t.Losses) != len(s.config.Goals) || t.Duration <= 0 ||
		slices.ContainsFunc(t.Losses, func(loss float64) bool { return !(loss >= 0 && loss <= 1) }) {
		panic(fmt.Sprintf("capacity: Observe of a trial of %v with the losses %v, of %d goals", t.Duration, t.Losses, len(s.config.Goals)))
	}
	t.Losses = slices.Clone(t.Losses)
	if t.Elapsed <= 0 {
		t.Elapsed = t.Duration
	}
	s.spent += t.Elapsed
	t.Kind = TrialCounted
	if s.warm {
		s.trials[s.current] = append(s.trials[s.current], t)
	} else {
		t.Kind = TrialWarmup
		s.warm = true
		through := t.Throughput
		if through <= 0 {
			through = t.Rate * (1 - slices.Max(t.Losses))
		}
		s.start = s.first
		if through > 0 {
			s.start = int(min(max(math.Floor(s.position(through)+rounding), float64(s.first)), float64(s.last)))
		}
	}
	s.log = append(s.log, t)
}

// Spend takes d from the budget: the time of a trial that was thrown away, for example.
func (s *Searcher) Spend(d time.Duration) { s.spent += max(d, 0) }

// Result returns what is known so far: the bounds by the last of the searches, and once
// the search has ended as it should, the capacity.
func (s *Searcher) Result() Result {
	goals := s.levels[len(s.levels)-1]
	r := Result{Width: s.config.Width, Trials: slices.Clone(s.log), End: s.end}
	lo, hi := s.bounds(len(s.levels) - 1)
	r.Lower, r.Upper = s.rateOf(lo), s.rateOf(hi)
	for i := range goals {
		lo, hi := s.boundsBy(func(trials []Trial) class { return goals[i].classify(i, trials) })
		r.Goals = append(r.Goals, GoalBounds{Goal: s.config.Goals[i], Lower: s.rateOf(lo), Upper: s.rateOf(hi)})
	}
	switch {
	case !s.finished:
		r.End = &EndError{ErrUnfinished, s.soFar()}
	case s.end == nil:
		r.Capacity = throughput(goals, r.Lower, s.trials[lo])
	}
	return r
}

// rateOf returns 0 for none.
func (s *Searcher) rateOf(k int) float64 {
	if k == none {
		return 0
	}
	return s.rate(k)
}

// soFar says what the latest search that has a bound knows.
func (s *Searcher) soFar() string {
	for level := s.level; level >= 0; level-- {
		lo, hi := s.bounds(level)
		if lo == none && hi == none {
			continue
		}
		sum := s.levels[level][0].DurationSum.Round(time.Millisecond)
		return fmt.Sprintf("by trials of %v a rate %s", sum, between(s.rateOf(lo), s.rateOf(hi)))
	}
	return "no rate is known to pass or to fail"
}
