package resiliencetest

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"
)

// The implementations in this file are as plain as can be, correct while fault
// is empty, and otherwise wrong in the one way that the property of that name
// is about. With them the suites are shown to be able to fail.

var errRefused = errors.New("refused")

type plainBreaker struct {
	spec  BreakerSpec
	fault string

	mu         sync.Mutex
	state      string
	generation int
	since      time.Time
	events     []plainEvent
	last       time.Time
	probes     map[int]time.Time // ticket to lease end
	tickets    int
	passed     int
	queue      [][2]string
}

type plainEvent struct {
	at     time.Time
	failed bool
}

func plainBreakers(fault string, stop <-chan struct{}) BreakerFactory {
	return func(spec BreakerSpec) (Breaker, error) {
		switch fault {
		case "panicked":
			panic("planted")
		case "unsupported":
			return nil, errors.ErrUnsupported
		case "factory fails":
			return nil, errRefused
		case "no-goroutine-left":
			go func() { select {} }()
		case "ticker":
			go func() {
				for range time.Tick(time.Second) {
				}
			}()
		case "spinner":
			go func() {
				for {
					select {
					case <-stop: // made outside the bubble: polled, never waited for
						return
					default:
						runtime.Gosched()
					}
				}
			}()
		}
		return &plainBreaker{spec: spec, fault: fault, state: "closed", since: time.Now()}, nil
	}
}

func (b *plainBreaker) move(to string) {
	b.queue = append(b.queue, [2]string{b.state, to})
	if b.fault == "transitions-exact" {
		b.queue = append(b.queue, [2]string{b.state, to})
	}
	if b.fault != "probe-failure-reopens" || b.since.IsZero() || b.state == "closed" {
		b.since = time.Now()
	}
	b.state = to
	b.generation++
	b.events, b.passed, b.probes = nil, 0, map[int]time.Time{}
}

func (b *plainBreaker) unlock() {
	queue := b.queue
	b.queue = nil
	if b.fault != "callback-reentrant" {
		b.mu.Unlock()
	}
	for _, q := range queue {
		if b.spec.OnStateChange != nil {
			b.spec.OnStateChange(q[0], q[1])
		}
	}
	if b.fault == "callback-reentrant" {
		b.mu.Unlock()
	}
}

func (b *plainBreaker) admit() (ticket, generation int, ok bool) {
	b.mu.Lock()
	defer b.unlock()
	if b.state == "open" {
		open := b.spec.OpenStateDuration
		if b.fault == "open-refuses" {
			open /= 2
		}
		due := time.Since(b.since) >= open
		if b.fault == "open-ends-exactly" {
			due = time.Since(b.since) > open
		}
		if !due || b.fault == "open-ends" {
			return 0, 0, false
		}
		b.move("half-open")
	}
	if b.state == "half-open" {
		for ticket, lease := range b.probes {
			if !time.Now().Before(lease) && b.fault != "probe-hung" {
				delete(b.probes, ticket)
			}
		}
		if len(b.probes) >= b.spec.ProbeCount && b.fault != "probes-limited" {
			return 0, 0, false
		}
		b.tickets++
		lease := b.spec.OpenStateDuration
		if b.fault == "probe-canceled" || b.fault == "goexit-releases" {
			lease = math.MaxInt64
		}
		b.probes[b.tickets] = time.Now().Add(lease)
		return b.tickets, b.generation, true
	}
	return 0, b.generation, true
}

func (b *plainBreaker) report(ticket, generation int, err error) {
	b.mu.Lock()
	defer b.unlock()
	if errors.Is(err, context.Canceled) && b.fault != "canceled-not-counted" {
		if b.fault != "probe-canceled" {
			delete(b.probes, ticket)
		}
		return
	}
	if generation != b.generation {
		if b.fault == "late-results-ignored" && b.state == "half-open" && err == nil {
			b.move("closed")
		}
		if b.fault == "trips-once" && err != nil {
			b.move("open")
		}
		return
	}
	if ticket != 0 {
		delete(b.probes, ticket)
		if err != nil {
			b.move("open")
		} else if b.passed++; b.passed >= b.spec.HalfOpenMaxCalls {
			b.move("closed")
		}
		return
	}
	b.count(err != nil)
}

