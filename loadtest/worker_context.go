package loadtest

import (
	"context"
	"time"
)

// workerContext is the context of its run, in which CountPhase finds the worker. It takes
// no memory, which a context with a value would.
type workerContext worker

// workerKey is the key under which it holds the *worker.
type workerKey struct{}

func (c *workerContext) Value(key any) any {
	if key == (workerKey{}) {
		return (*worker)(c)
	}
	return c.run.ctx.Value(key)
}

func (c *workerContext) Deadline() (time.Time, bool) { return c.run.ctx.Deadline() }
func (c *workerContext) Done() <-chan struct{}       { return c.run.ctx.Done() }
func (c *workerContext) Err() error                  { return c.run.ctx.Err() }

// callContext is a worker's context with the deadline of the request in hand.
// Making one for each request would allocate.
type callContext struct {
	context.Context
	worker *worker
}

// Deadline is that of the request, unless the run's own is earlier.
func (c *callContext) Deadline() (time.Time, bool) {
	run := c.worker.run
	deadline, ok := c.Context.Deadline()
	if began, busy := c.worker.slot.request(); busy {
		if own := run.base.Add(began + run.engine.timeout); !ok || own.Before(deadline) {
			return own, true
		}
	}
	return deadline, ok
}
