package loadtest

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"example.com/brunt/loadtest/internal/deadline"
	"example.com/brunt/loadtest/internal/heap"
	"example.com/brunt/loadtest/internal/hist"
	"example.com/brunt/loadtest/internal/label"
	"example.com/brunt/loadtest/internal/openloop"
	"example.com/brunt/loadtest/internal/text"
	"example.com/brunt/loadtest/internal/wake"
	"example.com/brunt/loadtest/pace"
)

// run is one Run of an engine. This file has every go statement of a run.
type run struct {
	engine *engine
	feed   feed
	sink   outcomeSink // nil: outcomes are only counted
	// schedule is that of an open loop, as far as the source's part has it, whole all of it,
	// and most how many requests may be in flight.
	schedule pace.Schedule
	whole    pace.Schedule
	most     int
	until    time.Duration // since base: no request may begin from then on; 0 for no limit
	ctx      context.Context
	cancel   context.CancelCauseFunc
	users    context.Context         // ends when ctx does, or the run is halted
	dismiss  context.CancelCauseFunc // ends users
	base     time.Time
	done     chan struct{} // closed when Run is about to return

	halted atomic.Bool // no request may begin any more

	mu     sync.Mutex
	cause  error // why the run was halted, if it was
	panics *PanicError
	goexit bool

	workers     []*worker
	dispatcher  *dispatcher // of an open loop; nil in a closed one
	dog         *deadline.Watchdog
	active      atomic.Int64 // workers that have not ended
	connections connections
	names       *endpoints
	counted     counted
	first       atomic.Int64 // when number counted.first was due, plus 1; 0: it was not yet
	sent        sentRequests // by users
	tracer      *tracer      // nil without Tracing
	recorder    *recorder
	collector   *collector
}

func (e *engine) run(ctx context.Context, src Source, sink outcomeSink) (*EngineResult, error) {
	return e.runAt(ctx, e.schedule, e.concurrency, src, sink)
}

