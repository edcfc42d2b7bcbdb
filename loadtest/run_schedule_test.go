package loadtest

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/pace"
)

// Each run has its own schedule and bound, and the engine's own is as it was.
func TestRunAtAnotherSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := ArrivalConfig{
			Schedule: pace.Constant(10).Until(time.Second), MaxInFlight: 100,
			Client: Func(func(context.Context) error { time.Sleep(time.Second); return nil }),
		}
		e, err := NewArrivalEngine(cfg)
		require.NoError(t, err)
		defer closeEngine(t, e)
		r, err := e.RunSchedule(t.Context(), pace.Burst(20, 3*time.Second).Until(3*time.Second), 15, Cycle())
		require.NoError(t, err)
		require.Equal(t, []int64{20, 15, 5}, []int64{r.Scheduled, r.Requests, r.Dropped})
		require.Equal(t, []int{15, 15}, []int{r.Concurrency, r.PeakInFlight})
		require.Equal(t, 3*time.Second, r.Elapsed)
		require.Equal(t, "burst 20 every 3s for 3s", r.Schedule)
		require.Zero(t, r.Unsent)
		r, err = e.RunSchedule(t.Context(), pace.Burst(20, time.Second).Take(20), 0, Cycle())
		require.NoError(t, err)
		require.Equal(t, []int64{20, 20, 0}, []int64{r.Scheduled, r.Requests, r.Dropped}, "MaxInFlight is the configured one")
		r, err = e.Run(t.Context(), Cycle())
		require.NoError(t, err)
		require.EqualValues(t, 10, r.Requests)
		require.Equal(t, cfg.Schedule.String(), r.Schedule)
	})
}

// What a configuration could not have is refused, and nothing is sent.
func TestRunAtABadSchedule(t *testing.T) {
	e, err := NewArrivalEngine(ArrivalConfig{
		Schedule: pace.Constant(1).Take(1),
		Client:   Func(func(context.Context) error { t.Error("sent"); return nil }),
	})
	require.NoError(t, err)
	defer closeEngine(t, e)
	for _, s := range []pace.Schedule{{}, pace.Constant(-1)} {
		r, err := e.RunSchedule(t.Context(), s, -1, Cycle())
		require.Nil(t, r)
		require.ErrorIs(t, err, ErrConfig)
		require.ErrorContains(t, err, "Schedule")
		require.ErrorContains(t, err, "MaxInFlight is -1")
	}
	var none context.Context
	_, err = e.RunSchedule(none, pace.Constant(1).Take(1), 0, Cycle())
	require.ErrorIs(t, err, ErrNilContext)
}

// Runs one after the other use the connections that are there.
func TestRunSchedulesOverTheSameConnection(t *testing.T) {
	for _, client := range []Client{NetHTTP(ConnectionConfig{}), Wire(ConnectionConfig{})} {
		url := served(t, false, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }).URL
		e, err := NewArrivalEngine(ArrivalConfig{Schedule: pace.Constant(1).Take(1), Client: client})
		require.NoError(t, err)
		for i := range 3 {
			r, err := e.RunSchedule(t.Context(), pace.Recorded(0), 1, Cycle(Get(url)))
			require.NoError(t, err)
			require.EqualValues(t, 1, r.SuccessCount)
			require.EqualValues(t, 1-min(i, 1), r.ConnectionsOpened, "run %d", i)
		}
		closeEngine(t, e)
	}
}
