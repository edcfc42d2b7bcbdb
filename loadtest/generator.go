package loadtest

import (
	"fmt"
	"strings"
	"time"

	"example.com/brunt/loadtest/internal/text"
	"example.com/brunt/resilience"
)

// Generator reports whether this process, which sends the load, had the CPU time that
// it needed. It sees whatever else the process does as well, such as a server under
// test. It is zero for a run too short to be watched (100 ms), and in a
// testing/synctest bubble, where no real time passes.
type Generator struct {
	// Watched is for how long there are findings.
	Watched time.Duration
	// SchedLatency is how long goroutines that were ready waited for a processor:
	// the 99th percentile of each second, and of these the mean. PeakSchedLatency
	// is the largest of them.
	SchedLatency, PeakSchedLatency time.Duration
	// TimerLag is how late timers fired, in the mean and at the worst.
	TimerLag, PeakTimerLag time.Duration
	// CPU is the share of the time of GOMAXPROCS processors that was not idle, in
	// the mean and at its peak, and GCShare what garbage collection took of it.
	// The runtime settles these accounts when a collection ends; they are 0 where
	// that has not happened for most of the time.
	CPU, PeakCPU, GCShare float64
	// PeakRunnable is the most goroutines that were seen waiting for a processor.
	PeakRunnable int
}

const (
	// watchAfter is the age at which a run is worth a monitor: starting one takes
	// as long as a few thousand of the quickest requests, and the first moments,
	// in which all workers begin at once, say nothing of the rest.
	watchAfter = 100 * time.Millisecond
	// Below these a starved generator is not worth a warning. Two seconds are two
	// samples. In a shorter run, down to a quarter of a second, only the waits for a
	// processor decide, of which there are hundreds: timers were probed a few times,
	// and an ordinary benchmark may well keep the processors busy. A millisecond is
	// what goroutines wait at times on any busy machine, and 5 ms what timers are
	// late there. Then the wait must be a tenth of what was measured, at its p99, to
	// matter. Processors that are less than 95 % busy have room for a generator that
	// needs more.
	starvedWatched      = 2 * time.Second
	starvedBriefly      = 250 * time.Millisecond
	starvedSchedLatency = time.Millisecond
	starvedTimerLag     = 5 * time.Millisecond
	starvedShare        = 0.1
	starvedCPU          = 0.95
	// fewWaits is how many waits the runtime must have measured in an interval, of
	// which it takes one in eight, for their percentile to mean something.
	fewWaits = 20
)

// starved returns what the generator was short of; empty if nothing. p99 is the
// requests' own.
func (g *Generator) starved(p99 time.Duration) string {
	matters := func(d, least time.Duration) bool {
		return d >= least && float64(d) >= starvedShare*float64(p99)
	}
	waited := matters(g.SchedLatency, starvedSchedLatency)
	// Waits longer than the requests are those of others: functions that never block.
	briefly := g.Watched >= starvedBriefly && waited && g.SchedLatency <= p99
	if g.Watched < starvedWatched && !briefly {
		return ""
	}
	var seen []string
	if waited {
		seen = append(seen, fmt.Sprintf("goroutines that were ready waited %v for a processor (p99)", text.Duration(g.SchedLatency)))
	}
	if matters(g.TimerLag, starvedTimerLag) {
		seen = append(seen, fmt.Sprintf("timers fired %v late", text.Duration(g.TimerLag)))
	}
	if g.CPU >= starvedCPU {
		seen = append(seen, fmt.Sprintf("%s of all processor time was in use", text.Percent(g.CPU)))
	}
	return strings.Join(seen, ", ")
}