func (e *engine) runAt(ctx context.Context, schedule pace.Schedule, most int, src Source, sink outcomeSink) (*EngineResult, error) {
	if ctx == nil {
		return nil, ErrNilContext
	}
	names := newEndpoints()
	feed, err := src.start(names, e.validateRequest)
	if err != nil {
		return nil, err
	}
	defer feed.close()
	r := &run{
		engine: e, feed: feed, names: names, tracer: newTracer(e.tracing), sink: sink,
		schedule: schedule, whole: schedule, most: most, until: feed.planned(), done: make(chan struct{}),
	}
	of := feed.part()
	if e.open && !of.whole() {
		r.schedule = schedule.Shard(int(of.i), int(of.n))
	}
	if r.counted, err = e.exclude.of(r.planned()); err != nil {
		return nil, err
	}
	if r.counted.first > 0 {
		r.counted.first = of.from(r.counted.first)
	}
	r.recorder = newRecorder(most)
	r.dog = &deadline.Watchdog{Limit: e.timeout, Clock: r.now, Cause: &TimeoutError{Limit: e.timeout}}
	if e.open {
		r.dispatcher = &dispatcher{run: r, Arrivals: openloop.New(r.schedule, r.until, of.limit(-1, feed.size()), e.catchUp, most)}
		if r.counted.any {
			r.dispatcher.Excludes = func(a openloop.Arrival) bool {
				r.due(a.Number, a.Due) // even if it is dropped
				return r.counted.excludes(a.Number, a.Due)
			}
		}
	}
	r.ctx, r.cancel = context.WithCancelCause(context.WithValue(ctx, connectionsKey{}, &r.connections))
	defer r.cancel(nil)
	r.users, r.dismiss = context.WithCancelCause(r.ctx)
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

// openSessions opens a session for each worker that the source can keep busy. In an open
// loop it opens one, to see that it can be done, and the workers open theirs.
func (r *run) openSessions() error {
	n := r.most
	if size := r.feed.size(); size >= 0 {
		n = int(min(int64(n), size))
	}
	if r.dispatcher != nil {
		s, err := r.engine.getSession()
		if err == nil {
			r.engine.putSession(s, false)
		}
		return err
	}
	for range n {
		s, err := r.engine.getSession()
		if err != nil {
			for _, w := range r.workers {
				r.engine.putSession(w.session, false)
			}
			return err
		}
		r.newWorker().adopt(s)
	}
	return nil
}

// newWorker adds a worker, which has no session yet.
func (r *run) newWorker() *worker {
	w := &worker{run: r, out: r.recorder.buffer(), batch: 1}
	w.items = w.few[:]
	if r.engine.breaker != nil || r.engine.retry != nil {
		w.policies = newPolicies(w)
	}
	r.workers = append(r.workers, w)
	r.dog.Add(&w.slot)
	return w
}

// runWorkers returns when all workers have ended and everything is counted.
func (r *run) runWorkers() {
	var workers, helpers, reporting sync.WaitGroup
	stop := make(chan struct{})
	memory := heap.NewSampler()
	r.base = time.Now()
	r.collector = &collector{
		recorder: r.recorder, memory: memory, base: r.base, now: r.now, inFlight: r.inFlight,
		series: newSeries(), excluded: newSeries(), counted: r.counted, blocks: hist.NewBlocks(harvestEvery),
	}
	reports := &reporter{report: r.engine.progress, recordPanic: r.recordPanic, next: make(chan Progress, 1)}
	so := &reported{run: r}
	if r.engine.progress != nil {
		r.collector.report = func(row Interval, now time.Duration, done bool) {
			p := r.progress(row, now, done)
			p.reported = so
			reports.put(p)
		}
		reporting.Go(reports.run) // ends when next is closed, below
	}
	if r.engine.abort != nil {
		r.collector.abort = r.abort
	}
	start := func(w *worker) {
		r.active.Add(1)
		// A worker ends when the source does, or after the request during which
		// the run is halted or its context ends.
		workers.Go(w.main)
	}
	// The helpers end when stop is closed, below.
	helpers.Go(func() { memory.Watch(stop) })
	helpers.Go(func() { r.dog.Watch(stop) })
	helpers.Go(func() { r.collector.watch(stop) })
	if d := r.dispatcher; d != nil {
		timer := wake.New(r.base)
		defer timer.Close()
		r.mu.Lock()
		d.timer = timer
		r.mu.Unlock()
		r.recorder.arrivals = d.harvest
		r.collector.labeler, r.collector.waits = new(label.Labeler), r.connections.takeWaits
		defer context.AfterFunc(r.ctx, timer.Interrupt)()
		d.start = start
		d.dispatch()
	} else {
		for _, w := range r.workers {
			start(w)
		}
	}
	workers.Wait()
	close(stop)
	helpers.Wait()
	r.collector.finish(r.elapsed())
	close(reports.next)
	reporting.Wait()
	so.end()
}

// inFlight returns how many requests are being attempted.
func (r *run) inFlight() (n int) {
	if r.dispatcher != nil {
		return r.dispatcher.inFlight()
	}
	for _, w := range r.workers {
		if _, busy := w.slot.Request(); busy {
			n++
		}
	}
	return n
}

// abort halts the run if an objective of its Abort cannot be met any more.
func (r *run) abort(now time.Duration) {
	cfg := r.engine.abort
	if now < cfg.Grace {
		return
	}
	soFar := &EngineResult{Stats: *r.recorder.total.stats(), Intervals: r.collector.series.Rows, Elapsed: now}
	for _, row := range soFar.Intervals {
		soFar.PeakMemory = max(soFar.PeakMemory, row.HeapBytes)
	}
	if objective, reason := cfg.SLO.unreachable(soFar, r.size()); objective != "" {
		r.halt(&AbortError{Objective: objective, Reason: reason, After: now})
	}
}

// progress returns the state of the run at the end of an interval.
func (r *run) progress(row Interval, now time.Duration, done bool) Progress {
	total := r.collector.total
	return Progress{
		Engine: r.engine.name, Elapsed: now, Planned: r.planned(), Size: r.size(),
		Counts: total, RPS: text.PerSecond(total.Requests, now-min(r.counted.from, now)), Last: row, InFlight: row.InFlight, HeapBytes: row.HeapBytes, Done: done,
	}
}

// start returns when the counting begins, since base.
func (r *run) start() time.Duration {
	return max(r.counted.from, time.Duration(r.first.Load()-1), 0)
}

// describe sets what res, whose counting ended at end or before, says of the run.
func (r *run) describe(res *EngineResult, end time.Duration) {
	start := r.start()
	if to := r.counted.to; to > 0 {
		end = min(end, to)
	}
	res.Engine, res.Concurrency = r.engine.name, r.most
	res.StartedAt, res.Elapsed = r.base.Add(start), max(end-start, 0)
	res.spans = []span{{From: res.StartedAt, To: res.StartedAt.Add(res.Elapsed)}}
	if r.dispatcher != nil {
		res.Schedule = r.whole.String()
	}
	res.ConnectionsOpened = r.connections.opened.Load()
	res.pooled, res.ConnectionsUnknown = r.engine.pooled()
}

// size returns how many requests are due in all; -1 if that is not known.
func (r *run) size() int64 {
	size := r.feed.size()
	if r.dispatcher == nil {
		return size
	}
	schedule := r.schedule
	if limit := r.feed.planned(); limit > 0 {
		schedule = schedule.Until(limit)
	}
	if n := schedule.Len(); n >= 0 && (size < 0 || n < size) {
		return n
	}
	return size
}

// planned returns the time limit of the run; 0 without one.
func (r *run) planned() time.Duration {
	limit := r.feed.planned()
	if !r.engine.open {
		return limit
	}
	if d := r.schedule.Duration(); d > 0 && (limit == 0 || d < limit) {
		return d
	}
	return limit
}

// sinkTime returns how long the workers were in the sink or waited for it. They must
// have ended.
func (r *run) sinkTime() (sum time.Duration) {
	for _, w := range r.workers {
		sum += w.sinking
	}
	return sum
}

// elapsed returns the end of the last request, or of the schedule if that is later. All
// workers must have ended.
func (r *run) elapsed() (last time.Duration) {
	if d := r.dispatcher; d != nil {
		last = d.stopped
	}
	for _, w := range r.workers {
		last = max(last, w.ended)
	}
	return last
}

func (r *run) now() time.Duration { return time.Since(r.base) }

// due notes when the first that Exclude counts was due.
func (r *run) due(number int64, at time.Duration) {
	if r.counted.first > 0 && number == r.counted.first {
		r.first.CompareAndSwap(0, int64(at)+1)
	}
}

// halt prevents further requests. The first cause is kept.
func (r *run) halt(cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cause == nil {
		r.cause = cause
	}
	r.dismiss(r.cause) // first: a user that sees the run halted is told why
	r.halted.Store(true)
	if d := r.dispatcher; d != nil && d.timer != nil {
		d.timer.Interrupt()
	}
}

// over reports whether no request may begin any more at now, which is since base.
func (r *run) over(now time.Duration) bool { return r.stopped() || r.until > 0 && now >= r.until }

// stopped reports whether the run has been halted, or its context is done, which wins
// over a request that is ready.
func (r *run) stopped() bool {
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

func (r *run) result(names []endpointName) (*EngineResult, error) {
	res := r.collector.result(names, r.start())
	r.describe(res, r.elapsed())
	res.SinkTime = r.sinkTime()
	if size := r.size(); size >= 0 {
		res.Unsent = size - res.begun()
	}
	if d := r.dispatcher; d != nil {
		res.PeakInFlight = d.Peak
		res.Causes = causeFindings(r.collector.labeler, res.Concurrency, res.sinkShare())
	}
	res.Warnings = res.assess()
	if stall := res.stallText(); stall != "" {
		res.Warnings = append(res.Warnings, Warning{Kind: WarnStall, Text: stall})
	}
	if moved := res.unsteadyText(); moved != "" {
		res.Warnings = append(res.Warnings, Warning{Kind: WarnUnsteady, Text: moved})
	}
	if r.complete(res) {
		return res, r.feed.fault()
	}
	return res, errors.Join(r.cause, r.feed.fault())
}

// complete reports whether a run that was halted had in fact sent everything, and its
// sink has received everything.
func (r *run) complete(res *EngineResult) bool {
	if d := r.dispatcher; d != nil {
		if d.cut || res.Canceled > 0 && r.halted.Load() {
			return false
		}
	} else if r.feed.size() != res.begun() {
		return false
	}
	return res.Errors[ClassCanceled] == 0 && res.UsersCanceled == 0 && (r.sink == nil || !r.sink.ended())
}
