package loadtest

import (
	"context"
	"encoding/json"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
	"example.com/brunt/resilience"
)

// snapshot is one of a monitor: waits of p99, probes that were late, processors
// busy by cpu; 0 means that the accounts were not settled.
func snapshot(p99, late time.Duration, cpu float64) resilience.MonitorSnapshot {
	return resilience.MonitorSnapshot{
		Interval:     time.Second,
		SchedLatency: resilience.MonitorQuantiles{Count: 20, P99: p99},
		TimerLag:     resilience.MonitorTimerLag{Probes: 10, Mean: late, Max: 2 * late},
		CPU:          resilience.MonitorCPU{Fresh: cpu > 0, Saturation: cpu, GCShare: cpu / 10},
		Runnable:     7,
	}
}

func TestFindingsOfAMonitor(t *testing.T) {
	few := snapshot(time.Hour, 0, 0)
	few.SchedLatency.Count = 19
	short := snapshot(9*time.Millisecond, 0, 0)
	short.Interval = time.Second / 2
	busy := snapshot(time.Millisecond, 0, 0)
	busy.Runnable = 9
	for _, tt := range []struct {
		reason    string
		snapshots []resilience.MonitorSnapshot
		want      Generator
	}{
		{"none", nil, Generator{}},
		{"one", []resilience.MonitorSnapshot{snapshot(4*time.Millisecond, 6*time.Millisecond, 0.5)}, Generator{
			Watched: time.Second, SchedLatency: 4 * time.Millisecond, PeakSchedLatency: 4 * time.Millisecond,
			TimerLag: 6 * time.Millisecond, PeakTimerLag: 12 * time.Millisecond, CPU: 0.5, PeakCPU: 0.5, GCShare: 0.05, PeakRunnable: 7,
		}},
		{"means and peaks", []resilience.MonitorSnapshot{snapshot(2*time.Millisecond, 0, 0.5), snapshot(4*time.Millisecond, 2*time.Millisecond, 1)}, Generator{
			Watched: 2 * time.Second, SchedLatency: 3 * time.Millisecond, PeakSchedLatency: 4 * time.Millisecond,
			TimerLag: time.Millisecond, PeakTimerLag: 4 * time.Millisecond, CPU: 0.75, PeakCPU: 1, GCShare: 0.075, PeakRunnable: 7,
		}},
		{"each weighs as long as it was", []resilience.MonitorSnapshot{snapshot(3*time.Millisecond, 0, 0), short}, Generator{
			Watched: 1500 * time.Millisecond, SchedLatency: 5 * time.Millisecond, PeakSchedLatency: 9 * time.Millisecond, PeakRunnable: 7,
		}},
		{"a few waits are no percentile", []resilience.MonitorSnapshot{few, busy}, Generator{
			Watched: 2 * time.Second, SchedLatency: time.Millisecond, PeakSchedLatency: time.Millisecond, PeakRunnable: 9,
		}},
		{"accounts settle late, for all the time before", []resilience.MonitorSnapshot{snapshot(0, 0, 0), snapshot(0, 0, 0), snapshot(0, 0, 0.25), snapshot(0, 0, 1)}, Generator{
			Watched: 4 * time.Second, CPU: 0.4375, PeakCPU: 1, GCShare: 0.04375, PeakRunnable: 7,
		}},
		{"accounts of the lesser part say nothing", []resilience.MonitorSnapshot{snapshot(0, 0, 1), snapshot(0, 0, 0), snapshot(0, 0, 0)}, Generator{
			Watched: 3 * time.Second, PeakRunnable: 7,
		}},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			var f findings
			for _, s := range tt.snapshots {
				f.add(s)
			}
			got := f.generator()
			require.InDelta(t, tt.want.CPU, got.CPU, 1e-9)
			require.InDelta(t, tt.want.GCShare, got.GCShare, 1e-9)
			got.CPU, got.GCShare = tt.want.CPU, tt.want.GCShare
			require.Equal(t, tt.want, got)
		})
	}
}

