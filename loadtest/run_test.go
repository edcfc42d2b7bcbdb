package loadtest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// What a Check takes is no part of the next request's latency, where a worker
// claims one request at a time and where it claims many.
func TestChecksAreInNoLatency(t *testing.T) {
	for name, check := range map[string]time.Duration{"one at a time": time.Millisecond, "in batches": 100 * time.Nanosecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEngine(t, SyncConfig{Client: Func(func(context.Context) error { return nil })})
				defer closeEngine(t, e)
				r, err := e.Run(t.Context(), Times(500, &Request{Check: func(Response) error { time.Sleep(check); return nil }}))
				require.NoError(t, err)
				require.Equal(t, 499*check, r.Elapsed, "the last request ends before its Check")
				require.Zero(t, r.Quantile(1))
			})
		})
	}
}

// What ended a run first is what it says.
func TestTheFirstCauseStands(t *testing.T) {
	r := &run{dismiss: func(error) {}}
	first := errors.New("first")
	r.halt(first)
	r.halt(errTest)
	require.Equal(t, first, r.cause)

	r = &run{dismiss: func(error) {}}
	r.recordPanic("first")
	r.recordPanic("second")
	require.Equal(t, "first", r.panics.Value)
}
