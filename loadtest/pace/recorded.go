package pace

import (
	"slices"
	"time"
)

// Recorded returns a schedule of arrivals at the given offsets from the start, which are
// not negative and never decrease. It keeps a copy. It lasts until the last of them.
func Recorded(at ...time.Duration) Schedule {
	var before time.Duration
	for i, t := range at {
		if t < before {
			return Schedule{err: fault("Recorded: instant %d is %v: must not be before %v", i, t, before)}
		}
		before = t
	}
	if len(at) == 0 {
		return Schedule{}
	}
	return Schedule{root: &recorded{slices.Clone(at)}}
}

type recorded struct{ at []time.Duration }

func (r *recorded) endless() bool                  { return false }
func (r *recorded) length() time.Duration          { return r.at[len(r.at)-1] }
func (r *recorded) len() int64                     { return int64(len(r.at)) }
func (r *recorded) until(d time.Duration) Schedule { return Schedule{root: &cut{r, d}} }

func (r *recorded) rate(at time.Duration) float64 {
	from, _ := slices.BinarySearch(r.at, at.Truncate(time.Second))
	to, _ := slices.BinarySearch(r.at, later(at.Truncate(time.Second), time.Second))
	return float64(to - from)
}

func (r *recorded) scale(factor float64) Schedule {
	out := make([]time.Duration, len(r.at))
	for i, t := range r.at {
		var ok bool
		if out[i], ok = scaled(t, factor); !ok {
			return Schedule{err: fault("Scale: factor is %v: must leave instant %d, %v, within 292 years", factor, i, t)}
		}
	}
	return Schedule{root: &recorded{out}}
}

// scaled returns when an instant is due that comes factor times as fast, and whether that is
// within 292 years.
func scaled(t time.Duration, factor float64) (time.Duration, bool) {
	at := float64(t)/factor + 0.5
	return time.Duration(at), at < float64(forever)
}

func (r *recorded) steps() stepper {
	return numbered(r.len(), func(k int64) time.Duration { return r.at[k] })
}
