package loadtest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

type namedError string

func (e namedError) Error() string       { return "got nothing of " + string(e) }
func (e namedError) FailedCheck() string { return string(e) }

// Each failure is counted once, whatever a check's errors say and however many there are.
func TestFailedChecksAddUp(t *testing.T) {
	rec := newRecorder(3)
	const checks, each = maxNames + 20, 5
	for range each {
		b := rec.buffer()
		for i := range checks {
			b.failedCheck(fmt.Errorf("wrapped: %w", namedError(fmt.Sprint(i))))
		}
		b.failedCheck(errors.New("own"))
	}
	rec.harvest(true)
	sum := func(f failedChecks) (n int64) {
		for _, failed := range f {
			n += failed.Count
		}
		return n
	}
	res := rec.result(nil)
	require.InDelta(t, maxNames, len(res.FailedChecks), 1)
	require.EqualValues(t, each*(checks+1), sum(res.FailedChecks))
	require.Equal(t, FailedCheck{each, "wrapped: got nothing of 7"}, res.FailedChecks["7"])
	require.Contains(t, res.FailedChecks, foldedEndpoints)

	other := EngineResult{FailedChecks: map[string]FailedCheck{"new": {3, "a"}, "7": {2, "b"}}}
	res.Merge(&other)
	require.InDelta(t, maxNames, len(res.FailedChecks), 1)
	require.EqualValues(t, each*(checks+1)+5, sum(res.FailedChecks))
	require.Equal(t, FailedCheck{each + 2, "wrapped: got nothing of 7"}, res.FailedChecks["7"])
	require.Equal(t, FailedCheck{2, "b"}, other.FailedChecks["7"])
}

type countingError struct{ texts *int }

func (e countingError) Error() string       { *e.texts++; return "text" }
func (e countingError) FailedCheck() string { return "a" }

// What goes wrong each time takes no text each time.
func TestOnlyTheFirstFailureOfACheckIsAskedForItsText(t *testing.T) {
	var texts int
	b := newRecorder(1).buffer()
	for range 100 {
		b.failedCheck(countingError{&texts})
	}
	require.Equal(t, 1, texts)
	require.Equal(t, failedChecks{"a": {100, "text"}}, b.shard.checks)
}

// A run counts the Checks that failed, but for those that Exclude leaves out.
func TestFailedChecksOfARun(t *testing.T) {
	e := newEngine(t, SyncConfig{Client: sleeps(0), Exclude: Exclude{WarmUpRequests: 3}})
	defer closeEngine(t, e)
	r, err := e.Run(t.Context(), Times(5, &Request{Check: func(Response) error { return namedError("x") }}))
	require.NoError(t, err)
	require.Equal(t, map[string]FailedCheck{"x": {2, "got nothing of x"}}, r.FailedChecks)
	require.EqualValues(t, 2, r.Errors[ClassCheck])
}
