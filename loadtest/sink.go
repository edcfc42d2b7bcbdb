package loadtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"example.com/brunt/loadtest/internal/text"
	"example.com/brunt/resilience"
)

// BatchWriter is what a [Sink] writes to. Its methods are called by one
// goroutine at a time, Close last and once.
type BatchWriter interface {
	// WriteBatch writes records, at least one, in the order in which they were
	// put. It must not keep the slice. ctx is done when that of Sink.Close is. After an
	// error it is not called again; an error that is or wraps a *SinkError tells how many
	// records of the batch were written nevertheless.
	WriteBatch(ctx context.Context, batch []RequestResult) error
	// Close makes what was written durable and releases the writer's resources.
	Close() error
}

// SinkConfig configures a [Sink]. The zero value is ready to use.
type SinkConfig struct {
	// QueueSize bounds the records that wait to be written, at about 220 bytes
	// each. 0 means 16,384, or BatchSize where that is larger; at most 16,777,216.
	QueueSize int
	// BatchSize is the most records that are written at once. 0 means 1,024, or
	// QueueSize where that is smaller; at most QueueSize.
	BatchSize int
	// FlushInterval is the longest that a record waits for its batch to fill,
	// counted from when the batch before it was taken. 0 means 1 s.
	FlushInterval time.Duration
	// DropOnFull drops a record when the queue is full, and counts it. If it is false
	// the worker waits for room instead, and the time is counted.
	DropOnFull bool
}

const (
	defaultQueueSize     = 16_384
	defaultBatchSize     = 1024
	defaultFlushInterval = time.Second
	maxQueueSize         = 1 << 24 // 3.6 GB of records: guards against typos
)

// Validate reports every fault; each matches ErrConfig.
func (c SinkConfig) Validate() error {
	var faults []error
	if c.QueueSize < 0 || c.QueueSize > maxQueueSize {
		faults = append(faults, fault("QueueSize is %d: must be from 1 to %d, or 0 for the default", c.QueueSize, maxQueueSize))
	}
	if c.BatchSize < 0 || c.BatchSize > maxQueueSize {
		faults = append(faults, fault("BatchSize is %d: must be from 1 to %d, or 0 for the default", c.BatchSize, maxQueueSize))
	} else if c.QueueSize > 0 && c.BatchSize > c.QueueSize {
		faults = append(faults, fault("BatchSize is %d: must be at most QueueSize, which is %d", c.BatchSize, c.QueueSize))
	}
	if c.FlushInterval < 0 {
		faults = append(faults, fault("FlushInterval is %v: must be 0 for the default, or positive", c.FlushInterval))
	}
	return errors.Join(faults...)
}

func (c SinkConfig) withDefaults() SinkConfig {
	queueSet, batchSet := c.QueueSize, c.BatchSize
	if queueSet == 0 {
		c.QueueSize = max(defaultQueueSize, batchSet)
	}
	if batchSet == 0 {
		c.BatchSize = min(defaultBatchSize, c.QueueSize)
	}
	c.FlushInterval = cmp.Or(c.FlushInterval, defaultFlushInterval)
	return c
}

// Sink writes the records of a run in batches, on its own goroutine. A bounded queue
// lies between, so that a short pause of the disk does not stall the measurement, and a
// lasting one shows in its [SinkStats].
//
//	sink, err := loadtest.CreateJSONL("results.jsonl", loadtest.SinkConfig{})
//	…
//	result, err := loadtest.Record(ctx, engine, src, sink)
//	…
//	err = sink.Close(ctx)
//
// A Sink is safe for concurrent use by multiple goroutines and may serve several runs.
// Its goroutine ends with Close.
type Sink struct {
	writer BatchWriter
	pipe   *resilience.Pipeline[RequestResult]

	failed  atomic.Pointer[SinkError] // why nothing is written any more
	partial atomic.Int64              // records of the failed batch that were written
	batches atomic.Int64

	closing  sync.Once
	closed   chan struct{} // closed when the writer is
	mu       sync.Mutex
	lost     error // the context of Close ended first
	closeErr error // the writer's
}

