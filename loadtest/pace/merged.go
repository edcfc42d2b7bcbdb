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
	a, b := m.a.steps(), m.b.steps()
	atA, _, okA := a(0)
	atB, _, okB := b(0)
	return oneByOne(func() (at time.Duration, ok bool) {
		if okA && (!okB || atA <= atB) {
			at = atA
			atA, _, okA = a(0)
			return at, true
		}
		at, ok = atB, okB
		atB, _, okB = b(0)
		return at, ok
	})
}
