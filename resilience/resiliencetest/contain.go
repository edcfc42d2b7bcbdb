package resiliencetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const (
	// wallLimit is how long, in real time, a check may take before it counts as
	// hung. It exists for deadlocks on a mutex, which stop virtual time; a
	// check takes milliseconds.
	wallLimit = 10 * time.Second

	// virtualLimit is the same in the bubble's time. No check sleeps as long.
	virtualLimit = 365 * 24 * time.Hour

	// leaveLimit is how long, in real time, the goroutines of a check that has
	// ended may take to end too.
	leaveLimit = 500 * time.Millisecond
)

// property is one line of a suite for implementations built by an F.
type property[F any] struct {
	name        string
	explanation string
	check       func(c *checker, build F)
}

// leakProperty is the one that goroutines left behind violate. Elsewhere they are
// overlooked, so that one fault is not reported as twenty.
const leakProperty = "no-goroutine-left"

// checker records what a check sees. Its methods may be called from any
// goroutine, except stop and those that use it.
type checker struct {
	ctx context.Context // ends when the check is over or has hung

	mu  sync.Mutex
	res Result
}

// stopped is panicked with to end a check early.
type stopped struct{}

func (c *checker) set(s Status, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.res.Status == 0 {
		c.res.Status, c.res.Details = s, fmt.Sprintf(format, args...)
	}
}

// violated records a violation; the first one is kept.
func (c *checker) violated(format string, args ...any) { c.set(Violated, format, args...) }

// require ends the check with a violation unless ok.
func (c *checker) require(ok bool, format string, args ...any) {
	if !ok {
		c.violated(format, args...)
		panic(stopped{})
	}
}

// violatedIf records a violation if bad, and lets the check go on.
func (c *checker) violatedIf(bad bool, format string, args ...any) {
	if bad {
		c.violated(format, args...)
	}
}

// unsupported ends the check without a verdict.
func (c *checker) unsupported(what string) {
	c.set(Unsupported, "%s", what)
	panic(stopped{})
}

// built ends the check unless err, of a factory, is nil.
func (c *checker) built(err error) {
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		c.unsupported(err.Error())
	default:
		c.require(err == nil, "the factory failed: %v", err)
	}
}

// capable returns the implementation as one that has an optional capability, or ends
// the check without a verdict.
func capable[C any](c *checker, implementation any, lacking string) C {
	able, ok := implementation.(C)
	if !ok {
		c.unsupported(lacking)
	}
	return able
}

// caught runs f and turns a panic into a result.
func (c *checker) caught(f func()) {
	defer func() {
		switch v := recover().(type) {
		case nil, stopped:
		default:
			c.set(Panicked, "%v", v)
		}
	}()
	f()
}

// spawn runs f on a goroutine of the bubble. It ends when f does.
func (c *checker) spawn(f func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.caught(f)
	}()
	return done
}

// run checks one property, for at most wall of real time, and contains what can
// be contained.
func run[F any](t *testing.T, p property[F], build F, wall time.Duration) Result {
	t.Helper()
	c := &checker{}
	checked := make(chan struct{}) // the verdict is in
	left := make(chan struct{})    // and the bubble has no goroutine any more
	var leak any
	go func() { // ends with the bubble; if that hangs it is left behind
		defer close(left)
		// The bubble panics here if goroutines remain that can never go on.
		defer func() { leak = recover() }()
		synctest.Test(t, func(*testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			c.ctx = ctx
			body := c.spawn(func() { p.check(c, build) })
			select {
			case <-body:
			case <-time.After(virtualLimit):
				c.set(Hung, "stuck in virtual time")
			}
			cancel() // lets go whoever minds
			close(checked)
		})
	}()

	select {
	case <-checked:
		select {
		case <-left:
			c.violatedIf(p.name == leakProperty && leak != nil, "goroutines are left behind, blocked or asleep")
		case <-time.After(leaveLimit):
			c.violatedIf(p.name == leakProperty, "goroutines are left behind, still running")
		}
	case <-time.After(wall):
		c.set(Hung, "stuck, on a mutex or in a loop")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.res.Status == 0 {
		c.res.Status = Holds
	}
	c.res.Property, c.res.Explanation = p.name, p.explanation
	return c.res
}

func checkAll[F any](t *testing.T, suite []property[F], build F, wall time.Duration) Report {
	t.Helper()
	var r Report
	for _, p := range suite {
		r = append(r, run(t, p, build, wall))
	}
	return r
}

func testAll[F any](t *testing.T, suite []property[F], build F, accepted []Deviation) {
	t.Helper()
	var names []string
	for _, p := range suite {
		names = append(names, p.name)
	}
	reasons := acceptedReasons(t, names, accepted)
	for _, p := range suite {
		t.Run(p.name, func(t *testing.T) {
			t.Helper() // what is reported stands at the line that called the suite
			reason, accepted := reasons[p.name]
			judge(t, run(t, p, build, wallLimit), accepted, reason)
		})
	}
}

// panics reports whether f panics.
func panics(f func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	f()
	return false
}
