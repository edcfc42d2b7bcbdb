package pace

import (
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
	if err := checkPositive("Exactly: d", d); err != nil || n < 0 {
		return faulty(join(err, checkCount("Exactly: n", n)))
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
	if n < 0 {
		return s.with(checkCount("Exactly: n", n))
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
		return s.with(fault("%s: the schedule has no end: must have one, by Until", name))
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
func arrival(n int64) exact { return integer(n).times(nano) }

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
	s := newShape(pieces...)
	if f.process == poisson {
		return s.Poisson(f.seed)
	}
	return s
}

func (f *flow) steps() stepper {
	switch f.process {
	case poisson:
		return &poissonSteps{flow: f, draw: random(f.seed)}
	case exactly:
		return &exactSteps{flow: f, draw: random(f.seed)}
	default:
		return &uniformSteps{flow: f, count: count{n: f.len()}}
	}
}

func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

type uniformSteps struct {
	*flow
	i int // the piece
	count
}

func (s *uniformSteps) next() (at time.Duration, k int64, ok bool) {
	if !s.more() {
		return 0, 0, false
	}
	s.i, at = s.find(s.i, arrival(s.k-1))
	return at, s.k - 1, true
}

// poissonSteps adds up exponential gaps, exactly.
type poissonSteps struct {
	*flow
	draw *rand.Rand
	i    int
	k    int64
	x    exact
	at   time.Duration
}

func (s *poissonSteps) next() (at time.Duration, k int64, ok bool) {
	s.x = s.x.plus(s.draw.ExpFloat64() * nano)
	if !s.x.less(s.top()) {
		return 0, 0, false
	}
	s.i, at = s.find(s.i, s.x)
	s.at = max(s.at, at) // what rounds may round apart
	if s.at >= s.length() {
		return 0, 0, false
	}
	s.k++
	return s.at, s.k - 1, true
}

func (s *poissonSteps) skip(n int64) int64 { return walk(s, n) }

// exactSteps draws n sorted uniform numbers one by one: of m that are still to come,
// the share of the rest at which the next falls is 1 - V^(1/m), of which the logarithm
// is an exponential gap divided by m.
type exactSteps struct {
	*flow
	draw *rand.Rand
	i    int
	k    int64
	log  exact
	at   time.Duration
}

func (s *exactSteps) next() (at time.Duration, k int64, ok bool) {
	if s.k >= s.n {
		return 0, 0, false
	}
	s.log = s.log.plus(s.draw.ExpFloat64() / float64(s.n-s.k))
	s.i, at = s.find(s.i, s.top().times(-math.Expm1(-s.log.hi)))
	s.at = min(max(s.at, at), s.length()-1)
	s.k++
	return s.at, s.k - 1, true
}

func (s *exactSteps) skip(n int64) int64 { return walk(s, n) }

func (f *flow) scale(factor float64) Schedule {
	n := math.Round(float64(f.n) * factor)
	if n >= unbounded {
		return faulty(fault("Scale: factor is %v: must leave fewer than 2⁶³ arrivals", factor))
	}
	pieces := slices.Clone(f.pieces)
	for i := range pieces {
		p := &pieces[i]
		p.from, p.to = p.from*factor, p.to*factor
		highest := max(p.from, p.to)
		if p.wave {
			highest = p.from + p.to
		}
		if err := checkRate("Scale: the rate", highest); err != nil {
			return faulty(err)
		}
	}
	scaled := *f
	scaled.n, scaled.pieces = int64(n), newShape(pieces...).root.(*flow).pieces
	return Schedule{root: &scaled}
}
