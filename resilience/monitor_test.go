package resilience

import (
	"bytes"
	"log/slog"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// monitorSeconds builds a histogram with edges 0, 1 ms, 10 ms, 100 ms, +Inf.
func monitorSeconds(counts ...uint64) metrics.Float64Histogram {
	return metrics.Float64Histogram{Counts: counts, Buckets: []float64{0, 0.001, 0.01, 0.1, math.Inf(1)}}
}

func TestMonitorQuantiles(t *testing.T) {
	const ms = time.Millisecond
	rows := []struct {
		reason    string
		prev, cur metrics.Float64Histogram
		want      MonitorQuantiles
	}{
		{"nothing happened", monitorSeconds(5, 5, 5, 5), monitorSeconds(5, 5, 5, 5), MonitorQuantiles{}},
		{"one value is every quantile", monitorSeconds(5, 5, 5, 5), monitorSeconds(5, 6, 5, 5), MonitorQuantiles{1, 10 * ms, 10 * ms, 10 * ms}},
		{"what came before does not count", monitorSeconds(0, 0, 900, 0), monitorSeconds(100, 0, 900, 0), MonitorQuantiles{100, ms, ms, ms}},
		{"rank 99 of 100 is the last but one", monitorSeconds(0, 0, 0, 0), monitorSeconds(99, 0, 1, 0), MonitorQuantiles{100, ms, ms, 100 * ms}},
		{"rank 99 of 100, one further", monitorSeconds(0, 0, 0, 0), monitorSeconds(98, 0, 2, 0), MonitorQuantiles{100, ms, 100 * ms, 100 * ms}},
		{"half of an even count", monitorSeconds(0, 0, 0, 0), monitorSeconds(1, 1, 0, 0), MonitorQuantiles{2, ms, 10 * ms, 10 * ms}},
		{"half of an odd count", monitorSeconds(0, 0, 0, 0), monitorSeconds(1, 1, 1, 0), MonitorQuantiles{3, 10 * ms, 100 * ms, 100 * ms}},
		{"an infinite edge gives way to the lower", monitorSeconds(0, 0, 0, 0), monitorSeconds(0, 0, 0, 1), MonitorQuantiles{1, 100 * ms, 100 * ms, 100 * ms}},
		{"no reading before", metrics.Float64Histogram{}, monitorSeconds(0, 3, 0, 0), MonitorQuantiles{3, 10 * ms, 10 * ms, 10 * ms}},
		{"a count that fell", monitorSeconds(9, 0, 0, 0), monitorSeconds(2, 1, 0, 0), MonitorQuantiles{1, 10 * ms, 10 * ms, 10 * ms}},
	}
	for _, row := range rows {
		require.Equal(t, row.want, monitorQuantiles(&row.prev, &row.cur), row.reason)
	}
}

// Against a sorted list of every value.
func TestMonitorQuantilesAgreeWithSorting(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 2))
	for range 500 {
		prev, cur := monitorSeconds(0, 0, 0, 0), monitorSeconds(0, 0, 0, 0)
		var edges []time.Duration
		for i := range 4 {
			prev.Counts[i] = random.Uint64N(50)
			gain := random.Uint64N(uint64(1 + random.IntN(300)))
			cur.Counts[i] = prev.Counts[i] + gain
			for range gain {
				edges = append(edges, monitorEdge(cur.Buckets, i))
			}
		}
		want := MonitorQuantiles{Count: uint64(len(edges))}
		if n := len(edges); n > 0 {
			want.P50 = edges[int(math.Ceil(0.5*float64(n)))-1]
			want.P99 = edges[(99*n+99)/100-1]
			want.Max = edges[n-1]
		}
		require.Equal(t, want, monitorQuantiles(&prev, &cur))
	}
}

