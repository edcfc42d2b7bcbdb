package pace

import (
	"slices"
	"sync"
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
	case s.length() == endless:
		return s.with(fault("Then: what comes before it has no end: must have one, by Until or Take"))
	case next.length() != endless && next.length() > endless-s.length():
		return s.with(fault("Then: %v and %v are more than 292 years", s.length(), next.length()))
	}
	parts := slices.Concat(partsOf(s.root), partsOf(next.root)[:1])
	if n := len(parts); isShape(parts[n-2]) && isShape(parts[n-1]) {
		joined := newShape(append(slices.Clone(parts[n-2].(*flow).pieces), parts[n-1].(*flow).pieces...)...)
		parts = append(parts[:n-2:n-2], joined.root)
	}
	parts = append(parts, partsOf(next.root)[1:]...)
	if len(parts) == 1 {
		return Schedule{root: parts[0]}
	}
	return Schedule{root: sequence(parts)}
}

func partsOf(n node) []node {
	if parts, ok := n.(sequence); ok {
		return parts
	}
	return []node{n}
}

func isShape(n node) bool {
	f, ok := n.(*flow)
	return ok && f.process == uniform
}

// Merge returns the arrivals of s and other together. Of two that are due at once that
// of s comes first.
func (s Schedule) Merge(other Schedule) Schedule {
	switch {
	case s.err != nil || other.err != nil:
		return s.with(other.err)
	case s.root == nil && other.root == nil:
		return s
	case s.root == nil:
		return other
	case other.root == nil:
		return s
	}
	return Schedule{root: &merged{s.root, other.root}}
}

// Scale returns s at factor times its rate, which must be positive: shapes keep their
// length, bursts come factor times as often, a recording is replayed factor times as
// fast. The count of Exactly is multiplied too, to the nearest whole; that of Take is not.
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
	if n < 0 {
		return s.with(checkCount("Take: n", n))
	}
	if s.root == nil {
		return s
	}
	return newTaken(s.root, n)
}

