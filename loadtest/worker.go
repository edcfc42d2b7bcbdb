package loadtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"example.com/brunt/loadtest/internal/deadline"
	"example.com/brunt/loadtest/internal/httpreq"
	"example.com/brunt/loadtest/internal/openloop"
	"example.com/brunt/resilience"
)

// worker sends one request at a time. Its fields are its own, but for the slot.
type worker struct {
	run      *run
	session  Session
	fn       func(context.Context) error // of a Func client
	out      *buffer
	ctx      context.Context
	call     *callContext          // ctx, for functions; nil before the first
	ended    time.Duration         // when its last request ended, since the run's base
	sinking  time.Duration         // how long it has waited for the sink and been in it
	batch    int                   // how many requests to claim at once
	policies *policies             // nil without breaker and retry
	handed   chan openloop.Arrival // by the dispatcher of an open loop, one at a time; nil in a closed one
	lag      time.Duration         // of the arrival in hand
	turn     int64                 // number of the arrival in hand, or of the source's request in a closed loop: Exclude goes by it
	extra    *extra                // nil before the first that has some
	inHand   bool                  // an arrival that has not been counted
	excluded bool                  // the arrival in hand is not to be counted
	foreign  bool                  // the session is of a client that is not ours
	seen     [numClasses]bool
	items    []item // has room for a batch
	few      [2]item
	slot     deadline.Slot
	phases   *phaseTimes // of the request in hand; nil before the first that has some
	// Workers are whole cache lines, so that none shares one.
}

const (
	// Workers claim requests in batches: up to maxBatch while a batch takes less than
	// quickBatch, one at a time once it takes more than slowBatch.
	maxBatch   = 64
	quickBatch = 50 * time.Microsecond
	slowBatch  = 200 * time.Microsecond
)

func (w *worker) main() {
	orderly := false
	defer func() {
		if !orderly {
			w.run.recordPanic(recover())
		}
		if w.inHand {
			w.run.dispatcher.release(w, false)
		}
		w.slot.Close()
		if w.session != nil {
			w.run.engine.putSession(w.session, !orderly)
		}
		w.run.active.Add(-1)
	}()
	w.renew()
	if w.handed == nil {
		w.loop()
	} else {
		w.serve()
	}
	orderly = true
}

// serve sends the arrivals that the dispatcher of an open loop hands out.
func (w *worker) serve() {
	d := w.run.dispatcher
	for it := range w.handed {
		d.accept(w.run.now())
		for ok := true; ok; it, ok = d.next(w, w.run.now()) {
			if !w.arrive(it) {
				return
			}
		}
	}
}

// arrive sends the request of an arrival, and reports whether there may be more.
func (w *worker) arrive(it openloop.Arrival) bool {
	r := w.run
	w.turn, w.inHand, w.excluded = it.Number, true, r.counted.excludes(it.Number, it.Due)
	if err := w.ensureSession(); err != nil {
		r.halt(err)
		return false
	}
	if r.feed.at(it.Number, w.items[:1]) == 0 {
		w.inHand = false
		r.dispatcher.exhaust(w)
		return false
	}
	now := r.now()
	if r.over(now) {
		return false
	}
	w.lag = max(now-it.Due, 0)
	w.send(w.items[0], now)
	return true
}

// adopt gives the worker its session.
func (w *worker) adopt(s Session) {
	w.session, w.foreign = s, false
	switch s := s.(type) {
	case funcSession:
		w.fn = s.fn
	case *httpSession, *wireSession:
	default:
		w.foreign = true
	}
}

// ensureSession gets the worker a session, unless it has one.
func (w *worker) ensureSession() error {
	if w.session != nil {
		return nil
	}
	s, err := w.run.engine.getSession()
	if err == nil {
		w.adopt(s)
	}
	return err
}

// releaseSession gives the session back while the worker has nothing to send.
func (w *worker) releaseSession() {
	if s := w.session; s != nil {
		w.session = nil
		w.run.engine.putSession(s, false)
	}
}