func TestMonitorCompute(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	prev := &monitorReading{
		at: start, sched: monitorSeconds(10, 0, 0, 0), pauses: monitorSeconds(2, 0, 0, 0),
		cpuTotal: 100, cpuIdle: 50, cpuGC: 5, gcCycles: 7,
	}
	cur := &monitorReading{
		at: start.Add(time.Second), sched: monitorSeconds(108, 0, 2, 0), pauses: monitorSeconds(2, 2, 0, 0),
		cpuTotal: 104, cpuIdle: 51, cpuGC: 6, gcCycles: 9,
		goroutines: 20, runnable: 3, running: 2, waiting: 14, notInGo: 1, threads: 8,
		heapLive: 1 << 20, heapObjects: 1000, heapGoal: 4 << 20,
	}
	lag := monitorLag{}
	lag.add(time.Millisecond)
	lag.add(5 * time.Millisecond)
	lag.add(-time.Second)
	cfg := MonitorConfig{}.withDefaults()
	s := monitorCompute(prev, cur, lag, MonitorCPU{}, &cfg)
	const ms = time.Millisecond
	require.Equal(t, MonitorSnapshot{
		At: start.Add(time.Second), Interval: time.Second,
		Level: MonitorCritical, Reasons: MonitorReasonSchedLatency | MonitorReasonGC,
		SchedLatency: MonitorQuantiles{100, ms, 100 * ms, 100 * ms},
		TimerLag:     MonitorTimerLag{Probes: 3, Mean: 2 * ms, Max: 5 * ms},
		Goroutines:   20, Runnable: 3, Running: 2, Waiting: 14, NotInGo: 1, Threads: 8,
		GCCycles: 2, GCPauses: MonitorQuantiles{2, 10 * ms, 10 * ms, 10 * ms},
		CPU:      MonitorCPU{Fresh: true, Saturation: 0.75, GCShare: 0.25},
		HeapLive: 1 << 20, HeapObjects: 1000, HeapGoal: 4 << 20,
	}, s)

	// No collection ended: the accounts are carried over, and judged no more.
	cur.cpuTotal = prev.cpuTotal
	cfg.WarnSchedLatency, cfg.CriticalSchedLatency = NoThreshold, NoThreshold
	s = monitorCompute(prev, cur, monitorLag{}, MonitorCPU{Fresh: true, Saturation: 1, GCShare: 1}, &cfg)
	require.Equal(t, MonitorCPU{Saturation: 1, GCShare: 1}, s.CPU)
	require.Equal(t, MonitorOK, s.Level)
	require.Zero(t, s.TimerLag)
}

func TestMonitorLevels(t *testing.T) {
	cfg := MonitorConfig{
		WarnSchedLatency: 10, CriticalSchedLatency: 20, WarnTimerLag: 30, CriticalTimerLag: 40,
		WarnCPU: 0.5, CriticalCPU: 0.75, WarnGC: 0.1, CriticalGC: NoThreshold,
	}
	rows := []struct {
		s       MonitorSnapshot
		level   MonitorLevel
		reasons string
	}{
		{MonitorSnapshot{}, MonitorOK, ""},
		{MonitorSnapshot{SchedLatency: MonitorQuantiles{P99: 9, Max: 99}}, MonitorOK, ""},
		{MonitorSnapshot{SchedLatency: MonitorQuantiles{P99: 10}}, MonitorWarning, "sched_latency"},
		{MonitorSnapshot{SchedLatency: MonitorQuantiles{P99: 20}}, MonitorCritical, "sched_latency"},
		{MonitorSnapshot{TimerLag: MonitorTimerLag{Mean: 50, Max: 29}}, MonitorOK, ""},
		{MonitorSnapshot{TimerLag: MonitorTimerLag{Max: 30}}, MonitorWarning, "timer_lag"},
		{MonitorSnapshot{TimerLag: MonitorTimerLag{Max: 40}}, MonitorCritical, "timer_lag"},
		{MonitorSnapshot{CPU: MonitorCPU{Fresh: true, Saturation: 0.5}}, MonitorWarning, "cpu"},
		{MonitorSnapshot{CPU: MonitorCPU{Fresh: true, Saturation: 0.75}}, MonitorCritical, "cpu"},
		{MonitorSnapshot{CPU: MonitorCPU{Saturation: 1, GCShare: 1}}, MonitorOK, ""},
		{MonitorSnapshot{CPU: MonitorCPU{Fresh: true, GCShare: 1}}, MonitorWarning, "gc"},
		{
			MonitorSnapshot{SchedLatency: MonitorQuantiles{P99: 20}, TimerLag: MonitorTimerLag{Max: 30}},
			MonitorCritical, "sched_latency,timer_lag",
		},
	}
	for _, row := range rows {
		row.s.judge(&cfg)
		require.Equal(t, row.level, row.s.Level, "%+v", row.s)
		require.Equal(t, row.reasons, row.s.Reasons.String(), "%+v", row.s)
	}
	require.Equal(t, "ok warning critical MonitorLevel(9)",
		MonitorOK.String()+" "+MonitorWarning.String()+" "+MonitorCritical.String()+" "+MonitorLevel(9).String())
}

