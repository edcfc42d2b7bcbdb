package resilience

import (
	"context"
	"time"
)

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
	switch p.phase {
	case pipelineNew:
		p.mu.Unlock()
		return ErrNotStarted
	case pipelineStopping, pipelineStopped:
		p.mu.Unlock()
		return ErrStopped
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

// push appends an item for which there is room. The caller holds mu.
func (p *Pipeline[T]) push(item T) {
	p.queue.push(item, p.cfg.MaxQueueSize)
	size := p.queue.size
	p.metrics.Put++
	p.metrics.PeakQueue = max(p.metrics.PeakQueue, size)
	if size >= p.cfg.BatchSize {
		p.wakeWorker()
	} else if size == 1 {
		p.timer.Reset(p.cfg.BatchTimeout)
	}
}

// wakeWorker wakes the worker if it sleeps. The caller holds mu.
func (p *Pipeline[T]) wakeWorker() {
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
	case err = <-w.value.verdict:
		p.mu.Lock()
	case <-ctx.Done():
		p.mu.Lock()
		if !w.queued {
			err = <-w.value.verdict // the item is in, or the pipeline stopped: that came first
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
