package otelsink

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"example.com/brunt/loadtest"
)

// scopeName is the name of the instrumentation scope of everything that is exported.
const scopeName = "example.com/brunt/loadtest/otelsink"

// Config configures an [Exporter]. The zero value is ready to use: one process, "run".
type Config struct {
	// Run names the run, the same for all shards: letters, digits, "_", "." and "-". Empty
	// means "run".
	Run string
	// Shard is which of the processes that make the run this is; the zero Shard is 0/1. See
	// [loadtest.ShardFromEnv].
	Shard loadtest.Shard
}

var runName = regexp.MustCompile(`^[A-Za-z0-9_.-]*$`)

// Validate reports every fault; each matches [loadtest.ErrConfig].
func (c Config) Validate() error {
	var faults []error
	if !runName.MatchString(c.Run) {
		faults = append(faults, fmt.Errorf("%w: otelsink: Run is %q: must be of letters, digits, _, . and -", loadtest.ErrConfig, c.Run))
	}
	if c.Shard != (loadtest.Shard{}) {
		faults = append(faults, c.Shard.Validate())
	}
	return errors.Join(faults...)
}

// Exporter makes OpenTelemetry metrics of the runs that it follows. It is a
// [metric.Producer]: a reader of the OpenTelemetry SDK asks it for them, as often as the
// reader is configured to. Between, it holds no goroutine and no connection, so that there
// is nothing to close; shutting the MeterProvider down exports the last state.
//
// What it counts begins with New and only grows: the runs that it follows are added up,
// be they one after the other or at the same time. It is safe for concurrent use by
// multiple goroutines.
type Exporter struct {
	attributes []attribute.KeyValue
	start      time.Time

	mu     sync.Mutex
	at     time.Time             // of the latest report; zero: there was none
	ended  loadtest.EngineResult // of the runs that have ended
	runs   []*following
	causes map[loadtest.Cause]bool // seen so far
}

var _ metric.Producer = (*Exporter)(nil)

// following is one run at a time.
type following struct {
	last   loadtest.Progress
	result *loadtest.EngineResult // so far; nil: no run is in progress. It is not changed.
}

// New returns an exporter, or every fault of cfg.
func New(cfg Config) (*Exporter, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Run == "" {
		cfg.Run = "run"
	}
	if cfg.Shard.Count == 0 {
		cfg.Shard.Count = 1
	}
	return &Exporter{
		attributes: []attribute.KeyValue{
			attribute.String("service.instance.id", fmt.Sprintf("%s/%d", cfg.Run, cfg.Shard.Index)),
			attribute.String("loadtest.run.name", cfg.Run),
			attribute.Int("loadtest.shard.index", cfg.Shard.Index),
			attribute.Int("loadtest.shard.count", cfg.Shard.Count),
		},
		start:  time.Now(),
		causes: make(map[loadtest.Cause]bool),
	}, nil
}

// Attributes returns what tells this process from other shards and other runs, for the
// resource of a MeterProvider and a SpansConfig: loadtest.run.name, loadtest.shard.index,
// loadtest.shard.count, and service.instance.id, which is the name and the index.
// Prometheus makes the latter its label "instance": without one, the series of shards
// would be mistaken for one.
func (x *Exporter) Attributes() []attribute.KeyValue {
	return slices.Clone(x.attributes)
}

// Follow returns a function for the OnProgress field of an engine's configuration. It
// follows one run at a time, and may follow another one afterwards: engines that run at
// the same time need one each.
func (x *Exporter) Follow() func(loadtest.Progress) {
	f := new(following)
	x.mu.Lock()
	x.runs = append(x.runs, f)
	x.mu.Unlock()
	return func(p loadtest.Progress) {
		result := p.Result() // outside the lock
		if result == nil {
			return // no engine has made it
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		x.at, f.last, f.result = time.Now(), p, result
		if p.Last.Cause != "" {
			x.causes[p.Last.Cause] = true
		}
		if p.Done {
			x.ended.Merge(result)
			f.result = nil
		}
	}
}

// Produce implements [metric.Producer]. Its points are of the time of the latest report
// of an engine, which comes about once a second.
func (x *Exporter) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	return []metricdata.ScopeMetrics{{
		Scope: instrumentation.Scope{Name: scopeName}, Metrics: x.state().metrics(),
	}}, nil
}

// state returns what there is to export now. It shares nothing with x.
func (x *Exporter) state() *state {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := &state{start: x.start, now: x.at, result: new(loadtest.EngineResult), causes: maps.Clone(x.causes)}
	if s.now.IsZero() {
		s.now = time.Now()
	}
	for cause := range s.causes {
		s.causes[cause] = false
	}
	s.result.Merge(&x.ended)
	for _, f := range x.runs {
		s.elapsed, s.planned = max(s.elapsed, f.last.Elapsed), max(s.planned, f.last.Planned)
		if f.result == nil {
			continue
		}
		s.result.Merge(f.result)
		s.inFlight += f.last.InFlight
		s.heap = max(s.heap, f.last.HeapBytes)
		if c := f.last.Last.Cause; c != "" {
			s.causes[c] = true
		}
	}
	return s
}
