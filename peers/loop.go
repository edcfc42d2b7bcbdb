package peers

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// closedLoop has workers call what worker makes for each of them until the time is
// up, and returns when the last has ended. The first error stops it.
func closedLoop(ctx context.Context, workers int, d time.Duration, worker func() (func() error, error)) (Outcome, error) {
	var (
		succeeded, failed atomic.Int64
		stopped           atomic.Bool
		once              sync.Once
		first             error
		wg                sync.WaitGroup
	)
	stop := func(err error) {
		once.Do(func() { first = err })
		stopped.Store(true)
	}
	// A flag, because the plain loops have no context of their own to look at:
	// a context that can end would cost them time in every round trip.
	defer context.AfterFunc(ctx, func() { stop(context.Cause(ctx)) })()
	defer time.AfterFunc(d, func() { stop(nil) }).Stop()
	start := time.Now()
	for range workers {
		// A worker ends with the time, or with the first error.
		wg.Go(func() {
			do, err := worker()
			if err != nil {
				stop(err)
				return
			}
			var done int64
			for !stopped.Load() {
				if err := do(); err != nil {
					failed.Add(1)
					stop(err)
					break
				}
				done++
			}
			succeeded.Add(done)
		})
	}
	wg.Wait()
	stop(nil) // waits for a stop that has begun to have set first
	return Outcome{Succeeded: int(succeeded.Load()), Failed: int(failed.Load()), Elapsed: time.Since(start)}, first
}
