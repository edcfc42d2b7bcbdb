package loadtest

import (
	"context"
	"fmt"
	"time"
)

// Func returns a client that calls fn for each request: a gRPC call, a query, a plain
// function. A nil error is a success. The request itself is not used; to
// call several functions in one run, see [Call].
//
// fn runs on many goroutines at once. Its context has a deadline, which is the
// engine's Timeout away or what is left of the context passed to Run, and is
// canceled then or when the run ends; it must not be used after fn has returned.
// Run waits for an fn that ignores it.
//
// The errors of fn are classed as those of a transport are. One that has, or
// wraps an error that has, a method ErrorClass() [ErrorClass] says so itself.
func Func(fn func(context.Context) error) Client { return funcClient{fn} }

// Call returns a request that calls fn, as a [Func] client does, under a name of its
// own. It works with every source, beside HTTP requests too, and whatever the
// engine's client is:
//
//	loadtest.Times(1000, loadtest.Call("read", read), loadtest.Call("write", write))
//
// Each name has its own statistics in [EngineResult.Endpoints]. Calls of a nil fn
// fail, in [ClassInvalid].
func Call(name string, fn func(context.Context) error) *Request {
	if fn == nil {
		fn = func(context.Context) error {
			return fmt.Errorf("%w: Call(%q, nil): the function is missing", ErrInvalidRequest, name)
		}
	}
	return &Request{Name: name, Func: fn}
}

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

type funcClient struct {
	fn func(context.Context) error
}

func (c funcClient) Validate() error {
	if c.fn == nil {
		return fault("Func(nil): the function is missing")
	}
	return nil
}

func (c funcClient) Session() (Session, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return funcSession(c), nil
}

func (c funcClient) Close() error { return nil }

type funcSession funcClient

func (s funcSession) Do(ctx context.Context, _ *Request) (Response, error) {
	return Response{}, s.fn(ctx)
}

func (s funcSession) Close() error { return nil }
