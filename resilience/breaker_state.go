package resilience

import (
	"math"
	"sync"
	"sync/atomic"
)

// breakerOutcome is how one call counts.
type breakerOutcome uint8

const (
	breakerSuccess breakerOutcome = iota
	breakerFailure
	breakerSlow    // succeeded, too late: a failure
	breakerIgnored // says nothing about the service
)

// breakerEra is the time a breaker spends in one state without a break. A call
// belongs to the era that admitted it; once that is over its result is late.
// All but the window is immutable, so holding the pointer is knowing the
// generation: no number can wrap around and make an old call look current.
type breakerEra struct {
	state      State
	generation uint64
	since      int64 // when it began
	until      int64 // open: the first instant at which a probe is admitted
	window     window
}

// breakerCore is the state machine of a CircuitBreaker. Time comes in as an
// argument: nanoseconds since the breaker was made, never negative.
type breakerCore struct {
	rules breakerRules
	era   atomic.Pointer[breakerEra]
	_     [56]byte

	admitted atomic.Uint64 // written by every call, like the window's successes
	_        [56]byte

	ignored  atomic.Uint64
	late     atomic.Uint64
	rejected atomic.Uint64

	mu             sync.Mutex          // guards what follows, and changing the era
	successes      uint64              // of eras that are over, and of probes
	failures       uint64              // likewise, and of RecordLatency
	reported       uint64              // failures by RecordLatency: no admitted call is behind them
	probes         []breakerProbe      // half-open: the places
	passed         int                 // half-open: probes that succeeded
	tickets        uint64              // probes ever admitted
	outstanding    map[uint64]struct{} // tickets of probes that have not reported
	expired        uint64              // leases taken over
	lastFailure    int64               // -1 without one
	openedAt       int64               // -1 before the first trip
	lastTransition int64               // -1 before the first
	cleared        breakerTotals       // what the last Reset subtracted
	onMove         func(from *breakerEra, to *breakerEra, reason Reason, c windowCounts)
}

// breakerTotals are counts over a breaker's life.
type breakerTotals struct {
	admitted, successes, failures, ignored, late, rejected, expired uint64
}

// init puts a zero core into the closed state at now.
func (c *breakerCore) init(rules breakerRules, now int64) {
	c.rules = rules
	c.lastFailure = -1
	c.openedAt, c.lastTransition = -1, -1
	c.outstanding = make(map[uint64]struct{})
	c.begin(StateClosed, 1, now)
}

func (c *breakerCore) begin(state State, generation uint64, now int64) *breakerEra {
	e := &breakerEra{state: state, generation: generation, since: now}
	if state == StateOpen {
		e.until = breakerAfter(now, c.rules.open)
	}
	e.window.open(c.rules.width, uint64(now))
	c.probes, c.passed = nil, 0
	c.era.Store(e)
	return e
}

// breakerAfter returns t+d, or the end of time.
func breakerAfter(t, d int64) int64 {
	if t > math.MaxInt64-d {
		return math.MaxInt64
	}
	return t + d
}

// move ends the current era and begins the next. Holds mu.
func (c *breakerCore) move(state State, now int64, reason Reason, counts windowCounts) *breakerEra {
	from := c.era.Load()
	s, f := from.window.seal()
	c.successes += s
	c.failures += f
	// A clock read before the era began, by a caller who was then held up, must
	// not bend the timeline.
	now = max(now, from.since)
	to := c.begin(state, from.generation+1, now)
	if from.state != state {
		c.lastTransition = now
		if state == StateOpen {
			c.openedAt = now
		}
		if c.onMove != nil {
			c.onMove(from, to, reason, counts)
		}
	}
	return to
}

