package pace

import (
	"errors"
	"fmt"
	"time"
)

// maxRate is the highest rate: more than one arrival a nanosecond cannot be told apart.
const maxRate = 1e9

// maxPeriod is how many arrivals a period of a sine has at most: of 10¹⁵ a float64 can
// no longer tell neighbors apart.
const maxPeriod = 1e14

// Stage is a part of [Stages].
type Stage struct {
	Rate     float64       // arrivals per second at its end; from 0 to 1e9
	Duration time.Duration // until the rate is reached; 0 jumps to it
}

// Constant returns a schedule of rate arrivals per second without end: arrival n, from 0,
// is due at n/rate. A rate of 0 is a pause once [Schedule.Until] gives it a length.
func Constant(rate float64) Schedule {
	if err := checkRate("Constant: rate", rate); err != nil {
		return Schedule{err: err}
	}
	return newShape(piece{from: rate, to: rate, d: forever})
}

// Ramp returns a schedule whose rate changes along a straight line within d, which is
// positive, from from to to arrivals per second.
func Ramp(from, to float64, d time.Duration) Schedule {
	err := errors.Join(checkRate("Ramp: from", from), checkRate("Ramp: to", to), checkPositive("Ramp: d", d))
	if err != nil {
		return Schedule{err: err}
	}
	return newShape(piece{from: from, to: to, over: d, d: d})
}

// Stages returns a schedule that ramps to the rate of each stage in turn, within the
// stage's Duration and from the rate of the stage before it; the first begins at 0.
// Stage{Rate: 100} therefore jumps to 100 a second, and Stage{Rate: 100, Duration:
// time.Minute} after it stays there for a minute.
func Stages(stages ...Stage) Schedule {
	var all Schedule
	from := 0.0
	for i, stage := range stages {
		next := Schedule{err: errors.Join(
			checkRate(fmt.Sprintf("Stages: Rate of stage %d", i), stage.Rate),
			checkNotNegative(fmt.Sprintf("Stages: Duration of stage %d", i), stage.Duration))}
		if next.err == nil {
			next = newShape(piece{from: from, to: stage.Rate, over: stage.Duration, d: stage.Duration})
		}
		all, from = all.Then(next), stage.Rate
	}
	return all
}

// Sine returns a schedule without end whose rate swings around mean by amplitude, in
// arrivals per second and as a sine that begins at the mean and rises. The amplitude
// is at most the mean, and the period positive and of at most 1e14 arrivals. Arrivals
// are exact to the nanosecond for periods of up to a day, but for where the rate is
// close to 0.
func Sine(mean, amplitude float64, period time.Duration) Schedule {
	err := errors.Join(checkRate("Sine: mean", mean), checkRate("Sine: amplitude", amplitude), checkPositive("Sine: period", period))
	if err != nil {
		return Schedule{err: err}
	}
	p := piece{wave: true, from: mean, to: amplitude, over: period, d: forever}
	if err := p.checkWave(); err != nil {
		return Schedule{err: err}
	}
	return newShape(p)
}

// checkWave returns what a wave's rates, each of them in range, must not be together.
func (p *piece) checkWave() (err error) {
	if p.to > p.from {
		err = fault("Sine: amplitude is %v/s: must be at most the mean, which is %v/s", p.to, p.from)
	}
	if p.from+p.to > maxRate {
		err = errors.Join(err, fault("Sine: mean and amplitude are %v/s and %v/s: must be at most %v/s together", p.from, p.to, maxRate))
	}
	if n := p.from * p.over.Seconds(); n > maxPeriod {
		err = errors.Join(err, fault("Sine: a period of %v at %v/s has %v arrivals: must have at most %v", p.over, p.from, n, maxPeriod))
	}
	return err
}

// newShape returns the schedule of uniform arrivals along the pieces, the zero Schedule
// if they have no length.
func newShape(pieces ...piece) Schedule {
	f := &flow{}
	var start time.Duration
	var base exact
	for _, p := range pieces {
		if p.d == 0 {
			continue
		}
		p.start, p.d = start, min(p.d, forever-start)
		p.end = start + p.d
		switch {
		case p.wave && p.to > 0:
		case p.wave, p.from == p.to:
			p.wave, p.to, p.over = false, p.from, 0
		default:
			p.slope = sum(p.to, -p.from).div(integer(int64(p.over)).mul(exact{2, 0}))
		}
		p.base, p.top = base, base.add(p.integral(p.d))
		start, base = p.end, p.top
		f.pieces = append(f.pieces, p)
	}
	if f.pieces == nil {
		return Schedule{}
	}
	return Schedule{root: f}
}

func checkRate(name string, rate float64) error {
	if rate >= 0 && rate <= maxRate { // not so for NaN
		return nil
	}
	return fault("%s is %v/s: must be from 0 to %v/s", name, rate, maxRate)
}
