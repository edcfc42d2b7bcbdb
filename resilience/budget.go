package resilience

import (
	"sync"
	"time"
)

// retryBudget allows at most len(stamps) retries to begin in any window of the
// given length, wherever that window is laid.
//
// A slot has two lives. From hold until begin it is held: the retry is decided
// but still sleeping. From begin it is a stamp, which expires one window later.
// hold succeeds only while held + live stamps < N, begin turns one into the
// other, and time only removes stamps; so at every instant at most N retries
// have begun in the window that ends there. A canceled retry gives its held
// slot back as if it had never asked.
//
// Instants are durations since the policy was built. They come from a
// monotonic clock; one that runs backwards is read as standing still.
type retryBudget struct {
	window time.Duration

	mu     sync.Mutex
	stamps []time.Duration // ring: instants at which retries began, in order
	head   int             // index of the oldest live stamp
	live   int             // number of live stamps
	held   int             // slots of retries that sleep
	last   time.Duration   // latest instant seen
}

// newRetryBudget returns nil, which is no budget at all, when n is not positive.
func newRetryBudget(n int, window time.Duration) *retryBudget {
	if n <= 0 {
		return nil
	}
	return &retryBudget{window: window, stamps: make([]time.Duration, n)}
}

// hold reserves a slot for a retry that will begin later. It reports false,
// and changes nothing, when the budget is spent.
func (b *retryBudget) hold(now time.Duration) bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire(now)
	if b.held+b.live >= len(b.stamps) {
		return false
	}
	b.held++
	return true
}

// begin turns a held slot into the stamp of a retry that starts now.
func (b *retryBudget) begin(now time.Duration) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire(now)
	b.held--
	b.stamps[(b.head+b.live)%len(b.stamps)] = b.last
	b.live++
}

// refund returns a held slot: its retry will not begin.
func (b *retryBudget) refund() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held--
}

// inUse reports held slots plus retries begun in the window that ends now.
func (b *retryBudget) inUse(now time.Duration) int {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire(now)
	return b.held + b.live
}

// expire forgets stamps one whole window old. The window is half-open: a retry
// that began at t no longer counts at t+window.
func (b *retryBudget) expire(now time.Duration) {
	b.last = max(b.last, now)
	for b.live > 0 && b.last-b.stamps[b.head] >= b.window {
		b.head = (b.head + 1) % len(b.stamps)
		b.live--
	}
}
