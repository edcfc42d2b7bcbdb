package pace

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"time"
)

// ErrSchedule matches every fault of a schedule and of its text.
var ErrSchedule = errors.New("pace: bad schedule")

// Schedule says when arrivals are due: offsets from the start, which never decrease, to
// the nanosecond and for at most 292 years. It is an immutable value, safe for concurrent
// use by multiple goroutines. The zero Schedule has no arrivals.
//
// A schedule that was made of arguments out of range has no arrivals either, whatever
// it is combined with, and [Schedule.Validate] says why.
type Schedule struct {
	root node // nil if there are no arrivals
	err  error
}

// node is a schedule without faults. Each is immutable.
type node interface {
	steps() stepper
	len() int64                    // the number of arrivals, or unbounded, or unknown
	endless() bool                 // reports whether length would be forever
	length() time.Duration         // where the next begins; of a Take of what is random at the cost of walking there
	rate(at time.Duration) float64 // for an offset from 0 to below length
	until(d time.Duration) Schedule
	scale(factor float64) Schedule // for a positive factor
	text() string
}

// forever is the length of what has no end.
const forever = time.Duration(math.MaxInt64)

// later returns start + d, or forever if that is later.
func later(start, d time.Duration) time.Duration { return start + min(d, forever-start) }

// What len says of a number that it does not.
const (
	unknown   = -1
	unbounded = math.MaxInt64
)

// total returns a + b of two results of len.
func total(a, b int64) int64 {
	switch {
	case a == unbounded || b == unbounded:
		return unbounded
	case a == unknown || b == unknown:
		return unknown
	case a > unbounded-b:
		return unbounded
	}
	return a + b
}

// stepper walks along a schedule: it leaves out skip arrivals, and returns the next and
// its number.
type stepper func(skip int64) (at time.Duration, k int64, ok bool)

// oneByOne is the stepper that counts what next returns.
func oneByOne(next func() (at time.Duration, ok bool)) stepper {
	k := int64(-1)
	return func(skip int64) (at time.Duration, _ int64, ok bool) {
		for ; skip >= 0; skip-- {
			if at, ok = next(); !ok {
				return 0, 0, false
			}
			k++
		}
		return at, k, true
	}
}

// numbered is the stepper of n arrivals of which at says when each is due.
func numbered(n int64, at func(k int64) time.Duration) stepper {
	next := int64(0)
	return func(skip int64) (time.Duration, int64, bool) {
		if skip >= n-next {
			next = n
			return 0, 0, false
		}
		next += skip + 1
		return at(next - 1), next - 1, true
	}
}

// Validate returns every fault of the arguments that s was made of, joined, and nil if
// there is none. Each matches [ErrSchedule].
func (s Schedule) Validate() error { return s.err }

// Len returns the number of arrivals, and -1 if there is no end to them or if only
// counting would tell.
func (s Schedule) Len() int64 {
	if s.root == nil {
		return 0
	}
	n := s.root.len()
	if n == unbounded || n > 0 && s.root.endless() {
		return -1
	}
	return n
}

// Duration returns the planned length, at which a schedule that follows by Then begins.
// It is 0 if s has no end, as it is if all arrivals are due at the start. No arrival is
// due at it or later, but for a recording, which lasts until its last instant. A
// schedule cut by Take lasts until the first arrival that was left out would be due,
// as n arrivals of a rate last n/rate; where arrivals are at random, the first call
// of Duration or Rate walks through them to know.
func (s Schedule) Duration() time.Duration {
	if s.root == nil || s.root.endless() {
		return 0
	}
	return s.root.length()
}

// Rate returns the intended arrivals per second at an offset from the start: of what is
// random the expected rate, of bursts their mean, of a recording what the second around
// the offset holds. It is 0 before the start and from the end on.
func (s Schedule) Rate(at time.Duration) float64 {
	if s.root == nil || at < 0 || at >= s.root.length() {
		return 0
	}
	return s.root.rate(at)
}

// All returns the arrivals in order.
func (s Schedule) All() iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		c := s.Cursor()
		for {
			if at, ok := c.Next(); !ok || !yield(at) {
				return
			}
		}
	}
}

// Cursor returns a cursor before the first arrival.
func (s Schedule) Cursor() *Cursor {
	if s.root == nil {
		return &Cursor{index: -1}
	}
	return &Cursor{steps: s.root.steps(), index: -1}
}

// Cursor walks through a schedule. It is not safe for concurrent use.
type Cursor struct {
	steps stepper
	index int64
}

// Next returns the next arrival, an offset from the start, and false if there is none.
// It does not allocate.
func (c *Cursor) Next() (at time.Duration, ok bool) {
	if c.steps == nil {
		return 0, false
	}
	at, k, ok := c.steps(0)
	if ok {
		c.index = k
	}
	return at, ok
}

// Index returns the number, from 0, of the arrival that Next returned last, -1 before
// the first. A shard's arrivals keep the numbers that they have in the whole; Then and
// Merge number anew.
func (c *Cursor) Index() int64 { return c.index }

// with returns s with a fault more.
func (s Schedule) with(err error) Schedule { return Schedule{err: errors.Join(s.err, err)} }

func fault(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrSchedule}, args...)...)
}

func checkPositive[T int64 | time.Duration](name string, n T) error {
	if n > 0 {
		return nil
	}
	return fault("%s is %v: must be positive", name, n)
}

func checkNotNegative[T int64 | time.Duration](name string, n T) error {
	if n >= 0 {
		return nil
	}
	return fault("%s is %v: must not be negative", name, n)
}
