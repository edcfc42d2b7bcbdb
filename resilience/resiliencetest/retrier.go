package resiliencetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"
)

// RetrierSpec asks a factory for a retrier. Its budget, if it has one, must not
// run out within MaxAttempts of a few executions; every error but those wrapped
// by the adapter itself is to be retried.
type RetrierSpec struct {
	MaxAttempts  int           // the first attempt included
	BaseDelay    time.Duration // before the second attempt
	MaxDelay     time.Duration // no delay is longer, jitter included
	JitterFactor float64       // 0 = delays are not random
}

// Retrier is a retry policy under test.
type Retrier interface {
	// Execute runs fn until it succeeds or is not to be retried.
	Execute(ctx context.Context, fn func(context.Context) error) error
}

// RetrierPermanent is implemented by adapters of retriers that can be told not
// to retry.
type RetrierPermanent interface {
	// Permanent returns an error that wraps err and is not to be retried.
	Permanent(err error) error
}

// RetrierAfter is implemented by adapters of retriers that honor a Retry-After
// of the service.
type RetrierAfter interface {
	// After returns an error that wraps err and asks to wait for d.
	After(err error, d time.Duration) error
}

// RetrierFactory builds a fresh retrier. An error matching
// [errors.ErrUnsupported] says that the implementation cannot do what the spec
// asks.
type RetrierFactory func(RetrierSpec) (Retrier, error)

// TestRetrier fails a subtest of t for every property that retriers from build
// do not have, and skips those that accepted names, with the reason.
func TestRetrier(t *testing.T, build RetrierFactory, accepted ...Deviation) {
	t.Helper()
	testAll(t, retrierSuite, build, accepted)
}

// CheckRetrier reports which properties retriers from build have. It uses t only
// to make bubbles.
func CheckRetrier(t *testing.T, build RetrierFactory) Report {
	t.Helper()
	return checkAll(t, retrierSuite, build, wallLimit)
}

// retrierCheck is a retrier together with the check it is used in.
type retrierCheck struct {
	*checker
	r Retrier
}

func (c *checker) retrier(build RetrierFactory, spec RetrierSpec) retrierCheck {
	spec.MaxAttempts = cmp.Or(spec.MaxAttempts, 3)
	spec.BaseDelay = cmp.Or(spec.BaseDelay, time.Second)
	spec.MaxDelay = cmp.Or(spec.MaxDelay, time.Minute)
	r, err := build(spec)
	c.built(err)
	return retrierCheck{c, r}
}

// execution is what one Execute did.
type execution struct {
	began time.Time
	at    []time.Duration // when each attempt was made
	took  time.Duration
	err   error
}

func (e execution) attempts() int { return len(e.at) }

// delay returns the pause before attempt i, from 1.
func (e execution) delay(i int) time.Duration { return e.at[i] - e.at[i-1] }

// execute runs fn, which gets the number of the attempt, from 0.
func (r retrierCheck) execute(ctx context.Context, fn func(attempt int) error) (e execution) {
	e.began = time.Now()
	e.err = r.r.Execute(ctx, func(context.Context) error {
		n := len(e.at)
		r.require(n < 100, "100 attempts and no end")
		e.at = append(e.at, time.Since(e.began))
		return fn(n)
	})
	e.took = time.Since(e.began)
	return e
}

func always(err error) func(int) error { return func(int) error { return err } }

