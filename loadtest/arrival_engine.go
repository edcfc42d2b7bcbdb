package loadtest

import (
	"cmp"
	"errors"
	"time"

	"example.com/brunt/loadtest/pace"
	"example.com/brunt/resilience"
)

const (
	defaultMaxInFlight = 10_000
	defaultMaxCatchUp  = time.Second
)

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
	// OnProgress and Abort are as in SyncConfig.
	OnProgress func(Progress)
	Abort      *AbortConfig
}

// ArrivalEngine sends requests when a schedule says, however long they take: an open
// loop. Where a closed loop, as that of the other engines, waits for a slow service and
// so asks less of it, requests keep coming here, as those of users do. Latencies are
// response times: they begin when a request was due.
//
// Arrival number i of the schedule sends request number i of the source, or the next one
// of a [Seq]; the run ends with whichever ends first. An arrival that is missed or
// dropped sends nothing, and a Seq is not asked for it.
type ArrivalEngine struct{ *engine }

// Validate reports every fault; each matches ErrConfig.
func (c ArrivalConfig) Validate() error {
	faults := []error{validateEngine(c.Client, c.Conn, c.Timeout, "MaxInFlight", c.MaxInFlight), c.Abort.Validate()}
	if err := c.Schedule.Validate(); err != nil {
		faults = append(faults, fault("Schedule: %w", err))
	} else if _, ok := c.Schedule.Cursor().Next(); !ok {
		faults = append(faults, fault("Schedule has no arrivals: it is %q; set it, for example to pace.Constant(100).Until(time.Minute)", c.Schedule))
	}
	if c.MaxCatchUp < 0 {
		faults = append(faults, fault("MaxCatchUp is %v: must be 0 for the default, or positive", c.MaxCatchUp))
	}
	return errors.Join(faults...)
}

// New calls [NewArrivalEngine].
func (c ArrivalConfig) New() (Engine, error) { return asEngine(NewArrivalEngine(c)) }

// NewArrivalEngine returns a new engine, or every fault of c; each matches [ErrConfig].
func NewArrivalEngine(c ArrivalConfig) (*ArrivalEngine, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	e := &ArrivalEngine{makeEngine("arrival", cmp.Or(c.MaxInFlight, defaultMaxInFlight), c.Client, c.Conn, c.Timeout)}
	e.open, e.schedule, e.catchUp = true, c.Schedule, cmp.Or(c.MaxCatchUp, defaultMaxCatchUp)
	e.breaker, e.retry, e.progress, e.abort = c.Breaker, c.Retry, c.OnProgress, c.Abort
	return e, nil
}