func TestMonitorValidateReportsEveryFault(t *testing.T) {
	_, err := NewRuntimeMonitor(MonitorConfig{
		SampleInterval: time.Microsecond, ProbeInterval: time.Microsecond, HistorySize: -1,
		WarnSchedLatency: -2, CriticalTimerLag: -3, WarnCPU: 2, CriticalGC: math.NaN(),
	})
	require.EqualError(t, err, `resilience: MonitorConfig.SampleInterval is 1µs, want at least 1ms
resilience: MonitorConfig.ProbeInterval is 1µs, want at least 100µs
resilience: MonitorConfig.HistorySize is -1, want 1 to 1048576
resilience: MonitorConfig.WarnSchedLatency is -2ns, want a positive duration or NoThreshold
resilience: MonitorConfig.CriticalTimerLag is -3ns, want a positive duration or NoThreshold
resilience: MonitorConfig.WarnCPU is 2, want a share in (0, 1] or NoThreshold
resilience: MonitorConfig.WarnCPU is 2, want at most CriticalCPU (0.99)
resilience: MonitorConfig.CriticalGC is NaN, want a share in (0, 1] or NoThreshold`)
	require.EqualError(t, MonitorConfig{ProbeInterval: time.Hour, WarnTimerLag: time.Hour}.Validate(),
		`resilience: MonitorConfig.ProbeInterval is 1h0m0s, want at most SampleInterval (1s)
resilience: MonitorConfig.WarnTimerLag is 1h0m0s, want at most CriticalTimerLag (100ms)`)
	require.NoError(t, MonitorConfig{WarnCPU: NoThreshold, CriticalSchedLatency: NoThreshold}.Validate())
}

// monitorScript is a source that tells a monitor what the test wants it to hear.
type monitorScript struct {
	mu      sync.Mutex
	reading monitorReading
	reads   int
}

func (s *monitorScript) read(r *monitorReading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	at := r.at
	*r = s.reading
	r.at = at
	r.sched.Counts = slices.Clone(r.sched.Counts)
	r.pauses.Counts = slices.Clone(r.pauses.Counts)
}

func (s *monitorScript) set(change func(*monitorReading)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.reading)
}

func monitorScripted(t *testing.T, cfg MonitorConfig) (*RuntimeMonitor, *monitorScript) {
	t.Helper()
	m, err := NewRuntimeMonitor(cfg)
	require.NoError(t, err)
	script := &monitorScript{reading: monitorReading{sched: monitorSeconds(0, 0, 0, 0), pauses: monitorSeconds(0, 0, 0, 0)}}
	m.source = script.read
	return m, script
}

func TestMonitorSamplesOnSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, script := monitorScripted(t, MonitorConfig{HistorySize: 3})
		start := time.Now()
		require.Zero(t, m.Snapshot())
		require.Empty(t, m.History())
		require.NoError(t, m.Start())
		for i := range 5 {
			script.set(func(r *monitorReading) { r.goroutines = uint64(i); r.sched.Counts[0] += uint64(i) })
			time.Sleep(time.Second)
			synctest.Wait()
		}
		history := m.History()
		require.Len(t, history, 3, "bounded")
		for i, s := range history {
			require.Equal(t, time.Duration(3+i)*time.Second, s.At.Sub(start))
			require.Equal(t, time.Second, s.Interval)
			require.Equal(t, 2+i, s.Goroutines)
			require.Equal(t, uint64(2+i), s.SchedLatency.Count, "counts are of the interval")
			require.Equal(t, MonitorTimerLag{Probes: 10}, s.TimerLag, "ten probes, none late")
		}
		require.Equal(t, history[2], m.Snapshot())

		time.Sleep(250 * time.Millisecond)
		m.Stop()
		last := m.Snapshot()
		require.Equal(t, 250*time.Millisecond, last.Interval, "Stop takes what is left")
		require.Equal(t, 2, last.TimerLag.Probes)
		require.Equal(t, 7, script.reads)
		time.Sleep(time.Hour)
		require.Equal(t, 7, script.reads, "nothing runs after Stop")
	})
}

func TestMonitorStopsAndStartsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := monitorScripted(t, MonitorConfig{})
		m.Stop() // not running: nothing to do
		require.NoError(t, m.Start())
		require.ErrorIs(t, m.Start(), ErrStarted)
		time.Sleep(time.Second)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(m.Stop)
		}
		wg.Wait()
		require.Len(t, m.History(), 1)
		time.Sleep(time.Hour)
		require.NoError(t, m.Start())
		time.Sleep(time.Second)
		m.Stop()
		require.Len(t, m.History(), 2)
		require.Equal(t, time.Second, m.Snapshot().Interval, "the pause is not an interval")
	})
}

func TestMonitorAlertsOnChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type alert struct{ before, after MonitorLevel }
		var alerts []alert
		var log bytes.Buffer
		var m *RuntimeMonitor
		m, script := monitorScripted(t, MonitorConfig{
			Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{
				Level:       slog.LevelInfo,
				ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr { return monitorKeep(a, "msg", "level", "runtime") },
			})),
			OnAlert: func(before MonitorLevel, s MonitorSnapshot) {
				alerts = append(alerts, alert{before, s.Level})
				require.Equal(t, s, m.Snapshot(), "callbacks may look at the monitor")
			},
		})
		require.NoError(t, m.Start())
		for _, bucket := range []int{0, 1, 1, 2, 0, 0, 2} {
			script.set(func(r *monitorReading) { r.sched.Counts[bucket]++ })
			time.Sleep(time.Second)
			synctest.Wait()
		}
		m.Stop()
		require.Equal(t, []alert{
			{MonitorOK, MonitorWarning},
			{MonitorWarning, MonitorCritical},
			{MonitorCritical, MonitorOK},
			{MonitorOK, MonitorCritical},
		}, alerts)
		require.Equal(t, `level=WARN msg="runtime strained"
level=ERROR msg="runtime critical"
level=INFO msg="runtime recovered"
level=ERROR msg="runtime critical"
`, log.String())
	})
}

func monitorKeep(a slog.Attr, keys ...string) slog.Attr {
	if slices.Contains(keys, a.Key) && a.Value.Kind() != slog.KindGroup {
		if a.Key == "level" && a.Value.Kind() == slog.KindString {
			return slog.Attr{} // the snapshot's
		}
		return a
	}
	return slog.Attr{}
}

