package pace

import (
	"slices"
	"time"
)

// Recorded returns a schedule of arrivals at the given offsets from the start, which are
// not negative and never decrease. It keeps a copy.
func Recorded(at ...time.Duration) Schedule {
	for i, t := range at {
		switch {
		case t < 0:
			return faulty(fault("Recorded: instant %d is %v: must not be negative", i, t))
		case i > 0 && t < at[i-1]:
			return faulty(fault("Recorded: instant %d is %v: must not be before the one before it, %v", i, t, at[i-1]))
		}
	}
	if len(at) == 0 {
		return Schedule{}
	}
	return Schedule{root: &recorded{slices.Clone(at), at[len(at)-1]}}
}

type recorded struct {
	at []time.Duration
	d  time.Duration // not before the last of at
}

func (r *recorded) len() int64            { return int64(len(r.at)) }
func (r *recorded) length() time.Duration { return r.d }
func (r *recorded) steps() stepper        { return &recordedSteps{recorded: r} }

// before returns how many arrivals are due before t.
func (r *recorded) before(t time.Duration) int {
	n, _ := slices.BinarySearch(r.at, t)
	return n
}

func (r *recorded) rate(at time.Duration) float64 {
	at = at.Truncate(time.Second)
	if at > endless-time.Second {
		return float64(len(r.at) - r.before(at))
	}
	return float64(r.before(at+time.Second) - r.before(at))
}

func (r *recorded) until(d time.Duration) Schedule {
	if r.before(d) == 0 {
		return Constant(0).Until(d)
	}
	return Schedule{root: &recorded{r.at[:r.before(d)], d}}
}

func (r *recorded) scale(factor float64) Schedule {
	faster := func(t time.Duration) time.Duration {
		return time.Duration(min(float64(t)/factor+0.5, float64(endless-1024)))
	}
	scaled := &recorded{make([]time.Duration, len(r.at)), faster(r.d)}
	for i, t := range r.at {
		scaled.at[i] = faster(t)
	}
	return Schedule{root: scaled}
}

type recordedSteps struct {
	*recorded
	k int64
}

func (s *recordedSteps) next() (time.Duration, int64, bool) {
	if s.k >= s.len() {
		return 0, 0, false
	}
	s.k++
	return s.at[s.k-1], s.k - 1, true
}

func (s *recordedSteps) skip(n int64) int64 {
	n = min(n, s.len()-s.k)
	s.k += n
	return n
}
