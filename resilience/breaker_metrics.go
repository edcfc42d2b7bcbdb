package resilience

import "time"

// BreakerMetrics is a snapshot of a [CircuitBreaker]. Totals count since the
// breaker was made or last Reset; each is exact for the calls that have
// returned.
type BreakerMetrics struct {
	Name       string
	State      State
	Generation uint64 // 1 at first, one more with every transition and Reset

	// The window that ends now; zero unless the breaker is closed. Slow calls
	// are among the failures.
	Successes, Failures, Slow uint64

	// Failures since the last success, the window notwithstanding; zero unless
	// the breaker is closed.
	ConsecutiveFailures uint64

	TotalAdmitted  uint64 // calls let through
	TotalSuccesses uint64
	TotalFailures  uint64
	TotalIgnored   uint64 // results that say nothing about the service
	TotalLate      uint64 // results that came after their generation or lease had ended
	TotalRejected  uint64 // calls refused
	ExpiredProbes  uint64 // probes that lost their place because they did not report

	Pending        int // admitted calls that have not reported
	ProbesInFlight int // places taken by probes
	ProbesPassed   int // probes that succeeded since the breaker went half-open

	RetryAfter     time.Duration // how long calls will still be refused
	OpenedAt       time.Time     // the last trip; zero without one since Reset
	LastFailure    time.Time     // the last result counted as a failure; zero without one since Reset
	LastTransition time.Time     // the last change of state; zero without one
}

// Requests returns the number of calls the window counts.
func (m BreakerMetrics) Requests() uint64 { return m.Successes + m.Failures }

// ErrorRate returns the share of failures in the window, from 0 to 1; 0 if it is
// empty.
func (m BreakerMetrics) ErrorRate() float64 {
	if m.Requests() == 0 {
		return 0
	}
	return float64(m.Failures) / float64(m.Requests())
}

// Metrics returns a snapshot. The counts are those of the window that ends now,
// not of the last call: they fall to zero by themselves when calls stop.
func (b *CircuitBreaker) Metrics() BreakerMetrics {
	now := b.now()
	retryAfter := b.core.retryAfter(now)

	c := &b.core
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.era.Load()
	t, z := c.totalsLocked(), c.cleared
	m := BreakerMetrics{
		Name:           b.name,
		State:          e.state,
		Generation:     e.generation,
		TotalAdmitted:  t.admitted - z.admitted,
		TotalSuccesses: t.successes - z.successes,
		TotalFailures:  t.failures - z.failures,
		TotalIgnored:   t.ignored - z.ignored,
		TotalLate:      t.late - z.late,
		TotalRejected:  t.rejected - z.rejected,
		ExpiredProbes:  t.expired - z.expired,
		Pending:        c.pendingLocked(),
		ProbesPassed:   c.passed,
		RetryAfter:     time.Duration(retryAfter),
		OpenedAt:       b.instant(c.openedAt),
		LastFailure:    b.instant(c.lastFailure),
		LastTransition: b.instant(c.lastTransition),
	}
	for _, p := range c.probes {
		if p.ticket != 0 {
			m.ProbesInFlight++
		}
	}
	if e.state == StateClosed {
		counts := e.window.sum(uint64(now))
		m.Successes, m.Failures, m.Slow = counts.successes, counts.failures, counts.slow
		m.ConsecutiveFailures = e.window.streak.Load()
	}
	return m
}

// instant turns time since the breaker was made into a date; negative is never.
func (b *CircuitBreaker) instant(at int64) time.Time {
	if at < 0 {
		return time.Time{}
	}
	return b.base.Add(time.Duration(at))
}
