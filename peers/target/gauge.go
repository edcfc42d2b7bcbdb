package target

import "sync"

// gauge is a number with a memory of how high it was.
type gauge struct {
	mu        sync.Mutex
	now, peak int64
}

func (g *gauge) add(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now += n
	g.peak = max(g.peak, g.now)
}

// takePeak is the most that it was since the last call.
func (g *gauge) takePeak() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	peak := g.peak
	g.peak = g.now
	return peak
}
