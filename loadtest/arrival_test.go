package loadtest

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/pace"
)

func TestOpenLoopQuick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := NewArrivalEngine(ArrivalConfig{
			Schedule: pace.Constant(100).Until(2 * time.Second),
			Client:   Func(func(ctx context.Context) error { time.Sleep(25 * time.Millisecond); return nil }),
		})
		require.NoError(t, err)
		r, err := e.Run(t.Context(), Times(1000))
		require.NoError(t, err)
		t.Log(r, r.Counts, r.PeakInFlight)
		require.NoError(t, e.Close(t.Context()))
	})
}
func TestOpenLoopReal(t *testing.T) {
	e, err := NewArrivalEngine(ArrivalConfig{
		Schedule: pace.Constant(10000).Until(2 * time.Second),
		Client:   Func(func(ctx context.Context) error { time.Sleep(2 * time.Millisecond); return nil }),
	})
	require.NoError(t, err)
	r, err := e.Run(t.Context(), Times(100000))
	require.NoError(t, err)
	t.Log(r, r.Counts, r.PeakInFlight, r.LagQuantile(0.5), r.LagQuantile(0.99))
	require.NoError(t, e.Close(t.Context()))
}
func BenchmarkArrivals(b *testing.B) {
	for _, rate := range []float64{1e4, 1e5, 1e6, 3e6, 1e7} {
		b.Run(fmt.Sprintf("rate=%.0f", rate), func(b *testing.B) {
			e, err := NewArrivalEngine(ArrivalConfig{
				Schedule: pace.Constant(rate), MaxCatchUp: time.Hour,
				Client: Func(func(ctx context.Context) error { return nil }),
			})
			require.NoError(b, err)
			b.ReportAllocs()
			var x, y syscall.Rusage
			syscall.Getrusage(syscall.RUSAGE_SELF, &x)
			r, err := e.Run(b.Context(), Times(b.N))
			syscall.Getrusage(syscall.RUSAGE_SELF, &y)
			b.ReportMetric(float64(y.Utime.Nano()+y.Stime.Nano()-x.Utime.Nano()-x.Stime.Nano())/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64(r.PeakInFlight), "peak")
			b.ReportMetric(float64(r.LagQuantile(0.5)), "lag-p50")
			b.ReportMetric(float64(r.Dropped), "dropped")
			require.NoError(b, err)
			require.NoError(b, e.Close(b.Context()))
		})
	}
}
