package loadtest

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/faketb"
)

// run1000 had 990 successes of 10 ms and 10 resets after 50 ms, in 2 s.
func run1000() *EngineResult {
	var samples []sample
	for i := range 1000 {
		s := sample{latency: 10 * time.Millisecond, status: 200, endpoint: noEndpoint}
		if i%100 == 0 {
			s = sample{latency: 50 * time.Millisecond, class: ClassReset, endpoint: noEndpoint}
		}
		samples = append(samples, s)
	}
	r := record(epoch, 2*time.Second, nil, samples)
	r.PeakMemory = 64 << 20
	return r
}

func TestCheckShowsObservedAgainstWanted(t *testing.T) {
	slo := SLO{
		P50: 5 * time.Millisecond, P95: 6 * time.Millisecond, P99: 7 * time.Millisecond,
		MinRPS: 600, MinRequests: 2000, MaxPeakMemory: 1 << 20,
	}
	tb := faketb.Run(t, func(tb *faketb.TB) { Check(tb, run1000(), slo) })
	require.False(t, tb.FailedNow(), "the test goes on")
	require.Len(t, tb.Errors(), 1, "one message")
	golden(t, "check.golden", tb.Text()+"\n")
}

func TestCheckRefusesToJudgeTooFewSamples(t *testing.T) {
	for _, tt := range []struct {
		n    int
		slo  SLO
		text string
	}{
		{999, SLO{P99: time.Hour}, "p99         not judged: 999 requests, needs 1,000 (wanted at most 1h0m0s)"},
		{199, SLO{P95: time.Hour}, "p95         not judged: 199 requests, needs 200"},
		{19, SLO{P50: time.Hour}, "p50         not judged: 19 requests, needs 20"},
		{0, SLO{}, "requests    observed 0, wanted at least 1"},
	} {
		samples := make([]sample, tt.n)
		tb := faketb.Run(t, func(tb *faketb.TB) { Check(tb, record(epoch, time.Second, []string{"a"}, samples), tt.slo) })
		require.Contains(t, tb.Text(), tt.text)
		tb = faketb.Run(t, func(tb *faketb.TB) {
			Check(tb, record(epoch, time.Second, []string{"a"}, append(samples, sample{})), tt.slo)
		})
		require.Empty(t, tb.Errors(), "one more is enough")
	}
}

func TestCheckRefusesNonsense(t *testing.T) {
	tb := faketb.Run(t, func(tb *faketb.TB) { Check(tb, nil, SLO{}) })
	require.True(t, tb.FailedNow())
	require.Contains(t, tb.Text(), "nil result")

	bad := SLO{P50: -1, P95: -1, P99: -1, MaxErrorRate: math.NaN(), MinRPS: math.Inf(1), MinRequests: -1}
	tb = faketb.Run(t, func(tb *faketb.TB) { Check(tb, run1000(), bad) })
	require.True(t, tb.FailedNow())
	for _, text := range []string{"SLO.P50", "SLO.P95", "SLO.P99", "SLO.MaxErrorRate is NaN", "SLO.MinRPS is +Inf", "SLO.MinRequests"} {
		require.Contains(t, tb.Text(), text)
	}
	require.ErrorIs(t, bad.Validate(), ErrConfig)
	require.Error(t, SLO{MaxErrorRate: 1.1}.Validate())
	require.Error(t, SLO{MinRPS: math.NaN()}.Validate())
}

func TestStart(t *testing.T) {
	t.Run("closes the engine at the end", func(t *testing.T) {
		var e Engine
		tb := faketb.Run(t, func(tb *faketb.TB) {
			e = Start(tb, ThreadedConfig{Client: Func(func(context.Context) error { return nil })})
			_, err := e.Run(t.Context(), Times(10))
			require.NoError(t, err)
		})
		require.Empty(t, tb.Errors())
		_, err := e.Run(t.Context(), Times(10))
		require.ErrorIs(t, err, ErrClosed)
	})
	t.Run("refuses a bad configuration", func(t *testing.T) {
		tb := faketb.Run(t, func(tb *faketb.TB) { Start(tb, SyncConfig{Timeout: -1}) })
		require.True(t, tb.FailedNow())
		require.Contains(t, tb.Text(), "Timeout is -")
		tb = faketb.Run(t, func(tb *faketb.TB) { Start(tb, nil) })
		require.True(t, tb.FailedNow())
		require.Contains(t, tb.Text(), "without a configuration")
	})
	t.Run("fails when something is left", func(t *testing.T) {
		tb := faketb.Run(t, func(tb *faketb.TB) { Start(tb, SyncConfig{Client: leaky{}}) })
		require.False(t, tb.FailedNow())
		require.True(t, strings.HasPrefix(tb.Text(), "loadtest: closing the engine: test error"), tb.Text())
	})
}

// leaky is a client that cannot give everything back.
type leaky struct{}

func (leaky) Session() (Session, error) { return nil, errTest }
func (leaky) Close() error              { return errTest }
