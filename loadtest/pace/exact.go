package pace

import "math"

// exact is a number of about 106 bits, hi + lo: an arrival's place in a schedule to
// the nanosecond needs more than a float64 has from some 10⁵ s on.
type exact struct{ hi, lo float64 }

// sum returns a + b without error.
func sum(a, b float64) exact {
	hi := a + b
	other := hi - a
	return exact{hi, (a - (hi - other)) + (b - other)}
}

// rounded is sum where a is not the smaller one.
func rounded(a, b float64) exact {
	hi := a + b
	return exact{hi, b - (hi - a)}
}

// product returns a · b without error.
func product(a, b float64) exact {
	hi := a * b
	return exact{hi, math.FMA(a, b, -hi)}
}

// integer returns n without error.
func integer(n int64) exact {
	return sum(float64(n&^math.MaxUint32), float64(n&math.MaxUint32))
}

func (a exact) add(b exact) exact {
	high, low := sum(a.hi, b.hi), sum(a.lo, b.lo)
	high = rounded(high.hi, high.lo+low.hi)
	return rounded(high.hi, high.lo+low.lo)
}

// plus is add for a float64.
func (a exact) plus(b float64) exact {
	high := sum(a.hi, b)
	return rounded(high.hi, high.lo+a.lo)
}

func (a exact) sub(b exact) exact { return a.add(exact{-b.hi, -b.lo}) }

func (a exact) mul(b exact) exact {
	p := product(a.hi, b.hi)
	return rounded(p.hi, p.lo+(a.hi*b.lo+a.lo*b.hi))
}

// times is mul for a float64.
func (a exact) times(b float64) exact {
	p := product(a.hi, b)
	return rounded(p.hi, p.lo+a.lo*b)
}

func (a exact) div(b exact) exact {
	q := exact{a.hi / b.hi, 0}
	for range 2 {
		rest := a.sub(b.mul(q))
		q = q.plus(rest.hi / b.hi)
	}
	return q
}

func (a exact) less(b exact) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

// ceil returns the smallest integer that is not below a, which is not negative; the
// largest int64 if there is none.
func (a exact) ceil() int64 {
	if a.hi >= math.MaxInt64 {
		return math.MaxInt64
	}
	n := int64(a.hi) // a float64 above 2⁵³ is whole, and so its lo decides
	for integer(n).less(a) {
		n += max(1, int64(a.sub(integer(n)).hi))
	}
	for !integer(n - 1).less(a) {
		n--
	}
	return n
}
