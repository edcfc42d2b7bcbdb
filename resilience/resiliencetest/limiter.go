package resiliencetest

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// LimiterSpec asks a factory for a concurrency limiter.
type LimiterSpec struct {
	MaxConcurrent  int           // permits
	AcquireTimeout time.Duration // bound on each wait; 0 = none but the context
}

// Limiter is a concurrency limiter under test.
type Limiter interface {
	Acquire(ctx context.Context) error // nil: a permit is held
	Release()
}

// LimiterResizer is implemented by adapters of limiters that can be resized.
type LimiterResizer interface {
	SetMaxConcurrent(n int) error
}

// LimiterTrier is implemented by adapters of limiters that can be asked without
// waiting.
type LimiterTrier interface {
	TryAcquire() bool
}

// LimiterFactory builds a fresh limiter. An error matching
// [errors.ErrUnsupported] says that the implementation cannot do what the spec
// asks.
type LimiterFactory func(LimiterSpec) (Limiter, error)

// TestLimiter fails a subtest of t for every property that limiters from build
// do not have, and skips those that accepted names, with the reason.
func TestLimiter(t *testing.T, build LimiterFactory, accepted ...Deviation) {
	t.Helper()
	testAll(t, limiterSuite, build, accepted)
}

// CheckLimiter reports which properties limiters from build have. It uses t only
// to make bubbles.
func CheckLimiter(t *testing.T, build LimiterFactory) Report {
	t.Helper()
	return checkAll(t, limiterSuite, build, wallLimit)
}

// limiterCheck is a limiter together with the check it is used in.
type limiterCheck struct {
	*checker
	l Limiter
}

func (c *checker) limiter(build LimiterFactory, permits int, timeout time.Duration) limiterCheck {
	l, err := build(LimiterSpec{MaxConcurrent: permits, AcquireTimeout: timeout})
	c.built(err)
	return limiterCheck{c, l}
}

// take acquires a permit that must be free.
func (l limiterCheck) take() {
	began := time.Now()
	err := l.l.Acquire(l.ctx)
	l.require(err == nil && time.Since(began) == 0, "a permit was free, and Acquire returned after %v with error %v", time.Since(began), err)
}

// free reports how many of n more permits can be had without waiting; it keeps
// none.
func (l limiterCheck) free(n int) int {
	ctx, cancel := context.WithCancel(l.ctx)
	var got atomic.Int32
	for range n {
		l.spawn(func() {
			if l.l.Acquire(ctx) == nil {
				got.Add(1)
			}
		})
	}
	synctest.Wait()
	free := int(got.Load())
	cancel()
	synctest.Wait()
	for range got.Load() {
		_ = panics(l.l.Release) // a limiter that has lost count may; the count tells
	}
	synctest.Wait()
	return free
}

// wait acquires in the background. The result is sent once.
func (l limiterCheck) wait(ctx context.Context) <-chan error {
	res := make(chan error, 1)
	l.spawn(func() { res <- l.l.Acquire(ctx) })
	synctest.Wait()
	return res
}

