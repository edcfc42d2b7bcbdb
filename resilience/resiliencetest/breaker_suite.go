package resiliencetest

import (
	"context"
	"fmt"
	"runtime"
	"testing/synctest"
	"time"
)

var breakerSuite = []property[BreakerFactory]{
	{"trips-on-failures", "FailureThreshold failures trip the breaker, no fewer; after that no call reaches the service.", func(c *checker, build BreakerFactory) {
		b := c.breaker(build, BreakerSpec{FailureThreshold: 5})
		b.calls(5, errDown)
		c.require(!b.call(nil), "a call was admitted after 5 failures, with FailureThreshold 5")
	}},
	{"rate-of-failures", "A rate is of failures in all calls. Computed of the wrong count, a threshold of 90 % trips at 10 %.", func(c *checker, build BreakerFactory) {
		b := c.breaker(build, BreakerSpec{FailureThreshold: 1000, ErrorRateThreshold: 0.9})
		for range 20 {
			b.calls(9, nil)
			b.calls(1, errDown)
		}
	}},
	{"rate-after-success", "A success can complete the ten calls that make an error rate meaningful. A breaker that looks only after failures stays closed at 90 %.", func(c *checker, build BreakerFactory) {
		b := c.breaker(build, BreakerSpec{FailureThreshold: 1000, ErrorRateThreshold: 0.9})
		b.calls(9, errDown)
		b.calls(1, nil)
		c.require(!b.call(nil), "9 failures and 1 success did not trip it, with ErrorRateThreshold 0.9")
	}},
	{"rate-exact", "At exactly the threshold a rate computed in floating point is rounded to either side, so 57 of 100 may be less than 0.57.", func(c *checker, build BreakerFactory) {
		for total := 10; total <= 100; total += 3 {
			failed := total*4/7 + 1
			b := c.breaker(build, BreakerSpec{FailureThreshold: 1000, ErrorRateThreshold: float64(failed) / float64(total)})
			b.calls(total-failed, nil)
			b.calls(failed, errDown)
			c.require(!b.call(nil), "%d failures in %d calls did not trip it, with that as ErrorRateThreshold", failed, total)
		}
	}},
	{"window-forgets", "Failures older than the window are no evidence. A ring whose slots are not cleared over an idle gap brings them back to life.", func(c *checker, build BreakerFactory) {
		for k := range 20 {
			b := c.breaker(build, BreakerSpec{FailureThreshold: 5, WindowDuration: time.Second})
			b.calls(4, errDown)
			time.Sleep(2 * time.Second << k)
			b.calls(4, errDown)
			c.require(b.call(nil), "4 failures before and 4 after a gap of 2^%d windows tripped it, with FailureThreshold 5", k+1)
		}
	}},
	{"window-keeps", "Clearing old buckets must not take fresh events with them.", func(c *checker, build BreakerFactory) {
		for k := range 20 {
			b := c.breaker(build, BreakerSpec{FailureThreshold: 5, WindowDuration: time.Second})
			b.calls(4, errDown)
			time.Sleep(2 * time.Second << k)
			b.calls(5, errDown)
			c.require(!b.call(nil), "5 failures at once, after a gap of 2^%d windows, did not trip it", k+1)
		}
	}},
	{"window-slides", "A fixed window that is cleared all at once misses a burst that straddles the moment it is cleared.", func(c *checker, build BreakerFactory) {
		for tenth := range time.Duration(20) {
			b := c.breaker(build, BreakerSpec{FailureThreshold: 6, WindowDuration: 10 * time.Second})
			time.Sleep(tenth * time.Second)
			b.calls(3, errDown)
			time.Sleep(time.Second)
			b.calls(3, errDown)
			c.require(!b.call(nil), "6 failures within a tenth of the window, %ds after it was built, did not trip it", tenth)
		}
	}},
	{"open-refuses", "While open no call reaches the service, for all of OpenStateDuration.", func(c *checker, build BreakerFactory) {
		b := c.breaker(build, BreakerSpec{})
		b.calls(1, errDown)
		time.Sleep(breakerOpen - 1)
		c.require(!b.call(nil), "a call was admitted 1ns before OpenStateDuration had passed")
	}},
	{"open-ends", "After OpenStateDuration a call is admitted, and its success closes the breaker.", func(c *checker, build BreakerFactory) {
		b := c.breaker(build, BreakerSpec{})
		b.halfOpen()
		b.calls(5, nil)
	}},
	{"open-ends-exactly", "At exactly OpenStateDuration implementations differ; admitting makes RetryAfter a time at which retrying works.", func(c *checker, build BreakerFactory) {
		b := c.breaker(build, BreakerSpec{})
		b.calls(1, errDown)
		time.Sleep(breakerOpen)
		c.require(b.call(nil), "a call was refused exactly OpenStateDuration after the breaker tripped")
	}},
	{"probes-limited", "A recovering service must not be met by everybody at once, as it is when all callers of a half-open breaker are admitted.", func(c *checker, build BreakerFactory) {
		b := c.breaker(build, BreakerSpec{ProbeCount: 2, HalfOpenMaxCalls: 2})
		b.halfOpen()
		running := make(chan struct{}, 100)
		for range 100 {
			c.spawn(func() {
				_ = b.b.Do(context.Background(), func(context.Context) error {
					running <- struct{}{}
					<-c.ctx.Done()
					return nil
				})
			})
		}
		synctest.Wait()
		c.require(len(running) == 2, "%d of 100 callers were admitted at once, with ProbeCount 2", len(running))
	}},
	{"probe-failure-reopens", "A probe that fails says that the service is not well: the full OpenStateDuration begins again.", func(c *checker, build BreakerFactory) {
		b := c.breaker(build, BreakerSpec{HalfOpenMaxCalls: 3})
		b.halfOpen()
		b.calls(1, nil)
		b.calls(1, errDown)
		time.Sleep(breakerOpen - 1)
		c.require(!b.call(nil), "a call was admitted within OpenStateDuration of a failed probe")
	}},
	{"probe-hung", "A probe that never returns must not keep the breaker shut for good: its place has to become free without it.", func(c *checker, build BreakerFactory) {
		b := c.breaker(build, BreakerSpec{})
		b.halfOpen()
		defer b.hang(nil)()
		time.Sleep(10 * breakerOpen)
		c.require(b.call(nil), "10 OpenStateDurations into a hung probe calls are still refused")
	}},
	{"probe-canceled", "A probe whose caller gave up says nothing, and must return its place.", func(c *checker, build BreakerFactory) {
		b := c.breaker(build, BreakerSpec{})
		b.halfOpen()
		b.cancel()
		time.Sleep(2 * breakerOpen)
		c.require(b.call(nil), "after a canceled probe calls are still refused")
	}},
	{"canceled-not-counted", "A caller who loses interest is no evidence against the service: users closing tabs must not cut off the rest.", func(c *checker, build BreakerFactory) {
		b := c.breaker(build, BreakerSpec{FailureThreshold: 2})
		for range 5 {
			b.cancel()
		}
		c.require(b.call(nil), "5 calls canceled by their callers tripped it")
	}},
	{"late-results-ignored", "A call admitted before the breaker tripped knows only the past. Counted as a probe it closes the breaker while the service is down, or frees a place that is taken.", func(c *checker, build BreakerFactory) {
		b := c.breaker(build, BreakerSpec{})
		late := b.hang(nil)
		b.halfOpen()
		probe := b.hang(errDown)
		late()
		c.violatedIf(b.call(nil), "the late success of an earlier call let another call past the only probe")
		probe()
	}},
	{"trips-once", "Failures that were in flight when the breaker tripped must not trip it again, nor extend its time.", func(c *checker, build BreakerFactory) {
		var trips int
		b := c.breaker(build, BreakerSpec{FailureThreshold: 3, OnStateChange: func(_, to string) {
			if to == "open" {
				trips++
			}
		}})
		var release []func()
		for range 50 {
			release = append(release, b.hang(errDown))
		}
		for _, r := range release {
			r()
		}
		c.require(trips == 1, "50 failing calls in flight made it trip %d times", trips)
	}},
	{"panic-releases", "A panic in a probe must go on to the caller, count as a failure, and return the probe's place.", func(c *checker, build BreakerFactory) {
		b := c.breaker(build, BreakerSpec{})
		b.halfOpen()
		c.violatedIf(!panics(func() {
			_ = b.b.Do(c.ctx, func(context.Context) error { panic("probe") })
		}), "a panic did not reach the caller")
		c.violatedIf(b.call(nil), "a probe that panicked did not count as a failure")
		time.Sleep(2 * breakerOpen)
		c.require(b.call(nil), "after a probe panicked calls are still refused")
	}},
	{"goexit-releases", "runtime.Goexit is how t.FailNow leaves a call: no panic to recover, no return. A breaker that waits for either never hears of the probe again.", func(c *checker, build BreakerFactory) {
		b := c.breaker(build, BreakerSpec{})
		b.halfOpen()
		<-c.spawn(func() {
			_ = b.b.Do(c.ctx, func(context.Context) error { runtime.Goexit(); return nil })
		})
		time.Sleep(2 * breakerOpen)
		c.require(b.call(nil), "after runtime.Goexit in a probe calls are still refused")
	}},
	{"callback-reentrant", "A callback that logs the breaker's counts, or makes a call, must not deadlock on the breaker's own lock.", func(c *checker, build BreakerFactory) {
		var b breakerCheck
		b = c.breaker(build, BreakerSpec{OnStateChange: func(_, _ string) {
			if counter, ok := b.b.(BreakerCounter); ok {
				counter.Counts()
			}
			b.call(nil)
		}})
		b.calls(1, errDown)
		c.require(!b.call(nil), "it did not trip")
	}},
	{"transitions-exact", "Each transition is reported once and in order; metrics and alerts are built on that.", func(c *checker, build BreakerFactory) {
		var heard []string
		b := c.breaker(build, BreakerSpec{OnStateChange: func(from, to string) {
			heard = append(heard, from+">"+to)
		}})
		b.halfOpen()
		b.calls(1, errDown)
		time.Sleep(breakerOpen + 1)
		b.calls(2, nil)
		got, want := fmt.Sprint(heard), "[closed>open open>half-open half-open>open open>half-open half-open>closed]"
		c.require(got == want, "heard %s", got)
	}},
	{"counts-not-stale", "A dashboard of an idle service should not show the failures of an hour ago.", func(c *checker, build BreakerFactory) {
		b := c.breaker(build, BreakerSpec{FailureThreshold: 100, WindowDuration: time.Minute})
		counter := capable[BreakerCounter](c, b.b, "no counts are published")
		b.calls(3, nil)
		b.calls(2, errDown)
		s, f := counter.Counts()
		c.require(s == 3 && f == 2, "3 successes and 2 failures are counted as %d and %d", s, f)
		time.Sleep(time.Hour)
		s, f = counter.Counts()
		c.require(s == 0 && f == 0, "an hour later, with a window of a minute, the counts are still %d and %d", s, f)
	}},
	{leakProperty, "A breaker per host, or per test, must not each leave a ticker or a sleeper behind.", func(c *checker, build BreakerFactory) {
		b := c.breaker(build, BreakerSpec{})
		b.calls(1, errDown)
		b.call(nil)
	}},
}