func (w *worker) loop() {
	r, share := w.run, len(w.run.workers)
	now := r.now()
	for !r.over(now) {
		n := r.feed.claim(w.items[:w.batch], share)
		if n == 0 {
			return
		}
		now = r.now()
		start := now
		for i, it := range w.items[:n] {
			if r.over(now) {
				return
			}
			if err := w.ensureSession(); err != nil {
				r.halt(err)
				return
			}
			began := now
			w.turn = it.number
			now = w.send(it, now)
			if now-began > slowBatch && i+1 < n {
				// What was quick has become slow: let idle workers share the rest.
				r.feed.unclaim(w.items[i+1 : n])
				break
			}
		}
		switch spent := now - start; {
		case spent < quickBatch && w.batch < maxBatch:
			if w.batch *= 2; w.batch > len(w.items) {
				w.growBuffers()
			}
		case spent > slowBatch && w.batch > 1:
			w.batch /= 2
		}
	}
}

// growBuffers gives a worker whose requests take microseconds larger buffers, which pay
// only then.
func (w *worker) growBuffers() {
	w.items = make([]item, maxBatch)
	w.out.widen()
}

// outcome is the result of an attempt.
type outcome struct {
	resp  Response
	err   error
	class ErrorClass
	ended time.Duration
}

// attempt sends req once, beginning at began. What becomes of it is in *out.
func (w *worker) attempt(req *Request, began time.Duration, out *outcome) {
	if w.run.tracer != nil {
		w.extra.trace.attempt()
	}
	w.slot.Begin(began)
	if fn := w.function(req); fn != nil {
		out.resp, out.err = Response{}, fn(w.call)
	} else {
		sent := req
		if w.foreign {
			sent = w.extra.request(req)
		}
		out.resp, out.err = w.session.Do(w.ctx, sent)
	}
	out.ended = w.run.now()
	if !w.slot.End(began) {
		out.err = w.expire(out.err)
	}
	out.class = ClassNone
	switch {
	case out.err != nil:
		out.class = w.classify(out.err)
	case req.wrong(out.resp.StatusCode) && !w.extra.redirected(&out.resp):
		out.class = ClassStatus
	}
	w.ended = out.ended
}

// function returns what is called in place of sending req, with w.call, if anything is:
// that of the request, or of a Func client.
func (w *worker) function(req *Request) func(context.Context) error {
	fn := req.Func
	if fn == nil {
		fn = w.fn
	}
	if fn != nil && w.call == nil {
		w.call = &callContext{w.ctx, w}
	}
	return fn
}

// send sends one request that begins at began, or has a user do so with many, and returns
// when the next may begin.
func (w *worker) send(it item, began time.Duration) time.Duration {
	w.run.due(w.turn, began-w.lag)
	if it.req.Scenario != nil {
		return w.walk(it, began)
	}
	var out outcome
	return w.exchange(it, began, &out)
}

// exchange sends one request that begins at began, counts what becomes of it, which is in
// *out then, and returns when the next may begin.
func (w *worker) exchange(it item, began time.Duration, out *outcome) time.Duration {
	if t := w.run.tracer; t != nil {
		t.begin(it.req, &w.extras().trace)
	}
	attempts := 1
	if w.policies == nil {
		w.attempt(it.req, began, out)
	} else if attempts = w.policies.send(it.req, began, out); attempts == 0 {
		return w.refuse(it, began, out)
	}
	if user := w.extra.sender(); user != nil {
		user.requests++
	}
	now, dirty := out.ended, false
	if out.class == ClassNone && it.req.Check != nil && !w.extra.redirected(&out.resp) {
		if out.err = it.req.Check(out.resp); out.err != nil {
			out.class = ClassCheck
		}
		dirty = true
	}
	x := sample{
		latency: now - began, lag: w.lag, bytes: out.resp.Bytes, retries: uint16(min(attempts-1, math.MaxUint16)),
		status: uint16(out.resp.StatusCode), endpoint: int8(it.endpoint), class: out.class,
		byUser: w.extra.sender() != nil, excluded: w.excludes(began),
	}
	if out.class == ClassNone && it.req.expected(out.resp.StatusCode) {
		x.class = classExpected
	}
	w.inHand = false
	if w.out.add(x) {
		dirty = true
	}
	if out.class != ClassNone {
		out.err = httpreq.HideCredentialsOf(it.req.URL, out.err)
		w.explain(it.req, out, x.excluded)
	}
	if phased := w.phases != nil && w.phases.any; x.excluded && phased {
		*w.phases = phaseTimes{}
	} else if !x.excluded && (phased || it.req.ServerTime != nil) {
		w.out.shard.record(int8(it.endpoint), it.req, out, w.phases)
		dirty = true
	}
	if w.run.sink != nil {
		return w.report(it, began, attempts, out)
	}
	if dirty {
		now = w.run.now() // checks and bookkeeping are not part of the next latency
	}
	return now
}

