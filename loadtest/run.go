package loadtest

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"example.com/brunt/resilience"
)

// run is one Run of an engine. This file has every go statement of the package.
type run struct {
	core   *core
	feed   feed
	sink   func(RequestResult) error
	ctx    context.Context
	cancel context.CancelCauseFunc
	base   time.Time
	done   chan struct{} // closed when Run is about to return

	halted atomic.Bool // no request may begin any more

	mu     sync.Mutex
	cause  error // why the run was halted, if it was
	panics *PanicError
	goexit bool

	sinkMu  sync.Mutex
	sinkEnd bool

	workers  []*worker
	active   atomic.Int64 // workers that have not ended
	recorder *recorder
}

func (c *core) run(ctx context.Context, src Source, sink func(RequestResult) error) (*EngineResult, error) {
	if ctx == nil {
		return nil, ErrNilContext
	}
	names := newEndpoints()
	feed, err := src.start(names, c.validateRequest)
	if err != nil {
		return nil, err
	}
	defer feed.close()
	r := &run{core: c, feed: feed, sink: sink, done: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	defer r.cancel(nil)
	if err := c.enter(r); err != nil {
		return nil, err
	}
	defer c.leave(r)
	if err := r.hire(); err != nil {
		return nil, err
	}

	opened := c.connections()
	memory := r.work()
	if r.panics != nil {
		panic(r.panics)
	}
	if r.goexit {
		runtime.Goexit()
	}
	return r.result(names.names, memory, c.connections()-opened)
}

// hire opens a session for each worker that the source can keep busy.
func (r *run) hire() error {
	n := r.core.concurrency
	if size := r.feed.size(); size >= 0 {
		n = int(min(int64(n), size))
	}
	r.recorder = newRecorder(n)
	r.workers = make([]*worker, n)
	for i := range r.workers {
		s, err := r.core.session()
		if err != nil {
			for _, w := range r.workers[:i] {
				r.core.giveBack(w.session, false)
			}
			return err
		}
		w := &worker{run: r, session: s, out: r.recorder.buffer(i), batch: 1}
		if r.core.breaker != nil || r.core.retry != nil {
			w.guard = newGuard(w)
		}
		r.workers[i] = w
	}
	return nil
}

// work runs the workers and returns when all have ended, with the peak of the
// heap meanwhile.
func (r *run) work() (peak uint64) {
	memory := newPeakSampler()
	dog := &watchdog{limit: r.core.timeout, clock: r.now}
	for _, w := range r.workers {
		w.renew()
		dog.slots = append(dog.slots, &w.slot)
	}
	var workers, helpers sync.WaitGroup
	stop := make(chan struct{})
	r.base = time.Now()
	r.active.Store(int64(len(r.workers)))

	// The helpers end when stop is closed, below.
	helpers.Go(func() { memory.watch(stop) })
	helpers.Go(func() { dog.watch(stop) })
	for _, w := range r.workers {
		// A worker ends when the source does, or after the request during which
		// the run is halted or its context ends.
		workers.Go(w.main)
	}
	workers.Wait()
	close(stop)
	helpers.Wait()
	return memory.peak
}

func (r *run) now() time.Duration { return time.Since(r.base) }

// halt keeps further requests from beginning. The first cause stands.
func (r *run) halt(cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cause == nil {
		r.cause = cause
	}
	r.halted.Store(true)
}

// over says whether no request may begin any more. A context that is done wins
// over a request that is ready.
func (r *run) over() bool {
	if r.halted.Load() {
		return true
	}
	select {
	case <-r.ctx.Done():
		r.halt(context.Cause(r.ctx))
		return true
	default:
		return false
	}
}

// crash notes a panic or, with a nil value, a Goexit on a worker. Run passes it
// on when the other workers have ended.
func (r *run) crash(value any) {
	r.mu.Lock()
	if value == nil {
		r.goexit = true
	} else if r.panics == nil {
		r.panics = &PanicError{Value: value, Stack: debug.Stack()}
	}
	r.mu.Unlock()
	r.halt(nil)
}

func (r *run) result(names []string, peak uint64, opened int64) (*EngineResult, error) {
	res := r.recorder.result(names)
	res.Engine, res.Concurrency = r.core.name, r.core.concurrency
	res.StartedAt = r.base
	for _, w := range r.workers {
		res.Elapsed = max(res.Elapsed, w.ended)
	}
	res.spans = []span{{From: r.base, To: r.base.Add(res.Elapsed)}}
	if size := r.feed.size(); size >= 0 {
		res.Unsent = size - res.Requests - res.RejectedCount
	}
	res.PeakMemory, res.ConnectionsOpened, res.pooled = peak, opened, r.core.pooled()
	res.Warnings = res.assess()
	if r.complete(res) {
		return res, r.feed.fault()
	}
	return res, errors.Join(r.cause, r.feed.fault())
}

// complete says whether a run that was halted had in fact sent everything. A
// sink that failed has not got everything.
func (r *run) complete(res *EngineResult) bool {
	return r.feed.size() == res.Requests+res.RejectedCount && res.Errors[ClassCanceled] == 0 && !r.sinkEnd
}

// hand passes an outcome to the sink, one at a time.
func (r *run) hand(out RequestResult) {
	r.sinkMu.Lock()
	defer r.sinkMu.Unlock()
	if r.sinkEnd {
		return
	}
	r.sinkEnd = true // stands if sink panics
	if err := r.sink(out); err != nil {
		r.halt(err)
		return
	}
	r.sinkEnd = false
}

// worker sends one request at a time. Its fields are its own, but for the slot.
type worker struct {
	run     *run
	session Session
	out     *buffer
	ctx     context.Context
	ended   time.Duration // when its last request ended, since the run's base
	batch   int           // how many requests to claim at once
	guard   *guard        // nil without breaker and retry
	seen    [numClasses]bool
	items   [maxBatch]item
	slot    slot
}

const (
	// maxBatch and the times between which a batch grows and shrinks make the
	// shared counter of the source cost nothing where requests take nanoseconds,
	// and leave claims at one where they take longer.
	maxBatch   = 64
	quickBatch = 50 * time.Microsecond
	slowBatch  = 200 * time.Microsecond
)

func (w *worker) main() {
	orderly := false
	defer func() {
		if !orderly {
			w.run.crash(recover())
		}
		w.out.flush()
		w.slot.state.Store(slotIdle)
		(*w.slot.cancel.Load())(nil)
		w.run.core.giveBack(w.session, !orderly)
		w.run.active.Add(-1)
	}()
	w.loop()
	orderly = true
}

func (w *worker) loop() {
	r, share := w.run, len(w.run.workers)
	now := r.now()
	for !r.over() {
		n := r.feed.claim(w.items[:w.batch], now, share)
		if n == 0 {
			return
		}
		now = r.now()
		start := now
		for i, it := range w.items[:n] {
			if r.over() {
				return
			}
			began := now
			now = w.send(it, now)
			if now-began > slowBatch && i+1 < n {
				// What was quick has become slow: let idle workers share the rest.
				r.feed.giveBack(w.items[i+1 : n])
				break
			}
		}
		switch spent := now - start; {
		case spent < quickBatch && w.batch < maxBatch:
			w.batch *= 2
		case spent > slowBatch && w.batch > 1:
			w.batch /= 2
		}
	}
}

// outcome is how an attempt ended.
type outcome struct {
	resp  Response
	err   error
	class ErrorClass
	ended time.Duration
}

// attempt sends req once, beginning at began.
func (w *worker) attempt(req *Request, began time.Duration) (out outcome) {
	w.slot.begin(began)
	out.resp, out.err = w.session.Do(w.ctx, req)
	out.ended = w.run.now()
	if !w.slot.end(began) {
		out.err = w.expire(out.err)
	}
	switch {
	case out.err != nil:
		out.class = w.classify(out.err)
	case out.resp.StatusCode >= http.StatusBadRequest:
		out.class = ClassStatus
	}
	w.ended = out.ended
	return out
}

// send sends one request that begins at began, and returns when the next may.
func (w *worker) send(it item, began time.Duration) time.Duration {
	var out outcome
	attempts := 1
	if w.guard == nil {
		out = w.attempt(it.req, began)
	} else if out, attempts = w.guard.send(it.req, began); attempts == 0 {
		return w.refuse(it, began, out)
	}
	now, dirty := out.ended, w.run.sink != nil
	if out.class == ClassNone && it.req.Check != nil {
		if out.err = it.req.Check(out.resp); out.err != nil {
			out.class = ClassCheck
		}
		dirty = true
	}
	w.out.bytes += out.resp.Bytes
	w.out.retries += int64(attempts - 1)
	if w.out.add(sample{
		latency: now - began, endpoint: it.endpoint, status: uint16(out.resp.StatusCode), class: out.class,
	}) {
		dirty = true
	}
	if out.class != ClassNone {
		w.explain(&out)
	}
	if w.run.sink != nil {
		w.report(it.req, began, attempts, out)
	}
	if dirty {
		now = w.run.now() // checks and bookkeeping are not part of the next latency
	}
	return now
}

// refuse records a request that was not sent: rejected by the breaker, or cut
// off by the end of the run, in which case the source counts it as unsent.
func (w *worker) refuse(it item, began time.Duration, out outcome) time.Duration {
	if out.class == ClassRejected {
		w.out.add(sample{endpoint: it.endpoint, class: ClassRejected})
		if w.run.sink != nil {
			w.report(it.req, began, 0, out)
		}
		w.guard.pause()
	}
	return w.run.now()
}

// explain keeps an example of the error's class, and makes the error that a
// status alone is not. Statuses need no example: they are counted each.
func (w *worker) explain(out *outcome) {
	switch {
	case out.err == nil:
		if w.run.sink != nil {
			out.err = &resilience.StatusError{Code: out.resp.StatusCode}
		}
	case !w.seen[out.class]:
		w.seen[out.class] = true
		w.out.example(out.class, out.err)
	}
}

// report hands the outcome to the sink.
func (w *worker) report(req *Request, began time.Duration, attempts int, out outcome) {
	latency := out.ended - began
	if attempts == 0 {
		latency = 0
	}
	w.run.hand(RequestResult{
		Name: req.Name, Method: req.Method, URL: req.URL,
		StatusCode: out.resp.StatusCode, Latency: latency, Timestamp: w.run.base.Add(began),
		Attempt: attempts, Bytes: out.resp.Bytes, Class: out.class, Err: out.err,
	})
}

// classify tells a request that failed by itself from one that the end of the
// run cut short, whatever error that shows as.
func (w *worker) classify(err error) ErrorClass {
	class, ctx := classify(err), w.run.ctx
	if ctx.Err() == nil {
		return class
	}
	w.run.halt(context.Cause(ctx))
	var own *TimeoutError
	if errors.Is(err, context.Cause(ctx)) || errors.Is(err, ctx.Err()) && !errors.As(err, &own) {
		return ClassCanceled
	}
	return class
}

// expire replaces the context that the watchdog has cancelled, and says what
// that did to the request; one that succeeded at the same instant stands.
func (w *worker) expire(err error) error {
	w.slot.state.Store(slotIdle)
	w.renew()
	if err == nil {
		return nil
	}
	out := &TimeoutError{Limit: w.run.core.timeout}
	var at *PhaseError
	if errors.As(err, &at) {
		out.Phase = at.Phase
	}
	return out
}

// renew gives the worker a context; it serves every request until it is cancelled.
func (w *worker) renew() {
	ctx, cancel := context.WithCancelCause(w.run.ctx)
	w.ctx = ctx
	w.slot.cancel.Store(&cancel)
}