func TestMonitorLogsEachSampleForDebugging(t *testing.T) {
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "runtime", MonitorSnapshot{
		Interval: time.Second, Goroutines: 5, Runnable: 2, CPU: MonitorCPU{Fresh: true, Saturation: 0.5},
	})
	require.Contains(t, log.String(), "runtime.interval=1s")
	require.Contains(t, log.String(), "runtime.goroutines.runnable=2")
	require.Contains(t, log.String(), "runtime.cpu.saturation=0.5")

	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		m, _ := monitorScripted(t, MonitorConfig{
			Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		require.NoError(t, m.Start())
		time.Sleep(3 * time.Second)
		synctest.Wait()
		m.Stop()
		require.Equal(t, 3, bytes.Count(log.Bytes(), []byte(`msg="runtime sample"`)))
	})
}

func TestMonitorNextSkipsMissedInstants(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, row := range []struct{ late, want time.Duration }{
		{0, 100}, {1, 100}, {99, 100}, {100, 200}, {101, 200}, {999, 1000},
	} {
		require.Equal(t, row.want, monitorNext(start, start.Add(row.late), 100).Sub(start), "late by %d", row.late)
	}
}

// A monitor that is running notices a process that can't keep up. Real time, a
// real runtime, and no bound on how long it takes.
func TestMonitorNoticesBusyProcessors(t *testing.T) {
	m, err := NewRuntimeMonitor(MonitorConfig{
		SampleInterval: 10 * time.Millisecond, ProbeInterval: time.Millisecond,
		WarnTimerLag: 2 * time.Millisecond, CriticalTimerLag: time.Hour,
	})
	require.NoError(t, err)
	require.NoError(t, m.Start())
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 8 * runtime.GOMAXPROCS(0) {
		wg.Go(func() { // ends with stop
			for n := 0; !stop.Load(); n++ {
				_ = n
			}
		})
	}
	notices := func(what string, seen func(MonitorSnapshot) bool) {
		t.Helper()
		for !seen(m.Snapshot()) { // the test binary's timeout is the only bound
			time.Sleep(time.Millisecond)
		}
		t.Log("noticed", what)
	}
	notices("late timers", func(s MonitorSnapshot) bool { return s.Reasons&MonitorReasonTimerLag != 0 })
	notices("a queue for the processors", func(s MonitorSnapshot) bool { return s.Runnable > 0 })
	notices("waits for a processor", func(s MonitorSnapshot) bool { return s.SchedLatency.P99 >= 100*time.Microsecond })
	stop.Store(true)
	wg.Wait()
	m.Stop()
}

// What the real runtime says must make sense.
func TestMonitorReadsTheRuntime(t *testing.T) {
	m, err := NewRuntimeMonitor(MonitorConfig{SampleInterval: time.Hour, ProbeInterval: time.Millisecond})
	require.NoError(t, err)
	require.NoError(t, m.Start())
	runtime.GC()
	runtime.GC()
	time.Sleep(5 * time.Millisecond)
	m.Stop()
	s := m.Snapshot()
	require.GreaterOrEqual(t, s.GCCycles, uint64(2))
	require.GreaterOrEqual(t, s.GCPauses.Count, uint64(4), "two pauses a cycle")
	require.Positive(t, s.GCPauses.Max)
	require.GreaterOrEqual(t, s.GCPauses.Max, s.GCPauses.P50)
	require.True(t, s.CPU.Fresh)
	require.InDelta(t, 0.5, s.CPU.Saturation, 0.5)
	require.InDelta(t, 0.5, s.CPU.GCShare, 0.5)
	require.Positive(t, s.TimerLag.Probes)
	require.Positive(t, s.HeapLive)
	require.Positive(t, s.HeapGoal)
	require.Positive(t, s.Running+s.Runnable+s.Waiting)
}

// Monitors of other libraries left a goroutine behind per instance.
func TestMonitorPeerBug25NoGoroutineLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a bubble with a goroutine left fails
		for range 20 {
			m, _ := monitorScripted(t, MonitorConfig{})
			require.NoError(t, m.Start())
			m.Stop()
		}
	})
}
