// Package wake wakes a goroutine at given instants without keeping a CPU busy.
//
// Go's own timers are up to 1 ms late in a process that is idle otherwise: its poller
// waits for whole milliseconds. On Linux a [Timer] has a timerfd(2) of its own, read
// through that poller, so that no thread waits for it. It asks to be woken a little
// early, by as much as its wake-ups have turned out to be late, and looks at the clock
// for the rest of the time: a few microseconds in one wait of four.
//
// How late waits ended on a virtual machine with two CPUs (AMD EPYC, Linux 6.18), with
// priority over what else ran, by BenchmarkLateness:
//
//	              1,000 waits a second      10,000 waits a second
//	              median       99 %         median       99 %
//	Linux         3 µs         46–85 µs     1–2 µs       0.2–0.5 ms
//	time.Timer    0.5 ms       1.03 ms      0.5 ms       1.03 ms
//
// A wait takes 18 to 28 µs of CPU time there, and 22 in a loop in C: it is what the
// kernel needs to set the clock of a virtual CPU, and to have that sleep and wake up.
//
// Elsewhere, where no descriptor is to be had, and in a testing/synctest bubble, where
// instants are exact, it is a [time.Timer].
//
// Neither helps while other goroutines occupy all of GOMAXPROCS: the scheduler looks at
// timers and at its poller when one of them pauses, which it makes them do every 10 ms.
package wake

import (
	"runtime"
	"sync/atomic"
	"time"
)

// A Timer wakes one goroutine at instants, which are told from a base on.
type Timer struct {
	base        time.Time
	fd          *timerFD
	timer       *time.Timer // where there is no fd
	signal      chan struct{}
	lead        lead // of the fd
	interrupted atomic.Bool
	closed      atomic.Bool
}

// New returns a Timer whose instants are told from base on, a value of [time.Now].
// A base before 2009 is one of a testing/synctest bubble, which begins in 2000; there
// New must be called within the bubble.
func New(base time.Time) *Timer {
	if base.Year() < 2009 {
		return withoutFD(base)
	}
	t := &Timer{base: base}
	if t.fd = newTimerFD(t.called); t.fd == nil {
		return withoutFD(base)
	}
	return t
}

// withoutFD returns a Timer that is one of the Go runtime.
func withoutFD(base time.Time) *Timer {
	t := &Timer{base: base, timer: time.NewTimer(time.Hour), signal: make(chan struct{}, 1)}
	t.timer.Stop()
	return t
}

// WaitUntil waits until at has passed since the base and reports whether it has. It
// returns false, even if at has passed, if Interrupt was called meanwhile or since the
// last wait that was interrupted, or once the timer is closed. One goroutine may wait
// at a time.
func (t *Timer) WaitUntil(at time.Duration) bool {
	for slept := false; ; {
		left := at - time.Since(t.base)
		if slept {
			t.lead.learn(left)
		}
		switch slept = false; {
		case t.closed.Load(), t.interrupted.CompareAndSwap(true, false):
			return false
		case left <= 0:
			return true
		case t.fd == nil:
			t.sleep(left)
		case left > t.lead.d:
			t.fd.sleep(min(left-t.lead.d, time.Hour)) // not every system can set it to centuries
			slept = true
		}
	}
}

// Yield lets other goroutines run, with a timerfd also those whose connections have
// become ready: the poller that it waits at is the one that wakes them. It takes no time
// in a testing/synctest bubble.
func (t *Timer) Yield() {
	if t.fd == nil || t.closed.Load() {
		runtime.Gosched()
		return
	}
	t.fd.sleep(1)
}

// sleep returns after d, or when called.
func (t *Timer) sleep(d time.Duration) {
	t.timer.Reset(d)
	defer t.timer.Stop()
	select {
	case <-t.timer.C:
	case <-t.signal:
	}
}

// Interrupt ends the wait under way, or else the next one. Several calls before a wait
// ends are one. It may be called by any goroutine, at any time.
func (t *Timer) Interrupt() {
	t.interrupted.Store(true)
	t.call()
}

// Close ends the wait under way and all later ones, and frees the timer's descriptor.
// It may be called by any goroutine, more than once.
func (t *Timer) Close() error {
	if t.closed.Swap(true) {
		return nil
	}
	if t.fd != nil {
		return t.fd.close()
	}
	t.call()
	return nil
}

// called reports whether a wait is to end early.
func (t *Timer) called() bool { return t.interrupted.Load() || t.closed.Load() }

// call ends the sleep under way.
func (t *Timer) call() {
	if t.fd != nil {
		t.fd.wake()
		return
	}
	select {
	case t.signal <- struct{}{}:
	default:
	}
}

const (
	maxLead  = 50 * time.Microsecond
	leadStep = 100 * time.Nanosecond
)

// A lead is how much earlier than it is needed a wake-up is asked for: so much that
// one in four comes early.
type lead struct{ d time.Duration }

// learn takes what was left of a wait when it was woken, and is 0 or below if that
// was too late.
func (l *lead) learn(left time.Duration) {
	if left > 0 {
		l.d = max(l.d-3*leadStep, 0)
	} else {
		l.d = min(l.d+leadStep, maxLead)
	}
}
