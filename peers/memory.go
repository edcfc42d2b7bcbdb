package peers

import (
	"runtime/metrics"
	"time"
)

// watchMemory looks from now on, ten times a second, at what heap and stacks of
// this process take up, and returns what stops it and tells the most it has seen,
// in bytes: objects, dead ones not yet collected among them, the room around them,
// and the stacks of goroutines.
func watchMemory() (peak func() uint64) {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/stacks:bytes"},
	}
	var most uint64
	look := func() {
		metrics.Read(samples)
		var sum uint64
		for _, s := range samples {
			sum += s.Value.Uint64()
		}
		most = max(most, sum)
	}
	end, ended := make(chan struct{}), make(chan struct{})
	// peak ends it.
	go func() {
		defer close(ended)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				look()
			case <-end:
				return
			}
		}
	}()
	return func() uint64 {
		close(end)
		<-ended
		look()
		return most
	}
}
