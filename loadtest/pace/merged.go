package pace

import "time"

// merged is two nodes at once.
type merged struct{ a, b node }

func (m *merged) endless() bool { return m.a.endless() || m.b.endless() }

func (m *merged) length() time.Duration { return max(m.a.length(), m.b.length()) }

func (m *merged) len() int64 { return total(m.a.len(), m.b.len()) }

func (m *merged) rate(at time.Duration) float64 {
	return Schedule{root: m.a}.Rate(at) + Schedule{root: m.b}.Rate(at)
}

func (m *merged) until(d time.Duration) Schedule {
	return m.a.until(d).Merge(m.b.until(d))
}

func (m *merged) scale(factor float64) Schedule { return m.a.scale(factor).Merge(m.b.scale(factor)) }

func (m *merged) steps() stepper {
	s := &mergedSteps{a: m.a.steps(), b: m.b.steps()}
	s.atA, _, s.okA = s.a.next()
	s.atB, _, s.okB = s.b.next()
	return s
}

type mergedSteps struct {
	a, b     stepper
	atA, atB time.Duration // what is next of each
	okA, okB bool
	k        int64
}

func (s *mergedSteps) next() (at time.Duration, k int64, ok bool) {
	switch {
	case s.okA && (!s.okB || s.atA <= s.atB):
		at = s.atA
		s.atA, _, s.okA = s.a.next()
	case s.okB:
		at = s.atB
		s.atB, _, s.okB = s.b.next()
	default:
		return 0, 0, false
	}
	s.k++
	return at, s.k - 1, true
}

func (s *mergedSteps) skip(n int64) int64 { return walk(s, n) }