// merge adds the findings of another run.
func (g *Generator) merge(other Generator) {
	mean := func(a, b float64) float64 {
		whole := float64(g.Watched + other.Watched)
		if whole == 0 {
			return 0
		}
		return (a*float64(g.Watched) + b*float64(other.Watched)) / whole
	}
	g.SchedLatency = time.Duration(mean(float64(g.SchedLatency), float64(other.SchedLatency)))
	g.TimerLag = time.Duration(mean(float64(g.TimerLag), float64(other.TimerLag)))
	switch {
	case other.CPU == 0: // unknown
	case g.CPU == 0:
		g.CPU, g.GCShare = other.CPU, other.GCShare
	default:
		g.CPU, g.GCShare = mean(g.CPU, other.CPU), mean(g.GCShare, other.GCShare)
	}
	g.Watched += other.Watched
	g.PeakSchedLatency = max(g.PeakSchedLatency, other.PeakSchedLatency)
	g.PeakTimerLag = max(g.PeakTimerLag, other.PeakTimerLag)
	g.PeakCPU = max(g.PeakCPU, other.PeakCPU)
	g.PeakRunnable = max(g.PeakRunnable, other.PeakRunnable)
}

// findings sums up what a monitor sees, in constant memory.
type findings struct {
	sum      Generator     // Watched and the peaks
	sched    time.Duration // Σ p99 × seconds, over waitTime
	waitTime time.Duration
	lag      time.Duration // Σ lateness of probes
	probes   int
	cpu, gc  float64 // Σ share × seconds, over settled
	settled  time.Duration
	pending  time.Duration // since the accounts were settled
}

func (f *findings) add(s resilience.MonitorSnapshot) {
	f.sum.Watched += s.Interval
	if w := s.SchedLatency; w.Count >= fewWaits {
		f.sched += time.Duration(float64(w.P99) * s.Interval.Seconds())
		f.waitTime += s.Interval
		f.sum.PeakSchedLatency = max(f.sum.PeakSchedLatency, w.P99)
	}
	f.lag += s.TimerLag.Mean * time.Duration(s.TimerLag.Probes)
	f.probes += s.TimerLag.Probes
	f.sum.PeakTimerLag = max(f.sum.PeakTimerLag, s.TimerLag.Max)
	f.sum.PeakRunnable = max(f.sum.PeakRunnable, s.Runnable)
	f.pending += s.Interval
	if s.CPU.Fresh {
		f.cpu += s.CPU.Saturation * f.pending.Seconds()
		f.gc += s.CPU.GCShare * f.pending.Seconds()
		f.settled += f.pending
		f.pending = 0
		f.sum.PeakCPU = max(f.sum.PeakCPU, s.CPU.Saturation)
	}
}

func (f *findings) generator() Generator {
	g := f.sum
	if f.waitTime > 0 {
		g.SchedLatency = time.Duration(float64(f.sched) / f.waitTime.Seconds())
	}
	if f.probes > 0 {
		g.TimerLag = f.lag / time.Duration(f.probes)
	}
	if f.settled > 0 && f.settled >= g.Watched/2 {
		g.CPU = min(f.cpu/f.settled.Seconds(), g.PeakCPU) // a mean of floats may exceed their peak
		g.GCShare = f.gc / f.settled.Seconds()
	} else {
		g.PeakCPU = 0
	}
	return g
}

// generatorWatch monitors the process during a run. It is used by one goroutine at a
// time; the monitor runs another between start and stop.
type generatorWatch struct {
	monitor *resilience.RuntimeMonitor // nil until start
	seen    time.Time                  // the latest snapshot in findings
	findings
}

func (w *generatorWatch) start() {
	// The history is longer than what comes between two calls of collect, however
	// late. Without a monitor there are no findings; its only error is a bad
	// configuration.
	m, err := resilience.NewRuntimeMonitor(resilience.MonitorConfig{HistorySize: 16})
	if err == nil && m.Start() == nil {
		w.monitor = m
	}
}

// collect adds the snapshots taken since the last call.
func (w *generatorWatch) collect() {
	if w.monitor == nil {
		return
	}
	for _, s := range w.monitor.History() {
		if s.At.After(w.seen) {
			w.seen = s.At
			w.add(s)
		}
	}
}

func (w *generatorWatch) stop() {
	if w.monitor != nil {
		w.monitor.Stop()
		w.collect()
	}
}

// virtual reports whether now is the time of a testing/synctest bubble, which begins
// in 2000. No correct clock shows a date before Go's release.
func virtual(now time.Time) bool { return now.Year() < 2009 }
