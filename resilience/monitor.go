package resilience

import (
	"slices"
	"sync"
	"time"
)

// RuntimeMonitor watches whether this process still gets to run: how long ready
// goroutines wait for a processor, how late timers fire, how much the garbage
// collector takes. It is to a Go program what an event-loop monitor is to an
// asyncio one, and tells a slow service from a starved client.
//
// Two sources feed it: the runtime's own histograms and counters
// (runtime/metrics), read once per SampleInterval, and an active probe, a timer
// set every ProbeInterval whose lateness is measured. A sample costs one or two
// microseconds and allocates nothing.
//
// A RuntimeMonitor is safe for concurrent use by multiple goroutines. It owns one
// goroutine between Start and Stop and may be started again. In a testing/synctest
// bubble timers are never late and the runtime's figures are the whole process's, so
// a monitor is of no use there, though it works.
type RuntimeMonitor struct {
	cfg    MonitorConfig
	source func(*monitorReading) // what the runtime says; replaced in tests

	life sync.Mutex    // serializes Start and Stop
	quit chan struct{} // nil unless running; closed by Stop
	done chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	history []MonitorSnapshot // ring
	taken   int               // snapshots, those no longer in the ring included

	// The goroutine's own.
	prev, cur *monitorReading
	lag       monitorLag
	last      MonitorSnapshot // since Start
}

// NewRuntimeMonitor returns a monitor that does not run yet, or the error of
// [MonitorConfig.Validate].
func NewRuntimeMonitor(cfg MonitorConfig) (*RuntimeMonitor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	return &RuntimeMonitor{
		cfg:     cfg,
		source:  monitorRead,
		history: make([]MonitorSnapshot, cfg.HistorySize),
		prev:    &monitorReading{},
		cur:     &monitorReading{},
	}, nil
}

// Start takes the first reading and begins to sample. It returns [ErrStarted] if
// the monitor runs already. After Stop it may be called again; history is kept.
func (m *RuntimeMonitor) Start() error {
	m.life.Lock()
	defer m.life.Unlock()
	if m.quit != nil {
		return ErrStarted
	}
	m.quit, m.done = make(chan struct{}), make(chan struct{})
	m.lag, m.last = monitorLag{}, MonitorSnapshot{}
	m.source(m.prev)
	m.prev.at = time.Now()
	go m.watch(m.quit, m.done) // ends when Stop closes quit
	return nil
}

// Stop ends the sampling, after one last sample of the time since the one
// before; so even a run shorter than SampleInterval leaves one. It returns when
// the goroutine has ended. Stopping a monitor that doesn't run does nothing.
// Don't call it from OnAlert: it would wait for itself.
func (m *RuntimeMonitor) Stop() {
	m.life.Lock()
	defer m.life.Unlock()
	if m.quit == nil {
		return
	}
	close(m.quit)
	<-m.done
	m.quit = nil
}

// Snapshot returns the latest sample. Before the first, one SampleInterval after
// Start, it is zero, which its At shows.
func (m *RuntimeMonitor) Snapshot() MonitorSnapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.taken == 0 {
		return MonitorSnapshot{}
	}
	return m.history[(m.taken-1)%len(m.history)]
}

// History returns the latest HistorySize samples, oldest first.
func (m *RuntimeMonitor) History() []MonitorSnapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.taken <= len(m.history) {
		return append([]MonitorSnapshot{}, m.history[:m.taken]...)
	}
	oldest := m.taken % len(m.history)
	return slices.Concat(m.history[oldest:], m.history[:oldest])
}

// watch is the monitor's goroutine. One timer serves both clocks: each time it
// fires is a probe, and when a sample has come due that is taken too.
func (m *RuntimeMonitor) watch(quit <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	last := m.prev.at
	due := last.Add(m.cfg.ProbeInterval)
	sampleDue := last.Add(m.cfg.SampleInterval)
	timer := time.NewTimer(m.cfg.ProbeInterval)
	defer timer.Stop()
	for {
		select {
		case <-quit:
			// The timer that is set may be overdue: that is a measurement too.
			now := time.Now()
			if now.After(due) {
				m.lag.add(now.Sub(due))
			}
			if now.After(m.prev.at) {
				m.sample(now)
			}
			return
		case <-timer.C:
		}
		now := time.Now()
		m.lag.add(now.Sub(due))
		if !now.Before(sampleDue) {
			m.sample(now)
			sampleDue = monitorNext(sampleDue, now, m.cfg.SampleInterval)
		}
		due = monitorNext(due, now, m.cfg.ProbeInterval)
		timer.Reset(time.Until(due))
	}
}

// monitorNext returns the first instant of the schedule due, due+every, … after now.
// Instants that were missed are skipped: what made them late was measured once.
func monitorNext(due, now time.Time, every time.Duration) time.Time {
	return due.Add((now.Sub(due)/every + 1) * every)
}

// sample takes a reading, turns the difference to the one before into a
// snapshot, and tells whoever wants to know.
func (m *RuntimeMonitor) sample(now time.Time) {
	m.source(m.cur)
	m.cur.at = now
	s := monitorCompute(m.prev, m.cur, m.lag, m.last.CPU, &m.cfg)
	before := m.last.Level
	m.prev, m.cur = m.cur, m.prev
	m.lag, m.last = monitorLag{}, s

	m.mu.Lock()
	m.history[m.taken%len(m.history)] = s
	m.taken++
	m.mu.Unlock()

	if m.cfg.Logger != nil {
		m.log(before, s)
	}
	if s.Level != before && m.cfg.OnAlert != nil {
		m.cfg.OnAlert(before, s)
	}
}
