package capacity

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"
)

// ErrConfig matches every fault that a Validate of this package reports.
var ErrConfig = errors.New("capacity: bad configuration")

func fault(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrConfig}, args...)...)
}

// Defaults of [Config] and [Goal].
const (
	defaultMinRate     = 1
	defaultMaxRate     = 1e6
	defaultWidth       = 0.02
	defaultLevels      = 2
	maxLevels          = 16
	defaultExceedRatio = 0.5
	defaultDuration    = time.Second
	defaultDurationSum = 7 * time.Second
	defaultInitialSum  = 2 * time.Second // two trials: what disturbs one makes no upper bound
)

// Goal is what a rate must meet. Which rates do is told from their trials: a trial is good
// if it lost no more than LossRatio, and a rate meets the goal if no more than ExceedRatio
// of the time of its trials was bad, once there is DurationSum of it.
type Goal struct {
	// Name is for reports, such as "p99 ≤ 50ms".
	Name string `json:"name"`
	// LossRatio is the share of what was scheduled that a good trial may lose, from 0 to
	// below 1.
	LossRatio float64 `json:"loss_ratio"`
	// Limit is on response times: what takes longer is lost. A Searcher does not look at
	// it, but Search and reports do. 0 means none.
	Limit time.Duration `json:"limit_ns,omitempty"`
	// ExceedRatio is the share of the trials, by their duration, that may be bad, from 0
	// to below 1. 0 means 0.5, so that the median trial decides, whatever disturbs fewer
	// than half of them. For next to none set something small.
	ExceedRatio float64 `json:"exceed_ratio"`
	// TrialDuration is the length of a full trial; where users arrive, five times as long as
	// one stays, at least. A shorter one cannot show that a rate
	// meets the goal, but may show that it does not. 0 means 1 s.
	TrialDuration time.Duration `json:"trial_duration_ns"`
	// DurationSum is how long a rate is tried in all if its trials do not agree; a rate of
	// which all are good, or all bad, is known after half of it, with the default
	// ExceedRatio. It must be TrialDuration at least. 0 means 7 s, or TrialDuration if that
	// is longer.
	DurationSum time.Duration `json:"duration_sum_ns"`
	// InitialDuration is the DurationSum of the coarsest search. 0 means 2 s, or
	// DurationSum if that is shorter.
	InitialDuration time.Duration `json:"initial_duration_ns"`
}

func (g Goal) withDefaults() Goal {
	g.ExceedRatio = cmp.Or(g.ExceedRatio, defaultExceedRatio)
	g.TrialDuration = cmp.Or(g.TrialDuration, defaultDuration)
	g.DurationSum = cmp.Or(g.DurationSum, max(defaultDurationSum, g.TrialDuration))
	g.InitialDuration = cmp.Or(g.InitialDuration, min(defaultInitialSum, g.DurationSum))
	return g
}

// faults returns every fault of g, which is at path.
func (g Goal) faults(path string) (faults []error) {
	for _, r := range []struct {
		name  string
		ratio float64
	}{{"LossRatio", g.LossRatio}, {"ExceedRatio", g.ExceedRatio}} {
		if !(r.ratio >= 0 && r.ratio < 1) {
			faults = append(faults, fault("%s.%s is %v: must be from 0 to below 1", path, r.name, r.ratio))
		}
	}
	if g.Limit < 0 {
		faults = append(faults, fault("%s.Limit is %v: must be 0 for none, or positive", path, g.Limit))
	}
	for _, d := range []struct {
		name string
		d    time.Duration
	}{{"TrialDuration", g.TrialDuration}, {"DurationSum", g.DurationSum}, {"InitialDuration", g.InitialDuration}} {
		if d.d < 0 {
			faults = append(faults, fault("%s.%s is %v: must be 0 for the default, or positive", path, d.name, d.d))
		}
	}
	if full := g.withDefaults(); len(faults) == 0 && full.DurationSum < full.TrialDuration {
		faults = append(faults, fault("%s.DurationSum is %v: must be TrialDuration, which is %v, at least", path, full.DurationSum, full.TrialDuration))
	} else if len(faults) == 0 && full.InitialDuration > full.DurationSum {
		faults = append(faults, fault("%s.InitialDuration is %v: must be DurationSum, which is %v, at most", path, full.InitialDuration, full.DurationSum))
	}
	return faults
}

