package loadtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"example.com/brunt/loadtest/pace"
	"example.com/brunt/resilience"
)

// engine is common to all engines: it owns the client, the sessions that wait for the
// next run, and the runs in progress.
type engine struct {
	name        string
	concurrency int
	timeout     time.Duration
	client      Client
	private     bool // sessions do not share a pool
	breaker     *resilience.CircuitBreaker
	retry       *resilience.RetryPolicy
	progress    func(Progress) // OnProgress; may be nil
	abort       *AbortConfig   // may be nil
	tracing     Tracing
	exclude     Exclude
	open        bool // an open loop, with:
	schedule    pace.Schedule
	catchUp     time.Duration

	mu     sync.Mutex
	closed bool
	idle   []Session
	runs   map[*run]struct{}
}

// cancelGrace is how long Close waits for a canceled request.
const cancelGrace = 5 * time.Second

func makeEngine(name string, concurrency int, c SyncConfig) *engine {
	if c.Client == nil {
		c.Client = NetHTTP(c.Conn)
	}
	return &engine{
		name: name, concurrency: concurrency, timeout: cmp.Or(c.Timeout, defaultTimeout), client: c.Client,
		progress: c.OnProgress, abort: c.Abort, tracing: c.Tracing, exclude: c.Exclude, runs: make(map[*run]struct{}),
	}
}

// Run sends the requests of src; see [Engine].
func (e *engine) Run(ctx context.Context, src Source) (*EngineResult, error) {
	return e.run(ctx, src, nil)
}

// RunStreaming sends the requests of src and calls sink with each outcome; see [Engine].
func (e *engine) RunStreaming(ctx context.Context, src Source, sink func(RequestResult) error) (*EngineResult, error) {
	if sink == nil {
		return nil, fault("RunStreaming without a sink")
	}
	return e.run(ctx, src, newSerialSink(sink))
}

// Close ends the runs and closes the client; see [Engine].
func (e *engine) Close(ctx context.Context) error {
	if ctx == nil {
		return ErrNilContext
	}
	e.mu.Lock()
	e.closed = true
	runs := make([]*run, 0, len(e.runs))
	for r := range e.runs {
		r.halt(ErrClosed)
		runs = append(runs, r)
	}
	idle := e.idle
	e.idle = nil
	e.mu.Unlock()

	for _, r := range runs {
		select {
		case <-r.done:
		case <-ctx.Done():
			r.cancel(ErrClosed)
		}
	}
	var errs []error
	if stuck := awaitRuns(runs); stuck > 0 {
		errs = append(errs, fmt.Errorf("%w: %d of them for %v", ErrLeak, stuck, cancelGrace))
	}
	for _, s := range idle {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, e.client.Close())...)
}

// awaitRuns waits for the runs to end, cancelGrace at the most, and returns how
// many requests have not.
func awaitRuns(runs []*run) int64 {
	grace := time.NewTimer(cancelGrace)
	defer grace.Stop()
	var stuck int64
	for _, r := range runs {
		select {
		case <-r.done:
			continue
		default:
		}
		select {
		case <-r.done:
		case <-grace.C:
			grace.Reset(0) // the other runs have had the same time
			stuck += r.active.Load()
		}
	}
	return stuck
}

// enter registers r, unless the engine is closed.
func (e *engine) enter(r *run) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	e.runs[r] = struct{}{}
	return nil
}

func (e *engine) leave(r *run) {
	e.mu.Lock()
	delete(e.runs, r)
	e.mu.Unlock()
	close(r.done)
}

// getSession returns a session that an earlier run has left, or a new one.
func (e *engine) getSession() (Session, error) {
	e.mu.Lock()
	if n := len(e.idle); n > 0 {
		s := e.idle[n-1]
		e.idle[n-1] = nil
		e.idle = e.idle[:n-1]
		e.mu.Unlock()
		return s, nil
	}
	e.mu.Unlock()
	if p, ok := e.client.(PrivateSessioner); ok && e.private {
		return p.PrivateSession()
	}
	return e.client.Session()
}

// putSession keeps s for the next run, or closes it if it is broken or the engine is
// closed.
func (e *engine) putSession(s Session, broken bool) {
	if p, ok := s.(Parker); ok && !broken {
		p.Park()
	}
	e.mu.Lock()
	keep := !e.closed && !broken
	if keep {
		e.idle = append(e.idle, s)
	}
	e.mu.Unlock()
	if !keep {
		s.Close()
	}
}

// validateRequest asks the client about r, if the client is to send it.
func (e *engine) validateRequest(r *Request) error {
	if r.local() {
		return nil
	}
	if r == nil {
		return fmt.Errorf("%w: nil", ErrInvalidRequest)
	}
	if v, ok := e.client.(RequestValidator); ok {
		return v.ValidateRequest(r)
	}
	return nil
}

// pooled reports whether the client means to reuse connections, and whether it
// counts none.
func (e *engine) pooled() (pooled, uncounted bool) {
	n, ok := e.client.(ConnectionCounter)
	return ok && n.ReusesConnections(), !ok
}
