package capacity

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/race"
)

// responder is a service as a searcher sees it: the loss of a trial at a rate.
type responder func(rate float64, goal int, rng *rand.Rand) float64

// step loses nothing up to its knee, and from there on all that is too much.
func step(knee float64) responder {
	return func(rate float64, _ int, _ *rand.Rand) float64 { return max(0, 1-knee/rate) }
}

// disturbed hits a share of the trials of r, whatever their rate: a noisy neighbor.
func disturbed(r responder, share float64) responder {
	return func(rate float64, goal int, rng *rand.Rand) float64 {
		if rng.Float64() < share {
			return rng.Float64()
		}
		return r(rate, goal, rng)
	}
}

// wavering has a knee that is elsewhere in each trial.
func wavering(knee, spread float64) responder {
	return func(rate float64, goal int, rng *rand.Rand) float64 {
		return step(knee*math.Exp(spread*rng.NormFloat64()))(rate, goal, rng)
	}
}

// inverted loses in a band below the knee, too.
func inverted(knee, from, to float64) responder {
	return func(rate float64, goal int, rng *rand.Rand) float64 {
		if rate >= from && rate < to {
			return 0.5
		}
		return step(knee)(rate, goal, rng)
	}
}

// stepped gets worse in steps, and better at times.
func stepped(seed uint64) responder {
	return func(rate float64, _ int, _ *rand.Rand) float64 {
		rng := rand.New(rand.NewPCG(seed, uint64(4*math.Log2(rate))))
		return max(0, rng.Float64()-0.5)
	}
}

// chance has nothing to do with the rate.
func chance(_ float64, _ int, rng *rand.Rand) float64 { return rng.Float64() * rng.Float64() }

// byGoal makes the second goal, and so on, easier.
func byGoal(r responder) responder {
	return func(rate float64, goal int, rng *rand.Rand) float64 { return r(rate/(1+float64(goal)/2), goal, rng) }
}

// search makes the trials that a searcher asks for, and checks that it needs them.
func search(tb require.TestingT, c Config, r responder, rng *rand.Rand) Result {
	s, err := New(c)
	require.NoError(tb, err)
	var log []Trial
	for {
		rate, d, ok := s.Next()
		if !ok {
			break
		}
		require.True(tb, c.Budget == 0 || s.spent+d <= c.Budget, "no trial begins that the budget does not hold")
		again, d2, _ := s.Next()
		require.InDelta(tb, rate, again, 0, "Next has not been answered")
		require.Equal(tb, d, d2)
		if len(log) > 0 && rng.IntN(8) == 0 && !needed(c, log, rate) { // it is slow
			require.Fail(tb, "a trial that can change nothing", "at %v/s\n%v", rate, s.Result())
		}
		trial := Trial{Rate: rate, Duration: d, Elapsed: d + time.Duration(rng.IntN(3))*d/4}
		for i := range c.Goals {
			trial.Losses = append(trial.Losses, r(rate, i, rng))
		}
		s.Observe(trial)
		log = s.log
		require.Less(tb, len(log), 20_000, "it does not end")
	}
	return s.Result()
}

// anyConfig is a configuration at random.
func anyConfig(rng *rand.Rand) Config {
	pick := func(d ...time.Duration) time.Duration { return d[rng.IntN(len(d))] }
	c := Config{
		MinRate: 1 + 9*rng.Float64(), MaxRate: math.Pow(10, 2+4*rng.Float64()),
		Width: []float64{0, 0.01, 0.05, 0.2, 0.5}[rng.IntN(5)], Levels: rng.IntN(5),
		Budget: pick(0, 0, 10*time.Second, 40*time.Second, 10*time.Minute),
	}
	if rng.IntN(2) == 0 {
		c.Guess = 1 + rng.Float64()*c.MaxRate
	}
	for range 1 + rng.IntN(3) {
		c.Goals = append(c.Goals, Goal{
			LossRatio:     []float64{0, 0.01, 0.1}[rng.IntN(3)],
			ExceedRatio:   []float64{0, 0.05, 0.3, 0.5, 0.9}[rng.IntN(5)],
			TrialDuration: pick(0, 500*time.Millisecond, 3*time.Second),
			DurationSum:   pick(0, 3*time.Second, 21*time.Second),
		})
	}
	return c
}

func anyResponder(rng *rand.Rand) (name string, r responder) {
	knee := math.Pow(10, 5*rng.Float64())
	switch rng.IntN(7) {
	case 0:
		name, r = "step", step(knee)
	case 1:
		name, r = "disturbed", disturbed(step(knee), 0.4*rng.Float64())
	case 2:
		name, r = "wavering", wavering(knee, 0.3*rng.Float64())
	case 3:
		name, r = "inverted", inverted(knee, 0.5*knee, 0.8*knee)
	case 4:
		name, r = "stepped", stepped(rng.Uint64())
	case 5:
		name, r = "disturbed, inverted", disturbed(inverted(knee, 0.2*knee, 0.9*knee), 0.3)
	default:
		name, r = "chance", chance
	}
	return fmt.Sprintf("%s at %.4g", name, knee), byGoal(r)
}