var retrierSuite = []property[RetrierFactory]{
	{"first-attempt-counts", "MaxAttempts 3 is three calls, not four: load on a failing service is multiplied by this number.", func(c *checker, build RetrierFactory) {
		for _, n := range []int{1, 2, 3, 5} {
			e := c.retrier(build, RetrierSpec{MaxAttempts: n}).execute(c.ctx, always(errDown))
			c.require(e.attempts() == n, "%d attempts were made, with MaxAttempts %d", e.attempts(), n)
			c.require(e.err != nil, "all attempts failed and no error was returned")
		}
	}},
	{"success-stops", "A success is returned at once, and whatever failed before is forgotten.", func(c *checker, build RetrierFactory) {
		e := c.retrier(build, RetrierSpec{MaxAttempts: 5}).execute(c.ctx, func(n int) error {
			if n == 1 {
				return nil
			}
			return errDown
		})
		c.require(e.err == nil, "the second attempt succeeded and the error is %v", e.err)
		c.require(e.attempts() == 2, "%d attempts were made, the second of which succeeded", e.attempts())
		c.require(e.took == e.at[1], "Execute returned %v after the success", e.took-e.at[1])
	}},
	{"reusable", "One policy serves many calls: attempts and delays of one must not be taken from the next.", func(c *checker, build RetrierFactory) {
		r := c.retrier(build, RetrierSpec{MaxAttempts: 3})
		first := r.execute(c.ctx, always(errDown))
		second := r.execute(c.ctx, always(errDown))
		c.require(first.attempts() == second.attempts(), "the first execution made %d attempts, the second %d", first.attempts(), second.attempts())
		c.require(first.took == second.took, "the first execution took %v, the second %v", first.took, second.took)
	}},
	{"canceled-never-runs", "With a context that has ended fn is not run, not even once: there is nobody to use its result.", func(c *checker, build RetrierFactory) {
		ctx, cancel := context.WithCancel(c.ctx)
		cancel()
		e := c.retrier(build, RetrierSpec{}).execute(ctx, always(nil))
		c.require(e.attempts() == 0, "%d attempts were made with a canceled context", e.attempts())
		c.require(errors.Is(e.err, context.Canceled), "the error is %v", e.err)
	}},
	{"cancel-ends-sleep", "A context that ends during a delay ends the delay.", func(c *checker, build RetrierFactory) {
		ctx, cancel := context.WithCancel(c.ctx)
		stop := time.AfterFunc(time.Second, cancel)
		defer stop.Stop()
		e := c.retrier(build, RetrierSpec{BaseDelay: 40 * time.Second}).execute(ctx, always(errDown))
		c.require(e.took == time.Second, "Execute returned after %v, its context ended after 1s", e.took)
		c.require(e.attempts() == 1, "%d attempts were made though the context ended during the first delay", e.attempts())
		c.require(e.err != nil, "no error was returned")
	}},
	{"no-delay-after-last", "After the last attempt there is nothing to wait for.", func(c *checker, build RetrierFactory) {
		e := c.retrier(build, RetrierSpec{}).execute(c.ctx, always(errDown))
		last := e.at[len(e.at)-1]
		c.require(e.took == last, "Execute returned %v after the last attempt", e.took-last)
	}},
	{"delays-grow", "Retries come at growing distances, the first after about BaseDelay: a doubled first delay or a constant one is a known fault.", func(c *checker, build RetrierFactory) {
		e := c.retrier(build, RetrierSpec{MaxAttempts: 4}).execute(c.ctx, always(errDown))
		c.require(e.attempts() == 4, "%d attempts were made, with MaxAttempts 4", e.attempts())
		c.require(e.delay(1) == time.Second, "the first delay was %v, with BaseDelay 1s and no jitter", e.delay(1))
		for i := 2; i < 4; i++ {
			c.require(e.delay(i) > e.delay(i-1), "delay %d was %v after one of %v", i, e.delay(i), e.delay(i-1))
		}
	}},
	{"cap-after-jitter", "MaxDelay bounds what is slept. Where jitter is added to the capped delay, 1 s may become 1.5 s.", func(c *checker, build RetrierFactory) {
		r := c.retrier(build, RetrierSpec{MaxAttempts: 8, MaxDelay: 2 * time.Second, JitterFactor: 0.5})
		for range 20 {
			e := r.execute(c.ctx, always(errDown))
			for i := 1; i < e.attempts(); i++ {
				c.require(e.delay(i) <= 2*time.Second, "a delay of %v, with MaxDelay 2s", e.delay(i))
			}
		}
	}},
	{"no-hot-loop", "A delay that doubles overflows in the end; turned negative it becomes no delay at all, and a hot loop.", func(c *checker, build RetrierFactory) {
		e := c.retrier(build, RetrierSpec{MaxAttempts: 80}).execute(c.ctx, always(errDown))
		for i := 1; i < e.attempts(); i++ {
			c.require(e.delay(i) >= time.Second, "the delay before attempt %d was %v, with BaseDelay 1s", i+1, e.delay(i))
		}
		c.require(e.attempts() == 80, "%d attempts were made, with MaxAttempts 80", e.attempts())
	}},
	{"last-error-reachable", "Callers branch on what went wrong: errors.Is must find the error of the last attempt.", func(c *checker, build RetrierFactory) {
		last := errors.New("the last error")
		e := c.retrier(build, RetrierSpec{MaxAttempts: 3}).execute(c.ctx, func(n int) error {
			if n == 2 {
				return fmt.Errorf("wrapped: %w", last)
			}
			return errDown
		})
		c.require(errors.Is(e.err, last), "errors.Is does not find the last error in %v", e.err)
	}},
	{"permanent-not-retried", "What cannot succeed is not tried again, and its cause stays reachable.", func(c *checker, build RetrierFactory) {
		r := c.retrier(build, RetrierSpec{})
		p := capable[RetrierPermanent](c, r.r, "no permanent errors")
		e := r.execute(c.ctx, always(p.Permanent(errDown)))
		c.require(e.attempts() == 1, "a permanent error was followed by %d more attempts", e.attempts()-1)
		c.require(errors.Is(e.err, errDown), "errors.Is does not find the cause in %v", e.err)
	}},
	{"retry-after-honored", "A service that says when to come back is not asked before.", func(c *checker, build RetrierFactory) {
		r := c.retrier(build, RetrierSpec{MaxAttempts: 2})
		a := capable[RetrierAfter](c, r.r, "no Retry-After")
		e := r.execute(c.ctx, always(a.After(errDown, 7*time.Second)))
		c.require(e.attempts() == 2, "%d attempts were made, with MaxAttempts 2", e.attempts())
		c.require(e.delay(1) >= 7*time.Second, "Retry-After was 7s and the delay %v", e.delay(1))
	}},
	{"retry-after-capped", "A service, or whoever is in its place, must not make a client sleep for years; nor a negative value make it hurry.", func(c *checker, build RetrierFactory) {
		r := c.retrier(build, RetrierSpec{MaxAttempts: 2, MaxDelay: 10 * time.Second})
		a := capable[RetrierAfter](c, r.r, "no Retry-After")
		// Giving up at once is as good as waiting for no longer than MaxDelay.
		e := r.execute(c.ctx, always(a.After(errDown, 5000*time.Hour)))
		c.require(e.took <= 10*time.Second, "Retry-After was 5000h and Execute took %v, with MaxDelay 10s", e.took)
		e = r.execute(c.ctx, always(a.After(errDown, -time.Hour)))
		c.require(e.attempts() == 1 || e.delay(1) > 0, "Retry-After was negative and the delay %v", e.delay(1))
	}},
	{"panic-passes", "A panic in fn is a bug to be heard of: not retried, not swallowed, and the policy stays usable.", func(c *checker, build RetrierFactory) {
		r := c.retrier(build, RetrierSpec{})
		var runs int
		c.violatedIf(!panics(func() {
			_ = r.r.Execute(c.ctx, func(context.Context) error { runs++; panic("attempt") })
		}), "a panic did not reach the caller")
		c.violatedIf(runs != 1, "fn panicked and was run %d times", runs)
		e := r.execute(c.ctx, always(nil))
		c.require(e.err == nil && e.attempts() == 1, "afterwards a success took %d attempts and returned %v", e.attempts(), e.err)
	}},
	{"goexit-passes", "t.FailNow in fn ends the test there and then, on the goroutine that called Execute.", func(c *checker, build RetrierFactory) {
		r := c.retrier(build, RetrierSpec{})
		var runs int
		var returned bool
		<-c.spawn(func() {
			_ = r.r.Execute(c.ctx, func(context.Context) error { runs++; runtime.Goexit(); return nil })
			returned = true
		})
		c.require(!returned, "Execute returned although fn called runtime.Goexit")
		c.require(runs == 1, "fn called runtime.Goexit and was run %d times", runs)
		e := r.execute(c.ctx, always(nil))
		c.require(e.err == nil && e.attempts() == 1, "afterwards a success took %d attempts and returned %v", e.attempts(), e.err)
	}},
	{leakProperty, "A retrier that sleeps on a goroutine of its own must not leave it behind when the context ends.", func(c *checker, build RetrierFactory) {
		ctx, cancel := context.WithTimeout(c.ctx, time.Second)
		defer cancel()
		c.retrier(build, RetrierSpec{BaseDelay: time.Minute}).execute(ctx, always(errDown))
	}},
}
