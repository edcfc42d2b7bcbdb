package resilience

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// monitorBusy returns a monitor with two readings that differ.
func monitorBusy(tb testing.TB) *RuntimeMonitor {
	tb.Helper()
	m, err := NewRuntimeMonitor(MonitorConfig{})
	require.NoError(tb, err)
	m.source(m.prev)
	m.prev.at = time.Now()
	for range 10 {
		runtime.Gosched()
	}
	runtime.GC()
	m.sample(time.Now())
	m.sample(time.Now())
	return m
}

// part=read is the runtime's share of part=sample.
func BenchmarkMonitor(b *testing.B) {
	m := monitorBusy(b)
	b.Run("part=sample", func(b *testing.B) {
		b.ReportAllocs()
		now := time.Now()
		for b.Loop() {
			m.sample(now)
		}
	})
	b.Run("part=read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.source(m.cur)
		}
	})
	b.Run("part=memstats", func(b *testing.B) { // what many monitors read instead
		var stats runtime.MemStats
		for b.Loop() {
			runtime.ReadMemStats(&stats)
		}
	})
}

func TestMonitorSampleAllocatesNothing(t *testing.T) {
	m := monitorBusy(t)
	now := time.Now()
	require.Zero(t, testing.AllocsPerRun(1000, func() { m.sample(now) }))
}

func TestMonitorMetricsExist(t *testing.T) {
	known := map[string]bool{}
	for _, d := range metrics.All() {
		known[d.Name] = true
	}
	for _, name := range monitorMetrics {
		require.True(t, known[name], "%s: this runtime has no such metric", name)
	}
}
