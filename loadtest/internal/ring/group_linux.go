//go:build !(mips || mipsle || mips64 || mips64le)

package ring

import (
	"runtime"
	"sync"
)

// A Group is the rings of one client: one for every two CPUs, since a pump does
// most of the work that a request is. A ring is made when a connection first needs
// it. The zero Group is ready for use, and safe for concurrent use by multiple
// goroutines.
type Group struct {
	Plain bool // do without io_uring

	mu     sync.Mutex
	all    []*Ring
	next   int
	closed bool
	failed bool
}

// Pick returns the ring for one more connection, or nil if there is none: after
// Close, or where the system has no epoll set to spare.
func (g *Group) Pick() *Ring {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || g.failed {
		return nil
	}
	if want := (runtime.GOMAXPROCS(0) + 1) / 2; len(g.all) < want && g.next == len(g.all) {
		r, err := newRing(g.Plain)
		if g.failed = err != nil && len(g.all) == 0; g.failed {
			return nil
		}
		if err == nil {
			g.all = append(g.all, r)
		}
	}
	r := g.all[g.next%len(g.all)]
	g.next++
	return r
}

// Close ends the pumps, after they have done what is queued. Connections that are
// still open are good for nothing but to be closed.
func (g *Group) Close() {
	g.mu.Lock()
	g.closed = true
	all := g.all
	g.all = nil
	g.mu.Unlock()
	for _, r := range all {
		r.close()
	}
}
