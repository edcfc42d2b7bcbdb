package resilience

import (
	"log/slog"
	"strings"
	"time"
)

// MonitorLevel is the verdict on a sample.
type MonitorLevel uint8

// The levels, in order of severity.
const (
	MonitorOK MonitorLevel = iota
	MonitorWarning
	MonitorCritical
)

// String returns "ok", "warning" or "critical".
func (l MonitorLevel) String() string {
	return nameOf(l, "MonitorLevel", "ok", "warning", "critical")
}

// MonitorReasons is a set of thresholds that were crossed.
type MonitorReasons uint8

// The thresholds.
const (
	MonitorReasonSchedLatency MonitorReasons = 1 << iota
	MonitorReasonTimerLag
	MonitorReasonCPU
	MonitorReasonGC
)

var monitorReasonNames = [...]string{"sched_latency", "timer_lag", "cpu", "gc"}

// String names the reasons, joined by commas: "sched_latency,timer_lag".
func (r MonitorReasons) String() string {
	var names []string
	for i, name := range monitorReasonNames {
		if r&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// MonitorSnapshot is one sample: what happened since the sample before, and how
// things stand now. The goroutine counts are the runtime's, approximate, and
// need not add up.
type MonitorSnapshot struct {
	At       time.Time     // when the sample was taken
	Interval time.Duration // time since the sample before, or since Start

	Level   MonitorLevel
	Reasons MonitorReasons // every threshold crossed, warning or critical

	// SchedLatency is how long goroutines that were ready waited for a
	// processor in the interval. The runtime measures one transition in eight.
	SchedLatency MonitorQuantiles

	// TimerLag is how late the probe's timer fired in the interval.
	TimerLag MonitorTimerLag

	Goroutines int // all
	Runnable   int // ready, but not running: the queue for the processors
	Running    int // executing
	Waiting    int // waiting for I/O, locks, channels, time
	NotInGo    int // in system calls or cgo
	Threads    int // of the operating system, owned by the runtime

	GCCycles uint64           // collections that ended in the interval
	GCPauses MonitorQuantiles // stop-the-world pauses of the interval

	CPU MonitorCPU

	HeapLive    uint64 // bytes that survived the latest collection
	HeapObjects uint64 // objects on the heap, dead ones not yet swept included
	HeapGoal    uint64 // bytes at which the next collection should end
}

// MonitorQuantiles sums up durations. Each is an upper bound: the upper edge of
// the runtime's histogram bucket, or the lower where there is none.
type MonitorQuantiles struct {
	Count         uint64
	P50, P99, Max time.Duration
}

// MonitorTimerLag sums up the probes of an interval: how late each fired.
type MonitorTimerLag struct {
	Probes    int
	Mean, Max time.Duration
}

// MonitorCPU is how processor time was spent, as shares of GOMAXPROCS
// processors. The runtime settles these accounts only when a collection ends, so
// they are of the time between the last two collections that samples have seen
// the end of. Fresh says that one ended in this interval; otherwise the shares
// are carried over, zero at first, and no threshold looks at them.
type MonitorCPU struct {
	Fresh      bool
	Saturation float64 // 1 − Δidle/Δtotal
	GCShare    float64 // Δgc/Δtotal
}

// monitorLag collects the lateness of probes.
type monitorLag struct {
	probes   int
	sum, max time.Duration
}

func (l *monitorLag) add(late time.Duration) {
	late = max(late, 0)
	l.probes++
	l.sum += late
	l.max = max(l.max, late)
}

// monitorCompute turns two readings and the probes between them into a snapshot.
// It looks at nothing else: no clock, no runtime.
func monitorCompute(prev, cur *monitorReading, lag monitorLag, cpu MonitorCPU, cfg *MonitorConfig) MonitorSnapshot {
	s := MonitorSnapshot{
		At:           cur.at,
		Interval:     cur.at.Sub(prev.at),
		SchedLatency: monitorQuantiles(&prev.sched, &cur.sched),
		TimerLag:     MonitorTimerLag{Probes: lag.probes, Max: lag.max},
		Goroutines:   int(cur.goroutines),
		Runnable:     int(cur.runnable),
		Running:      int(cur.running),
		Waiting:      int(cur.waiting),
		NotInGo:      int(cur.notInGo),
		Threads:      int(cur.threads),
		GCCycles:     cur.gcCycles - min(cur.gcCycles, prev.gcCycles),
		GCPauses:     monitorQuantiles(&prev.pauses, &cur.pauses),
		CPU:          monitorCPUSince(prev, cur, cpu),
		HeapLive:     cur.heapLive,
		HeapObjects:  cur.heapObjects,
		HeapGoal:     cur.heapGoal,
	}
	if lag.probes > 0 {
		s.TimerLag.Mean = lag.sum / time.Duration(lag.probes)
	}
	s.judge(cfg)
	return s
}

func monitorCPUSince(prev, cur *monitorReading, before MonitorCPU) MonitorCPU {
	total := cur.cpuTotal - prev.cpuTotal
	if total <= 0 {
		before.Fresh = false
		return before
	}
	share := func(x float64) float64 { return min(max(x/total, 0), 1) }
	return MonitorCPU{
		Fresh:      true,
		Saturation: 1 - share(cur.cpuIdle-prev.cpuIdle),
		GCShare:    share(cur.cpuGC - prev.cpuGC),
	}
}

// judge sets Level and Reasons.
func (s *MonitorSnapshot) judge(cfg *MonitorConfig) {
	verdict := func(reason MonitorReasons, warning, critical bool) {
		switch {
		case critical:
			s.Level = MonitorCritical
		case warning:
			s.Level = max(s.Level, MonitorWarning)
		default:
			return
		}
		s.Reasons |= reason
	}
	late := func(d, threshold time.Duration) bool { return threshold > 0 && d >= threshold }
	high := func(share, threshold float64) bool { return s.CPU.Fresh && threshold > 0 && share >= threshold }
	verdict(MonitorReasonSchedLatency, late(s.SchedLatency.P99, cfg.WarnSchedLatency), late(s.SchedLatency.P99, cfg.CriticalSchedLatency))
	verdict(MonitorReasonTimerLag, late(s.TimerLag.Max, cfg.WarnTimerLag), late(s.TimerLag.Max, cfg.CriticalTimerLag))
	verdict(MonitorReasonCPU, high(s.CPU.Saturation, cfg.WarnCPU), high(s.CPU.Saturation, cfg.CriticalCPU))
	verdict(MonitorReasonGC, high(s.CPU.GCShare, cfg.WarnGC), high(s.CPU.GCShare, cfg.CriticalGC))
}

// LogValue implements [slog.LogValuer]. Durations stay durations.
func (s MonitorSnapshot) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("level", s.Level.String()),
		slog.String("reasons", s.Reasons.String()),
		slog.Duration("interval", s.Interval),
		slog.Group("sched_latency",
			slog.Duration("p50", s.SchedLatency.P50), slog.Duration("p99", s.SchedLatency.P99), slog.Duration("max", s.SchedLatency.Max)),
		slog.Group("timer_lag",
			slog.Duration("mean", s.TimerLag.Mean), slog.Duration("max", s.TimerLag.Max)),
		slog.Group("goroutines",
			slog.Int("all", s.Goroutines), slog.Int("runnable", s.Runnable), slog.Int("running", s.Running),
			slog.Int("waiting", s.Waiting), slog.Int("not_in_go", s.NotInGo)),
		slog.Int("threads", s.Threads),
		slog.Group("gc",
			slog.Uint64("cycles", s.GCCycles), slog.Uint64("pauses", s.GCPauses.Count),
			slog.Duration("pause_p99", s.GCPauses.P99), slog.Duration("pause_max", s.GCPauses.Max)),
		slog.Group("heap",
			slog.Uint64("live_bytes", s.HeapLive), slog.Uint64("objects", s.HeapObjects), slog.Uint64("goal_bytes", s.HeapGoal)),
	}
	if s.CPU.Fresh {
		attrs = append(attrs, slog.Group("cpu",
			slog.Float64("saturation", s.CPU.Saturation), slog.Float64("gc_share", s.CPU.GCShare)))
	}
	return slog.GroupValue(attrs...)
}