func (b *plainBreaker) prune() {
	now := time.Now()
	keep := b.events[:0]
	for _, e := range b.events {
		if now.Sub(e.at) < b.spec.WindowDuration || b.fault == "window-forgets" {
			keep = append(keep, e)
		}
	}
	b.events = keep
	if b.fault == "window-slides" && now.Sub(b.since) >= b.spec.WindowDuration {
		b.events, b.since = nil, now
	}
}

func (b *plainBreaker) count(failed bool) {
	b.prune()
	b.events = append(b.events, plainEvent{time.Now(), failed})
	if b.fault == "window-keeps" && time.Since(b.last) >= b.spec.WindowDuration {
		b.events = nil
	}
	b.last = time.Now()
	var failures int
	for _, e := range b.events {
		if e.failed {
			failures++
		}
	}
	total := len(b.events)
	threshold := b.spec.FailureThreshold
	if b.fault == "trips-on-failures" {
		threshold++
	}
	rate := float64(failures) / float64(total)
	trip := failures >= threshold
	switch {
	case total < 10, b.fault == "rate-after-success" && !failed:
	case b.fault == "rate-of-failures":
		trip = trip || 1-rate >= b.spec.ErrorRateThreshold
	case b.fault == "rate-exact":
		trip = trip || rate > b.spec.ErrorRateThreshold
	default:
		trip = trip || rate >= b.spec.ErrorRateThreshold
	}
	if trip {
		b.move("open")
	}
}

func (b *plainBreaker) Do(ctx context.Context, fn func(context.Context) error) error {
	if b.fault == "hung" {
		select {}
	}
	ticket, generation, ok := b.admit()
	if !ok {
		if b.fault == "refuses with nil" {
			return nil
		}
		return errRefused
	}
	err, returned := errDown, false
	defer func() {
		if returned || b.fault != "goexit-releases" {
			b.report(ticket, generation, err)
		}
		if b.fault == "panic-releases" {
			_ = recover()
		}
	}()
	e := fn(ctx)
	err, returned = e, true
	if b.fault == "changes the error" {
		return errRefused
	}
	return err
}

func (b *plainBreaker) Counts() (successes, failures uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fault != "counts-not-stale" {
		b.prune()
	}
	for _, e := range b.events {
		if e.failed {
			failures++
		} else {
			successes++
		}
	}
	return successes, failures
}

// countless hides the counts of a breaker.
type countless struct{ Breaker }

type plainLimiter struct {
	spec  LimiterSpec
	fault string

	mu    sync.Mutex
	held  int
	queue []chan struct{}
}

func plainLimiters(fault string) LimiterFactory {
	return func(spec LimiterSpec) (Limiter, error) {
		if fault == "limit-holds" {
			spec.MaxConcurrent++
		}
		return &plainLimiter{spec: spec, fault: fault}, nil
	}
}

func (l *plainLimiter) Acquire(ctx context.Context) error {
	if ctx.Err() != nil && l.fault != "canceled-context-fails" {
		return ctx.Err()
	}
	var expired <-chan time.Time
	if l.spec.AcquireTimeout > 0 {
		d := l.spec.AcquireTimeout
		if l.fault == "timeout-exact" {
			d *= 2
		}
		timer := time.NewTimer(d)
		defer timer.Stop()
		expired = timer.C
		if l.fault == "no-goroutine-left" {
			go func() { select {} }()
		}
	}
	if l.fault == "timeout-not-while-free" {
		time.Sleep(time.Nanosecond)
		if l.spec.AcquireTimeout == 1 {
			return errRefused
		}
	}
	l.mu.Lock()
	if l.held < l.spec.MaxConcurrent && len(l.queue) == 0 {
		l.held++
		l.mu.Unlock()
		return nil
	}
	ready := make(chan struct{})
	if l.fault == "fifo" {
		l.queue = append([]chan struct{}{ready}, l.queue...)
	} else {
		l.queue = append(l.queue, ready)
	}
	l.mu.Unlock()
	done := ctx.Done()
	if l.fault == "cancel-ends-wait" {
		done = nil
	}
	err := errRefused
	select {
	case <-ready:
		if l.fault == "canceled-front-wakes-next" || ctx.Err() == nil {
			return nil
		}
		l.Release()
		return ctx.Err()
	case <-done:
		err = ctx.Err()
	case <-expired:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, w := range l.queue {
		if w == ready {
			l.queue = append(l.queue[:i], l.queue[i+1:]...)
			return err
		}
	}
	if l.fault != "canceled-front-wakes-next" { // granted: pass it on
		l.held--
		l.grant()
	}
	return err
}

func (l *plainLimiter) grant() {
	for len(l.queue) > 0 && l.held < l.spec.MaxConcurrent {
		l.held++
		close(l.queue[0])
		l.queue = l.queue[1:]
	}
}

func (l *plainLimiter) Release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == 0 && l.fault != "over-release-panics" {
		panic("released too often")
	}
	l.held--
	l.grant()
}