func TestWhatStarvesAGenerator(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		reason string
		g      Generator
		p99    time.Duration
		want   string
	}{
		{"at rest", Generator{Watched: time.Minute, SchedLatency: 100 * time.Microsecond, TimerLag: ms, CPU: 0.5}, ms, ""},
		{"not watched", Generator{}, 0, ""},
		{"waits", Generator{Watched: time.Minute, SchedLatency: 2 * ms}, 20 * ms, "goroutines that were ready waited 2ms for a processor (p99)"},
		{"waits that do not matter", Generator{Watched: time.Minute, SchedLatency: 2 * ms}, 21 * ms, ""},
		{"short waits, though of short requests", Generator{Watched: time.Minute, SchedLatency: 999 * time.Microsecond}, ms, ""},
		{"waits of a millisecond", Generator{Watched: time.Minute, SchedLatency: ms}, ms, "goroutines that were ready waited 1ms for a processor (p99)"},
		{"late timers", Generator{Watched: time.Minute, TimerLag: 5 * ms}, 50 * ms, "timers fired 5ms late"},
		{"timers a little late", Generator{Watched: time.Minute, TimerLag: 4 * ms}, ms, ""},
		{"late timers that do not matter", Generator{Watched: time.Minute, TimerLag: 5 * ms}, 51 * ms, ""},
		{"saturation", Generator{Watched: time.Minute, CPU: 0.95}, time.Second, "95 % of all processor time was in use"},
		{"a peak is no saturation", Generator{Watched: time.Minute, CPU: 0.94, PeakCPU: 1, PeakSchedLatency: time.Second, PeakTimerLag: time.Second}, ms, ""},
		{"too short to judge", Generator{Watched: 250*ms - 1, SchedLatency: time.Second, TimerLag: time.Second, CPU: 1}, time.Second, ""},
		{"a quarter of a second", Generator{Watched: 250 * ms, SchedLatency: ms}, ms, "goroutines that were ready waited 1ms for a processor (p99)"},
		{"two seconds, busy", Generator{Watched: 2 * time.Second, CPU: 1}, ms, "100 % of all processor time was in use"},
		{"a little less, busy", Generator{Watched: 2*time.Second - 1, CPU: 1}, ms, ""},
		{
			"half a second", // as measured with 200 requests at once on two processors, before a server of 1 ms
			Generator{Watched: 400 * ms, SchedLatency: 25 * ms, TimerLag: 3 * ms, CPU: 0.988},
			75 * ms,
			"goroutines that were ready waited 25ms for a processor (p99), 98.8 % of all processor time was in use",
		},
		{"half a second at rest", Generator{Watched: 400 * ms, SchedLatency: 400 * time.Microsecond, TimerLag: 3 * ms, CPU: 0.28}, 9 * ms, ""},
		{"half a second, busy", Generator{Watched: 400 * ms, CPU: 1}, ms, ""},
		{"half a second, a timer late", Generator{Watched: 400 * ms, TimerLag: 50 * ms}, 60 * ms, ""},
		{"half a second of functions that never block", Generator{Watched: 400 * ms, SchedLatency: 40 * ms, CPU: 1}, time.Microsecond, ""},
		{"half a second of others' waits that do not matter", Generator{Watched: 400 * ms, SchedLatency: 2 * ms, CPU: 1}, 21 * ms, ""},
		{
			"all of it",
			Generator{Watched: time.Minute, SchedLatency: 20 * ms, TimerLag: 30 * ms, CPU: 0.999},
			50 * ms,
			"goroutines that were ready waited 20ms for a processor (p99), timers fired 30ms late, 99.9 % of all processor time was in use",
		},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			require.Equal(t, tt.want, tt.g.starved(tt.p99))
			var samples []sample
			for range 1000 {
				samples = append(samples, sample{latency: tt.p99, status: 200, endpoint: noEndpoint})
			}
			r := record(epoch, time.Second, nil, samples)
			r.Generator = tt.g
			var kinds []WarningKind
			for _, w := range r.assess() {
				kinds = append(kinds, w.Kind)
				require.Contains(t, w.Text, tt.want)
				require.Contains(t, w.Text, "fewer workers")
			}
			if tt.want != "" {
				require.Equal(t, []WarningKind{WarnGeneratorStarved}, kinds)
			} else {
				require.Empty(t, kinds)
			}
		})
	}
}