// Config configures a [Searcher].
type Config struct {
	// Goals are what a rate must meet, all of them; at least one.
	Goals []Goal
	// MinRate and MaxRate, in arrivals per second, are between which the search looks. 0
	// means 1 and 1,000,000.
	MinRate, MaxRate float64
	// Guess is the rate of the first trial, which is thrown away: what came through in it
	// is the first guess. 0 means MaxRate, and so does more.
	Guess float64
	// Width is how far apart the bounds may be in the end, as a part of the upper, from
	// 0.0001 to below 1. 0 means 0.02.
	Width float64
	// Levels is how many searches there are, one after the other: the last has the Width
	// and the DurationSums asked for, and each before it twice the width and shorter sums.
	// 0 means 2; at most 16, and 1 for none before the last.
	Levels int
	// Budget is how long all trials may take, [Trial.Elapsed]; no trial begins that would
	// not fit. 0 means no limit.
	Budget time.Duration
}

func (c Config) withDefaults() Config {
	goals := make([]Goal, len(c.Goals))
	for i, g := range c.Goals {
		goals[i] = g.withDefaults()
	}
	c.Goals = goals
	c.MinRate, c.MaxRate = cmp.Or(c.MinRate, defaultMinRate), cmp.Or(c.MaxRate, defaultMaxRate)
	c.Guess = cmp.Or(c.Guess, c.MaxRate)
	c.Width, c.Levels = cmp.Or(c.Width, defaultWidth), cmp.Or(c.Levels, defaultLevels)
	return c
}

// Validate reports every fault; each matches [ErrConfig].
func (c Config) Validate() error {
	var faults []error
	if len(c.Goals) == 0 {
		faults = append(faults, fault("Goals is empty: set at least one"))
	}
	for i, g := range c.Goals {
		faults = append(faults, g.faults(fmt.Sprintf("Goals[%d]", i))...)
	}
	full := c.withDefaults()
	for _, r := range []struct {
		name string
		rate float64
	}{{"MinRate", full.MinRate}, {"MaxRate", full.MaxRate}, {"Guess", full.Guess}} {
		if !(r.rate > 0) || math.IsInf(r.rate, 1) {
			faults = append(faults, fault("%s is %v: must be 0 for the default, or positive and finite", r.name, r.rate))
		}
	}
	if full.MinRate >= full.MaxRate {
		faults = append(faults, fault("MinRate is %v and MaxRate %v: there must be some way between them", full.MinRate, full.MaxRate))
	}
	if !(full.Width >= 1e-4 && full.Width < 1) {
		faults = append(faults, fault("Width is %v: must be from 0.0001 to below 1, or 0 for the default", c.Width))
	}
	if full.Levels < 1 || full.Levels > maxLevels {
		faults = append(faults, fault("Levels is %d: must be from 1 to %d, or 0 for the default", c.Levels, maxLevels))
	}
	if c.Budget < 0 {
		faults = append(faults, fault("Budget is %v: must be 0 for no limit, or positive", c.Budget))
	}
	return errors.Join(faults...)
}

// levels returns the goals of each search, the coarsest first. Their sums are in
// geometric progression.
func (c Config) levels() [][]Goal {
	out := make([][]Goal, c.Levels)
	last := float64(c.Levels - 1)
	for level := range out {
		for _, g := range c.Goals {
			if level < c.Levels-1 {
				initial, sum := float64(g.InitialDuration), float64(g.DurationSum)
				g.DurationSum = time.Duration(math.Round(initial * math.Pow(sum/initial, float64(level)/last)))
				g.TrialDuration = min(g.TrialDuration, g.DurationSum)
			}
			out[level] = append(out[level], g)
		}
	}
	return out
}
