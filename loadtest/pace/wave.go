package pace

import (
	"math"
	"time"
)

// inverseOfWave is inverse for a rate mean + amplitude · sin(2πt/period). With
// e = amplitude/mean and an angle E a quarter of a turn ahead of t's, Λ(t) = x becomes
// Kepler's equation, E - e·sin E = M. Whole periods are exact; within one a float64 is.
func (p *piece) inverseOfWave(x exact) time.Duration {
	period := p.period()
	turns := int64(x.hi / period.hi)
	x = x.sub(integer(turns).mul(period))
	for x.hi < 0 {
		turns, x = turns-1, x.add(period)
	}
	for !x.less(period) {
		turns, x = turns+1, x.sub(period)
	}
	e := min(1, p.to/p.from)
	angle := kepler(2*math.Pi*(x.hi/period.hi)+math.Pi/2-e, e) - math.Pi/2
	t := angle / (2 * math.Pi) * float64(p.over)
	return p.nearest(time.Duration(turns)*p.over, 0, max(0, t))
}

// kepler returns the E of which E - e·sin E is m, for e from 0 to 1, without iteration
// (Markley 1995): the root of a cubic that resembles the equation, corrected once.
func kepler(m, e float64) float64 {
	if m > math.Pi {
		return kepler(m-2*math.Pi, e) + 2*math.Pi
	}
	if m == 0 {
		return 0
	}
	const pi2 = math.Pi * math.Pi
	a := (3*pi2 + 1.6*math.Pi*(math.Pi-math.Abs(m))/(1+e)) / (pi2 - 6)
	d := 3*(1-e) + a*e
	q := 2*a*d*(1-e) - m*m
	r := (3*a*d*(d-1+e) + m*m) * m
	w := math.Cbrt(math.Abs(r) + math.Sqrt(max(0, q*q*q+r*r)))
	w *= w
	angle := (2*r*w/(w*w+w*q+q*q) + m) / d

	sin, cos := math.Sincos(angle)
	f0, f1, f2, f3 := angle-e*sin-m, 1-e*cos, e*sin, e*cos
	by := -f0 / (f1 - f0*f2/(2*f1))
	by = -f0 / (f1 + by*f2/2 + by*by*f3/6)
	by = -f0 / (f1 + by*f2/2 + by*by*f3/6 - by*by*by*f2/24)
	return angle + by
}
