package resilience

import (
	"cmp"
	"errors"
	"log/slog"
	"math"
	"time"
)

// NoThreshold turns off a threshold of [MonitorConfig], or FailureThreshold or
// ErrorRateThreshold of [BreakerConfig].
const NoThreshold = -1

// maxMonitorHistory bounds the memory of the history: about 300 bytes a sample.
const maxMonitorHistory = 1 << 20

// MonitorConfig configures a [RuntimeMonitor]. The zero value of every field
// means its default. A threshold is crossed by a value at or above it.
type MonitorConfig struct {
	// SampleInterval is the time between samples. Default 1 s; at least 1 ms.
	SampleInterval time.Duration

	// ProbeInterval is the time between probes of the timer. Default
	// SampleInterval/10; at least 100 µs, at most SampleInterval.
	ProbeInterval time.Duration

	// HistorySize is how many samples History keeps. Default 60; 1 to 1,048,576.
	HistorySize int

	// WarnSchedLatency and CriticalSchedLatency judge the 99th percentile of the
	// time goroutines waited for a processor. Defaults 10 ms and 100 ms;
	// positive, or NoThreshold.
	WarnSchedLatency, CriticalSchedLatency time.Duration

	// WarnTimerLag and CriticalTimerLag judge the latest of the probes. Defaults
	// 20 ms and 100 ms, where an idle machine is some 1 ms late and one with four
	// busy goroutines per processor 35 ms; positive, or NoThreshold.
	WarnTimerLag, CriticalTimerLag time.Duration

	// WarnCPU and CriticalCPU judge the share of processor time that was not
	// idle. Defaults 0.9 and 0.99; in (0, 1], or NoThreshold.
	WarnCPU, CriticalCPU float64

	// WarnGC and CriticalGC judge the share of processor time that the garbage
	// collector took. Defaults 0.25 and 0.5; in (0, 1], or NoThreshold.
	WarnGC, CriticalGC float64

	// Logger, when not nil, gets a record of each sample at debug level, and one
	// at info, warn or error level whenever the level of samples changes.
	Logger *slog.Logger

	// OnAlert, when not nil, is called whenever the level changes, for better or
	// worse, on the monitor's goroutine and outside all locks. The next sample
	// waits for it. Sampling begins at MonitorOK.
	OnAlert func(before MonitorLevel, s MonitorSnapshot)
}

// Validate reports everything that is wrong with the configuration, joined into
// one error, or nil. It judges fields left zero by their defaults, and changes
// nothing.
func (c MonitorConfig) Validate() error {
	c = c.withDefaults()
	var faults configFaults
	fault := faults.of("MonitorConfig")
	const shortest = 100 * time.Microsecond
	fault(c.SampleInterval < time.Millisecond, "SampleInterval is %v, want at least 1ms", c.SampleInterval)
	fault(c.ProbeInterval < shortest, "ProbeInterval is %v, want at least %v", c.ProbeInterval, shortest)
	fault(c.ProbeInterval > c.SampleInterval, "ProbeInterval is %v, want at most SampleInterval (%v)", c.ProbeInterval, c.SampleInterval)
	fault(c.HistorySize < 1 || c.HistorySize > maxMonitorHistory, "HistorySize is %d, want 1 to %d", c.HistorySize, maxMonitorHistory)
	const positive, share = "a positive duration", "a share in (0, 1]"
	monitorThresholds(fault, "SchedLatency", positive, c.WarnSchedLatency, c.CriticalSchedLatency, math.MaxInt64)
	monitorThresholds(fault, "TimerLag", positive, c.WarnTimerLag, c.CriticalTimerLag, math.MaxInt64)
	monitorThresholds(fault, "CPU", share, c.WarnCPU, c.CriticalCPU, 1)
	monitorThresholds(fault, "GC", share, c.WarnGC, c.CriticalGC, 1)
	return errors.Join(faults...)
}

func monitorThresholds[T time.Duration | float64](fault func(bool, string, ...any), name, want string, warn, critical, most T) {
	ok := func(v T) bool { return v == NoThreshold || v > 0 && v <= most }
	fault(!ok(warn), "Warn%s is %v, want %s or NoThreshold", name, warn, want)
	fault(!ok(critical), "Critical%s is %v, want %s or NoThreshold", name, critical, want)
	fault(critical > 0 && warn > critical, "Warn%[1]s is %[2]v, want at most Critical%[1]s (%[3]v)", name, warn, critical)
}

func (c MonitorConfig) withDefaults() MonitorConfig {
	c.SampleInterval = cmp.Or(c.SampleInterval, time.Second)
	c.ProbeInterval = cmp.Or(c.ProbeInterval, max(c.SampleInterval/10, 100*time.Microsecond))
	c.HistorySize = cmp.Or(c.HistorySize, 60)
	c.WarnSchedLatency = cmp.Or(c.WarnSchedLatency, 10*time.Millisecond)
	c.CriticalSchedLatency = cmp.Or(c.CriticalSchedLatency, 100*time.Millisecond)
	c.WarnTimerLag = cmp.Or(c.WarnTimerLag, 20*time.Millisecond)
	c.CriticalTimerLag = cmp.Or(c.CriticalTimerLag, 100*time.Millisecond)
	c.WarnCPU = cmp.Or(c.WarnCPU, 0.9)
	c.CriticalCPU = cmp.Or(c.CriticalCPU, 0.99)
	c.WarnGC = cmp.Or(c.WarnGC, 0.25)
	c.CriticalGC = cmp.Or(c.CriticalGC, 0.5)
	return c
}