// admit decides on a call at now outside the closed fast path. It returns the
// era the call belongs to and, for a probe, its ticket, or ok=false. moved says
// that a transition is to be delivered. The caller adds to admitted.
func (c *breakerCore) admit(now int64) (e *breakerEra, ticket uint64, moved, ok bool) {
	if e = c.era.Load(); e.state == StateOpen && now < e.until {
		c.rejected.Add(1)
		return e, 0, false, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e = c.era.Load()
	switch e.state {
	case StateClosed:
		return e, 0, false, true
	case StateOpen:
		if now < e.until {
			c.rejected.Add(1)
			return e, 0, false, false
		}
		e, moved = c.move(StateHalfOpen, now, ReasonOpenElapsed, windowCounts{}), true
	}
	place := c.placeLocked(now)
	if place == nil {
		c.rejected.Add(1)
		return e, 0, moved, false
	}
	c.tickets++
	*place = breakerProbe{ticket: c.tickets, expires: breakerAfter(now, c.rules.open)}
	c.outstanding[c.tickets] = struct{}{}
	return e, c.tickets, moved, true
}

// finish records the outcome, at now, of a call that era e admitted while
// closed, and reports whether a transition is to be delivered.
func (c *breakerCore) finish(e *breakerEra, now int64, o breakerOutcome) (moved bool) {
	var counted bool
	switch o {
	case breakerIgnored:
		if counted = c.era.Load() == e; counted {
			c.ignored.Add(1)
		}
	case breakerSuccess:
		counted, withFailures := e.window.success(uint64(now))
		return c.succeeded(e, now, counted, withFailures)
	default:
		c.mu.Lock()
		defer c.mu.Unlock()
		if counted = c.era.Load() == e; counted {
			moved = c.failLocked(e, now, o == breakerSlow)
		}
	}
	if !counted {
		c.late.Add(1)
	}
	return moved
}

// succeeded is the rest of finish for a success that the window of e was told of
// at now; it has nothing to do for one that was counted without failures.
func (c *breakerCore) succeeded(e *breakerEra, now int64, counted, withFailures bool) (moved bool) {
	if !counted {
		c.late.Add(1)
	}
	return withFailures && c.evaluate(e, now)
}

// failLocked counts a failure and evaluates it in one step, so that of many
// failures at once exactly as many count as it takes to trip the breaker.
func (c *breakerCore) failLocked(e *breakerEra, now int64, slow bool) (moved bool) {
	e.window.failure(uint64(now), slow) // not sealed: that needs mu
	c.lastFailure = max(c.lastFailure, now)
	streak := e.window.streak.Add(1)
	counts := e.window.sum(uint64(now))
	counts.streak = streak
	reason := c.rules.verdict(counts)
	if reason != 0 {
		c.move(StateOpen, now, reason, counts)
	}
	return reason != 0
}

// evaluate trips the breaker if the window of e, which was closed, demands it.
// It runs after a success: nine failures and one success are ten calls.
func (c *breakerCore) evaluate(e *breakerEra, now int64) bool {
	counts := e.window.sum(uint64(now))
	reason := c.rules.verdict(counts)
	if reason == 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.era.Load() != e {
		return false // somebody else was faster
	}
	c.move(StateOpen, now, reason, counts)
	return true
}

// slowCall records a slow call, at now, that is not behind any permit.
func (c *breakerCore) slowCall(now int64) (moved bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.era.Load()
	if e.state != StateClosed {
		return false
	}
	c.reported++
	return c.failLocked(e, now, true)
}

// reset closes the breaker and clears its counts.
func (c *breakerCore) reset(now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.move(StateClosed, now, ReasonReset, windowCounts{})
	c.lastFailure = -1
	c.openedAt = -1
	c.cleared = c.totalsLocked()
}

// totalsLocked reads the counts since the breaker was made. Admitted is read
// last: a call is admitted before it reports, so admitted can only be too large
// for the rest, and a difference of zero is the truth.
func (c *breakerCore) totalsLocked() breakerTotals {
	s, f := c.era.Load().window.ever()
	t := breakerTotals{
		successes: c.successes + s,
		failures:  c.failures + f,
		ignored:   c.ignored.Load(),
		late:      c.late.Load(),
		rejected:  c.rejected.Load(),
		expired:   c.expired,
	}
	t.admitted = c.admitted.Load()
	return t
}

// pendingLocked returns the number of admitted calls that have not reported.
func (c *breakerCore) pendingLocked() int {
	t := c.totalsLocked()
	return int(t.admitted - (t.successes + t.failures - c.reported + t.ignored + t.late))
}

// retryAfter returns how long from now on a call would be refused.
func (c *breakerCore) retryAfter(now int64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.era.Load()
	var at int64
	switch {
	case e.state == StateOpen:
		at = e.until
	case e.state == StateHalfOpen && len(c.probes) == c.rules.probes:
		at = math.MaxInt64
		for _, p := range c.probes {
			if p.ticket == 0 {
				return 0
			}
			at = min(at, p.expires)
		}
	}
	return max(0, at-now)
}
