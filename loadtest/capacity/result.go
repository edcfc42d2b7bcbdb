package capacity

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"example.com/brunt/loadtest/internal/text"
)

// How a search may end without a capacity.
var (
	ErrUnfinished = errors.New("capacity: the search has not finished")
	ErrBudget     = errors.New("capacity: the time budget was spent before the bounds were close enough")
	ErrMinRate    = errors.New("capacity: even the least rate fails")
	ErrMaxRate    = errors.New("capacity: even the highest rate passes")
	ErrUnsettled  = errors.New("capacity: the service did not recover from a trial")
	// ErrGenerator is INVALID: the bounds are those of what makes the load.
	ErrGenerator = errors.New("capacity: INVALID: the generator was the limit, so that the search says nothing of the service")
)

var ends = []error{ErrUnfinished, ErrBudget, ErrMinRate, ErrMaxRate, ErrUnsettled, ErrGenerator}

// EndError says why a search has ended without a capacity. It matches its Reason, one of
// the errors of this package or the cause of a context.
type EndError struct {
	Reason error
	Detail string // what was seen, and what to change
}

func (e *EndError) Error() string {
	if e.Detail == "" {
		return e.Reason.Error()
	}
	return e.Reason.Error() + ": " + e.Detail
}

// Unwrap returns the reason.
func (e *EndError) Unwrap() error { return e.Reason }

type endJSON struct {
	Reason string `json:"reason"`
	Detail string `json:"detail,omitempty"`
}

// MarshalJSON writes the text of the reason and the detail.
func (e *EndError) MarshalJSON() ([]byte, error) {
	return json.Marshal(endJSON{e.Reason.Error(), e.Detail})
}

// UnmarshalJSON reads what MarshalJSON has written. An error of this package is itself
// again.
func (e *EndError) UnmarshalJSON(data []byte) error {
	var j endJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	e.Reason, e.Detail = errors.New(j.Reason), j.Detail
	if i := slices.IndexFunc(ends, func(end error) bool { return end.Error() == j.Reason }); i >= 0 {
		e.Reason = ends[i]
	}
	return nil
}

// TrialKind is what a trial was for.
type TrialKind string

// The kinds of trials. Those that are not counted are no evidence for a bound.
const (
	TrialCounted TrialKind = "counted"
	TrialWarmup  TrialKind = "warm-up" // the first
	TrialInvalid TrialKind = "invalid" // bad, but for a reason of the generator's
	TrialControl TrialKind = "control" // of the generator alone, against nothing
)

// Trial is one trial: a steady load for a while.
type Trial struct {
	Kind TrialKind `json:"kind"` // set by Observe
	// Rate is in arrivals per second.
	Rate     float64       `json:"rate"`
	Duration time.Duration `json:"duration_ns"`
	// Losses are for each goal the share of what was scheduled that was lost, from 0 to 1.
	Losses []float64 `json:"losses"`
	// Throughput is what came through per second, however late. It serves for the first
	// guess only. 0 means what was not lost.
	Throughput float64 `json:"throughput,omitempty"`
	// Elapsed is the time that the trial took from the budget; 0 means Duration.
	Elapsed time.Duration `json:"elapsed_ns"`

	// The rest is for reports; a Searcher does not look at it.

	Scheduled int64         `json:"scheduled,omitempty"` // arrivals
	Errors    int64         `json:"errors,omitempty"`    // requests that failed
	Dropped   int64         `json:"dropped,omitempty"`   // arrivals that found too many requests open
	Missed    int64         `json:"missed,omitempty"`    // arrivals that the generator came to too late
	P50       time.Duration `json:"p50_ns,omitempty"`    // response time, of what was sent, as P99
	P99       time.Duration `json:"p99_ns,omitempty"`
	// Note says what was the matter: what the generator lacked, or one of the errors.
	Note string `json:"note,omitempty"`
}

// Good reports whether t lost no more than each of the goals allows.
func (r Result) Good(t Trial) bool {
	for i, loss := range t.Losses {
		if loss > r.Goals[i].LossRatio {
			return false
		}
	}
	return true
}

// GoalBounds are the relevant bounds of one goal alone; 0 where there is none.
type GoalBounds struct {
	Goal
	Lower float64 `json:"lower"`
	Upper float64 `json:"upper"`
}

// Result is what a search has found.
type Result struct {
	// Capacity is the conditional throughput, per second: what is sure to come through
	// at Lower, in the trial that decided that it meets the goals. It is 0 unless End is
	// nil.
	Capacity float64 `json:"capacity"`
	// Lower and Upper are the relevant bounds, in arrivals per second: Upper is the least
	// rate known to miss a goal, and Lower the highest rate below it known to meet all. 0
	// means that there is none.
	Lower float64 `json:"lower"`
	Upper float64 `json:"upper"`
	// Width is how far apart the bounds were to be, as a part of Upper.
	Width float64 `json:"width"`
	// End is nil if the search has found a capacity, and otherwise why not.
	End *EndError `json:"end,omitempty"`
	// Goals are in the order of the losses of Trials.
	Goals []GoalBounds `json:"goals"`
	// Trials are all that were made, in order.
	Trials []Trial `json:"trials"`

	follower bool // of a search that shard 0 has made
}

// Err returns End as an error, nil if there is none.
func (r Result) Err() error {
	if r.End == nil {
		return nil
	}
	return r.End
}

// between says what is known of rates.
func between(lo, hi float64) string {
	switch {
	case lo == 0 && hi == 0:
		return "is not known to pass or to fail"
	case lo == 0:
		return fmt.Sprintf("of %s/s fails", text.Rate(hi))
	case hi == 0:
		return fmt.Sprintf("of %s/s passes", text.Rate(lo))
	}
	return fmt.Sprintf("of %s/s passes and one of %s/s fails", text.Rate(lo), text.Rate(hi))
}

// String returns the capacity, or why there is none, what is known by goal, and a table
// of the trials.
func (r Result) String() string {
	if len(r.Trials) == 0 {
		return r.summary()
	}
	var b strings.Builder
	b.WriteString(r.summary())
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "trial\trate/s\ttime\t")
	for _, g := range r.Goals {
		fmt.Fprintf(w, "lost (%s)\t", g.Name)
	}
	fmt.Fprint(w, "p99\t verdict\n")
	for i, t := range r.Trials {
		fmt.Fprintf(w, "%d\t%s\t%v\t", i+1, text.Rate(t.Rate), text.Duration(t.Duration))
		for _, loss := range t.Losses {
			fmt.Fprintf(w, "%s\t", text.Percent(loss))
		}
		verdict := "bad"
		if r.Good(t) {
			verdict = "good"
		}
		if t.Kind != TrialCounted {
			verdict = string(t.Kind) + ", " + verdict
		}
		if t.Note != "" {
			verdict += ": " + text.Cut(t.Note, 120)
		}
		fmt.Fprintf(w, "%s\t %s\n", p99(t), verdict)
	}
	w.Flush()
	return b.String()
}

// summary is String without the table.
func (r Result) summary() string {
	var b strings.Builder
	if r.End != nil {
		fmt.Fprintf(&b, "%v\n", r.End)
	} else {
		fmt.Fprintf(&b, "capacity %s/s: a rate %s\n", text.Rate(r.Capacity), between(r.Lower, r.Upper))
	}
	for _, g := range r.Goals {
		fmt.Fprintf(&b, "  %s: a rate %s\n", g.Name, between(g.Lower, g.Upper))
	}
	return b.String()
}

// p99 returns a dash where it is not known.
func p99(t Trial) string {
	if t.P99 == 0 {
		return "-"
	}
	return text.Duration(t.P99)
}
