package loadtest

import (
	"errors"
	"time"
)

// Exclude says which requests at the beginning and at the end of a run are sent but not
// counted. They are in no count, latency or record-based verdict of the result, whose time
// begins and ends with what is counted: [EngineResult.Excluded] shows them. What is of the
// whole process or its connections, such as PeakMemory and ConnectionsOpened, covers the
// whole run. A user that is not counted may send requests that are.
type Exclude struct {
	// WarmUp excludes requests that are due before it has passed since the run began, and
	// WarmUpRequests the first so many requests or users of the source. In a closed loop
	// a request is due when it begins. 0 excludes none.
	WarmUp         time.Duration
	WarmUpRequests int64
	// RampDown excludes requests that are due in the last RampDown of a run whose length
	// is known: by [For], [Until] or a schedule. 0 excludes none.
	RampDown time.Duration
}

func (x Exclude) validate() error {
	var faults []error
	for name, d := range map[string]time.Duration{"WarmUp": x.WarmUp, "RampDown": x.RampDown} {
		if d < 0 {
			faults = append(faults, fault("Exclude.%s is %v: must be 0 for none, or positive", name, d))
		}
	}
	if x.WarmUpRequests < 0 {
		faults = append(faults, fault("Exclude.WarmUpRequests is %d: must be 0 for none, or positive", x.WarmUpRequests))
	}
	return errors.Join(faults...)
}

// counted is the part of a run that is counted.
type counted struct {
	any      bool          // whether something is excluded
	from, to time.Duration // due then; to is 0 without an end
	first    int64         // the number of the first
}

// of returns the part that is counted of a run that is planned to last so long; 0 is not
// known.
func (x Exclude) of(planned time.Duration) (counted, error) {
	c := counted{any: x != Exclude{}, from: x.WarmUp, first: x.WarmUpRequests}
	if x.RampDown == 0 {
		return c, nil
	}
	if planned == 0 {
		return c, fault("Exclude.RampDown is %v: the run has no known length; limit it with Until, or a schedule with an end", x.RampDown)
	}
	if c.to = planned - x.RampDown; c.to <= c.from {
		return c, fault("Exclude leaves nothing to count: WarmUp is %v and RampDown %v of a run of %v", x.WarmUp, x.RampDown, planned)
	}
	return c, nil
}

// ExcludedRequests returns how many requests are in Excluded: before what is counted, and after.
func (r *EngineResult) ExcludedRequests() (before, after int64) {
	for _, row := range r.Excluded {
		if row.From < 0 {
			before += row.Requests
		} else {
			after += row.Requests
		}
	}
	return before, after
}

// outside reports whether an interval in which nothing was counted is none of those that
// are: nothing was before it either, if none is set.
func (c *counted) outside(from, to time.Duration, none bool) bool {
	return c.any && (to <= c.from || none && c.first > 0 || c.to > 0 && from >= c.to)
}

// excludes reports whether the request or user of that number, due then, is not counted.
func (c *counted) excludes(number int64, due time.Duration) bool {
	return c.any && (due < c.from || number < c.first || c.to > 0 && due >= c.to)
}
