package loadtest

import (
	"cmp"
	"context"
	"errors"
	"time"

	"example.com/brunt/loadtest/pace"
	"example.com/brunt/resilience"
)

// Engine schedules requests. It is safe for concurrent use by multiple goroutines;
// each run has its own workers.
type Engine interface {
	// Run sends the requests of src and returns when the last one has ended. If ctx is
	// done first, requests in flight are canceled and counted, and the error is the
	// context's cause. The result is nil only if nothing could be sent at all: a nil
	// context, an empty source, an invalid request, a closed engine.
	Run(ctx context.Context, src Source) (*EngineResult, error)
	// RunStreaming is like Run and calls sink with each outcome when its request ends.
	// Calls of sink do not overlap; during one, other workers that have an outcome
	// wait. An error from sink stops the run: requests in flight are still finished and
	// counted, but not passed to sink, and the error is returned.
	RunStreaming(ctx context.Context, src Source, sink func(RequestResult) error) (*EngineResult, error)
	// Close stops admitting requests, waits for those in flight until ctx is done,
	// then cancels them, and closes every connection. A run that it ends returns
	// ErrClosed with its result. A request that ignores its canceled context for
	// another 5 s is reported as ErrLeak. Close may be called again, and during a Run.
	Close(ctx context.Context) error
}

// EngineConfig is the configuration of any engine: SyncConfig, ThreadedConfig,
// AsyncConfig, or any other.
type EngineConfig interface {
	// Validate reports every fault; each matches ErrConfig.
	Validate() error
	// New returns a new engine.
	New() (Engine, error)
}

const (
	defaultTimeout       = 30 * time.Second
	defaultMaxWorkers    = 10
	defaultMaxConcurrent = 100
	defaultMaxInFlight   = 10_000
	defaultMaxCatchUp    = time.Second
	// maxConcurrency guards against typos: a worker costs about 6 KB, its stack
	// included, and what its client needs for a connection.
	maxConcurrency = 1_000_000
)

// SyncConfig configures a [SyncEngine]. The zero value is ready to use.
type SyncConfig struct {
	// Client sends the requests; nil means NetHTTP(Conn). The engine closes it.
	Client Client
	// Conn configures the default client; it must be zero if Client is set.
	Conn ConnectionConfig
	// Timeout limits each request, from its beginning to the end of the response
	// body. 0 means 30 s.
	Timeout time.Duration
	// OnProgress, if not nil, is called with the state of a run: about once a second,
	// and once at its end with Done set. The calls of one run come from one goroutine,
	// do not overlap, and hold no lock; a slow one delays only the next, and the end of
	// Run. A panic or Goexit in it, such as that of FailNow, stops the run and continues
	// in the caller of Run. It must not close the engine.
	OnProgress func(Progress)
	// Abort, if not nil, ends a run when it cannot meet an objective any more; the error
	// is an [AbortError].
	Abort *AbortConfig
	// Tracing has requests say who they are.
	Tracing Tracing
	// Exclude has a warm-up and a ramp-down not counted.
	Exclude Exclude
}

// SyncEngine sends one request after another.
type SyncEngine struct{ *engine }

// Validate reports every fault; each matches ErrConfig.
func (c SyncConfig) Validate() error {
	var faults []error
	if c.Timeout < 0 {
		faults = append(faults, fault("Timeout is %v: must be 0 for the default, or positive", c.Timeout))
	}
	if c.Client == nil {
		faults = append(faults, c.Conn.Validate())
	} else {
		if !c.Conn.isZero() {
			faults = append(faults, fault("Conn is set beside Client: it configures the default client only; set it where Client is made"))
		}
		if v, ok := c.Client.(ConfigValidator); ok {
			faults = append(faults, v.Validate())
		}
	}
	return errors.Join(append(faults, c.Abort.Validate(), c.Tracing.validate(), c.Exclude.validate())...)
}

// New calls [NewSyncEngine].
func (c SyncConfig) New() (Engine, error) { return asEngine(NewSyncEngine(c)) }

// NewSyncEngine returns a new engine, or every fault of c; each matches [ErrConfig].
func NewSyncEngine(c SyncConfig) (*SyncEngine, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &SyncEngine{makeEngine("sync", 1, c)}, nil
}