// NewSink returns a sink that writes to w and closes it, or every fault of cfg; w is
// left alone then.
func NewSink(w BatchWriter, cfg SinkConfig) (*Sink, error) {
	err := cfg.Validate()
	if w == nil {
		err = errors.Join(fault("NewSink without a writer"), err)
	}
	if err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s := &Sink{writer: w, closed: make(chan struct{})}
	policy := resilience.Backpressure
	if cfg.DropOnFull {
		policy = resilience.DropNewest
	}
	s.pipe, err = resilience.NewPipeline(resilience.PipelineConfig[RequestResult]{
		OnBatch: s.write, OnError: s.fail,
		MaxQueueSize: cfg.QueueSize, BatchSize: cfg.BatchSize, BatchTimeout: cfg.FlushInterval, DropOnFull: policy,
	})
	if err == nil {
		err = s.pipe.Start()
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Put queues a record; it can be the sink of [Engine].RunStreaming.
// While the queue is full it waits for room, or drops the record if DropOnFull
// says so, which is no error. Once a batch could not be written every Put returns
// the *SinkError at once, and so stops the run; after Close it returns one that
// wraps [resilience.ErrStopped].
//
// RunStreaming calls it for one worker at a time, and others that wait meanwhile
// are not in SinkStats.Blocked: [Record] counts them all.
func (s *Sink) Put(r RequestResult) error { return s.put(context.Background(), r) }

func (s *Sink) put(ctx context.Context, r RequestResult) error {
	if err := s.failed.Load(); err != nil {
		return err
	}
	err := s.pipe.Put(ctx, r)
	if err == nil || err == resilience.ErrQueueFull { //nolint:errorlint // the hot path; it is never wrapped
		return nil
	}
	return s.error(causeOf(ctx, err))
}

// causeOf returns the cause of ctx if err is its error, else err.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, ctx.Err()) {
		return cause
	}
	return err
}

// write is the pipeline's OnBatch.
func (s *Sink) write(ctx context.Context, batch []RequestResult) error {
	if err := s.failed.Load(); err != nil {
		return err
	}
	defer s.batches.Add(1)
	return s.writer.WriteBatch(ctx, batch)
}

// fail is the pipeline's OnError: no batch is written after one that failed,
// because what follows a gap can't be trusted.
func (s *Sink) fail(err error, batch []RequestResult) {
	if s.failed.Load() != nil {
		return
	}
	var part *SinkError
	if errors.As(err, &part) {
		s.partial.Store(max(0, min(part.Written, int64(len(batch)))))
		err = part.Err
	}
	s.failed.Store(&SinkError{Written: s.Stats().Written, Err: err})
}

// error adds to err how much was written; a write that failed explains more.
func (s *Sink) error(err error) error {
	if failed := s.failed.Load(); failed != nil {
		return failed
	}
	return &SinkError{Written: s.Stats().Written, Err: err}
}

// flush returns when everything put before it is written, or can't be.
func (s *Sink) flush(ctx context.Context) error {
	if err := s.pipe.Flush(ctx); err != nil {
		return s.error(causeOf(ctx, err))
	}
	if err := s.failed.Load(); err != nil {
		return err
	}
	return nil
}

// Close writes what is queued, then closes the writer, which makes it durable. It
// returns nil only if every record that was put is written or counted in
// SinkStats.Dropped for want of room; else a *SinkError.
//
// If ctx ends first, Close drops what is queued and cancels the context of
// WriteBatch. A WriteBatch that goes on nevertheless is not waited for; the writer
// is closed when it returns. A writer whose own Close hangs is given 5 s. Close may
// be called again, and concurrently: each call waits.
func (s *Sink) Close(ctx context.Context) error {
	if ctx == nil {
		return ErrNilContext
	}
	// Ends when the queue is empty, or dropped below, and the writer closed.
	s.closing.Do(func() { go s.finish() })
	select {
	case <-s.closed:
		return s.verdict()
	case <-ctx.Done():
	}
	m, err := s.pipe.Stop(ctx, true)
	if err != nil {
		s.mu.Lock()
		if s.lost == nil {
			s.lost = &SinkError{Written: s.Stats().Written, Err: err}
		}
		s.mu.Unlock()
	}
	if m.InFlight > 0 {
		return s.verdict()
	}
	grace := time.NewTimer(cancelGrace)
	defer grace.Stop()
	select {
	case <-s.closed:
		return s.verdict()
	case <-grace.C:
	}
	return errors.Join(s.verdict(), &SinkError{
		Written: s.Stats().Written, Err: fmt.Errorf("the writer's Close goes on %v after its context ended: %w", cancelGrace, context.Cause(ctx)),
	})
}

func (s *Sink) finish() {
	defer close(s.closed)
	_, _ = s.pipe.Stop(context.Background(), true) // can't fail: its context does not end
	err := resilience.ErrGoexit                    // stands if Close does not return
	var thrown error
	defer func() {
		if value := recover(); value != nil {
			thrown = &resilience.PanicError{Value: value, Stack: debug.Stack()}
		} else if thrown = err; err == nil {
			return
		}
		s.mu.Lock()
		s.closeErr = &SinkError{Written: s.Stats().Written, Err: thrown}
		s.mu.Unlock()
	}()
	err = s.writer.Close()
}

// verdict returns what Close does.
func (s *Sink) verdict() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var failed error
	if f := s.failed.Load(); f != nil {
		failed = f
	}
	return errors.Join(failed, s.lost, s.closeErr)
}

