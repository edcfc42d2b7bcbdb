package loadtest

import (
	"context"
	"fmt"
	"time"

	"example.com/brunt/loadtest/internal/http1"
)

// Phase is how far a request had come.
type Phase uint8

// The phases of a request, in order.
const (
	PhaseUnknown Phase = iota
	PhasePool          // waiting for a connection
	PhaseDNS           // resolving the host name
	PhaseConnect       // connecting
	PhaseTLS           // TLS handshake
	PhaseHeaders       // request sent or being sent, no response yet
	PhaseBody          // reading the response body
)

var (
	phaseNames = [...]string{
		"", "waiting for a connection", "resolving the host name", "connecting",
		"in the TLS handshake", "waiting for the response headers", "reading the response body",
	}
	phaseTimeouts = [...]ErrorClass{
		ClassTimeout, ClassTimeoutPool, ClassTimeoutDNS, ClassTimeoutConnect,
		ClassTimeoutTLS, ClassTimeoutHeaders, ClassTimeoutBody,
	}
)

// phaseKeys are the names of the phases in results: the words of the error classes.
var phaseKeys = [...]string{"", "pool", "dns", "connect", "tls", "headers", "body"}

func (p Phase) String() string {
	if int(p) < len(phaseNames) {
		return phaseNames[p]
	}
	return fmt.Sprintf("Phase(%d)", uint8(p))
}

// PhaseError is a transport's error with the phase in which it occurred. Sessions
// return it where the error itself does not say.
type PhaseError struct {
	Phase Phase
	Err   error
}

func (e *PhaseError) Error() string {
	if e.Phase == PhaseUnknown {
		return e.Err.Error()
	}
	return e.Err.Error() + " while " + e.Phase.String()
}

// Unwrap returns the transport's error.
func (e *PhaseError) Unwrap() error { return e.Err }

// phaseTimes are the phases of the request in hand.
type phaseTimes struct {
	spent [PhaseBody + 1]time.Duration
	been  [PhaseBody + 1]bool
	any   bool
}

// CountPhase counts that the request in hand spent d in phase p; if that is called
// several times, the sum counts. NetHTTP and Wire do so if ConnectionConfig.Phases is
// set, other clients and functions may. ctx is the context that [Session].Do or the
// function was given, or one derived from it; without such a run it does nothing. It is
// for the goroutine that was given ctx, before it returns. A phase that does not exist
// is not counted, nor is a negative d.
func CountPhase(ctx context.Context, p Phase, d time.Duration) {
	w := workerOf(ctx)
	if w == nil || p == PhaseUnknown || p > PhaseBody || d < 0 {
		return
	}
	if w.phases == nil {
		w.phases = new(phaseTimes)
	}
	w.phases.any, w.phases.been[p] = true, true
	w.phases.spent[p] += d
}

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

// countPhases counts what c has measured of the request in hand, and ends it.
func countPhases(ctx context.Context, c *http1.PhaseClock) {
	c.End(func(p http1.Phase, spent time.Duration) { CountPhase(ctx, Phase(p), spent) })
}
