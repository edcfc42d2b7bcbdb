package pace

import (
	"slices"
	"time"
)

// Then returns s followed by next, which begins when s ends: at its [Schedule.Duration].
// Where shapes of uniform arrivals meet they are one shape: the rate changes, and the
// first arrival after it comes when a whole one is due since the last.
func (s Schedule) Then(next Schedule) Schedule {
	switch {
	case s.err != nil || next.err != nil:
		return s.with(next.err)
	case s.root == nil:
		return next
	case next.root == nil:
		return s
	case s.root.endless():
		return s.with(fault("Then: what comes before it has no end: must have one, by Until or Take (in text: for)"))
	}
	left, right := partsOf(s.root), partsOf(next.root)
	a, b := left[len(left)-1], right[0]
	if isShape(a) && isShape(b) {
		if !b.endless() && b.length() >= forever-a.length() {
			return s.with(fault("Then: %v and %v: must be less than 292 years together", a.length(), b.length()))
		}
		joined := newShape(slices.Concat(a.(*flow).pieces, b.(*flow).pieces)...)
		left, right = left[:len(left)-1], slices.Concat([]node{joined.root}, right[1:])
	}
	if parts := slices.Concat(left, right); len(parts) > 1 {
		return Schedule{root: &sequence{parts}}
	}
	return Schedule{root: right[0]}
}

func partsOf(n node) []node {
	if q, ok := n.(*sequence); ok {
		return q.parts
	}
	return []node{n}
}

func isShape(n node) bool {
	f, ok := n.(*flow)
	return ok && f.process == uniform
}

// Merge returns the arrivals of s and other together.
func (s Schedule) Merge(other Schedule) Schedule {
	switch {
	case s.err != nil || other.err != nil:
		return s.with(other.err)
	case s.root == nil:
		return other
	case other.root == nil:
		return s
	}
	return Schedule{root: &merged{s.root, other.root}}
}

// Scale returns s at factor times its rate, which must be positive: shapes keep their
// length, bursts come factor times as often, a recording is replayed factor times as
// fast. The count of Exactly is multiplied too, to the nearest whole. Take and Until
// keep their number and their offset.
func (s Schedule) Scale(factor float64) Schedule {
	if !(factor > 0 && factor <= maxRate) {
		return s.with(fault("Scale: factor is %v: must be positive, and at most %v", factor, maxRate))
	}
	if s.root == nil {
		return s
	}
	return s.root.scale(factor)
}

// Take returns the first n arrivals of s.
func (s Schedule) Take(n int64) Schedule {
	if err := checkNotNegative("Take: n", n); err != nil {
		return s.with(err)
	}
	if s.root == nil {
		return s
	}
	return newTaken(s.root, n)
}

// Until returns the arrivals of s that are due before d.
func (s Schedule) Until(d time.Duration) Schedule {
	if err := checkNotNegative("Until: d", d); err != nil {
		return s.with(err)
	}
	switch {
	case d == 0 && s.err == nil:
		return Schedule{}
	case s.root == nil:
		return s
	default:
		return s.root.until(d)
	}
}

// Shard returns the arrivals of s whose number is i modulo n: one of n shards that
// together are s, exactly. [Cursor.Index] tells the numbers that they have in s.
func (s Schedule) Shard(i, n int) Schedule {
	switch {
	case n < 1 || i < 0 || i >= n:
		return s.with(fault("Shard: shard %d of %d: must be from 0 to the number of shards less one", i, n))
	case s.root == nil || n == 1:
		return s
	}
	return Schedule{root: &sharded{s.root, int64(i), int64(n)}}
}
