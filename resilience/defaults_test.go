package resilience

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The fields' comments promise these figures.
func TestDefaults(t *testing.T) {
	const ms = time.Millisecond
	require.Equal(t, MonitorConfig{
		SampleInterval: time.Second, ProbeInterval: 100 * ms, HistorySize: 60,
		WarnSchedLatency: 10 * ms, CriticalSchedLatency: 100 * ms,
		WarnTimerLag: 20 * ms, CriticalTimerLag: 100 * ms,
		WarnCPU: 0.9, CriticalCPU: 0.99, WarnGC: 0.25, CriticalGC: 0.5,
	}, MonitorConfig{}.withDefaults())
	shortest := MonitorConfig{SampleInterval: ms}
	require.NoError(t, shortest.Validate())
	require.Equal(t, ms/10, shortest.withDefaults().ProbeInterval)

	retry := RetryConfig{
		MaxAttempts: 3, BaseDelay: time.Second, MaxDelay: time.Minute, JitterFactor: 0.1,
		RetryBudget: 10, RetryBudgetWindow: time.Minute,
	}
	require.Equal(t, retry, RetryConfig{}.withDefaults())
	retry.RetryBudget, retry.RetryBudgetRatio = NoBudget, 0.2
	retry.RetryBudgetMinPerSecond, retry.RetryBudgetWindow = 10, 10*time.Second
	require.Equal(t, retry, RetryConfig{RetryBudgetRatio: 0.2}.withDefaults())

	require.EqualValues(t, 6*time.Second, BreakerConfig{}.rules().width, "a tenth of the window")
}