var limiterSuite = []property[LimiterFactory]{
	{"limit-holds", "No more than MaxConcurrent callers are inside at once, and no fewer can be.", func(c *checker, build LimiterFactory) {
		l := c.limiter(build, 3, 0)
		var inside, through atomic.Int32
		for range 50 {
			c.spawn(func() {
				if l.l.Acquire(c.ctx) != nil {
					return
				}
				defer l.l.Release()
				inside.Add(1)
				time.Sleep(time.Second)
				inside.Add(-1)
				through.Add(1)
			})
		}
		synctest.Wait()
		for second := range int32(16) { // all change places together
			n := inside.Load()
			c.require(n == 3, "%d callers were inside at once, with MaxConcurrent 3", n)
			time.Sleep(time.Second)
			synctest.Wait()
			c.require(through.Load() == 3*(second+1), "%d callers were through after %ds", through.Load(), second+1)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		c.require(l.free(4) == 3, "afterwards %d permits are free, not 3", l.free(4))
	}},
	{"fifo", "Callers are admitted in arrival order; otherwise an unlucky one starves under load.", func(c *checker, build LimiterFactory) {
		l := c.limiter(build, 1, 0)
		l.take()
		order := make(chan int, 20)
		for i := range 20 {
			c.spawn(func() {
				if l.l.Acquire(c.ctx) == nil {
					order <- i
					l.l.Release()
				}
			})
			synctest.Wait()
		}
		l.l.Release()
		synctest.Wait()
		close(order)
		var got []int
		for i := range order {
			got = append(got, i)
		}
		c.require(len(got) == 20 && slices.IsSorted(got), "20 callers were admitted in the order %v", got)
	}},
	{"no-barging", "A caller that will not wait must not overtake those that do.", func(c *checker, build LimiterFactory) {
		l := c.limiter(build, 1, 0)
		trier := capable[LimiterTrier](c, l.l, "no TryAcquire")
		l.take()
		waiting := l.wait(c.ctx)
		l.l.Release() // to the waiter, which has not run yet
		c.require(!trier.TryAcquire(), "TryAcquire took the permit of a caller that was waiting")
		c.require(<-waiting == nil, "the waiter got nothing")
		l.l.Release()
		c.require(trier.TryAcquire(), "TryAcquire found no permit though one is free")
		c.require(!trier.TryAcquire(), "TryAcquire found a permit though none is free")
	}},
	{"canceled-context-fails", "A context that has ended fails even if permits are free (golang/go#63615): its caller has gone.", func(c *checker, build LimiterFactory) {
		l := c.limiter(build, 2, 0)
		ctx, cancel := context.WithCancel(c.ctx)
		cancel()
		for range 50 {
			err := l.l.Acquire(ctx)
			c.require(errors.Is(err, context.Canceled), "with a canceled context and free permits Acquire returned %v", err)
		}
		c.require(l.free(3) == 2, "a refused Acquire kept a permit")
	}},
	{"cancel-ends-wait", "A waiting caller leaves as soon as its context ends, and leaves nothing behind.", func(c *checker, build LimiterFactory) {
		l := c.limiter(build, 1, 0)
		l.take()
		ctx, cancel := context.WithTimeout(c.ctx, time.Minute)
		defer cancel()
		began := time.Now()
		var err error
		select {
		case err = <-l.wait(ctx):
		case <-time.After(time.Hour):
			c.require(false, "an hour later the wait has not ended")
		}
		c.require(errors.Is(err, context.DeadlineExceeded), "the wait ended with %v", err)
		c.require(time.Since(began) == time.Minute, "the wait ended after %v, its context after 1m", time.Since(began))
		l.l.Release()
		c.require(l.free(2) == 1, "after a canceled wait %d permits are free, not 1", l.free(2))
	}},
	{"canceled-front-wakes-next", "When the front waiter is canceled in the instant it is granted, the permit goes to the next (golang/go#37852), or all wait for nothing.", func(c *checker, build LimiterFactory) {
		for range 100 { // which of the two the waiter sees first is chance
			l := c.limiter(build, 1, 0)
			l.take()
			ctx, cancel := context.WithCancel(c.ctx)
			first, second := l.wait(ctx), l.wait(c.ctx)
			cancel()
			l.l.Release()
			synctest.Wait()
			if <-first == nil {
				l.l.Release()
			}
			synctest.Wait()
			select {
			case err := <-second:
				c.require(err == nil, "the second waiter ended with %v", err)
			default:
				c.require(false, "the permit is free and the second waiter still waits")
			}
			l.l.Release()
			c.require(l.free(2) == 1, "afterwards %d permits are free, not 1", l.free(2))
		}
	}},
	{"timeout-exact", "A wait ends after AcquireTimeout, with an error that is not the context's, which has not ended.", func(c *checker, build LimiterFactory) {
		l := c.limiter(build, 1, time.Second)
		l.take()
		for range 3 {
			began := time.Now()
			err := <-l.wait(c.ctx)
			c.require(err != nil, "Acquire found a permit though none is free")
			c.require(time.Since(began) == time.Second, "the wait ended after %v, with AcquireTimeout 1s", time.Since(began))
			c.require(!errors.Is(err, context.Canceled), "the error is %v though nobody canceled", err)
		}
		l.l.Release()
		c.require(l.free(2) == 1, "after timeouts %d permits are free, not 1", l.free(2))
	}},
	{"timeout-not-while-free", "A caller that need not wait cannot time out, however short AcquireTimeout is.", func(c *checker, build LimiterFactory) {
		l := c.limiter(build, 1, 1)
		for range 1000 {
			l.take()
			l.l.Release()
		}
	}},
	{"over-release-panics", "A Release too many would admit one caller too many for ever; it is a bug to be heard of.", func(c *checker, build LimiterFactory) {
		l := c.limiter(build, 2, 0)
		l.take()
		l.l.Release()
		c.violatedIf(!panics(l.l.Release), "Release without a permit did not panic")
		c.require(l.free(3) == 2, "afterwards %d permits are free, not 2", l.free(3))
	}},
	{"resize", "A raised limit admits waiters at once; a lowered one admits nobody until enough have left.", func(c *checker, build LimiterFactory) {
		l := c.limiter(build, 1, 0)
		r := capable[LimiterResizer](c, l.l, "cannot be resized")
		l.take()
		var admitted atomic.Int32
		for range 4 {
			c.spawn(func() {
				if l.l.Acquire(c.ctx) == nil {
					admitted.Add(1)
				}
			})
		}
		expect := func(n int32, when string) {
			synctest.Wait()
			c.require(admitted.Load() == n, "%d of 4 waiters were admitted %s, not %d", admitted.Load(), when, n)
		}
		expect(0, "at first")
		c.require(r.SetMaxConcurrent(3) == nil, "the resize to 3 failed")
		expect(2, "by raising the limit from 1 to 3")
		c.require(r.SetMaxConcurrent(2) == nil, "the resize to 2 failed")
		l.l.Release()
		expect(2, "after the limit was lowered to 2 and one of 3 left")
		l.l.Release()
		expect(3, "after two of 3 left")
		c.violatedIf(r.SetMaxConcurrent(0) == nil, "a limit of 0 was accepted")
	}},
	{leakProperty, "Waiting must not leave goroutines or timers behind, nor must building a limiter.", func(c *checker, build LimiterFactory) {
		l := c.limiter(build, 1, time.Second)
		l.take()
		if err := <-l.wait(c.ctx); err == nil {
			c.violated("Acquire found a permit though none is free")
		}
		l.l.Release()
	}},
}
