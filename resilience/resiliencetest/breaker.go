package resiliencetest

import (
	"cmp"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// BreakerSpec asks a factory for a circuit breaker. The meanings are those of
// resilience.BreakerConfig. Zero fields are left to the implementation.
type BreakerSpec struct {
	FailureThreshold   int           // failures in the window that trip it
	ErrorRateThreshold float64       // share of failures that trips it, from 10 calls on
	WindowDuration     time.Duration // how far back results count
	OpenStateDuration  time.Duration // how long calls are refused
	HalfOpenMaxCalls   int           // successful probes that close it
	ProbeCount         int           // probes at once

	// OnStateChange, if not nil, is to be called for every transition, with
	// the names "closed", "open" and "half-open".
	OnStateChange func(from, to string)
}

// Breaker is a circuit breaker under test.
type Breaker interface {
	// Do runs fn, if the breaker admits the call, and returns its error;
	// otherwise it returns an error without running fn.
	Do(ctx context.Context, fn func(context.Context) error) error
}

// BreakerCounter is implemented by adapters of breakers that publish the counts
// of their window.
type BreakerCounter interface {
	Counts() (successes, failures uint64)
}

// BreakerFactory builds a fresh breaker. An error matching
// [errors.ErrUnsupported] says that the implementation cannot do what the spec
// asks.
type BreakerFactory func(BreakerSpec) (Breaker, error)

// TestBreaker fails a subtest of t for every property that breakers from build
// do not have, and skips those that accepted names, with the reason.
func TestBreaker(t *testing.T, build BreakerFactory, accepted ...Deviation) {
	t.Helper()
	testAll(t, breakerSuite, build, accepted)
}

// CheckBreaker reports which properties breakers from build have. It uses t only
// to make bubbles.
func CheckBreaker(t *testing.T, build BreakerFactory) Report {
	t.Helper()
	return checkAll(t, breakerSuite, build, wallLimit)
}

var errDown = errors.New("resiliencetest: service down")

// breakerCheck is a breaker together with the check it is used in.
type breakerCheck struct {
	*checker
	b Breaker
}

const breakerOpen = time.Minute // OpenStateDuration wherever it matters

func (c *checker) breaker(build BreakerFactory, spec BreakerSpec) breakerCheck {
	spec.WindowDuration = cmp.Or(spec.WindowDuration, time.Hour)
	spec.OpenStateDuration = cmp.Or(spec.OpenStateDuration, breakerOpen)
	spec.FailureThreshold = cmp.Or(spec.FailureThreshold, 1)
	spec.ErrorRateThreshold = cmp.Or(spec.ErrorRateThreshold, 1)
	spec.HalfOpenMaxCalls = cmp.Or(spec.HalfOpenMaxCalls, 1)
	spec.ProbeCount = cmp.Or(spec.ProbeCount, 1)
	b, err := build(spec)
	c.built(err)
	return breakerCheck{c, b}
}

// call makes a call that returns err and reports whether it was admitted.
func (b breakerCheck) call(err error) (admitted bool) {
	got := b.b.Do(b.ctx, func(context.Context) error { admitted = true; return err })
	if admitted && !errors.Is(got, err) {
		b.violated("a call that returned %v was reported to have returned %v", err, got)
	}
	if !admitted && got == nil {
		b.violated("a refused call returned no error")
	}
	return admitted
}

// calls makes n calls that must be admitted.
func (b breakerCheck) calls(n int, err error) {
	for i := range n {
		b.require(b.call(err), "call %d of %d was refused", i+1, n)
	}
}

// cancel makes a call that its caller cancels.
func (b breakerCheck) cancel() {
	ctx, cancel := context.WithCancel(b.ctx)
	_ = b.b.Do(ctx, func(ctx context.Context) error { cancel(); return ctx.Err() })
}

// hang makes a call that lasts until release is called, and then returns err.
func (b breakerCheck) hang(err error) (release func()) {
	end := make(chan struct{})
	var admitted bool
	done := b.spawn(func() {
		_ = b.b.Do(context.Background(), func(context.Context) error {
			admitted = true
			select {
			case <-end:
			case <-b.ctx.Done():
			}
			return err
		})
	})
	synctest.Wait()
	select {
	case <-done:
		b.require(false, "a call was refused")
	default:
		b.require(admitted, "a call is neither under way nor refused")
	}
	return func() { close(end); <-done }
}

// halfOpen trips a breaker with threshold one and waits until it is due to probe.
func (b breakerCheck) halfOpen() {
	b.calls(1, errDown)
	b.require(!b.call(nil), "one failure did not trip it, with FailureThreshold 1")
	time.Sleep(breakerOpen + 1)
}