// Until returns the arrivals of s that are due before d.
func (s Schedule) Until(d time.Duration) Schedule {
	switch {
	case d < 0:
		return s.with(fault("Until: d is %v: must not be negative", d))
	case d == 0 && s.err == nil:
		return Schedule{}
	case s.root == nil || s.length() < d:
		return s
	}
	return s.root.until(d)
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

// sequence is one node after another: at least two, none of them a sequence, and no two
// neighbors shapes.
type sequence []node

func (q sequence) length() time.Duration {
	return q.before(len(q))
}

// before returns the length of the parts before number i.
func (q sequence) before(i int) (d time.Duration) {
	for _, part := range q[:i] {
		if part.length() == endless {
			return endless
		}
		d += part.length()
	}
	return d
}

func (q sequence) len() (n int64) {
	for _, part := range q {
		more := part.len()
		if more == unknown || more == unbounded {
			return more
		}
		n += more
	}
	return n
}

func (q sequence) rate(at time.Duration) float64 {
	for _, part := range q {
		if at < part.length() {
			return part.rate(at)
		}
		at -= part.length()
	}
	return 0
}

func (q sequence) until(d time.Duration) (s Schedule) {
	for _, part := range q {
		s = s.Then(Schedule{root: part}.Until(d))
		if part.length() >= d {
			break
		}
		d -= part.length()
	}
	return s
}

func (q sequence) scale(factor float64) (s Schedule) {
	for _, part := range q {
		s = s.Then(part.scale(factor))
	}
	return s
}

func (q sequence) steps() stepper { return &sequenceSteps{rest: q, stepper: q[0].steps()} }

type sequenceSteps struct {
	stepper // of rest[0]
	rest    sequence
	start   time.Duration // of rest[0]
	k       int64
}

func (s *sequenceSteps) next() (time.Duration, int64, bool) {
	for {
		if at, _, ok := s.stepper.next(); ok {
			s.k++
			return s.start + at, s.k - 1, true
		}
		if !s.advance() {
			return 0, 0, false
		}
	}
}

func (s *sequenceSteps) skip(n int64) (skipped int64) {
	for {
		skipped += s.stepper.skip(n - skipped)
		if skipped == n || !s.advance() {
			s.k += skipped
			return skipped
		}
	}
}

// advance goes to the next part.
func (s *sequenceSteps) advance() bool {
	if len(s.rest) == 1 {
		return false
	}
	s.start += s.rest[0].length()
	s.rest = s.rest[1:]
	s.stepper = s.rest[0].steps()
	return true
}

// merged is two nodes at once.
type merged struct{ a, b node }

func (m *merged) length() time.Duration { return max(m.a.length(), m.b.length()) }

func (m *merged) len() int64 {
	a, b := m.a.len(), m.b.len()
	switch {
	case a == unbounded || b == unbounded || a > unbounded-max(b, 0):
		return unbounded
	case a == unknown || b == unknown:
		return unknown
	}
	return a + b
}

func (m *merged) rate(at time.Duration) float64 {
	return Schedule{root: m.a}.Rate(at) + Schedule{root: m.b}.Rate(at)
}

func (m *merged) until(d time.Duration) Schedule {
	return Schedule{root: m.a}.Until(d).Merge(Schedule{root: m.b}.Until(d))
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

// taken is the first n arrivals of a node.
type taken struct {
	of   node
	n    int64
	ends func() time.Duration
}

func newTaken(of node, n int64) Schedule {
	return Schedule{root: &taken{of, n, sync.OnceValue(func() time.Duration {
		steps := of.steps()
		steps.skip(n)
		if at, _, ok := steps.next(); ok {
			return at
		}
		return of.length()
	})}}
}

func (t *taken) length() time.Duration { return t.ends() }

func (t *taken) len() int64 {
	if n := t.of.len(); n != unknown {
		return min(n, t.n)
	}
	return unknown
}

func (t *taken) rate(at time.Duration) float64  { return t.of.rate(at) }
func (t *taken) until(d time.Duration) Schedule { return Schedule{root: t.of}.Until(d).Take(t.n) }
func (t *taken) scale(factor float64) Schedule  { return t.of.scale(factor).Take(t.n) }
func (t *taken) steps() stepper                 { return &takenSteps{t.of.steps(), t.n} }

type takenSteps struct {
	of   stepper
	left int64
}

func (s *takenSteps) next() (time.Duration, int64, bool) {
	if s.left == 0 {
		return 0, 0, false
	}
	s.left--
	return s.of.next()
}

func (s *takenSteps) skip(n int64) int64 {
	n = s.of.skip(min(n, s.left))
	s.left -= n
	return n
}

// sharded is every n-th arrival of a node, from number i on.
type sharded struct {
	of   node
	i, n int64
}

func (d *sharded) length() time.Duration { return d.of.length() }

func (d *sharded) len() int64 {
	switch n := d.of.len(); {
	case n == unknown || n == unbounded:
		return n
	case n <= d.i:
		return 0
	default:
		return (n-d.i-1)/d.n + 1
	}
}

func (d *sharded) rate(at time.Duration) float64 { return d.of.rate(at) / float64(d.n) }

func (d *sharded) until(t time.Duration) Schedule {
	return Schedule{root: d.of}.Until(t).Shard(int(d.i), int(d.n))
}

func (d *sharded) scale(factor float64) Schedule {
	return d.of.scale(factor).Shard(int(d.i), int(d.n))
}

func (d *sharded) steps() stepper { return &shardedSteps{of: d.of.steps(), gap: d.i, n: d.n} }

type shardedSteps struct {
	of     stepper
	gap, n int64 // how many to leave out before the next
}

func (s *shardedSteps) next() (time.Duration, int64, bool) {
	if s.of.skip(s.gap) < s.gap {
		return 0, 0, false
	}
	s.gap = s.n - 1
	return s.of.next()
}

func (s *shardedSteps) skip(n int64) int64 {
	if n == 0 {
		return 0
	}
	all := s.gap + 1 + (n-1)*s.n // up to and with the last
	had := s.of.skip(all)
	if had == all {
		s.gap = s.n - 1
		return n
	}
	if had <= s.gap {
		return 0
	}
	return (had-s.gap-1)/s.n + 1
}
