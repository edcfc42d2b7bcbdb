package pace

import (
	"math"
	"time"
)

const (
	// nano is how many billionths make an arrival: a rate per second times
	// nanoseconds is a number of arrivals in billionths.
	nano = 1e9
	// endless is the length of what has no end.
	endless = time.Duration(math.MaxInt64)
)

// piece is a stretch of a shape: a rate λ(t) that is constant, a straight line or a
// sine, its integral Λ and the inverse of that.
type piece struct {
	wave     bool
	from, to float64       // the rates of a line, of which there is no end at over; of a wave mean and amplitude
	over     time.Duration // after which a line has reached to, 0 where it does not change; a wave's period
	d        time.Duration // how long the piece lasts, or endless

	// Derived by newShape.
	start, end time.Duration
	base, top  exact // Λ of the whole shape at start and end, in billionths of an arrival
	slope      exact // of a line: Λ(t) = t · (from + slope · t)
}

// integral returns Λ(t) in billionths of an arrival, of which t is an offset from the
// start of the piece.
func (p *piece) integral(t time.Duration) exact {
	if !p.wave {
		x := integer(int64(t))
		return x.mul(exact{p.from, 0}.add(p.slope.mul(x)))
	}
	whole, rest := t/p.over, t%p.over
	sin := math.Sin(math.Pi * float64(rest) / float64(p.over))
	return integer(int64(whole)).mul(p.period()).add(
		integer(int64(rest)).times(p.from).add(exact{p.to * float64(p.over) / math.Pi * sin * sin, 0}))
}

// period returns Λ of a whole period of a wave.
func (p *piece) period() exact { return integer(int64(p.over)).times(p.from) }

// rate returns λ(t).
func (p *piece) rate(t time.Duration) float64 {
	switch {
	case p.wave:
		return max(0, p.from+p.to*math.Sin(2*math.Pi*float64(t%p.over)/float64(p.over)))
	case p.over == 0 || t == 0:
		return p.from
	case t == p.over:
		return p.to
	}
	return p.from + (p.to-p.from)*(float64(t)/float64(p.over))
}

// inverse returns the t of which Λ(t) is x, to the nearest nanosecond. It solves for x
// in the precision of a float64, and then exactly for what that has left of x.
func (p *piece) inverse(x exact) time.Duration {
	if p.wave {
		return p.inverseOfWave(x)
	}
	slope := p.slope.hi
	t := p.nearest(solve(p.from, slope, x.hi))
	at := integer(int64(t))
	rise := p.slope.mul(at)
	half := exact{p.from, 0}.add(rise)
	rest := x.sub(at.mul(half))
	return p.shift(t, solve(half.add(rise).hi, slope, rest.hi))
}

// solve returns the t of which t · (rate + slope · t) is x.
func solve(rate, slope, x float64) float64 {
	if slope == 0 {
		return x / rate
	}
	if root := rate + math.Sqrt(max(0, rate*rate+4*slope*x)); root > 0 {
		return 2 * x / root
	}
	return 0
}

// nearest returns the whole nanosecond of the piece that is nearest to t.
func (p *piece) nearest(t float64) time.Duration { return p.shift(0, t) }

// shift returns t + by, to the nearest nanosecond of the piece.
func (p *piece) shift(t time.Duration, by float64) time.Duration {
	switch length := p.end - p.start; {
	case by >= float64(length-t):
		return length
	case by <= -float64(t):
		return 0
	default:
		return t + time.Duration(math.Floor(by+0.5))
	}
}
