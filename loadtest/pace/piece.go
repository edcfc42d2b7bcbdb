package pace

import (
	"math"
	"time"
)

// nano is how many billionths make an arrival: a rate per second times nanoseconds is
// a number of arrivals in billionths.
const nano = 1e9

// piece is a stretch of a shape: a rate λ(t) that is constant, a straight line or a
// sine, its integral Λ and the inverse of that.
type piece struct {
	wave     bool
	from, to float64       // the rates of a line, of which there is no end at over; of a wave mean and amplitude
	over     time.Duration // after which a line has reached to, 0 where it does not change; a wave's period
	d        time.Duration // how long the piece lasts, at most until forever

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
		area := x.mul(exact{p.from, 0})
		if p.over > 0 { // without the slope, which is rounded: Λ may be whole at the end
			area = area.add(sum(p.to, -p.from).mul(x).mul(x).div(integer(int64(p.over)).mul(exact{2, 0})))
		}
		return area
	}
	whole, rest := t/p.over, t%p.over
	sin := math.Sin(math.Pi * float64(rest) / float64(p.over))
	swing := exact{p.to * float64(p.over) / math.Pi * sin * sin, 0}
	return integer(int64(whole)).mul(p.period()).add(integer(int64(rest)).mul(exact{p.from, 0}).add(swing))
}

// period returns Λ of a whole period of a wave.
func (p *piece) period() exact { return integer(int64(p.over)).mul(exact{p.from, 0}) }

// lastRate returns the rate at the end of the piece.
func (p *piece) lastRate() float64 { return p.rate(p.d) }

// rate returns λ(t).
func (p *piece) rate(t time.Duration) float64 {
	switch {
	case p.wave:
		return max(0, p.from+p.to*math.Sin(2*math.Pi*float64(t%p.over)/float64(p.over)))
	case p.over == 0:
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
	if p.over == 0 {
		t := math.Floor(x.hi / p.from)
		return p.nearest(0, t, (math.FMA(-t, p.from, x.hi)+x.lo)/p.from)
	}
	t := math.Floor(min(solve(p.from, p.slope.hi, x.hi), float64(p.over)))
	rise := p.slope.mul(exact{t, 0})
	half := rise.add(exact{p.from, 0})
	rest := x.sub(half.mul(exact{t, 0}))
	rate := (half.hi + rise.hi) + (half.lo + rise.lo)
	return p.nearest(0, t, solve(rate, p.slope.hi, rest.hi))
}

// solve returns the t of which t · (rate + slope · t) is x.
func solve(rate, slope, x float64) float64 {
	if root := rate + math.Sqrt(max(0, rate*rate+4*slope*x)); root > 0 {
		return 2 * x / root
	}
	return 0
}

// nearest returns start + t + by to the nearest nanosecond of the piece. t is whole.
func (p *piece) nearest(start time.Duration, t, by float64) time.Duration {
	if max(t, t+by) >= float64(forever-start) {
		return p.d
	}
	return min(p.d, max(0, start+time.Duration(t)+time.Duration(math.Floor(by+0.5))))
}
