package resiliencetest

import (
	"context"
	"fmt"
	"runtime"
	"testing/synctest"
	"time"
)

var breakerSuite = []property[BreakerFactory]{
	{
		name:        "trips-on-failures",
		explanation: "FailureThreshold failures trip the breaker, no fewer; after that no call reaches the service.",
		check: func(c *checker, build BreakerFactory) {
			b := c.breaker(build, BreakerSpec{FailureThreshold: 5})
			b.calls(5, errDown)
			c.require(!b.call(nil), "a call was admitted after 5 failures, with FailureThreshold 5")
		},
	},
	{
		name:        "rate-of-failures",
		explanation: "A rate is of failures in all calls. Computed of the wrong count, a threshold of 90 % trips at 10 %.",
		check: func(c *checker, build BreakerFactory) {
			b := c.breaker(build, BreakerSpec{FailureThreshold: 1000, ErrorRateThreshold: 0.9})
			for range 20 {
				b.calls(9, nil)
				b.calls(1, errDown)
			}
		},
	},
	{
		name:        "rate-after-success",
		explanation: "A success can complete the ten calls that make an error rate meaningful. A breaker that looks only after failures stays closed at 90 %.",
		check: func(c *checker, build BreakerFactory) {
			b := c.breaker(build, BreakerSpec{FailureThreshold: 1000, ErrorRateThreshold: 0.9})
			b.calls(9, errDown)
			b.calls(1, nil)
			c.require(!b.call(nil), "9 failures and 1 success did not trip it, with ErrorRateThreshold 0.9")
		},
	},
	{
		name:        "rate-exact",
		explanation: "At exactly the threshold a rate computed in floating point is rounded to either side, so 57 of 100 may be less than 0.57.",
		check: func(c *checker, build BreakerFactory) {
			for total := 10; total <= 100; total += 3 {
				failed := total*4/7 + 1
				b := c.breaker(build, BreakerSpec{FailureThreshold: 1000, ErrorRateThreshold: float64(failed) / float64(total)})
				b.calls(total-failed, nil)
				b.calls(failed, errDown)
				c.require(!b.call(nil), "%d failures in %d calls did not trip it, with that as ErrorRateThreshold", failed, total)
			}
		},
	},
	{
		name:        "window-forgets",
		explanation: "Failures older than the window are no evidence. A ring whose slots are not cleared over an idle gap brings them back to life.",
		check: func(c *checker, build BreakerFactory) {
			for k := range 20 {
				b := c.breaker(build, BreakerSpec{FailureThreshold: 5, WindowDuration: time.Second})
				b.calls(4, errDown)
				time.Sleep(2 * time.Second << k)
				b.calls(4, errDown)
				c.require(b.call(nil), "4 failures before and 4 after a gap of 2^%d windows tripped it, with FailureThreshold 5", k+1)
			}
		},
	},
	{
		name:        "window-keeps",
		explanation: "Clearing old buckets must not take fresh events with them.",
		check: func(c *checker, build BreakerFactory) {
			for k := range 20 {
				b := c.breaker(build, BreakerSpec{FailureThreshold: 5, WindowDuration: time.Second})
				b.calls(4, errDown)
				time.Sleep(2 * time.Second << k)
				b.calls(5, errDown)
				c.require(!b.call(nil), "5 failures at once, after a gap of 2^%d windows, did not trip it", k+1)
			}
		},
	},
	{
		name:        "window-slides",
		explanation: "A fixed window that is cleared all at once misses a burst that straddles the moment it is cleared.",
		check: func(c *checker, build BreakerFactory) {
			for tenth := range time.Duration(20) {
				b := c.breaker(build, BreakerSpec{FailureThreshold: 6, WindowDuration: 10 * time.Second})
				time.Sleep(tenth * time.Second)
				b.calls(3, errDown)
				time.Sleep(time.Second)
				b.calls(3, errDown)
				c.require(!b.call(nil), "6 failures within a tenth of the window, %ds after it was built, did not trip it", tenth)
			}
		},
	},
	{
		name:        "open-refuses",
		explanation: "While open no call reaches the service, for all of OpenStateDuration.",
		check: func(c *checker, build BreakerFactory) {
			b := c.breaker(build, BreakerSpec{})
			b.calls(1, errDown)
			time.Sleep(breakerOpen - 1)
			c.require(!b.call(nil), "a call was admitted 1ns before OpenStateDuration had passed")
		},
	},
	{
		name:        "open-ends",
		explanation: "After OpenStateDuration a call is admitted, and its success closes the breaker.",
		check: func(c *checker, build BreakerFactory) {
			b := c.breaker(build, BreakerSpec{})
			b.halfOpen()
			b.calls(5, nil)
		},
	},
	{
		name:        "open-ends-exactly",
		explanation: "At exactly OpenStateDuration implementations differ; admitting makes RetryAfter a time at which retrying works.",
		check: func(c *checker, build BreakerFactory) {
			b := c.breaker(build, BreakerSpec{})
			b.calls(1, errDown)
			time.Sleep(breakerOpen)
			c.require(b.call(nil), "a call was refused exactly OpenStateDuration after the breaker tripped")
		},
	},
	{
		name:        "probes-limited",
		explanation: "A recovering service must not be met by everybody at once, as it is when all callers of a half-open breaker are admitted.",
		check: func(c *checker, build BreakerFactory) {
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
		},
	},
	{
		name:        "probe-failure-reopens",
		explanation: "A probe that fails says that the service is not well: the full OpenStateDuration begins again.",
		check: func(c *checker, build BreakerFactory) {
			b := c.breaker(build, BreakerSpec{HalfOpenMaxCalls: 3})
			b.halfOpen()
			b.calls(1, nil)
			b.calls(1, errDown)
			time.Sleep(breakerOpen - 1)
			c.require(!b.call(nil), "a call was admitted within OpenStateDuration of a failed probe")
		},
	},
	{
		name:        "probe-hung",
		explanation: "A probe that never returns must not keep the breaker shut for good: its place has to become free without it.",
		check: func(c *checker, build BreakerFactory) {
			b := c.breaker(build, BreakerSpec{})
			b.halfOpen()
			defer b.hang(nil)()
			time.Sleep(10 * breakerOpen)
			c.require(b.call(nil), "10 OpenStateDurations into a hung probe calls are still refused")
		},
	},
	{
		name:        "probe-canceled",
		explanation: "A probe whose caller gave up says nothing, and must return its place.",
		check: func(c *checker, build BreakerFactory) {
			b := c.breaker(build, BreakerSpec{})
			b.halfOpen()
			ctx, cancel := context.WithCancel(c.ctx)
			_ = b.b.Do(ctx, func(ctx context.Context) error { cancel(); return ctx.Err() })
			time.Sleep(2 * breakerOpen)
			c.require(b.call(nil), "after a canceled probe calls are still refused")
		},
	},
	{
		name:        "canceled-not-counted",
		explanation: "A caller who loses interest is no evidence against the service: users closing tabs must not cut off the rest.",
		check: func(c *checker, build BreakerFactory) {
			b := c.breaker(build, BreakerSpec{FailureThreshold: 2})
			for range 5 {
				ctx, cancel := context.WithCancel(c.ctx)
				_ = b.b.Do(ctx, func(ctx context.Context) error { cancel(); return ctx.Err() })
			}
			c.require(b.call(nil), "5 calls canceled by their callers tripped it")
		},
	},
	{
		name:        "late-results-ignored",
		explanation: "A call admitted before the breaker tripped knows only the past. Counted as a probe it closes the breaker while the service is down, or frees a place that is taken.",
		check: func(c *checker, build BreakerFactory) {
			b := c.breaker(build, BreakerSpec{})
			late := b.hang(nil)
			b.halfOpen()
			probe := b.hang(errDown)
			late()
			c.violatedIf(b.call(nil), "the late success of an earlier call let another call past the only probe")
			probe()
		},
	},
	{
		name:        "trips-once",
		explanation: "Failures that were in flight when the breaker tripped must not trip it again, nor extend its time.",
		check: func(c *checker, build BreakerFactory) {
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
		},
	},
	{
		name:        "panic-releases",
		explanation: "A panic in a probe must go on to the caller, count as a failure, and return the probe's place.",
		check: func(c *checker, build BreakerFactory) {
			b := c.breaker(build, BreakerSpec{})
			b.halfOpen()
			c.violatedIf(!panics(func() {
				_ = b.b.Do(c.ctx, func(context.Context) error { panic("probe") })
			}), "a panic did not reach the caller")
			c.violatedIf(b.call(nil), "a probe that panicked did not count as a failure")
			time.Sleep(2 * breakerOpen)
			c.require(b.call(nil), "after a probe panicked calls are still refused")
		},
	},
	{
		name:        "goexit-releases",
		explanation: "runtime.Goexit is how t.FailNow leaves a call: no panic to recover, no return. A breaker that waits for either never hears of the probe again.",
		check: func(c *checker, build BreakerFactory) {
			b := c.breaker(build, BreakerSpec{})
			b.halfOpen()
			<-c.spawn(func() {
				_ = b.b.Do(c.ctx, func(context.Context) error { runtime.Goexit(); return nil })
			})
			time.Sleep(2 * breakerOpen)
			c.require(b.call(nil), "after runtime.Goexit in a probe calls are still refused")
		},
	},
	{
		name:        "callback-reentrant",
		explanation: "A callback that logs the breaker's counts, or makes a call, must not deadlock on the breaker's own lock.",
		check: func(c *checker, build BreakerFactory) {
			var b breakerCheck
			b = c.breaker(build, BreakerSpec{OnStateChange: func(_, _ string) {
				if counter, ok := b.b.(BreakerCounter); ok {
					counter.Counts()
				}
				b.call(nil)
			}})
			b.calls(1, errDown)
			c.require(!b.call(nil), "it did not trip")
		},
	},
	{
		name:        "transitions-exact",
		explanation: "Each transition is reported once and in order; metrics and alerts are built on that.",
		check: func(c *checker, build BreakerFactory) {
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
		},
	},
	{
		name:        "counts-not-stale",
		explanation: "A dashboard of an idle service should not show the failures of an hour ago.",
		check: func(c *checker, build BreakerFactory) {
			b := c.breaker(build, BreakerSpec{FailureThreshold: 100, WindowDuration: time.Minute})
			counter, ok := b.b.(BreakerCounter)
			if !ok {
				c.unsupported("no counts are published")
			}
			b.calls(3, nil)
			b.calls(2, errDown)
			s, f := counter.Counts()
			c.require(s == 3 && f == 2, "3 successes and 2 failures are counted as %d and %d", s, f)
			time.Sleep(time.Hour)
			s, f = counter.Counts()
			c.require(s == 0 && f == 0, "an hour later, with a window of a minute, the counts are still %d and %d", s, f)
		},
	},
	{
		name:        "no-goroutine-left",
		explanation: "A breaker per host, or per test, must not each leave a ticker or a sleeper behind.",
		leaks:       true,
		check: func(c *checker, build BreakerFactory) {
			b := c.breaker(build, BreakerSpec{})
			b.calls(1, errDown)
			b.call(nil)
		},
	},
}
