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

// integer returns n without error.
func integer(n int64) exact {
	return sum(float64(n&^math.MaxUint32), float64(n&math.MaxUint32))
}

func (a exact) add(b exact) exact {
	high, low := sum(a.hi, b.hi), sum(a.lo, b.lo)
	high = rounded(high.hi, high.lo+low.hi)
	return rounded(high.hi, high.lo+low.lo)
}

func (a exact) sub(b exact) exact { return a.add(exact{-b.hi, -b.lo}) }

func (a exact) mul(b exact) exact {
	hi := a.hi * b.hi
	return rounded(hi, math.FMA(a.hi, b.hi, -hi)+(a.hi*b.lo+a.lo*b.hi)) // the FMA is what hi lacks
}

func (a exact) div(b exact) exact {
	q := exact{a.hi / b.hi, 0}
	for range 2 {
		rest := a.sub(b.mul(q))
		q = q.add(exact{rest.hi / b.hi, 0})
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
	if whole := math.Ceil(a.hi); whole > a.hi {
		return int64(whole) // lo is less than what hi is away from an integer
	}
	return int64(a.hi) + int64(math.Ceil(a.lo))
}
