package resilience

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// ErrOpen is matched by the error a [CircuitBreaker] refuses calls with. The
// error itself is an [*OpenError].
var ErrOpen = errors.New("resilience: circuit breaker is open")

// OpenError is the refusal of a call. A breaker returns the same values over and
// over, so that refusing costs no allocation: treat them as read-only.
type OpenError struct {
	Name  string // the breaker's Name
	State State  // StateOpen, or StateHalfOpen while all probes are out

	breaker *CircuitBreaker
}

// Error implements error.
func (e *OpenError) Error() string {
	if e.State == StateHalfOpen {
		return fmt.Sprintf("resilience: circuit breaker %q is half-open and its probes are out", e.Name)
	}
	return fmt.Sprintf("resilience: circuit breaker %q is open", e.Name)
}

// Is reports whether target is [ErrOpen].
func (e *OpenError) Is(target error) bool { return target == ErrOpen }

// RetryAfter returns the breaker's [CircuitBreaker.RetryAfter] at the time it is
// called.
func (e *OpenError) RetryAfter() time.Duration {
	if e.breaker == nil {
		return 0
	}
	return e.breaker.RetryAfter()
}

// State is a state of a [CircuitBreaker].
type State uint8

// The states. StateClosed lets calls pass, StateOpen refuses them, and
// StateHalfOpen lets a few pass as probes.
const (
	StateClosed State = iota
	StateOpen
	StateHalfOpen
)

// String returns "CLOSED", "OPEN" or "HALF_OPEN".
func (s State) String() string {
	return nameOf(s, "State", "CLOSED", "OPEN", "HALF_OPEN")
}

// nameOf returns the name of v, or "kind(v)" if it has none.
func nameOf[T ~uint8](v T, kind string, names ...string) string {
	if int(v) >= len(names) || names[v] == "" {
		return fmt.Sprintf("%s(%d)", kind, uint8(v))
	}
	return names[v]
}

// MarshalText implements [encoding.TextMarshaler] with [State.String].
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// CircuitBreaker stops calling a service that fails, and finds out on its own
// when it is well again.
//
//   - Closed: calls pass. Their results are counted over a sliding window of
//     WindowDuration. The breaker trips when the window holds FailureThreshold
//     failures, or at least MinRequests calls of which ErrorRateThreshold or more
//     failed, or when ConsecutiveFailures calls in a row have failed; see
//     [BreakerConfig] for which of these suits what rate of calls. A call that
//     lasted longer than LatencyThresholdMultiplier times BaselineLatency is a
//     failure. Every result is evaluated, a success too.
//   - Open: calls are refused with an [*OpenError], for OpenStateDuration. At
//     exactly that age a call is admitted again; that call moves the breaker to
//     half-open. Without a call it stays open: there is no timer.
//   - Half-open: at most ProbeCount calls at once are admitted, as probes. After
//     HalfOpenMaxCalls successes the breaker closes, with empty counts; a single
//     failure opens it again. A probe that has not reported after
//     OpenStateDuration loses its place to the next caller, so one that hangs
//     delays recovery without preventing it.
//
// A result counts only if it comes in the state its call was admitted in: later
// it changes nothing and is counted as late. The window moves in steps of
// WindowDuration/10: a result counts for at least 9/10 of WindowDuration and
// for less than all of it.
//
// A CircuitBreaker starts no goroutine and no timer. It is safe for concurrent
// use and must not be copied; make one with [NewCircuitBreaker], inside a
// testing/synctest bubble one per bubble.
type CircuitBreaker struct {
	name      string
	isFailure func(error) bool
	isIgnored func(error) bool
	base      time.Time
	refused   [2]*OpenError // while open, while half-open

	// How many are in WaitPending. Read by every call, written seldom.
	waiting atomic.Int32

	core    breakerCore
	notify  breakerNotifier
	history Timeline      // guarded by core.mu
	idle    chan struct{} // guarded by core.mu; nil, or closed when no call is pending
}

// NewCircuitBreaker returns a closed breaker, or the error of
// [BreakerConfig.Validate].
func NewCircuitBreaker(cfg BreakerConfig) (*CircuitBreaker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	b := &CircuitBreaker{
		name:      cfg.Name,
		isFailure: cfg.IsFailure,
		isIgnored: cfg.IsIgnored,
		base:      time.Now(),
	}
	b.refused = [2]*OpenError{
		{Name: cfg.Name, State: StateOpen, breaker: b},
		{Name: cfg.Name, State: StateHalfOpen, breaker: b},
	}
	b.notify.fn = cfg.OnStateChange
	b.core.onMove = b.onMove
	b.core.init(cfg.rules(), 0)
	return b, nil
}

// now returns the time since the breaker was made. It is kept from being negative
// for breakers that leave or enter a testing/synctest bubble, whose clocks
// differ by decades.
func (b *CircuitBreaker) now() int64 { return max(0, int64(time.Since(b.base))) }

