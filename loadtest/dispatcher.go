package loadtest

import (
	"math"
	"sync"
	"time"

	"example.com/brunt/loadtest/internal/wake"
)

// dispatcher hands the arrivals of an open loop to workers when they are due. Of idle
// workers the one goes next that was busy last, and one is started only when none is
// idle, so that no more connections are open than there were requests at once. For the
// same reason, of many arrivals that are due it hands out one, and the worker that gets
// it hands out the next once it runs, unless another worker has come free and taken it.
type dispatcher struct {
	run   *run
	timer *wake.Timer
	start func(*worker) // starts a worker that has an arrival in hand

	mu sync.Mutex // never held while a user's code runs
	*arrivals
	idle    []*worker     // the latest at the end
	pending bool          // a worker that has been handed an arrival does not run yet
	waiting bool          // dispatch waits for the workers to have taken what is due
	closed  bool          // no worker gets an arrival any more
	cut     bool          // the run was stopped before its last arrival
	stopped time.Duration // when the schedule ended, or the run was stopped
}

// dispatch returns when the schedule has ended, or the run is over.
func (d *dispatcher) dispatch() {
	for {
		stopped, now := d.run.stopped(), d.run.now()
		at, ended := d.advanceTo(now, stopped)
		if ended {
			return
		}
		d.timer.WaitUntil(at)
	}
}

// advanceTo hands out what is due, and returns when to come again. Once there is nothing
// more to come it lets the workers end.
func (d *dispatcher) advanceTo(now time.Duration, stop bool) (at time.Duration, ended bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if stop {
		d.cut = d.more
		d.cancel(now)
		d.end = now
	}
	d.handOut(now)
	switch {
	case d.isDue(now):
		d.waiting = true
		return math.MaxInt64, false
	case d.more:
		return d.coming.due, false
	case d.end > now:
		return d.end, false
	}
	d.closed, d.stopped = true, d.end
	for _, w := range d.idle {
		close(w.handed)
	}
	d.idle = nil
	return 0, true
}

// handOut hands the next arrival that is due to a worker. The caller holds mu.
func (d *dispatcher) handOut(now time.Duration) {
	if d.pending {
		return
	}
	it, ok := d.take(now)
	if !ok {
		return
	}
	d.pending = true
	n := len(d.idle) - 1
	if n < 0 {
		w := d.run.newWorker()
		w.handed = make(chan arrival, 1)
		w.handed <- it
		d.start(w)
		return
	}
	w := d.idle[n]
	d.idle[n] = nil
	d.idle = d.idle[:n]
	w.handed <- it // there is room: w was idle
}

// accept is called by a worker that has been handed an arrival, once it runs.
func (d *dispatcher) accept(now time.Duration) {
	d.mu.Lock()
	d.pending = false
	d.handOut(now)
	d.unlock(now)
}

// next ends the arrival that w had in hand, and returns another that is due, if one is.
// Otherwise w is idle from then on, or has no more to do.
func (d *dispatcher) next(w *worker, now time.Duration) (arrival, bool) {
	d.mu.Lock()
	defer d.unlock(now)
	d.ended(!w.inHand)
	w.inHand = false
	it, ok := d.take(now)
	switch {
	case ok:
	case d.closed:
		close(w.handed)
	default:
		d.idle = append(d.idle, w)
	}
	return it, ok
}

// unlock unlocks mu, and has dispatch come again if it waits for what was due at now.
func (d *dispatcher) unlock(now time.Duration) {
	wake := d.waiting && !d.isDue(now)
	if wake {
		d.waiting = false
	}
	d.mu.Unlock()
	if wake {
		d.timer.Interrupt()
	}
}

// release ends the last arrival of a worker.
func (d *dispatcher) release(sent bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended(sent)
}

// exhaust ends the schedule because the source has no request for an arrival in hand.
func (d *dispatcher) exhaust() {
	d.mu.Lock()
	d.exhausted()
	d.mu.Unlock()
	d.timer.Interrupt()
}

func (d *dispatcher) inFlight() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open
}

// harvest returns what became of the arrivals since the last call.
func (d *dispatcher) harvest() Counts {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counted()
}