// ErrSink matches every [*SinkError].
var ErrSink = errors.New("loadtest: sink")

// SinkError is why a [Sink] could not write, and how much it had written before.
type SinkError struct {
	Written int64 // records written
	Err     error // the writer's error, such as syscall.ENOSPC
}

func (e *SinkError) Error() string {
	return fmt.Sprintf("loadtest: sink: %v (%s records written)", e.Err, text.Count(e.Written))
}

// Is matches ErrSink.
func (e *SinkError) Is(target error) bool { return target == ErrSink }

// Unwrap returns the writer's error.
func (e *SinkError) Unwrap() error { return e.Err }

// WarnSinkLimit: the [Sink] of a run held it back, or lost records.
const WarnSinkLimit WarningKind = "sink_limit"

// SinkStats is what a [Sink] did. After Close, and whenever nothing waits,
// Put == Written + Dropped + Failed.
type SinkStats struct {
	Put        int64         `json:"put"`         // records handed over, those dropped included
	Written    int64         `json:"written"`     // records written; durable after Close
	Dropped    int64         `json:"dropped"`     // records not written: no room in the queue, or no time in Close
	Failed     int64         `json:"failed"`      // records that could not be written
	Batches    int64         `json:"batches"`     // calls of WriteBatch that have ended
	QueueDepth int           `json:"queue_depth"` // records waiting now
	PeakQueue  int           `json:"peak_queue"`  // most records that ever waited
	Blocked    time.Duration `json:"blocked_ns"`  // time spent in Put waiting for room, over all workers
}

// Stats returns what the sink has done so far; it is consistent in itself.
func (s *Sink) Stats() SinkStats {
	m := s.pipe.Metrics()
	st := SinkStats{
		Put: int64(m.Put), Written: int64(m.Processed), Dropped: int64(m.Dropped), Failed: int64(m.Failed),
		Batches: s.batches.Load(), QueueDepth: m.QueueDepth, PeakQueue: m.PeakQueue, Blocked: m.BlockedTime,
	}
	if st.Failed > 0 {
		part := s.partial.Load()
		st.Written += part
		st.Failed -= part
	}
	return st
}

// plus returns st with times other added to its counts.
func (st SinkStats) plus(times int64, other SinkStats) SinkStats {
	st.Put += times * other.Put
	st.Written += times * other.Written
	st.Dropped += times * other.Dropped
	st.Failed += times * other.Failed
	st.Batches += times * other.Batches
	st.Blocked += time.Duration(times) * other.Blocked
	return st
}

// mergeSinks adds up two results' sinks, either of which may be nil.
func mergeSinks(a, b *SinkStats) *SinkStats {
	if a == nil || b == nil {
		a, b = cmp.Or(a, b), new(SinkStats)
	}
	if a == nil {
		return nil
	}
	sum := a.plus(1, *b)
	sum.QueueDepth += b.QueueDepth
	sum.PeakQueue = max(a.PeakQueue, b.PeakQueue)
	return &sum
}

// String returns one line for people.
func (st *SinkStats) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %s records written in %s batches", text.Count(st.Written), text.Count(st.Put), text.Count(st.Batches))
	if st.Dropped > 0 {
		fmt.Fprintf(&b, ", %s dropped", text.Count(st.Dropped))
	}
	if st.Failed > 0 {
		fmt.Fprintf(&b, ", %s failed", text.Count(st.Failed))
	}
	fmt.Fprintf(&b, "; at most %s waited", text.Count(int64(st.PeakQueue)))
	if st.Blocked > 0 {
		fmt.Fprintf(&b, "; workers blocked for %v", text.Duration(st.Blocked))
	}
	return b.String()
}

// blockedShare is the share of the workers' time from which a sink counts as the
// limit of a run.
const blockedShare = 0.01

// sinkWarnings returns whether and by how much the sink was the limit of the run.
func (r *EngineResult) sinkWarnings() (out []Warning) {
	st := r.Sink
	if st == nil {
		return nil
	}
	warn := func(format string, args ...any) {
		out = append(out, Warning{Kind: WarnSinkLimit, Text: fmt.Sprintf(format, args...)})
	}
	if st.Blocked > 0 {
		share := 1.0
		if total := r.Elapsed.Seconds() * float64(r.Concurrency); total > 0 {
			share = min(1, st.Blocked.Seconds()/total) // the last waits lie after Elapsed
		}
		if share >= blockedShare {
			warn("the sink was the limit: workers waited %v in total (%s of their time) for room in its queue",
				text.Duration(st.Blocked), text.Percent(share))
		}
	}
	if st.Dropped > 0 {
		warn("%s of %s records dropped: the queue was full", text.Count(st.Dropped), text.Count(st.Put))
	}
	return out
}
