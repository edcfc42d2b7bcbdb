package resilience

import "runtime/debug"

// work is the pipeline's goroutine: it takes batches and hands them on until
// there will be no more. If a callback ends the goroutine by runtime.Goexit,
// another takes its place; there is never more than one.
func (p *Pipeline[T]) work() {
	finished := false
	defer func() {
		if !finished {
			go p.work() // same owner, same end
		}
	}()
	for {
		batch := p.take()
		if batch == nil {
			break
		}
		p.deliver(batch)
	}
	finished = true
}

// take waits for a batch. It returns nil when the pipeline has ended, which it
// then declares.
func (p *Pipeline[T]) take() []T {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy = false
	p.answerFlushes()
	due := false // the timer says the head has waited long enough
	for {
		size := p.queue.size
		stopping := p.phase == pipelineStopping
		if size >= p.cfg.BatchSize || size > 0 && (due || stopping || p.flushTo > p.left) {
			return p.cut(min(size, p.cfg.BatchSize))
		}
		p.answerFlushes() // discard may have emptied the queue
		if stopping {
			p.phase = pipelineStopped
			p.timer.Stop()
			p.cancel()
			close(p.done)
			return nil
		}
		p.idle = true
		p.mu.Unlock()
		due = false
		select {
		case <-p.wake:
		case <-p.timer.C:
			due = true
		}
		p.mu.Lock()
		p.idle = false
	}
}

// cut moves the first n items into the batch, lets waiting producers fill the
// room and starts the next batch's clock. The caller holds mu.
func (p *Pipeline[T]) cut(n int) []T {
	p.batch = p.queue.pop(p.batch[:0], n)
	p.left += uint64(n)
	p.busy = true
	p.metrics.InFlight = n
	for p.queue.size < p.cfg.MaxQueueSize && p.blocked.first != nil {
		p.push(p.blocked.first.value.item)
		p.blocked.settle(p.blocked.first, nil)
	}
	if p.queue.size > 0 {
		p.timer.Reset(p.cfg.BatchTimeout)
	} else {
		p.timer.Stop()
	}
	return p.batch[:n:n]
}

// deliver hands a batch to OnBatch and counts it, however OnBatch ends.
func (p *Pipeline[T]) deliver(batch []T) {
	var err error
	returned := false
	defer func() {
		if !returned {
			value := recover()
			if value == nil { // there was no panic
				value = ErrGoexit
			}
			err = &PanicError{Value: value, Stack: debug.Stack()}
		}
		p.settle(batch, err)
	}()
	err = p.cfg.OnBatch(p.ctx, batch)
	returned = true
}

func (p *Pipeline[T]) settle(batch []T, err error) {
	p.mu.Lock()
	p.metrics.InFlight = 0
	p.metrics.Batches++
	if err == nil {
		p.metrics.Processed += uint64(len(batch))
	} else {
		p.metrics.Failed += uint64(len(batch))
	}
	p.mu.Unlock()
	defer clear(batch) // the buffer outlives its items
	if err != nil && p.cfg.OnError != nil {
		p.cfg.OnError(err, batch)
	}
}

// answerFlushes releases the callers of Flush whose items have all left, while
// no batch is out. The caller holds mu.
func (p *Pipeline[T]) answerFlushes() {
	if len(p.flushes) == 0 {
		return
	}
	kept := p.flushes[:0]
	for _, f := range p.flushes {
		switch {
		case f.upTo > p.left:
			kept = append(kept, f)
		case f.dropped:
			f.result <- ErrStopped
		default:
			f.result <- nil
		}
	}
	clear(p.flushes[len(kept):])
	p.flushes = kept
}
