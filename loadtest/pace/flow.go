package pace

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// process says how arrivals fall along a shape.
type process int

const (
	uniform process = iota // arrival n where Λ is n
	poisson                // a Poisson process of rate 1, laid along Λ
	exactly                // n sorted uniform numbers, laid along Λ
)

// flow is a process along a shape.
type flow struct {
	pieces  []piece // none of them empty
	process process
	n       int64  // of exactly
	seed    uint64 // of poisson and exactly
}

// Poisson returns a schedule of rate arrivals per second without end, independent of
// each other: it is Constant(rate).Poisson(seed).
func Poisson(rate float64, seed uint64) Schedule { return Constant(rate).Poisson(seed) }

// Exactly returns a schedule of n arrivals that fall anywhere within d, independent of
// each other: it is a constant rate on which [Schedule.Exactly] lays n arrivals.
func Exactly(n int64, d time.Duration, seed uint64) Schedule {
	if err := errors.Join(checkPositive("Exactly: d", d), checkNotNegative("Exactly: n", n)); err != nil {
		return Schedule{err: err}
	}
	return Constant(float64(n)/d.Seconds()).Until(d).Exactly(n, seed)
}

// Poisson returns s with its arrivals at random, independent of each other, at the
// rate that s has at each moment: a Poisson process. The same seed gives the same
// arrivals. s is a shape: constants, ramps, stages and sines, joined by Then, cut by
// Until.
func (s Schedule) Poisson(seed uint64) Schedule {
	return s.process("Poisson", flow{process: poisson, seed: seed})
}

// Exactly returns s with n arrivals at random, independent of each other and spread as
// the rate of s: a Poisson process of which it is known that it had n arrivals. The
// same seed gives the same arrivals. s is a shape, as for [Schedule.Poisson], and ends.
func (s Schedule) Exactly(n int64, seed uint64) Schedule {
	if err := checkNotNegative("Exactly: n", n); err != nil {
		return s.with(err)
	}
	return s.process("Exactly", flow{process: exactly, n: n, seed: seed})
}

func (s Schedule) process(name string, f flow) Schedule {
	if s.err != nil {
		return s
	}
	shape, ok := s.root.(*flow)
	switch {
	case s.root == nil && f.n == 0:
		return s
	case !ok || shape.process != uniform:
		return s.with(fault("%s: it has its arrivals already: must follow constants, ramps, stages and sines, and precede all else", name))
	case f.process == exactly && shape.endless():
		return s.with(fault("%s: the schedule has no end: must have one, by Until (in text: for)", name))
	case f.n > 0 && shape.top().hi <= 0:
		return s.with(fault("%s: n is %d: must be 0 where the rate is 0", name, f.n))
	}
	f.pieces = shape.pieces
	return Schedule{root: &f}
}

func (f *flow) last() *piece          { return &f.pieces[len(f.pieces)-1] }
func (f *flow) top() exact            { return f.last().top }
func (f *flow) length() time.Duration { return f.last().end }
func (f *flow) endless() bool         { return f.length() == forever }

// find returns the number of the piece that holds x, of which it is known that it is
// not before number i, and the instant at which Λ is x.
func (f *flow) find(i int, x exact) (int, time.Duration) {
	for i < len(f.pieces)-1 && !x.less(f.pieces[i].top) {
		i++
	}
	p := &f.pieces[i]
	return i, p.start + p.inverse(x.sub(p.base))
}

func (f *flow) len() int64 {
	switch {
	case f.process == exactly:
		return f.n
	case f.process == poisson && f.endless() && f.last().from > 0:
		return unbounded
	case f.process != uniform:
		return unknown
	}
	n := f.top().div(exact{nano, 0}).ceil()
	for n > 0 {
		if _, at := f.find(0, arrival(n-1)); at < f.length() {
			break
		}
		n--
	}
	return n
}

// arrival returns n in billionths of an arrival.
func arrival(n int64) exact { return integer(n).mul(exact{nano, 0}) }

func (f *flow) rate(at time.Duration) float64 {
	for i := range f.pieces {
		if p := &f.pieces[i]; at < p.end {
			rate := p.rate(at - p.start)
			if f.process == exactly {
				rate *= float64(f.n) / (f.top().hi / nano)
			}
			return rate
		}
	}
	return 0
}

func (f *flow) until(d time.Duration) Schedule {
	switch {
	case d >= f.length():
		return Schedule{root: f}
	case f.process == exactly:
		return Schedule{root: &cut{f, d}}
	}
	pieces := make([]piece, 0, len(f.pieces))
	for _, p := range f.pieces {
		if p.start < d {
			p.d = min(p.d, d-p.start)
			pieces = append(pieces, p)
		}
	}
	until := *f
	until.pieces = newShape(pieces...).root.(*flow).pieces
	return Schedule{root: &until}
}

func (f *flow) steps() stepper {
	i := 0 // the piece
	if f.process == uniform {
		return numbered(f.len(), func(k int64) (at time.Duration) {
			i, at = f.find(i, arrival(k))
			return at
		})
	}
	draw := rand.New(rand.NewPCG(f.seed, 0))
	var last time.Duration // below which no arrival is rounded
	if f.process == exactly {
		left := f.n
		var log exact
		return oneByOne(func() (at time.Duration, ok bool) {
			// Of n sorted uniform numbers that are left, the next falls at a share of
			// 1 - V^(1/n) of the rest; the logarithm is an exponential gap divided by n.
			if left == 0 {
				return 0, false
			}
			log = log.add(exact{draw.ExpFloat64() / float64(left), 0})
			left--
			i, at = f.find(i, f.top().mul(exact{min(-math.Expm1(-log.hi), 1-0x1p-53), 0}))
			last = min(max(last, at), f.length()-1)
			return last, true
		})
	}
	var x exact
	return oneByOne(func() (at time.Duration, ok bool) {
		if x = x.add(exact{draw.ExpFloat64() * nano, 0}); !x.less(f.top()) {
			return 0, false
		}
		i, at = f.find(i, x)
		last = max(last, at)
		return last, last < f.length()
	})
}

func (f *flow) scale(factor float64) Schedule {
	n := math.Round(float64(f.n) * factor)
	if n >= unbounded {
		return Schedule{err: fault("Scale: factor is %v: must leave fewer than 2⁶³ arrivals", factor)}
	}
	pieces := slices.Clone(f.pieces)
	for i := range pieces {
		p := &pieces[i]
		p.from, p.to = p.from*factor, p.to*factor
		err := checkRate("Scale: the rate", max(p.from, p.to))
		if err == nil && p.wave {
			err = p.checkWave()
		}
		if err != nil {
			return Schedule{err: err}
		}
	}
	scaled := *f
	scaled.n, scaled.pieces = int64(n), newShape(pieces...).root.(*flow).pieces
	return Schedule{root: &scaled}
}
