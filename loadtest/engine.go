package loadtest

import (
	"cmp"
	"context"
	"errors"
	"time"

	"example.com/brunt/resilience"
)

// Engine schedules requests. Its methods are safe for concurrent use; runs
// that overlap each have workers of their own.
type Engine interface {
	// Run sends what src holds and returns when the last request has ended. If
	// ctx ends first, requests in flight are cancelled and counted, and the
	// error is the context's cause. The result is nil only if nothing could be
	// sent at all: a nil context, an empty source, an invalid request, a closed
	// engine.
	Run(ctx context.Context, src Source) (*EngineResult, error)
	// RunStreaming is Run, and hands each outcome to sink as its request ends.
	// Calls of sink do not overlap; while one lasts, other workers that have an
	// outcome wait. An error of sink stops the run: requests in flight are still
	// finished and counted, but not handed over, and the error is returned.
	RunStreaming(ctx context.Context, src Source, sink func(RequestResult) error) (*EngineResult, error)
	// Close stops admitting requests, waits for those in flight until ctx is
	// done, then cancels them, and frees every connection. A run that it ends
	// returns ErrClosed with its result. A request that ignores its cancelled
	// context for 5 s more is reported as ErrLeak. Close may be called again, and
	// beside a Run.
	Close(ctx context.Context) error
}

// EngineConfig is the configuration of any engine: SyncConfig, ThreadedConfig,
// AsyncConfig, or one of your own.
type EngineConfig interface {
	// Validate reports every fault; each matches ErrConfig.
	Validate() error
	// New makes the engine.
	New() (Engine, error)
}

const (
	defaultTimeout       = 30 * time.Second
	defaultMaxWorkers    = 10
	defaultMaxConcurrent = 100
	// maxConcurrency is a bound against slips of the pen: a worker costs about
	// 6 KB, its stack included, and what its client needs for a connection.
	maxConcurrency = 1_000_000
)

// SyncConfig configures a [SyncEngine]. The zero value is ready to use.
type SyncConfig struct {
	// Client owns the wire; nil means NetHTTP(Conn). The engine closes it.
	Client Client
	// Conn configures the default client; it must be zero if Client is set.
	Conn ConnectionConfig
	// Timeout limits each request, from its beginning to the end of the response
	// body. 0 means 30 s.
	Timeout time.Duration
	// OnProgress, if set, is told how a run stands: about once a second and, with
	// Done set, once at its end. The calls of one run come from one goroutine, do
	// not overlap, and hold no lock; time spent in one delays only the next, and
	// the end of Run. A panic or Goexit in it, such as that of FailNow, stops the
	// run and is passed on by Run. It must not close the engine.
	OnProgress func(Progress)
}

// SyncEngine sends one request after another.
type SyncEngine struct{ *engine }

// Validate reports every fault; each matches ErrConfig.
func (c SyncConfig) Validate() error {
	return validateEngine(c.Client, c.Conn, c.Timeout, "", 0)
}

// New is NewSyncEngine as EngineConfig asks for it.
func (c SyncConfig) New() (Engine, error) { return asEngine(NewSyncEngine(c)) }

// NewSyncEngine makes an engine, or reports every fault of its configuration.
func NewSyncEngine(c SyncConfig) (*SyncEngine, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	e := &SyncEngine{makeEngine("sync", 1, c.Client, c.Conn, c.Timeout)}
	e.progress = c.OnProgress
	return e, nil
}

// ThreadedConfig configures a [ThreadedEngine]. The zero value is ready to use.
type ThreadedConfig struct {
	// MaxWorkers is the number of workers. 0 means 10; at most 1,000,000.
	MaxWorkers int
	// Client owns the wire; nil means NetHTTP(Conn). The engine closes it.
	Client Client
	// Conn configures the default client; it must be zero if Client is set.
	Conn ConnectionConfig
	// Timeout limits each request, from its beginning to the end of the response
	// body. 0 means 30 s.
	Timeout time.Duration
	// OnProgress, if set, is told how a run stands: about once a second and, with
	// Done set, once at its end. The calls of one run come from one goroutine, do
	// not overlap, and hold no lock; time spent in one delays only the next, and
	// the end of Run. A panic or Goexit in it, such as that of FailNow, stops the
	// run and is passed on by Run. It must not close the engine.
	OnProgress func(Progress)
}

// ThreadedEngine keeps a fixed number of workers busy, each with a session, and
// so a connection pool, of its own. Sessions live until Close: later runs reuse
// their connections.
type ThreadedEngine struct{ *engine }

