package loadtest

import (
	"math"
	"sync"
	"time"

	"example.com/brunt/loadtest/internal/openloop"
	"example.com/brunt/loadtest/internal/wake"
)

// dispatcher hands the arrivals of an open loop to workers when they are due. Of idle
// workers the one goes next that was busy last, and one is started only when none is
// idle, so that no more connections are open than there were requests at once. For the
// same reason, of many arrivals that are due it hands out one, and the idle worker that
// gets it hands out the next once it runs, unless another worker has come free and taken
// it. Where none is idle, it lets all run whose responses have come before it starts one
// more: otherwise a generator that is late would open connection after connection, which
// takes more of its time than to use those that it has, and be later still.
type dispatcher struct {
	run   *run
	timer *wake.Timer
	start func(*worker) // starts a worker that has an arrival in hand

	mu sync.Mutex // never held while a user's code runs
	*openloop.Arrivals
	idle    []*worker     // the latest at the end
	pending bool          // a worker that has been handed an arrival does not run yet
	waiting bool          // dispatch waits for workers, each of which hands out the next arrival
	closed  bool          // no worker gets an arrival any more
	cut     bool          // the run was stopped before its last arrival
	stopped time.Duration // when the schedule ended, or the run was stopped
}

// dispatch returns when the schedule has ended, or the run is over.
func (d *dispatcher) dispatch() {
	for {
		stopped, now := d.run.stopped(), d.run.now()
		switch at := d.advanceTo(now, stopped); {
		case at < 0:
			return
		case at <= now:
			d.timer.Yield()
		default:
			d.timer.WaitUntil(at)
		}
	}
}

// advanceTo hands out what is due, and returns when to come again. Once there is nothing
// more to come it lets the workers end, and returns -1.
func (d *dispatcher) advanceTo(now time.Duration, stop bool) (at time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if stop {
		d.cut = d.More
		d.Cancel(now)
	}
	if !d.handOut(now) && !d.pending && d.IsDue(now) {
		d.startWorker(now)
	}
	switch {
	case d.IsDue(now) && d.pending && len(d.idle) > 0:
		d.waiting = true
		return math.MaxInt64
	case d.More:
		return d.Coming.Due
	case d.End > now:
		return d.End
	}
	d.closed, d.stopped = true, d.End
	for _, w := range d.idle {
		close(w.handed)
	}
	d.idle = nil
	return -1
}

// handOut hands the next arrival that is due to an idle worker and reports whether it
// has. The caller holds mu.
func (d *dispatcher) handOut(now time.Duration) bool {
	n := len(d.idle) - 1
	if d.pending || n < 0 {
		return false
	}
	it, ok := d.take(now)
	if !ok {
		return false
	}
	w := d.idle[n]
	d.idle[n] = nil
	d.idle = d.idle[:n]
	d.pending = true
	w.handed <- it // there is room: w was idle
	return true
}

// take returns the next arrival to be sent, and tells the source its number. The caller
// holds mu.
func (d *dispatcher) take(now time.Duration) (openloop.Arrival, bool) {
	it, ok := d.Take(now)
	if ok {
		d.run.feed.want(it.Number)
	}
	return it, ok
}

// startWorker starts a worker with the next arrival. The caller holds mu.
func (d *dispatcher) startWorker(now time.Duration) {
	it, ok := d.take(now)
	if !ok {
		return
	}
	w := d.run.newWorker()
	w.handed = make(chan openloop.Arrival, 1)
	w.handed <- it
	d.pending = true
	d.start(w)
}

// accept is called by a worker that has been handed an arrival, once it runs. If it cannot
// hand out the next, dispatch does.
func (d *dispatcher) accept(now time.Duration) {
	d.mu.Lock()
	d.pending = false
	wake := !d.handOut(now) && d.waiting
	if wake {
		d.waiting = false
	}
	d.mu.Unlock()
	if wake {
		d.timer.Interrupt()
	}
}

// next ends the arrival that w had in hand, and returns another that is due, if one is.
// Otherwise w is idle from then on, or has no more to do.
func (d *dispatcher) next(w *worker, now time.Duration) (openloop.Arrival, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Ended(!w.inHand, w.excluded)
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

// release ends the last arrival of a worker.
func (d *dispatcher) release(w *worker, sent bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Ended(sent, w.excluded)
}

// exhaust ends the schedule because the source has no request for an arrival in hand.
func (d *dispatcher) exhaust(w *worker) {
	d.mu.Lock()
	d.Exhausted(w.excluded)
	d.mu.Unlock()
	d.timer.Interrupt()
}

func (d *dispatcher) inFlight() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.Open
}

// harvest returns what became of the arrivals since the last call.
func (d *dispatcher) harvest() (counted, excluded Counts) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a, b := d.Counted()
	return arrivalCounts(a), arrivalCounts(b)
}

func arrivalCounts(c openloop.Counts) Counts {
	return Counts{Scheduled: c.Scheduled, Missed: c.Missed, Dropped: c.Dropped, Canceled: c.Canceled}
}