func (l *plainLimiter) TryAcquire() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault == "no-barging" || l.held < l.spec.MaxConcurrent && len(l.queue) == 0 {
		l.held++
		return true
	}
	return false
}

func (l *plainLimiter) SetMaxConcurrent(n int) error {
	if n < 1 {
		return errRefused
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spec.MaxConcurrent = n
	if l.fault != "resize" {
		l.grant()
	}
	return nil
}

// plainOnly hides what a limiter can do besides.
type plainOnly struct{ Limiter }

type plainRetrier struct {
	spec  RetrierSpec
	fault string
	used  int
}

func plainRetriers(fault string) RetrierFactory {
	return func(spec RetrierSpec) (Retrier, error) { return &plainRetrier{spec: spec, fault: fault}, nil }
}

type plainPermanent struct{ error }

func (p plainPermanent) Unwrap() error { return p.error }

type plainAfter struct {
	error
	d time.Duration
}

func (a plainAfter) Unwrap() error { return a.error }

func (r *plainRetrier) Permanent(err error) error { return plainPermanent{err} }

func (r *plainRetrier) After(err error, d time.Duration) error { return plainAfter{err, d} }

func (r *plainRetrier) Execute(ctx context.Context, fn func(context.Context) error) error {
	var err error
	attempts := r.spec.MaxAttempts
	switch r.fault {
	case "first-attempt-counts":
		attempts++
	case "reusable":
		attempts -= r.used
		r.used++
	}
	delay := r.spec.BaseDelay
	for n := range attempts {
		if ctx.Err() != nil && r.fault != "canceled-never-runs" {
			return errors.Join(ctx.Err(), err)
		}
		if err = r.attempt(ctx, fn); err == nil && r.fault != "success-stops" {
			return nil
		}
		var permanent plainPermanent
		if errors.As(err, &permanent) && r.fault != "permanent-not-retried" {
			return err
		}
		if n == attempts-1 && r.fault != "no-delay-after-last" {
			break
		}
		d := time.Duration(float64(delay) * (1 + r.spec.JitterFactor*(2*rand.Float64()-1)))
		var after plainAfter
		if errors.As(err, &after) && r.fault != "retry-after-honored" {
			if after.d > d || r.fault == "retry-after-capped" {
				d = after.d
			}
		}
		if r.fault != "cap-after-jitter" && r.fault != "retry-after-capped" {
			d = min(d, r.spec.MaxDelay)
		}
		if r.fault == "no-goroutine-left" {
			go func() { select {} }()
		}
		if !r.sleep(ctx, d) {
			return errors.Join(ctx.Err(), err)
		}
		switch {
		case r.fault == "delays-grow":
		case r.fault == "no-hot-loop" && n > 40:
			delay = 0
		default:
			delay = min(2*delay, r.spec.MaxDelay)
		}
	}
	if r.fault == "last-error-reachable" {
		return errRefused
	}
	return err
}

func (r *plainRetrier) sleep(ctx context.Context, d time.Duration) bool {
	if r.fault == "cancel-ends-sleep" {
		time.Sleep(d)
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (r *plainRetrier) attempt(ctx context.Context, fn func(context.Context) error) (err error) {
	switch r.fault {
	case "panic-passes":
		defer func() {
			if recover() != nil {
				err = errDown
			}
		}()
	case "goexit-passes":
		done := make(chan struct{})
		err = errDown
		go func() {
			defer close(done)
			err = fn(ctx)
		}()
		<-done
		return err
	}
	return fn(ctx)
}
