package loadtest

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// run is one Run of an engine. This file has every go statement of a run.
type run struct {
	core   *core
	feed   feed
	sink   func(RequestResult) error
	shared bool          // calls of sink may overlap
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

	sinkGate gate
	sinkEnd  atomic.Bool // the sink is not called any more

	workers  []*worker
	active   atomic.Int64 // workers that have not ended
	recorder *recorder
	collect  *collector
}

func (c *core) run(ctx context.Context, src Source, sink func(RequestResult) error, shared bool) (*EngineResult, error) {
	if ctx == nil {
		return nil, ErrNilContext
	}
	names := newEndpoints()
	feed, err := src.start(names, c.validateRequest)
	if err != nil {
		return nil, err
	}
	defer feed.close()
	r := &run{core: c, feed: feed, sink: sink, shared: shared, until: feed.planned(), sinkGate: newGate(), done: make(chan struct{})}
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
	r.work()
	if r.panics != nil {
		panic(r.panics)
	}
	if r.goexit {
		runtime.Goexit()
	}
	return r.result(names.names, c.connections()-opened)
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
		w.items = w.few[:]
		if f, ok := s.(funcSession); ok {
			w.fn = f.fn
		}
		if r.core.breaker != nil || r.core.retry != nil {
			w.guard = newGuard(w)
		}
		r.workers[i] = w
	}
	return nil
}

// work runs the workers and returns when all have ended and the books are closed.
func (r *run) work() {
	r.collect = &collector{run: r, memory: newPeakSampler()}
	dog := &watchdog{limit: r.core.timeout, clock: r.now}
	for _, w := range r.workers {
		w.renew()
		dog.slots = append(dog.slots, &w.slot)
	}
	var workers, helpers, talk sync.WaitGroup
	stop := make(chan struct{})
	r.base = time.Now()
	r.active.Store(int64(len(r.workers)))

	// The helpers end when stop is closed, below.
	helpers.Go(func() { r.collect.memory.watch(stop) })
	helpers.Go(func() { dog.watch(stop) })
	helpers.Go(func() { r.collect.watch(stop) })
	if r.core.progress != nil {
		r.collect.tell = &teller{run: r, next: make(chan Progress, 1)}
		talk.Go(r.collect.tell.talk) // ends when next is closed, below
	}
	for _, w := range r.workers {
		// A worker ends when the source does, or after the request during which
		// the run is halted or its context ends.
		workers.Go(w.main)
	}
	workers.Wait()
	close(stop)
	helpers.Wait()
	r.collect.look.stop()
	r.collect.harvest(r.elapsed(), true)
	if r.collect.tell != nil {
		close(r.collect.tell.next)
		talk.Wait()
	}
}

// sinkTime is how long the workers have spent on the sink; they must have ended.
func (r *run) sinkTime() (sum time.Duration) {
	for _, w := range r.workers {
		sum += w.sinking
	}
	return sum
}

// elapsed is when the last request ended; the workers must have.
func (r *run) elapsed() (last time.Duration) {
	for _, w := range r.workers {
		last = max(last, w.ended)
	}
	return last
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

// crash notes a panic or, with a nil value, a Goexit on a worker or in
// OnProgress. Run passes it on when the other workers have ended.
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

func (r *run) result(names []string, opened int64) (*EngineResult, error) {
	res := r.recorder.result(names)
	res.Engine, res.Concurrency = r.core.name, r.core.concurrency
	res.StartedAt, res.Elapsed = r.base, r.elapsed()
	res.Generator = r.collect.look.generator()
	res.Intervals, res.SinkTime = r.collect.series.rows, r.sinkTime()
	res.spans = []span{{From: r.base, To: r.base.Add(res.Elapsed)}}
	if size := r.feed.size(); size >= 0 {
		res.Unsent = size - res.Requests - res.RejectedCount
	}
	res.PeakMemory, res.ConnectionsOpened = r.collect.memory.peak, opened
	res.pooled, res.ConnectionsUnknown = r.core.pooled()
	res.Warnings = res.assess()
	if text := res.stallText(); text != "" {
		res.Warnings = append(res.Warnings, Warning{Kind: WarnStall, Text: text})
	}
	if r.complete(res) {
		return res, r.feed.fault()
	}
	return res, errors.Join(r.cause, r.feed.fault())
}

// complete says whether a run that was halted had in fact sent everything. A
// sink that failed has not got everything.
func (r *run) complete(res *EngineResult) bool {
	return r.feed.size() == res.Requests+res.RejectedCount && res.Errors[ClassCanceled] == 0 && !r.sinkEnd.Load()
}

// hand passes an outcome to the sink, one at a time.
func (r *run) hand(out RequestResult) {
	if r.shared {
		r.handShared(out)
		return
	}
	r.sinkGate.Lock()
	defer r.sinkGate.Unlock()
	if r.sinkEnd.Load() {
		return
	}
	r.sinkEnd.Store(true) // stands if sink panics
	if err := r.sink(out); err != nil {
		r.halt(err)
		return
	}
	r.sinkEnd.Store(false)
}