// excludes reports whether what begins at began in the turn in hand is not counted.
func (w *worker) excludes(began time.Duration) bool {
	return w.run.counted.excludes(w.turn, began-w.lag)
}

// refuse records a request that was not sent: rejected by the breaker, or cut
// off by the end of the run, in which case the source counts it as unsent.
func (w *worker) refuse(it item, began time.Duration, out *outcome) time.Duration {
	if out.class == ClassRejected {
		w.ended = w.run.now()
		w.inHand = false
		if user := w.extra.sender(); user != nil {
			user.requests++
		}
		w.out.add(sample{
			endpoint: int8(it.endpoint), class: ClassRejected,
			byUser: w.extra.sender() != nil, excluded: w.excludes(began),
		})
		if w.run.sink != nil {
			w.report(it, began, 0, out)
		}
		if w.run.dispatcher == nil {
			w.policies.pause()
		}
	}
	return w.run.now()
}

// explain keeps an example of the error's class, and makes the error that a
// status alone is not. Statuses need no example, for they are counted each, except
// where others were expected.
func (w *worker) explain(req *Request, out *outcome, excluded bool) {
	if out.err == nil {
		plain := len(req.Expect) == 0
		if w.run.sink == nil && w.extra.sender() == nil && (plain || w.seen[out.class]) {
			return
		}
		out.err = &resilience.StatusError{Code: out.resp.StatusCode}
		if plain {
			return
		}
		out.err = fmt.Errorf("%w, want %v", out.err, req.Expect)
	}
	if out.class == ClassCheck && !excluded {
		w.out.failedCheck(out.err)
	}
	if !w.seen[out.class] && !excluded {
		w.seen[out.class] = true
		w.out.example(out.class, out.err)
	}
}

// report passes the outcome to the sink, and returns when the sink has it.
func (w *worker) report(it item, began time.Duration, attempts int, out *outcome) time.Duration {
	req, latency := it.req, out.ended-began
	if attempts == 0 {
		latency = 0
	}
	start := w.run.now()
	x := RequestResult{
		Name: req.Name, Method: req.Method, URL: httpreq.WithoutUserinfo(req.URL),
		StatusCode: out.resp.StatusCode, Latency: latency, Lag: w.lag, Timestamp: w.run.base.Add(began),
		Attempt: attempts, Bytes: out.resp.Bytes, Class: out.class, Err: out.err,
		Expected: out.class == ClassNone && req.expected(out.resp.StatusCode),
		Excluded: w.excludes(began),
	}
	w.extra.annotate(&x)
	err := w.run.sink.put(x)
	if err != nil {
		w.run.halt(err)
	}
	now := w.run.now()
	if !x.Excluded {
		w.sinking += now - start
	}
	return now
}

// classify returns the class of err: ClassCanceled if the end of the run cut the request
// short, whatever error that shows as.
func (w *worker) classify(err error) ErrorClass {
	class, ctx := classify(err), w.run.ctx
	if ctx.Err() == nil {
		if class == ClassCanceled && !errors.Is(err, ErrClosed) {
			return ClassOther // not by us
		}
		return class
	}
	w.run.halt(context.Cause(ctx))
	var own *TimeoutError
	if errors.Is(err, context.Cause(ctx)) || errors.Is(err, ctx.Err()) && !errors.As(err, &own) {
		return ClassCanceled
	}
	return class
}

// expire replaces the context that the watchdog has canceled, and returns the error of
// the request; one that succeeded at the same instant stands.
func (w *worker) expire(err error) error {
	w.renew()
	if err == nil {
		return nil
	}
	out := &TimeoutError{Limit: w.run.engine.timeout}
	var at *PhaseError
	if errors.As(err, &at) {
		out.Phase = at.Phase
	}
	return out
}

// renew gives the worker a context; it serves every request until it is canceled.
func (w *worker) renew() {
	ctx, cancel := context.WithCancelCause((*workerContext)(w))
	w.ctx, w.call = ctx, nil
	w.slot.Renew(cancel)
}
