package loadtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"example.com/brunt/resilience"
)

// core is what the engines share: the client, the sessions that wait for the
// next run, and the runs that are going on.
type core struct {
	name        string
	concurrency int
	timeout     time.Duration
	client      Client
	private     bool // sessions do not share a pool
	breaker     *resilience.CircuitBreaker
	retry       *resilience.RetryPolicy
	progress    func(Progress) // nil if nobody listens

	mu     sync.Mutex
	closed bool
	idle   []Session
	runs   map[*run]struct{}
}

// cancelGrace is how long Close waits for a request that has been cancelled.
const cancelGrace = 5 * time.Second

func newCore(name string, concurrency int, client Client, conn ConnectionConfig, timeout time.Duration) *core {
	if client == nil {
		client = NetHTTP(conn)
	}
	return &core{
		name:        name,
		concurrency: concurrency,
		timeout:     orDefault(timeout, defaultTimeout),
		client:      client,
		runs:        make(map[*run]struct{}),
	}
}

// Run sends what src holds; see [Engine].
func (c *core) Run(ctx context.Context, src Source) (*EngineResult, error) {
	return c.run(ctx, src, nil)
}

// RunStreaming sends what src holds and hands each outcome to sink; see [Engine].
func (c *core) RunStreaming(ctx context.Context, src Source, sink func(RequestResult) error) (*EngineResult, error) {
	if sink == nil {
		return nil, fault("RunStreaming without a sink")
	}
	return c.run(ctx, src, newSerialSink(sink))
}

// Close frees all that the engine holds; see [Engine].
func (c *core) Close(ctx context.Context) error {
	if ctx == nil {
		return ErrNilContext
	}
	c.mu.Lock()
	c.closed = true
	runs := make([]*run, 0, len(c.runs))
	for r := range c.runs {
		r.halt(ErrClosed)
		runs = append(runs, r)
	}
	idle := c.idle
	c.idle = nil
	c.mu.Unlock()

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
	return errors.Join(append(errs, c.client.Close())...)
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
func (c *core) enter(r *run) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	c.runs[r] = struct{}{}
	return nil
}

func (c *core) leave(r *run) {
	c.mu.Lock()
	delete(c.runs, r)
	c.mu.Unlock()
	close(r.done)
}

// session takes one that an earlier run has left, or opens one.
func (c *core) session() (Session, error) {
	c.mu.Lock()
	if n := len(c.idle); n > 0 {
		s := c.idle[n-1]
		c.idle[n-1] = nil
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		return s, nil
	}
	c.mu.Unlock()
	if p, ok := c.client.(PrivateSessioner); ok && c.private {
		return p.PrivateSession()
	}
	return c.client.Session()
}

// giveBack keeps a session for the next run; one that is broken, or comes back
// after Close, is closed.
func (c *core) giveBack(s Session, broken bool) {
	if p, ok := s.(Parker); ok && !broken {
		p.Park()
	}
	c.mu.Lock()
	keep := !c.closed && !broken
	if keep {
		c.idle = append(c.idle, s)
	}
	c.mu.Unlock()
	if !keep {
		s.Close()
	}
}

// validateRequest asks the client, if it is to send r and has an opinion.
func (c *core) validateRequest(r *Request) error {
	if r != nil && r.Func != nil {
		return nil
	}
	if r == nil {
		return fmt.Errorf("%w: nil", ErrInvalidRequest)
	}
	if v, ok := c.client.(RequestValidator); ok {
		return v.ValidateRequest(r)
	}
	return nil
}

// pooled reports whether the client means to reuse connections, and whether it
// counts none.
func (c *core) pooled() (pooled, uncounted bool) {
	n, ok := c.client.(ConnectionCounter)
	return ok && n.ReusesConnections(), !ok
}
