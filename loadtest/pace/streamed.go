package pace

import (
	"errors"
	"fmt"
	"time"
)

// RecordedFunc is [Recorded] for more instants than memory is to hold, such as those of
// a log file: n of them, of which last is the last. Each walk calls open anew and then the
// next that it returns, one call after another, until that returns false or n instants
// have come. They are not negative and never decrease; one that does is due with the one
// before it, and one after last with last.
//
// open and next are called where the arrivals of a run are handed out: next should return
// soon, and neither may panic. open is safe for concurrent use; a next, which nobody
// closes, is not. Each walk must yield the same.
//
// Combinations are as exact as those of Recorded and cost a walk where those do: Take and
// Shard read what they leave out, and the length of a Take is that of a walk to its end.
// Only Rate differs, which returns the mean, and String, which no Parse reads.
func RecordedFunc(n int64, last time.Duration, open func() (next func() (at time.Duration, ok bool))) Schedule {
	faults := []error{checkNotNegative("RecordedFunc: n", n), checkNotNegative("RecordedFunc: last", last)}
	if open == nil {
		faults = append(faults, fault("RecordedFunc: open is nil: must return a function"))
	}
	if err := errors.Join(faults...); err != nil || n == 0 {
		return Schedule{err: err}
	}
	return Schedule{root: &streamed{n, last, open}}
}

// streamed is instants that each walk reads anew.
type streamed struct {
	n    int64
	last time.Duration
	open func() func() (time.Duration, bool)
}

func (s *streamed) endless() bool                  { return false }
func (s *streamed) length() time.Duration          { return s.last }
func (s *streamed) len() int64                     { return s.n }
func (s *streamed) rate(time.Duration) float64     { return float64(s.n) / s.last.Seconds() }
func (s *streamed) until(d time.Duration) Schedule { return Schedule{root: &cut{s, d}} }
func (s *streamed) text() string                   { return fmt.Sprintf("%d recorded over %v", s.n, s.last) }

func (s *streamed) scale(factor float64) Schedule {
	last, ok := scaled(s.last, factor)
	if !ok {
		return Schedule{err: fault("Scale: factor is %v: must leave the last instant, %v, within 292 years", factor, s.last)}
	}
	return Schedule{root: &streamed{s.n, last, func() func() (time.Duration, bool) {
		next := s.open()
		return func() (time.Duration, bool) {
			at, ok := next()
			at, _ = scaled(min(at, s.last), factor)
			return at, ok
		}
	}}}
}

func (s *streamed) steps() stepper {
	next, left := s.open(), s.n
	var latest time.Duration
	return oneByOne(func() (time.Duration, bool) {
		if left == 0 {
			return 0, false
		}
		left--
		at, ok := next()
		if !ok {
			left = 0
			return 0, false
		}
		latest = min(max(at, latest), s.last)
		return latest, true
	})
}
