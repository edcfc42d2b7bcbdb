package loadtest

import (
	"context"
	"errors"
	"time"

	"example.com/brunt/resilience"
)

// rejectPause is how long a worker rests when the breaker has refused its
// request. A refusal takes nanoseconds: without a pause an open breaker would
// turn a closed loop into a spin that eats the source, and the CPU.
const rejectPause = 10 * time.Millisecond

// guard puts an engine's breaker and retry policy around the attempts of one
// worker. It is the worker's own.
type guard struct {
	worker  *worker
	breaker *resilience.CircuitBreaker
	retry   *resilience.RetryPolicy
	call    func(context.Context) error // tries req once; made once, because a closure allocates

	// The request in hand.
	req      *Request
	began    time.Duration
	attempts int
	last     outcome
}

func newGuard(w *worker) *guard {
	g := &guard{worker: w, breaker: w.run.core.breaker, retry: w.run.core.retry}
	g.call = g.try
	return g
}

// send makes as many attempts as the policies allow, and returns how the last
// ended. Without an attempt the class tells why: ClassRejected or ClassCanceled.
func (g *guard) send(req *Request, began time.Duration) (outcome, int) {
	g.req, g.began, g.attempts, g.last = req, began, 0, outcome{}
	var err error
	if g.retry != nil {
		err = g.retry.Execute(g.worker.run.ctx, g.call, resilience.WithBreaker(g.breaker))
	} else {
		err = g.breaker.Do(g.worker.run.ctx, g.call)
	}
	if g.attempts == 0 {
		class := ClassCanceled
		if errors.Is(err, resilience.ErrOpen) {
			class = ClassRejected
		}
		return outcome{err: err, class: class}, 0
	}
	return g.last, g.attempts
}

// try makes one attempt and tells the policies what it came to.
func (g *guard) try(context.Context) error {
	began := g.began
	if g.attempts > 0 {
		began = g.worker.run.now()
	}
	g.attempts++
	g.last = g.worker.attempt(g.req, began)
	switch out := &g.last; {
	case out.class == ClassCanceled:
		return context.Canceled // the run's end, whatever the client makes of it
	case out.err != nil:
		return out.err
	case out.class == ClassStatus && resilience.HTTPFailure(out.resp.StatusCode):
		after, _ := resilience.ParseRetryAfter(out.resp.Header.Get("Retry-After"), time.Now())
		return &resilience.StatusError{Code: out.resp.StatusCode, After: after}
	}
	return nil
}

// pause rests after a rejection, unless the run ends.
func (g *guard) pause() {
	timer := time.NewTimer(rejectPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-g.worker.run.ctx.Done():
	}
}