// Validate reports every fault; each matches ErrConfig.
func (c ThreadedConfig) Validate() error {
	return validateEngine(c.Client, c.Conn, c.Timeout, "MaxWorkers", c.MaxWorkers)
}

// New is NewThreadedEngine as EngineConfig asks for it.
func (c ThreadedConfig) New() (Engine, error) { return asEngine(NewThreadedEngine(c)) }

// NewThreadedEngine makes an engine, or reports every fault of its configuration.
func NewThreadedEngine(c ThreadedConfig) (*ThreadedEngine, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	e := &ThreadedEngine{makeEngine("threaded", cmp.Or(c.MaxWorkers, defaultMaxWorkers), c.Client, c.Conn, c.Timeout)}
	e.private, e.progress = true, c.OnProgress
	return e, nil
}

// AsyncConfig configures an [AsyncEngine]. The zero value is ready to use.
type AsyncConfig struct {
	// MaxConcurrent bounds the requests in flight. 0 means 100; at most 1,000,000.
	MaxConcurrent int
	// Client owns the wire; nil means NetHTTP(Conn). The engine closes it.
	Client Client
	// Conn configures the default client; it must be zero if Client is set.
	Conn ConnectionConfig
	// Timeout limits each attempt, from its beginning to the end of the response
	// body. 0 means 30 s.
	Timeout time.Duration
	// Breaker is asked before each attempt and learns its outcome and, if it has
	// a BaselineLatency, its latency; nil means none. 5xx and 429 responses and
	// attempts without a response are errors to it, failed Checks are not. A
	// request that it refuses is counted in RejectedCount, and its worker pauses
	// for 10 ms. It may be shared with other users.
	Breaker *resilience.CircuitBreaker
	// Retry repeats attempts that fail as it says; nil means one attempt each.
	// It hears of 5xx and 429 responses, with their Retry-After, and of attempts
	// without a response. The latency of a request then runs from its first
	// attempt to the end of the last, the waits included.
	Retry *resilience.RetryPolicy
	// OnProgress, if set, is told how a run stands: about once a second and, with
	// Done set, once at its end. The calls of one run come from one goroutine, do
	// not overlap, and hold no lock; time spent in one delays only the next, and
	// the end of Run. A panic or Goexit in it, such as that of FailNow, stops the
	// run and is passed on by Run. It must not close the engine.
	OnProgress func(Progress)
}

// AsyncEngine keeps a bounded number of requests in flight over one shared pool,
// behind a breaker and with retries if it is given them.
type AsyncEngine struct{ *engine }

// Validate reports every fault; each matches ErrConfig.
func (c AsyncConfig) Validate() error {
	return validateEngine(c.Client, c.Conn, c.Timeout, "MaxConcurrent", c.MaxConcurrent)
}

// New is NewAsyncEngine as EngineConfig asks for it.
func (c AsyncConfig) New() (Engine, error) { return asEngine(NewAsyncEngine(c)) }

// NewAsyncEngine makes an engine, or reports every fault of its configuration.
func NewAsyncEngine(c AsyncConfig) (*AsyncEngine, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	e := &AsyncEngine{makeEngine("async", cmp.Or(c.MaxConcurrent, defaultMaxConcurrent), c.Client, c.Conn, c.Timeout)}
	e.breaker, e.retry, e.progress = c.Breaker, c.Retry, c.OnProgress
	return e, nil
}

// asEngine keeps a nil pointer from becoming a non-nil Engine.
func asEngine[E Engine](e E, err error) (Engine, error) {
	if err != nil {
		return nil, err
	}
	return e, nil
}

func validateEngine(client Client, conn ConnectionConfig, timeout time.Duration, name string, concurrency int) error {
	var faults []error
	if concurrency < 0 || concurrency > maxConcurrency {
		faults = append(faults, fault("%s is %d: must be from 1 to %d, or 0 for the default", name, concurrency, maxConcurrency))
	}
	if timeout < 0 {
		faults = append(faults, fault("Timeout is %v: must be 0 for the default, or positive", timeout))
	}
	if client == nil {
		faults = append(faults, conn.Validate())
	} else {
		if !conn.isZero() {
			faults = append(faults, fault("Conn is set beside Client: it configures the default client only; set it where Client is made"))
		}
		if c, ok := client.(ConfigValidator); ok {
			faults = append(faults, c.Validate())
		}
	}
	return errors.Join(faults...)
}