// ThreadedConfig configures a [ThreadedEngine]. The zero value is ready to use.
type ThreadedConfig struct {
	// MaxWorkers is the number of workers. 0 means 10; at most 1,000,000.
	MaxWorkers int
	// Client, Conn and Timeout are as in SyncConfig.
	Client  Client
	Conn    ConnectionConfig
	Timeout time.Duration
	// OnProgress, Abort, Tracing and Exclude are as in SyncConfig.
	OnProgress func(Progress)
	Abort      *AbortConfig
	Tracing    Tracing
	Exclude    Exclude
}

// ThreadedEngine keeps a fixed number of workers busy, each with its own session and
// so its own connection pool. Sessions live until Close: later runs reuse their
// connections.
type ThreadedEngine struct{ *engine }

// common returns what is as in SyncConfig.
func (c ThreadedConfig) common() SyncConfig {
	return SyncConfig{c.Client, c.Conn, c.Timeout, c.OnProgress, c.Abort, c.Tracing, c.Exclude}
}

// Validate reports every fault; each matches ErrConfig.
func (c ThreadedConfig) Validate() error {
	return errors.Join(validateConcurrency("MaxWorkers", c.MaxWorkers), c.common().Validate())
}

// New calls [NewThreadedEngine].
func (c ThreadedConfig) New() (Engine, error) { return asEngine(NewThreadedEngine(c)) }

// NewThreadedEngine returns a new engine, or every fault of c; each matches [ErrConfig].
func NewThreadedEngine(c ThreadedConfig) (*ThreadedEngine, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	e := &ThreadedEngine{makeEngine("threaded", cmp.Or(c.MaxWorkers, defaultMaxWorkers), c.common())}
	e.private = true
	return e, nil
}

// AsyncConfig configures an [AsyncEngine]. The zero value is ready to use.
type AsyncConfig struct {
	// MaxConcurrent bounds the requests in flight. 0 means 100; at most 1,000,000.
	MaxConcurrent int
	// Client and Conn are as in SyncConfig.
	Client Client
	Conn   ConnectionConfig
	// Timeout limits each attempt, from its beginning to the end of the response
	// body. 0 means 30 s.
	Timeout time.Duration
	// Breaker, if not nil, admits each attempt and records its outcome and, if it has
	// a BaselineLatency, its latency. 5xx and 429 responses and attempts without a
	// response are failures to it; failed Checks are not. A request that it refuses is
	// counted as rejected, and its worker pauses for 10 ms. It may be shared.
	Breaker *resilience.CircuitBreaker
	// Retry, if not nil, repeats failed attempts as the policy says: it sees 5xx and 429
	// responses, with their Retry-After, and attempts without a response. The latency of
	// a request then runs from the beginning of its first attempt to the end of its last,
	// the waits included.
	Retry *resilience.RetryPolicy
	// OnProgress, Abort, Tracing and Exclude are as in SyncConfig.
	OnProgress func(Progress)
	Abort      *AbortConfig
	Tracing    Tracing
	Exclude    Exclude
}

// AsyncEngine keeps a bounded number of requests in flight over one shared pool, with
// a breaker and retries if configured.
type AsyncEngine struct{ *engine }

func (c AsyncConfig) common() SyncConfig {
	return SyncConfig{c.Client, c.Conn, c.Timeout, c.OnProgress, c.Abort, c.Tracing, c.Exclude}
}

// Validate reports every fault; each matches ErrConfig.
func (c AsyncConfig) Validate() error {
	return errors.Join(validateConcurrency("MaxConcurrent", c.MaxConcurrent), c.common().Validate())
}

// New calls [NewAsyncEngine].
func (c AsyncConfig) New() (Engine, error) { return asEngine(NewAsyncEngine(c)) }

// NewAsyncEngine returns a new engine, or every fault of c; each matches [ErrConfig].
func NewAsyncEngine(c AsyncConfig) (*AsyncEngine, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	e := &AsyncEngine{makeEngine("async", cmp.Or(c.MaxConcurrent, defaultMaxConcurrent), c.common())}
	e.breaker, e.retry = c.Breaker, c.Retry
	return e, nil
}