func TestGeneratorsMergeAndTravel(t *testing.T) {
	a := Generator{
		Watched: time.Second, SchedLatency: 4000, PeakSchedLatency: 9000, TimerLag: 1000, PeakTimerLag: 2000,
		CPU: 0.5, PeakCPU: 0.7, GCShare: 0.1, PeakRunnable: 4,
	}
	b := Generator{
		Watched: 3 * time.Second, SchedLatency: 8000, PeakSchedLatency: 8000, TimerLag: 3000, PeakTimerLag: 5000,
		CPU: 0.9, PeakCPU: 1, GCShare: 0.3, PeakRunnable: 3,
	}
	sum := a
	sum.merge(b)
	require.InDelta(t, 0.8, sum.CPU, 1e-12)
	require.InDelta(t, 0.25, sum.GCShare, 1e-12)
	sum.CPU, sum.GCShare = 0, 0
	require.Equal(t, Generator{
		Watched: 4 * time.Second, SchedLatency: 7000, PeakSchedLatency: 9000, TimerLag: 2500, PeakTimerLag: 5000, PeakCPU: 1, PeakRunnable: 4,
	}, sum)
	none := Generator{}
	none.merge(a)
	require.Equal(t, a, none)
	none.merge(Generator{})
	require.Equal(t, a, none, "what is not known changes nothing")

	r := record(epoch, time.Second, nil, nil)
	r.Generator = a
	require.Equal(t, a, roundTrip(t, r).Generator)
	data, err := json.Marshal(a)
	require.NoError(t, err)
	require.JSONEq(t, `{"watched_seconds":1,"sched_latency_ms":0.004,"peak_sched_latency_ms":0.009,"timer_lag_ms":0.001,
		"peak_timer_lag_ms":0.002,"cpu":0.5,"peak_cpu":0.7,"gc_share":0.1,"peak_runnable":4}`, string(data))
	require.Error(t, json.Unmarshal([]byte(`{"cpu":"x"}`), &a))
	twice := new(EngineResult)
	twice.Merge(r)
	twice.Merge(r)
	require.Equal(t, 2*time.Second, twice.Generator.Watched)
}

// More goroutines spin than there are processors: a run of half a second says so.
// How soon depends on what the machine does besides, so it runs until it has.
func TestAStarvedGeneratorSaysSo(t *testing.T) {
	var stop atomic.Bool
	var spinners sync.WaitGroup
	defer spinners.Wait()
	defer stop.Store(true)
	for range 4 * runtime.GOMAXPROCS(0) {
		spinners.Go(func() { // ends with stop
			for !stop.Load() {
				runtime.KeepAlive(&stop) // anything but giving way
			}
		})
	}
	// A request waits four times for a processor: its p99 is then clearly above one wait's,
	// as a run of half a second must have it.
	e := newEngine(t, AsyncConfig{Client: Func(func(ctx context.Context) (err error) {
		for i := 0; i < 4 && err == nil; i++ {
			err = sleep(time.Millisecond)(ctx)
		}
		return err
	})})
	defer closeEngine(t, e)
	for {
		r, err := e.Run(t.Context(), For(500*time.Millisecond))
		require.NoError(t, err)
		for _, w := range r.Warnings {
			if w.Kind == WarnGeneratorStarved {
				require.Contains(t, w.Text, "goroutines that were ready waited")
				require.Positive(t, r.Generator.Watched)
				require.GreaterOrEqual(t, r.Generator.PeakSchedLatency, r.Generator.SchedLatency)
				return
			}
		}
	}
}

func TestARunIsWatched(t *testing.T) {
	e := newEngine(t, SyncConfig{Client: Func(func(context.Context) error { runtime.GC(); return nil })})
	defer closeEngine(t, e)
	var g Generator
	// On a machine that is busy enough a monitor begins too late to see anything.
	for range 20 {
		// So long that what follows the monitor's begin is an interval and no sliver.
		r, err := e.Run(t.Context(), For(watchAfter+harvestEvery*2/3))
		require.NoError(t, err)
		require.LessOrEqual(t, len(r.Intervals), int(r.Elapsed/harvestEvery)+1, "nothing is harvested when the monitor begins")
		if g = r.Generator; g.CPU > 0 {
			break
		}
	}
	require.Positive(t, g.Watched)
	require.Positive(t, g.CPU)
	require.LessOrEqual(t, g.CPU, g.PeakCPU)
	require.LessOrEqual(t, g.PeakCPU, 1.0)
	require.Positive(t, g.GCShare)
}

func TestAShortRunIsNotWatchedNorWarnedOf(t *testing.T) {
	srv := fixtures.NewServer(t)
	for name, cfg := range httpEngines(ConnectionConfig{}, 0) {
		e := newEngine(t, cfg)
		r, err := e.Run(t.Context(), For(150*time.Millisecond, Get(srv.URL+"/get")))
		require.NoError(t, err)
		for _, w := range r.Warnings {
			require.NotEqual(t, WarnGeneratorStarved, w.Kind, name)
		}
		closeEngine(t, e)
		e = newEngine(t, SyncConfig{Client: Func(nop)})
		r, err = e.Run(t.Context(), Times(10))
		require.NoError(t, err)
		require.Zero(t, r.Generator)
		closeEngine(t, e)
	}
}

func TestVirtualTimeIsNotWatched(t *testing.T) {
	require.False(t, virtual(time.Now()))
	synctest.Test(t, func(t *testing.T) {
		require.True(t, virtual(time.Now()))
		e := newEngine(t, ThreadedConfig{Client: Func(sleep(oddly))})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), For(10*time.Second))
		require.NoError(t, err)
		require.Zero(t, r.Generator)
		require.Empty(t, r.Warnings)
	})
}
