package resilience

import (
	"cmp"
	"context"
	"errors"
	"time"
)

// ErrQueueFull is what [Pipeline.Put] returns for an item that [DropNewest] has
// dropped.
var ErrQueueFull = errors.New("resilience: pipeline queue full, item dropped")

// DropPolicy says what [Pipeline.Put] does when the queue is full.
type DropPolicy uint8

// The policies. Both that drop never wait.
const (
	Backpressure DropPolicy = iota // wait for room (the default)
	DropNewest                     // drop the item that is put and return ErrQueueFull
	DropOldest                     // drop the item that has waited longest and take the new one
)

// PipelineConfig configures a [Pipeline]. OnBatch is required; the zero value of
// every other field means its default. With the defaults, at 1 item a second a
// batch is one item, a second after it was put; at 100 a second it is a second's
// items; and at 10,000 a second OnBatch is called 100 times a second with 100 items.
// A queue of 1000 then bridges an OnBatch that stalls for 1000 s, 10 s and 100 ms.
type PipelineConfig[T any] struct {
	// OnBatch consumes a batch of 1 to BatchSize items. It runs on the pipeline's
	// goroutine, one call at a time. The slice is valid until it returns and
	// must not be kept. Its context ends when Stop runs out of patience.
	//
	// When it returns an error, panics or calls runtime.Goexit, the whole batch
	// counts as failed and goes to OnError; the pipeline runs on.
	OnBatch func(ctx context.Context, batch []T) error

	// MaxQueueSize bounds the items waiting, not counting the batch in OnBatch.
	// Default 1000, or BatchSize where that is larger; at least BatchSize.
	MaxQueueSize int

	// BatchSize is the most items of a batch. Default 100, or MaxQueueSize where
	// that is smaller; at least 1.
	BatchSize int

	// BatchTimeout is the longest a partial batch waits for company, from its
	// first item, or from when the batch before it was taken if that is later.
	// Default 1 s; positive.
	BatchTimeout time.Duration

	// OnError, when not nil, is told of each failed batch: err is OnBatch's, or a
	// [*PanicError]. The slice is valid until it returns. A panic in OnError is
	// not caught.
	OnError func(err error, batch []T)

	// DropOnFull says what becomes of an item that finds the queue full. Default
	// [Backpressure].
	DropOnFull DropPolicy
}

// Validate reports everything that is wrong with the configuration, joined into
// one error, or nil. It judges fields left zero by their defaults, and changes
// nothing.
func (c PipelineConfig[T]) Validate() error {
	c = c.withDefaults()
	var faults configFaults
	fault := faults.of("PipelineConfig")
	fault(c.OnBatch == nil, "OnBatch is nil, want the function that takes the batches")
	fault(c.MaxQueueSize < 1, "MaxQueueSize is %d, want at least 1", c.MaxQueueSize)
	fault(c.BatchSize < 1, "BatchSize is %d, want at least 1", c.BatchSize)
	fault(c.MaxQueueSize >= 1 && c.BatchSize > c.MaxQueueSize, "BatchSize is %d, want at most MaxQueueSize (%d)", c.BatchSize, c.MaxQueueSize)
	fault(c.BatchTimeout < 0, "BatchTimeout is %v, want a positive duration", c.BatchTimeout)
	fault(c.DropOnFull > DropOldest, "DropOnFull is %d, want Backpressure, DropNewest or DropOldest", c.DropOnFull)
	return errors.Join(faults...)
}

func (c PipelineConfig[T]) withDefaults() PipelineConfig[T] {
	c.MaxQueueSize = cmp.Or(c.MaxQueueSize, max(1000, c.BatchSize))
	c.BatchSize = cmp.Or(c.BatchSize, min(100, max(1, c.MaxQueueSize)))
	c.BatchTimeout = cmp.Or(c.BatchTimeout, time.Second)
	return c
}
