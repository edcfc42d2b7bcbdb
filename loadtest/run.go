package loadtest

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"example.com/brunt/loadtest/internal/text"
)

// run is one Run of an engine. This file has every go statement of a run.
type run struct {
	engine *engine
	feed   feed
	sink   outcomeSink   // nil: outcomes are only counted
	until  time.Duration // since base: no request may begin from then on; 0 for no limit
	ctx    context.Context
	cancel context.CancelCauseFunc
	base   time.Time
	done   chan struct{} // closed when Run is about to return

	halted atomic.Bool // no request may begin any more

	mu     sync.Mutex
	cause  error // why the run was halted, if it was
	panics *PanicError
	goexit bool

	workers     []*worker
	active      atomic.Int64 // workers that have not ended
	connections atomic.Int64 // opened for requests of this run
	recorder    *recorder
	collector   *collector
}

func (e *engine) run(ctx context.Context, src Source, sink outcomeSink) (*EngineResult, error) {
	if ctx == nil {
		return nil, ErrNilContext
	}
	names := newEndpoints()
	feed, err := src.start(names, e.validateRequest)
	if err != nil {
		return nil, err
	}
	defer feed.close()
	r := &run{engine: e, feed: feed, sink: sink, until: feed.planned(), done: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancelCause(context.WithValue(ctx, connectionsKey{}, &r.connections))
	defer r.cancel(nil)
	if err := e.enter(r); err != nil {
		return nil, err
	}
	defer e.leave(r)
	if err := r.openSessions(); err != nil {
		return nil, err
	}

	r.runWorkers()
	if r.panics != nil {
		panic(r.panics)
	}
	if r.goexit {
		runtime.Goexit()
	}
	return r.result(names.names)
}

// openSessions opens a session for each worker that the source can keep busy.
func (r *run) openSessions() error {
	n := r.engine.concurrency
	if size := r.feed.size(); size >= 0 {
		n = int(min(int64(n), size))
	}
	r.recorder = newRecorder(n)
	r.workers = make([]*worker, n)
	for i := range r.workers {
		s, err := r.engine.getSession()
		if err != nil {
			for _, w := range r.workers[:i] {
				r.engine.putSession(w.session, false)
			}
			return err
		}
		w := &worker{run: r, session: s, out: r.recorder.buffer(i), batch: 1}
		w.items = w.few[:]
		if f, ok := s.(funcSession); ok {
			w.fn = f.fn
		}
		if r.engine.breaker != nil || r.engine.retry != nil {
			w.policies = newPolicies(w)
		}
		r.workers[i] = w
	}
	return nil
}

// runWorkers returns when all workers have ended and everything is counted.
func (r *run) runWorkers() {
	dog := &watchdog{limit: r.engine.timeout, clock: r.now}
	for _, w := range r.workers {
		w.renew()
		dog.slots = append(dog.slots, &w.slot)
	}
	var workers, helpers, reporting sync.WaitGroup
	stop := make(chan struct{})
	memory := newPeakSampler()
	r.base = time.Now()
	r.active.Store(int64(len(r.workers)))
	r.collector = &collector{recorder: r.recorder, memory: memory, base: r.base, now: r.now, inFlight: r.inFlight}
	reports := &reporter{report: r.engine.progress, recordPanic: r.recordPanic, next: make(chan Progress, 1)}
	if r.engine.progress != nil {
		r.collector.report = func(row Interval, now time.Duration, done bool) { reports.put(r.progress(row, now, done)) }
		reporting.Go(reports.run) // ends when next is closed, below
	}

	// The helpers end when stop is closed, below.
	helpers.Go(func() { memory.watch(stop) })
	helpers.Go(func() { dog.watch(stop) })
	helpers.Go(func() { r.collector.watch(stop) })
	for _, w := range r.workers {
		// A worker ends when the source does, or after the request during which
		// the run is halted or its context ends.
		workers.Go(w.main)
	}
	workers.Wait()
	close(stop)
	helpers.Wait()
	r.collector.finish(r.elapsed())
	close(reports.next)
	reporting.Wait()
}

// inFlight returns how many requests are being attempted.
func (r *run) inFlight() (n int) {
	for _, w := range r.workers {
		if w.slot.state.Load() != slotIdle {
			n++
		}
	}
	return n
}

// progress returns the state of the run at the end of an interval.
func (r *run) progress(row Interval, now time.Duration, done bool) Progress {
	total := r.collector.total
	return Progress{
		Engine: r.engine.name, Elapsed: now, Planned: r.feed.planned(), Size: r.feed.size(),
		Counts: total, RPS: text.PerSecond(total.Requests, now), Last: row, InFlight: row.InFlight, HeapBytes: row.HeapBytes, Done: done,
	}
}

// sinkTime returns how long the workers were in the sink or waited for it. They must
// have ended.
func (r *run) sinkTime() (sum time.Duration) {
	for _, w := range r.workers {
		sum += w.sinking
	}
	return sum
}

// elapsed returns the end of the last request. All workers must have ended.
func (r *run) elapsed() (last time.Duration) {
	for _, w := range r.workers {
		last = max(last, w.ended)
	}
	return last
}

func (r *run) now() time.Duration { return time.Since(r.base) }

// halt prevents further requests. The first cause is kept.
func (r *run) halt(cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cause == nil {
		r.cause = cause
	}
	r.halted.Store(true)
}

// over reports whether no request may begin any more at now, which is since base.
// A context that is done wins over a request that is ready.
func (r *run) over(now time.Duration) bool {
	if r.halted.Load() {
		return true
	}
	select {
	case <-r.ctx.Done():
		r.halt(context.Cause(r.ctx))
		return true
	default:
		return r.until > 0 && now >= r.until
	}
}

// recordPanic records a panic or, with a nil value, a Goexit on a worker or in
// OnProgress. The first one is kept: run continues it when the other workers have ended.
func (r *run) recordPanic(value any) {
	r.mu.Lock()
	if value == nil {
		r.goexit = true
	} else if r.panics == nil {
		r.panics = &PanicError{Value: value, Stack: debug.Stack()}
	}
	r.mu.Unlock()
	r.halt(nil)
}

func (r *run) result(names []string) (*EngineResult, error) {
	res := r.collector.result(names)
	res.Engine, res.Concurrency = r.engine.name, r.engine.concurrency
	res.StartedAt, res.Elapsed = r.base, r.elapsed()
	res.SinkTime = r.sinkTime()
	res.spans = []span{{From: r.base, To: r.base.Add(res.Elapsed)}}
	if size := r.feed.size(); size >= 0 {
		res.Unsent = size - res.due()
	}
	res.ConnectionsOpened = r.connections.Load()
	res.pooled, res.ConnectionsUnknown = r.engine.pooled()
	res.Warnings = res.assess()
	if stall := res.stallText(); stall != "" {
		res.Warnings = append(res.Warnings, Warning{Kind: WarnStall, Text: stall})
	}
	if r.complete(res) {
		return res, r.feed.fault()
	}
	return res, errors.Join(r.cause, r.feed.fault())
}

// complete reports whether a run that was halted had in fact sent everything, and its
// sink has received everything.
func (r *run) complete(res *EngineResult) bool {
	return r.feed.size() == res.due() && res.Errors[ClassCanceled] == 0 && (r.sink == nil || !r.sink.ended())
}
