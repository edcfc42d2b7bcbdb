package htmlreport

import (
	"errors"
	"fmt"
	"io"
	"math"
	"testing"

	"example.com/brunt/loadtest/capacity"
)

// WriteCapacity writes a page about a search for a capacity to w, as Write does about
// results: its verdict, or why it has none, the walk from trial to trial, what each lost
// and its p99 by rate, the bounds, the objectives and every trial. Options.Names and
// Options.SLO must not be set: a search has objectives of its own. An empty Title means
// "Capacity".
func WriteCapacity(w io.Writer, o Options, r capacity.Result) error {
	if err := checkSearch(o, &r); err != nil {
		return err
	}
	return write(w, newSearchPage(o, &r))
}

// WriteCapacityFile writes a page as WriteCapacity does, to a file as WriteFile does.
func WriteCapacityFile(path string, o Options, r capacity.Result) error {
	return writeFile(path, func(w io.Writer) error { return WriteCapacity(w, o, r) })
}

// AttachCapacity writes a page as WriteCapacity does, and attaches it to the test as Attach
// does. To attach a search that ended without a capacity, which fails a benchmark in
// [capacity.Bench], make it with [capacity.Search].
func AttachCapacity(tb testing.TB, o Options, r capacity.Result) string {
	tb.Helper()
	return attach(tb, "AttachCapacity", func(path string) error { return WriteCapacityFile(path, o, r) })
}

func checkSearch(o Options, r *capacity.Result) error {
	errs := []error{o.Validate()}
	if len(o.Names) > 0 {
		errs = append(errs, fmt.Errorf("%w: Names is set: a search is one result; set Title", ErrConfig))
	}
	if o.SLO != nil {
		errs = append(errs, fmt.Errorf("%w: SLO is set: a search has objectives of its own", ErrConfig))
	}
	if len(r.Trials) == 0 && r.End == nil {
		errs = append(errs, fmt.Errorf("%w: the search has made no trial", ErrNoResult))
	}
	for i, t := range r.Trials {
		if len(t.Losses) != len(r.Goals) || !(t.Rate > 0) || math.IsInf(t.Rate, 1) {
			errs = append(errs, fmt.Errorf("%w: Trials[%d] has the rate %v and %d losses: must have a positive and finite one, and as many as there are Goals, %d", ErrNoResult, i, t.Rate, len(t.Losses), len(r.Goals)))
		}
	}
	return errors.Join(errs...)
}
