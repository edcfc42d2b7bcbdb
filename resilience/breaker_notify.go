package resilience

import "sync"

// breakerNotifier delivers transitions to a callback: each once, in the order
// of push, one at a time, and never while a lock of the breaker is held. There
// is no goroutine behind it; whoever caused a transition delivers whatever is
// queued, unless somebody is already doing so.
type breakerNotifier struct {
	fn func(Transition) // may be nil

	mu      sync.Mutex
	queue   []Transition // guarded by mu
	running bool         // guarded by mu: somebody is in run
}

// push queues t. The breaker's lock is held, so the order of the queue is the
// order of the transitions.
func (n *breakerNotifier) push(t Transition) {
	if n.fn == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queue = append(n.queue, t)
}

// deliver empties the queue, unless another call is at it, perhaps further up
// this very stack: then that call delivers these transitions too.
func (n *breakerNotifier) deliver() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.running {
		n.running = true
		n.run()
	}
}

// run empties the queue. The caller holds mu, which is not held while fn runs.
func (n *breakerNotifier) run() {
	// If fn panics or calls runtime.Goexit, the rest is delivered on the way
	// out. Without recover the stack stays that of the panic.
	defer func() {
		if len(n.queue) > 0 {
			n.run()
		} else {
			n.queue, n.running = nil, false
		}
	}()
	for len(n.queue) > 0 {
		t := n.queue[0]
		n.queue = n.queue[1:]
		func() {
			n.mu.Unlock()
			defer n.mu.Lock()
			n.fn(t)
		}()
	}
}
