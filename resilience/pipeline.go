package resilience

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Pipeline collects items from any number of producers and hands them to one
// consumer, OnBatch, in the order they were put: a batch as soon as it is full,
// or when its first item has waited BatchTimeout.
//
// The queue between is bounded. A full queue holds producers back, or drops what
// DropOnFull says; nothing is lost without being counted. After Stop,
//
//	Put == Processed + Dropped + Failed
//
// and at any other time QueueDepth + InFlight make up the difference.
//
// A Pipeline is safe for concurrent use by multiple goroutines. It owns one
// goroutine, from Start until Stop has emptied the queue. Inside a testing/synctest
// bubble, build it there.
type Pipeline[T any] struct {
	cfg  PipelineConfig[T]
	wake chan struct{} // holds one token: the worker should look again
	done chan struct{} // closed when no worker will run any more

	// BatchTimeout of the queue's head. Set when the queue stops being empty and
	// whenever a batch leaves items behind; stopped when it leaves none.
	timer  *time.Timer
	ctx    context.Context // OnBatch's; ends with the pipeline, or when Stop loses patience
	cancel context.CancelFunc
	batch  []T // the worker's; reused

	mu      sync.Mutex // never held while a callback runs
	phase   pipelinePhase
	queue   pipelineQueue[T]
	blocked pipelineWaiters[T] // producers; not empty only while the queue is full
	flushes []*pipelineFlush
	flushTo uint64 // items up to this one don't wait for company
	left    uint64 // items that have left the queue: the number of its head
	idle    bool   // the worker sleeps and wants a token when a batch is full
	busy    bool   // a batch is out, or its callbacks still run
	metrics PipelineMetrics
}

type pipelinePhase uint8

const (
	pipelineNew pipelinePhase = iota
	pipelineRunning
	pipelineStopping
	pipelineStopped
)

// PipelineMetrics counts items and describes the queue. It is one consistent
// snapshot.
type PipelineMetrics struct {
	Put         uint64        // items taken charge of, those dropped for want of room included
	Processed   uint64        // items in batches for which OnBatch returned nil
	Failed      uint64        // items in batches for which it returned an error, panicked or called Goexit
	Dropped     uint64        // items OnBatch never saw: no room, or left over by Stop
	Batches     uint64        // calls of OnBatch that ended
	QueueDepth  int           // items waiting
	PeakQueue   int           // most items that ever waited
	InFlight    int           // items with OnBatch now
	BlockedTime time.Duration // time that calls of Put which have ended spent waiting for room, summed
}

// NewPipeline returns a pipeline that does not run yet, or the error of
// [PipelineConfig.Validate].
func NewPipeline[T any](cfg PipelineConfig[T]) (*Pipeline[T], error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	p := &Pipeline[T]{
		cfg:  cfg.withDefaults(),
		wake: make(chan struct{}, 1),
		done: make(chan struct{}),
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.timer = time.NewTimer(p.cfg.BatchTimeout)
	p.timer.Stop()
	return p, nil
}

// Start lets items in. It returns [ErrStarted] the second time and [ErrStopped]
// after Stop: a pipeline runs once.
func (p *Pipeline[T]) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.phase {
	case pipelineNew:
	case pipelineRunning:
		return ErrStarted
	default:
		return ErrStopped
	}
	p.phase = pipelineRunning
	go p.work() // ends when Stop was called and the queue is empty
	return nil
}

// Flush returns when every item put before it has been through OnBatch, without
// waiting for full batches or BatchTimeout. It returns ctx's error if that ends
// first, [ErrStopped] when Stop dropped such an item, and [ErrNotStarted] before
// Start. Failures of OnBatch are OnError's business. Don't call it from OnBatch or
// OnError.
func (p *Pipeline[T]) Flush(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	if p.phase == pipelineNew {
		p.mu.Unlock()
		return ErrNotStarted
	}
	if p.queue.size == 0 && !p.busy {
		p.mu.Unlock()
		return nil
	}
	f := &pipelineFlush{upTo: p.left + uint64(p.queue.size), result: make(chan error, 1)}
	p.flushes = append(p.flushes, f)
	p.flushTo = f.upTo
	p.wakeWorker()
	p.mu.Unlock()
	select {
	case err := <-f.result:
		return err
	case <-ctx.Done():
		return ctx.Err() // the worker still answers, to nobody
	}
}

// Stop ends the pipeline: Put returns [ErrStopped] from here on. With drain what
// is queued goes through OnBatch first, the partial batch included; without, it
// is dropped. Either way Stop returns once the worker has ended, with final
// metrics and a nil error.
//
// If ctx ends before that, Stop cancels the context that OnBatch was given, drops
// what is still queued and returns without waiting for OnBatch: the error matches
// ctx's, and the metrics say how much was dropped and is in flight.
//
// Stop may be called again and concurrently; each call waits, and a call without
// drain drops what another is draining. Don't call it from OnBatch or OnError:
// it would wait for itself.
func (p *Pipeline[T]) Stop(ctx context.Context, drain bool) (PipelineMetrics, error) {
	p.mu.Lock()
	switch p.phase {
	case pipelineNew:
		p.phase = pipelineStopped
		close(p.done)
	case pipelineRunning:
		p.phase = pipelineStopping
		for p.blocked.first != nil {
			p.blocked.settle(p.blocked.first, ErrStopped)
		}
		p.wakeWorker()
	}
	if !drain {
		p.discard()
	}
	p.mu.Unlock()

	select {
	case <-p.done:
		return p.Metrics(), nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	p.cancel()
	dropped, inFlight, busy := p.discard(), p.metrics.InFlight, p.busy
	p.mu.Unlock()
	if !busy {
		<-p.done // the worker has nothing to do but end
	}
	m := p.Metrics()
	if dropped == 0 && !busy {
		return m, nil
	}
	return m, fmt.Errorf("resilience: pipeline stopped with %d items dropped and %d in flight: %w", dropped, inFlight, ctx.Err())
}

// discard drops everything queued and reports how much that was. The caller
// holds mu.
func (p *Pipeline[T]) discard() int {
	n := p.queue.size
	if n == 0 {
		return 0
	}
	p.queue.drop(n)
	p.metrics.Dropped += uint64(n)
	for _, f := range p.flushes {
		if f.upTo > p.left {
			f.dropped = true
		}
	}
	p.left += uint64(n)
	return n
}

// Metrics returns a consistent snapshot.
func (p *Pipeline[T]) Metrics() PipelineMetrics {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.metrics
	m.QueueDepth = p.queue.size
	return m
}
