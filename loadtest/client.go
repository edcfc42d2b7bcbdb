package loadtest

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// Client sends requests: it is what an engine drives. The engine that it is given
// to owns it and closes it. A Client is safe for concurrent use by multiple
// goroutines.
//
// A Client may implement [ConfigValidator], [RequestValidator], [PrivateSessioner]
// and [ConnectionCounter] too, and its sessions [Parker]. Engines look for them in
// the Client itself: one that wraps another has those that it passes on.
type Client interface {
	// Session returns a session for one worker. It does not connect yet.
	Session() (Session, error)
	// Close closes every connection; its sessions fail afterwards. It must be
	// idempotent: a second Close of the engine calls it again.
	Close() error
}

// Session sends the requests of one worker. It is used by one goroutine at a time.
type Session interface {
	// Do sends req and returns when the response has been read to its end. It
	// must return soon after ctx is done, with an error. ctx has no deadline: the
	// engine cancels it when the request's time is up. It is the same for many
	// requests in a row.
	Do(ctx context.Context, req *Request) (Response, error)
	// Close frees what the session does not share with the client.
	Close() error
}

// ConfigValidator is a [Client] that knows before its first session whether it can
// work.
type ConfigValidator interface {
	// Validate reports every fault of the client's configuration; each should match
	// [ErrConfig]. The Validate of an engine's configuration reports them as well.
	Validate() error
}

// RequestValidator is a [Client] that knows which requests it can send.
type RequestValidator interface {
	// ValidateRequest reports every fault of r; each should match [ErrInvalidRequest].
	// It is called before r is sent for the first time in a run, and a fault ends the
	// run; [Request.Validate] reports those of HTTP requests. A Client without it is
	// sent every request but a nil one.
	ValidateRequest(r *Request) error
}

// PrivateSessioner is a [Client] whose sessions need not share a pool of connections.
type PrivateSessioner interface {
	// PrivateSession returns a session that shares no connection with others.
	// A [ThreadedEngine] calls it instead of Session.
	PrivateSession() (Session, error)
}

// Parker is a [Session] that should not hold connections for as long as its engine
// lives.
type Parker interface {
	// Park is called at the end of a run. Until the next Do, which may never come,
	// idle connections may be given back to a pool, or expire.
	Park()
}

// ConnectionCounter is a [Client] that calls [CountConnection] for every connection
// that it opens. The results of another have ConnectionsUnknown set.
type ConnectionCounter interface {
	// ReusesConnections reports whether the client means to keep connections alive:
	// then many new ones are worth a warning, [WarnConnectionChurn].
	ReusesConnections() bool
}

// CountConnection counts a connection in the ConnectionsOpened of a run. ctx is the
// context that [Session].Do was given by the request that the connection was opened
// for, or one derived from it. Without such a run it does nothing. It is safe for
// concurrent use by multiple goroutines.
func CountConnection(ctx context.Context) {
	if c := connectionsOf(ctx); c != nil {
		c.opened.Add(1)
	}
}

// CountConnectionWait says that a request that ends had to wait for d before it got a
// connection, or a stream of one: the limit on connections was reached. What it takes to
// open one is no such wait. An open loop in which requests go on having to wait is
// INVALID, with [CauseConnections]. ctx is as for [CountConnection].
// It is safe for concurrent use by multiple goroutines.
func CountConnectionWait(ctx context.Context, d time.Duration) {
	if c := connectionsOf(ctx); c != nil {
		c.wait(d)
	}
}

// connections counts those of a run. It is safe for concurrent use.
type connections struct {
	opened  atomic.Int64
	waited  atomic.Int64 // requests that waited for one, since the last take
	waiting atomic.Int64 // how long they did
}

func (c *connections) wait(d time.Duration) {
	c.waited.Add(1)
	c.waiting.Add(int64(d))
}

// takeWaits returns how many requests waited since the last call, and how long they did
// together.
func (c *connections) takeWaits() (requests int64, sum time.Duration) {
	return c.waited.Swap(0), time.Duration(c.waiting.Swap(0))
}

func connectionsOf(ctx context.Context) *connections {
	c, _ := ctx.Value(connectionsKey{}).(*connections)
	return c
}

// connectionsKey is the key under which the context of a run holds the
// *connections that counts its connections.
type connectionsKey struct{}

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
	if began, busy := c.worker.slot.Request(); busy {
		if own := run.base.Add(began + run.engine.timeout); !ok || own.Before(deadline) {
			return own, true
		}
	}
	return deadline, ok
}