// Whatever the service does, what a search reports follows from its trials by
// definition, none of which was for nothing.
func TestTenThousandSearches(t *testing.T) {
	searches := 10_000
	if race.Enabled { // there is one goroutine
		searches = 500
	}
	ended := map[error]int{}
	one := func(seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 1))
		c := anyConfig(rng)
		name, r := anyResponder(rng)
		defer func() {
			if t.Failed() {
				t.Logf("seed %d: %s, %+v", seed, name, c)
			}
		}()
		result := search(t, c, r, rng)
		requireByDefinition(t, c, result)
		if result.End == nil {
			ended[nil]++
		} else {
			ended[result.End.Reason]++
		}
	}
	for seed := range searches {
		one(uint64(seed))
	}
	for _, end := range []error{nil, ErrMinRate, ErrMaxRate, ErrBudget} {
		require.Greater(t, ended[end], searches/100, "too few searches end with %v: %v", end, ended)
	}
}

// In the field a trial costs a second, and some are disturbed. With the defaults a search
// is quick, and near the truth.
func TestSearchIsQuickAndNearTheTruth(t *testing.T) {
	const searches = 1000
	for _, c := range []struct {
		name          string
		service       func(knee float64) responder
		median        time.Duration
		finished      int // of the searches, within a budget of 36 s
		near, similar int // within 5 % of the truth, and of pairs within 3 % of each other
	}{
		{"a clear knee", step, 11 * time.Second, searches, searches, searches / 2},
		{"a knee that wavers by 1 %", func(knee float64) responder { return wavering(knee, 0.01) }, 13 * time.Second, searches, searches, searches / 2},
		{"a fifth of the trials disturbed", func(knee float64) responder { return disturbed(wavering(knee, 0.01), 0.2) }, 15 * time.Second, 950, 940, 430},
		{"a third of the trials disturbed", func(knee float64) responder { return disturbed(wavering(knee, 0.01), 0.33) }, 18 * time.Second, 945, 840, 330},
	} {
		var spent []time.Duration
		finished, near, similar := 0, 0, 0
		before := 0.0
		for seed := range uint64(searches) {
			knee := 1000 * math.Exp(rand.New(rand.NewPCG(seed/2, 1)).Float64()) // the same for two
			r := c.service(knee)
			rng := rand.New(rand.NewPCG(seed, 2))
			s, err := New(Config{Goals: []Goal{{LossRatio: 0.01}}, Guess: 3 * knee, Budget: 36 * time.Second})
			require.NoError(t, err)
			for {
				rate, d, ok := s.Next()
				if !ok {
					break
				}
				s.Observe(Trial{Rate: rate, Duration: d, Losses: []float64{r(rate, 0, rng)}})
			}
			result := s.Result()
			spent = append(spent, s.spent)
			if result.End == nil {
				finished++
				if math.Abs(result.Capacity/knee-1) <= 0.05 {
					near++
				}
				if seed%2 == 1 && math.Abs(result.Capacity/before-1) <= 0.03 {
					similar++
				}
			}
			before = result.Capacity
		}
		slices.Sort(spent)
		t.Logf("%s: half of the searches took %v, nine of ten %v; of %d %d finished, %d near the truth, %d pairs similar",
			c.name, spent[searches/2], spent[searches*9/10], searches, finished, near, similar)
		require.LessOrEqual(t, spent[searches/2], c.median, c.name)
		require.GreaterOrEqual(t, finished, c.finished, c.name)
		require.GreaterOrEqual(t, near, c.near, c.name)
		require.GreaterOrEqual(t, similar, c.similar, c.name)
	}
}

// A guess that is far off costs a few trials.
func TestSearchFromABadGuess(t *testing.T) {
	for _, guess := range []float64{1, 30, 1000, 30_000, 1e6} {
		c := Config{Goals: []Goal{{LossRatio: 0.01}}, Guess: guess}
		r := search(t, c, step(1000), rand.New(rand.NewPCG(1, 1)))
		requireByDefinition(t, c, r)
		require.NoError(t, r.Err())
		require.LessOrEqual(t, len(r.Trials), 30, "from %v\n%v", guess, r)
		for _, trial := range r.Trials[1:] {
			require.LessOrEqual(t, trial.Rate, 4.1*max(1000, min(guess, 1000)), "it never overloads the service by much")
		}
	}
}

// Of the bytes of the corpus the first say what is asked for, and the rest what the
// trials lose.
func FuzzSearch(f *testing.F) {
	f.Add(uint64(1), []byte{})
	f.Add(uint64(2), []byte{0, 255, 0, 255, 0, 255})
	f.Add(uint64(3), []byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add(uint64(4), []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 200, 100, 50, 25, 12, 6, 3, 1, 0})
	f.Add(uint64(9943), []byte{240, 230, 90, 90, 0, 0, 0, 0, 128, 128, 128})
	f.Fuzz(func(t *testing.T, config uint64, losses []byte) {
		c := anyConfig(rand.New(rand.NewPCG(config, 1)))
		i := 0
		r := func(rate float64, _ int, _ *rand.Rand) float64 {
			if len(losses) == 0 {
				return step(1000)(rate, 0, nil)
			}
			i++
			return float64(losses[i%len(losses)]) / 255 * float64(losses[(i*7)%len(losses)]) / 255
		}
		requireByDefinition(t, c, search(t, c, r, rand.New(rand.NewPCG(config, 2))))
	})
}