// ArrivalConfig configures an [ArrivalEngine].
type ArrivalConfig struct {
	// Schedule says when requests are due, such as pace.Constant(500).Until(time.Minute).
	// It must have at least one arrival.
	Schedule pace.Schedule
	// MaxInFlight bounds the requests in flight: an arrival that is due while there are so
	// many is dropped, and counted in Dropped. It costs nothing until so many are
	// needed: as many connections are opened as there are requests at once. 0 means
	// 10,000; at most 1,000,000.
	MaxInFlight int
	// MaxCatchUp bounds how late an arrival may be sent, and so the burst after this
	// process has stalled: what it comes to later than that is missed, and counted in
	// Missed. 0 means 1 s.
	MaxCatchUp time.Duration
	// Client and Conn are as in SyncConfig.
	Client Client
	Conn   ConnectionConfig
	// Timeout, Breaker and Retry are as in AsyncConfig, but for that a refusal makes
	// nothing pause. The response time of a request includes its retries.
	Timeout time.Duration
	Breaker *resilience.CircuitBreaker
	Retry   *resilience.RetryPolicy
	// OnProgress, Abort, Tracing and Exclude are as in SyncConfig.
	OnProgress func(Progress)
	Abort      *AbortConfig
	Tracing    Tracing
	Exclude    Exclude
}

// ArrivalEngine sends requests when a schedule says, however long they take: an open
// loop. Where a closed loop, as that of the other engines, waits for a slow service and
// so asks less of it, requests keep coming here, as those of users do. Latencies are
// response times: they begin when a request was due.
//
// Arrival number i of the schedule sends request number i of the source, or the next one
// of a [Seq]; the run ends with whichever ends first. Where that is a [Scenario], the
// arrival is a user, which counts as in flight until the scenario has returned. An arrival
// that is missed or dropped sends nothing, and a Seq is not asked for it; the request that
// [Recorded] has for it is passed over.
type ArrivalEngine struct{ *engine }

func (c ArrivalConfig) common() SyncConfig {
	return SyncConfig{c.Client, c.Conn, c.Timeout, c.OnProgress, c.Abort, c.Tracing, c.Exclude}
}

// Validate reports every fault; each matches ErrConfig.
func (c ArrivalConfig) Validate() error {
	faults := []error{validateConcurrency("MaxInFlight", c.MaxInFlight), c.common().Validate(), validateSchedule(c.Schedule)}
	if c.MaxCatchUp < 0 {
		faults = append(faults, fault("MaxCatchUp is %v: must be 0 for the default, or positive", c.MaxCatchUp))
	}
	return errors.Join(faults...)
}

func validateSchedule(s pace.Schedule) error {
	if err := s.Validate(); err != nil {
		return fault("Schedule: %w", err)
	}
	if _, ok := s.Cursor().Next(); !ok {
		return fault("Schedule has no arrivals: it is %q; set it, for example to pace.Constant(100).Until(time.Minute)", s)
	}
	return nil
}

// New calls [NewArrivalEngine].
func (c ArrivalConfig) New() (Engine, error) { return asEngine(NewArrivalEngine(c)) }

// NewArrivalEngine returns a new engine, or every fault of c; each matches [ErrConfig].
func NewArrivalEngine(c ArrivalConfig) (*ArrivalEngine, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	e := &ArrivalEngine{makeEngine("arrival", cmp.Or(c.MaxInFlight, defaultMaxInFlight), c.common())}
	e.open, e.schedule, e.catchUp = true, c.Schedule, cmp.Or(c.MaxCatchUp, defaultMaxCatchUp)
	e.breaker, e.retry = c.Breaker, c.Retry
	return e, nil
}

// RunSchedule is like Run, at another schedule than the configured one and, unless it is
// 0, with another MaxInFlight. Connections are kept from one run to the next, as Run
// keeps them. The error matches [ErrConfig] if a configuration could not have these.
func (e *ArrivalEngine) RunSchedule(ctx context.Context, s pace.Schedule, maxInFlight int, src Source) (*EngineResult, error) {
	if err := errors.Join(validateSchedule(s), validateConcurrency("MaxInFlight", maxInFlight)); err != nil {
		return nil, err
	}
	return e.runAt(ctx, s, cmp.Or(maxInFlight, e.concurrency), src, nil)
}

// asEngine returns a nil Engine, not a nil pointer in one, with an error.
func asEngine[E Engine](e E, err error) (Engine, error) {
	if err != nil {
		return nil, err
	}
	return e, nil
}

func validateConcurrency(name string, n int) error {
	if n < 0 || n > maxConcurrency {
		return fault("%s is %d: must be from 1 to %d, or 0 for the default", name, n, maxConcurrency)
	}
	return nil
}
