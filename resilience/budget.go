package resilience

import (
	"sync"
	"time"
)

// retryBudget decides which retries of a policy may begin.
//
// A retry takes a slot in two steps. From hold until begin it is held: the retry is
// decided but still sleeping. From begin on the log counts it, for one window. So at
// every instant no more retries have begun in the window that ends there than the log
// allows. A canceled retry gives its held slot back as if it had never asked.
//
// Instants are durations since the policy was built. They come from a
// monotonic clock; one that runs backwards is read as standing still.
type retryBudget struct {
	mu   sync.Mutex
	log  retryLog
	held int // slots of retries that sleep
}

// retryLog knows the retries that have begun, and bounds them.
type retryLog interface {
	begin(now time.Duration)                 // counts a retry that begins now
	begun(now time.Duration) int             // those of the window that ends now
	allows(more int, now time.Duration) bool // reports whether so many may begin besides
}

// hold reserves a slot for a retry that will begin later. It reports false,
// and changes nothing, when the budget is spent.
func (b *retryBudget) hold(now time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.log.allows(b.held+1, now) {
		return false
	}
	b.held++
	return true
}

// begin tells the log that a retry whose slot was held starts now.
func (b *retryBudget) begin(now time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held--
	b.log.begin(now)
}

// refund returns a held slot: its retry will not begin.
func (b *retryBudget) refund() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held--
}

// inUse returns the held slots plus the retries begun in the window that ends now.
func (b *retryBudget) inUse(now time.Duration) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held + b.log.begun(now)
}

// retryStamps allows as many retries as it has stamps in any window of the given
// length, wherever that window is laid.
type retryStamps struct {
	window time.Duration
	stamps []time.Duration // ring: instants at which retries began, in order
	head   int             // index of the oldest live stamp
	live   int             // number of live stamps
	last   time.Duration   // latest instant seen
}

// newRetryBudget returns a budget of n retries in a window.
func newRetryBudget(n int, window time.Duration) *retryBudget {
	return &retryBudget{log: &retryStamps{window: window, stamps: make([]time.Duration, n)}}
}

func (s *retryStamps) allows(more int, now time.Duration) bool {
	return s.begun(now)+more <= len(s.stamps)
}

func (s *retryStamps) begin(now time.Duration) {
	s.stamps[(s.head+s.begun(now))%len(s.stamps)] = s.last
	s.live++
}

// begun forgets stamps one whole window old. The window is half-open: a retry
// that began at t no longer counts at t+window.
func (s *retryStamps) begun(now time.Duration) int {
	s.last = max(s.last, now)
	for s.live > 0 && s.last-s.stamps[s.head] >= s.window {
		s.head = (s.head + 1) % len(s.stamps)
		s.live--
	}
	return s.live
}
