package loadtest

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/resilience"
)

func TestGateAdmitsOneAtATimeAndForgetsNobody(t *testing.T) {
	g := newGate()
	var wg sync.WaitGroup
	inside, n := 0, 0
	for i := range 16 {
		wg.Go(func() { // ends after its turns
			for k := range 2000 {
				g.Lock()
				inside++
				if inside != 1 {
					t.Error("two inside")
				}
				n++
				if (i+k)%7 == 0 {
					runtime.Gosched()
				}
				inside--
				g.Unlock()
			}
		})
	}
	wg.Wait()
	require.Equal(t, 32_000, n)
	require.Zero(t, g.waiters.Load())
}

func TestGateLetsVirtualTimePass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		start := time.Now()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { // ends after its turn
				g.Lock()
				defer g.Unlock()
				time.Sleep(time.Second)
			})
		}
		wg.Wait()
		require.Equal(t, 10*time.Second, time.Since(start))
	})
}

func TestTimeInTheSinkIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, ThreadedConfig{MaxWorkers: 4, Client: Func(sleep(time.Millisecond))})
		defer closeEngine(t, e)
		r, err := e.RunStreaming(t.Context(), Times(4), func(RequestResult) error { time.Sleep(100 * time.Millisecond); return nil })
		require.NoError(t, err)
		require.Equal(t, time.Millisecond, r.Elapsed)
		require.Equal(t, time.Second, r.SinkTime, "one waits for none, the others for 1, 2 and 3, and each is in it")
		require.InDelta(t, 1.0, r.sinkShare(), 1e-12)
		require.Equal(t, time.Second, roundTrip(t, r).SinkTime)

		r, err = e.RunStreaming(t.Context(), Times(40), func(RequestResult) error { time.Sleep(100 * time.Millisecond); return nil })
		require.NoError(t, err)
		accounted(t, 40, r)
		addUp(t, r)
		require.InEpsilon(t, 4.0, r.Elapsed.Seconds(), 0.11, "ten results a second, whoever sends")
		require.Contains(t, r.String(), "% of the workers' time (")

		twice := new(EngineResult)
		twice.Merge(r)
		twice.Merge(r)
		require.Equal(t, 2*r.SinkTime, twice.SinkTime)

		r, err = e.RunStreaming(t.Context(), Times(40), func(RequestResult) error { return nil })
		require.NoError(t, err)
		require.Zero(t, r.SinkTime)
		require.NotContains(t, r.String(), "sink")
	})
}

func TestTheSinkOfARejectedRequestIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, resilience.BreakerConfig{FailureThreshold: 1, OpenStateDuration: time.Hour})
		e := newEngine(t, AsyncConfig{MaxConcurrent: 1, Breaker: b, Client: Func(func(context.Context) error { return errTest })})
		defer closeEngine(t, e)
		r, err := e.RunStreaming(t.Context(), Times(5), func(RequestResult) error { time.Sleep(time.Second); return nil })
		require.NoError(t, err)
		require.EqualValues(t, 4, r.RejectedCount)
		require.Equal(t, 5*time.Second, r.SinkTime)
		addUp(t, r)
	})
}