// onMove is told of every transition, with core.mu held.
func (b *CircuitBreaker) onMove(from, to *breakerEra, reason Reason, c windowCounts) {
	t := Transition{
		Name:       b.name,
		From:       from.state,
		To:         to.state,
		Reason:     reason,
		At:         b.base.Add(time.Duration(to.since)),
		Elapsed:    time.Duration(to.since),
		Generation: to.generation,
		Successes:  c.successes,
		Failures:   c.failures,
		Slow:       c.slow,
	}
	if reason == ReasonConsecutive {
		t.Consecutive = c.streak
	}
	b.history = b.history.with(t)
	b.notify.push(t)
}

// Allow asks to make a call. With a nil error the caller makes it and reports
// its result with [Permit.Done], exactly once; otherwise the error is an
// [*OpenError] and there is nothing to report. [CircuitBreaker.Do] takes care
// of that, panics included.
func (b *CircuitBreaker) Allow() (Permit, error) {
	if e := b.core.era.Load(); e.state == StateClosed && b.core.rules.slowAfter == 0 {
		b.core.admitted.Add(1)
		return Permit{breaker: b, era: e}, nil
	}
	return b.allowTimed()
}

// allowTimed is Allow when the time of the call matters: while closed only for
// its latency.
func (b *CircuitBreaker) allowTimed() (Permit, error) {
	now := b.now()
	if e := b.core.era.Load(); e.state == StateClosed {
		b.core.admitted.Add(1)
		return Permit{breaker: b, era: e, start: now}, nil
	}
	e, ticket, moved, ok := b.core.admit(now)
	if moved {
		b.deliverForProbe(ticket)
	}
	if !ok {
		if e.state == StateOpen {
			return Permit{}, b.refused[0]
		}
		return Permit{}, b.refused[1]
	}
	b.core.admitted.Add(1)
	return Permit{breaker: b, era: e, start: now, ticket: ticket}, nil
}

// deliverForProbe delivers transitions on behalf of a probe that is about to
// begin, and takes its ticket back should a callback panic.
func (b *CircuitBreaker) deliverForProbe(ticket uint64) {
	delivered := false
	defer func() {
		if !delivered {
			b.core.abandon(ticket)
		}
	}()
	b.notify.deliver()
	delivered = true
}

// Do runs fn if the breaker admits it, reports its result and returns its error
// unchanged. It returns an [*OpenError], or the error of a ctx that has already
// ended, without having run fn or counted anything but the refusal.
//
// Unless IsIgnored is set, a [context.Canceled] is ignored only if ctx has
// really ended; when the service cancels on its own account, that is a failure.
// If fn panics or calls runtime.Goexit, as t.FailNow does, that is a failure
// too; it is not recovered, so the stack is intact.
func (b *CircuitBreaker) Do(ctx context.Context, fn func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p, err := b.Allow()
	if err != nil {
		return err
	}
	pending := p
	defer func() {
		if pending.breaker != nil {
			pending.finish(breakerFailure)
		}
	}()
	err = fn(ctx)
	pending.breaker = nil
	if err != nil {
		p.doneErr(err, ctx.Err() != nil)
		return err
	}
	p.Done(nil)
	return nil
}

// Call is [CircuitBreaker.Do] for a function that returns a value as well.
func Call[T any](ctx context.Context, b *CircuitBreaker, fn func(context.Context) (T, error)) (value T, err error) {
	err = b.Do(ctx, func(ctx context.Context) (err error) {
		value, err = fn(ctx)
		return err
	})
	return value, err
}

// RecordLatency reports how long a call took whose result was reported without
// timing it, for instance by another layer. If d exceeds
// LatencyThresholdMultiplier times BaselineLatency it counts as a failure, one
// more call in the window; otherwise it changes no counts. It does nothing
// without a BaselineLatency, and unless the breaker is closed: a latency without
// a permit cannot be told from that of a call admitted earlier.
//
// Do not use it for calls made through Do or a Permit: those are timed already.
func (b *CircuitBreaker) RecordLatency(d time.Duration) {
	if slow := b.core.rules.slowAfter; slow == 0 || int64(d) <= slow {
		return
	}
	if b.core.slowCall(b.now()) {
		b.notify.deliver()
	}
}

// Reset closes the breaker and clears its counts, including the totals of
// [BreakerMetrics]; the generation and the timeline go on. Results of calls
// admitted before are late.
func (b *CircuitBreaker) Reset() {
	b.core.reset(b.now())
	b.notify.deliver()
}

// State returns the state the last call left the breaker in. In particular it
// is StateOpen until a call is admitted as a probe, however long ago
// OpenStateDuration ended: looking does not change what is looked at. Whether a
// call would be admitted now is what [CircuitBreaker.RetryAfter] says.
func (b *CircuitBreaker) State() State { return b.core.era.Load().state }

// RetryAfter returns how long calls will still be refused: zero if one would be
// admitted now. While the probes are out it is the time until the first of them
// loses its place, though it may well report before.
func (b *CircuitBreaker) RetryAfter() time.Duration {
	return time.Duration(b.core.retryAfter(b.now()))
}

// Timeline returns the last 128 transitions.
func (b *CircuitBreaker) Timeline() Timeline {
	b.core.mu.Lock()
	defer b.core.mu.Unlock()
	return slices.Clone(b.history)
}
