package loadtest

import (
	"context"
	"errors"
	"time"

	"example.com/brunt/resilience"
)

// rejectPause is how long a worker pauses when the breaker has refused its request. A
// refusal takes nanoseconds: without a pause an open breaker would turn a closed loop
// into a spin that eats the source, and the CPU.
const rejectPause = 10 * time.Millisecond

// policies puts an engine's breaker and retry policy around the attempts of one
// worker. It is the worker's own.
type policies struct {
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

func newPolicies(w *worker) *policies {
	p := &policies{worker: w, breaker: w.run.engine.breaker, retry: w.run.engine.retry}
	p.call = p.try
	return p
}

// send makes as many attempts as the policies allow, and returns how many. How the last
// ended is in *out; without an attempt the class tells why: ClassRejected or ClassCanceled.
func (p *policies) send(req *Request, began time.Duration, out *outcome) int {
	p.req, p.began, p.attempts, p.last = req, began, 0, outcome{}
	var err error
	if p.retry != nil {
		err = p.retry.Execute(p.worker.run.ctx, p.call, resilience.WithBreaker(p.breaker))
	} else {
		err = p.breaker.Do(p.worker.run.ctx, p.call)
	}
	if p.attempts == 0 {
		class := ClassCanceled
		if errors.Is(err, resilience.ErrOpen) {
			class = ClassRejected
		}
		p.last = outcome{err: err, class: class}
	}
	*out = p.last
	return p.attempts
}

// try makes one attempt and returns its outcome as the policies see it.
func (p *policies) try(context.Context) error {
	began := p.began
	if p.attempts > 0 {
		began = p.worker.run.now()
	}
	p.attempts++
	p.worker.attempt(p.req, began, &p.last)
	switch out := &p.last; {
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

// pause waits after a rejection, unless the run ends.
func (p *policies) pause() {
	timer := time.NewTimer(rejectPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.worker.run.ctx.Done():
	}
}
