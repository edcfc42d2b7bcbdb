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
// A Pipeline is safe for concurrent use. It owns one goroutine, from Start until
// Stop has emptied the queue. Inside a testing/synctest bubble, build it there.
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
	return &Pipeline[T]{
		cfg:  cfg.withDefaults(),
		wake: make(chan struct{}, 1),
		done: make(chan struct{}),
	}, nil
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
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.timer = time.NewTimer(p.cfg.BatchTimeout)
	p.timer.Stop()
	go p.work() // ends when Stop was called and the queue is empty
	return nil
}

// Put adds an item to the queue. When the queue is full it waits for room until
// ctx ends, and then returns ctx's error, or acts on DropOnFull without waiting.
//
// It returns [ErrNotStarted] before Start and [ErrStopped] after Stop, also to a
// caller who was waiting. Whatever it returns but nil and [ErrQueueFull], the item
// was not put and not counted. Waiting producers are served in order. Called from
// OnBatch or OnError with the queue full, Put waits for itself.
func (p *Pipeline[T]) Put(ctx context.Context, item T) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	if err := p.refusal(); err != nil {
		p.mu.Unlock()
		return err
	}
	if p.queue.size == p.cfg.MaxQueueSize {
		switch p.cfg.DropOnFull {
		case DropNewest:
			p.metrics.Put++
			p.metrics.Dropped++
			p.mu.Unlock()
			return ErrQueueFull
		case DropOldest:
			p.queue.drop(1)
			p.left++
			p.metrics.Dropped++
		default:
			return p.waitForRoom(ctx, item)
		}
	}
	p.push(item)
	p.mu.Unlock()
	return nil
}

// refusal is why nothing may be put now, or nil. The caller holds mu.
func (p *Pipeline[T]) refusal() error {
	switch p.phase {
	case pipelineRunning:
		return nil
	case pipelineNew:
		return ErrNotStarted
	default:
		return ErrStopped
	}
}

// push appends an item for which there is room. The caller holds mu.
func (p *Pipeline[T]) push(item T) {
	p.queue.push(item, p.cfg.MaxQueueSize)
	size := p.queue.size
	p.metrics.Put++
	p.metrics.PeakQueue = max(p.metrics.PeakQueue, size)
	if size >= p.cfg.BatchSize {
		p.rouse()
	} else if size == 1 {
		p.timer.Reset(p.cfg.BatchTimeout)
	}
}

// rouse wakes the worker if it sleeps. The caller holds mu.
func (p *Pipeline[T]) rouse() {
	if !p.idle {
		return // it looks at the queue before it sleeps again
	}
	p.idle = false
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// waitForRoom queues the item behind the queue. The caller holds mu, which
// waitForRoom releases.
func (p *Pipeline[T]) waitForRoom(ctx context.Context, item T) error {
	w := p.blocked.add(item)
	p.mu.Unlock()
	start := time.Now()
	var err error
	select {
	case err = <-w.verdict:
		p.mu.Lock()
	case <-ctx.Done():
		p.mu.Lock()
		if w.settled {
			err = <-w.verdict // the item is in, or the pipeline stopped: that came first
		} else {
			err = ctx.Err()
			p.blocked.remove(w)
		}
	}
	p.metrics.BlockedTime += time.Since(start)
	p.blocked.recycle(w)
	p.mu.Unlock()
	return err
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
	p.rouse()
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
		p.blocked.rejectAll(ErrStopped)
		p.rouse()
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
	if p.phase == pipelineStopped {
		defer p.mu.Unlock()
		return p.snapshot(), nil
	}
	p.cancel()
	dropped := p.discard()
	inFlight := p.metrics.InFlight
	busy := p.busy
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
	return p.snapshot()
}

func (p *Pipeline[T]) snapshot() PipelineMetrics {
	m := p.metrics
	m.QueueDepth = p.queue.size
	return m
}
