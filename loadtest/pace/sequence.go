package pace

import "time"

// sequence is one node after another: at least two, none of them a sequence, and no two
// neighbors shapes.
type sequence struct{ parts []node }

func (q *sequence) endless() bool { return q.parts[len(q.parts)-1].endless() }

func (q *sequence) length() (d time.Duration) {
	for _, part := range q.parts {
		d = later(d, part.length())
	}
	return d
}

func (q *sequence) len() (n int64) {
	for _, part := range q.parts {
		n = total(n, part.len())
	}
	return n
}

func (q *sequence) rate(at time.Duration) float64 {
	for _, part := range q.parts {
		d := part.length()
		if at < d {
			return part.rate(at)
		}
		at -= d
	}
	return 0
}

func (q *sequence) until(d time.Duration) Schedule { return Schedule{root: &cut{q, d}} }

func (q *sequence) scale(factor float64) (s Schedule) {
	for _, part := range q.parts {
		s = s.Then(part.scale(factor))
	}
	return s
}

func (q *sequence) steps() stepper {
	rest, of := q.parts, q.parts[0].steps()
	var start time.Duration // of rest[0]
	return oneByOne(func() (time.Duration, bool) {
		for {
			at, _, ok := of(0)
			if at = later(start, at); ok && at < forever {
				return at, true
			}
			if len(rest) == 1 {
				return 0, false
			}
			start, rest = later(start, rest[0].length()), rest[1:]
			of = rest[0].steps()
		}
	})
}
