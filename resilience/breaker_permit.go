package resilience

import (
	"context"
	"errors"
)

// Permit is the leave to make one call. It is a small value: pass it by value
// and keep it as long as the call lasts. The zero Permit belongs to no breaker
// and its methods do nothing.
type Permit struct {
	breaker *CircuitBreaker
	era     *breakerEra
	start   int64  // when it was given; only kept if latency matters
	ticket  uint64 // of a probe; else 0
}

// Done reports the result of the call. Nil is a success; what another error
// means is for IsIgnored and IsFailure to say (see [BreakerConfig]). If
// BaselineLatency is set, the time since Allow is judged together with the
// result: a call that is both failed and slow is one failure.
//
// Done must be called once. For a probe a second call does nothing; for a call
// admitted while closed it would count the result twice.
func (p Permit) Done(err error) {
	b := p.breaker
	switch {
	case b == nil:
		return
	case err != nil:
		p.doneErr(err, true)
		return
	case p.ticket != 0:
		p.finish(breakerSuccess)
		return
	}
	now := b.now()
	if slow := b.core.rules.slowAfter; slow != 0 && now-p.start > slow {
		b.settled(b.core.finish(p.era, now, breakerSlow))
		return
	}
	counted, withFailures := p.era.window.success(uint64(now))
	if !counted || withFailures || b.waiting.Load() != 0 {
		b.settled(b.core.succeeded(p.era, now, counted, withFailures))
	}
}

// Ignore reports that the call says nothing about the service, for instance
// because it was never sent. A probe's place becomes free. As with Done, which
// it replaces, call it once.
func (p Permit) Ignore() {
	if p.breaker != nil {
		p.finish(breakerIgnored)
	}
}

// report tells the breaker how an attempt ended: with err, or, if it did not
// return, by a panic or Goexit. A cancellation counts as the caller's own only
// if ctx has ended.
func (p Permit) report(ctx context.Context, returned bool, err error) {
	switch {
	case p.breaker == nil:
	case !returned:
		p.finish(breakerFailure)
	case err == nil:
		p.Done(nil)
	default:
		p.doneErr(err, ctx.Err() != nil)
	}
}

// doneErr is Done with an error. canceled reports whether a context.Canceled may
// be the caller's own doing.
func (p Permit) doneErr(err error, canceled bool) {
	// Should a predicate panic, the call must not stay pending.
	o := breakerFailure
	defer func() { p.finish(o) }()
	o = p.breaker.classify(err, canceled)
}

// finish reports outcome o, or that the call was slow if it was.
func (p Permit) finish(o breakerOutcome) {
	b, now := p.breaker, p.breaker.now()
	if slow := b.core.rules.slowAfter; o != breakerIgnored && slow != 0 && now-p.start > slow {
		o = breakerSlow
	}
	if p.ticket != 0 {
		b.settled(b.core.finishProbe(p.era, p.ticket, now, o))
	} else {
		b.settled(b.core.finish(p.era, now, o))
	}
}

// settled follows every result: it wakes WaitPending before callbacks run, for
// they may take long, and may themselves call WaitPending.
func (b *CircuitBreaker) settled(moved bool) {
	if b.waiting.Load() != 0 {
		b.wakeIfIdle()
	}
	if moved {
		b.notify.deliver()
	}
}

// classify returns how a call that returned err counts.
func (b *CircuitBreaker) classify(err error, canceled bool) breakerOutcome {
	switch {
	case b.isIgnored != nil && b.isIgnored(err):
		return breakerIgnored
	case b.isIgnored == nil && canceled && errors.Is(err, context.Canceled):
		return breakerIgnored
	case b.isFailure != nil && !b.isFailure(err):
		return breakerSuccess
	}
	return breakerFailure
}
