package loadtest

import (
	"fmt"
	"runtime"
	"sync"
	"time"
)

// seqFeed pulls from the user's iterator, one request a claim: a request waits
// for no other, however slowly the iterator yields.
type seqFeed struct {
	known knownRequests

	turn  lifoMutex // held while the iterator runs, which may sleep
	next  func() (*Request, bool)
	stop  func()
	count int64
	done  bool
	err   error
}

func (f *seqFeed) claim(dst []item, _ int) int {
	f.turn.Lock()
	defer f.turn.Unlock()
	r, ok := f.pull()
	if !ok || !f.fill(dst, r) {
		return 0
	}
	return 1
}

// pull returns the next request. The caller holds turn.
func (f *seqFeed) pull() (*Request, bool) {
	if f.done {
		return nil, false
	}
	// Until next returns, the feed counts as done: a panic or Goexit in the
	// iterator must not let another worker call it again.
	f.done = true
	r, ok := f.next()
	if ok {
		f.done = false
		f.count++
	}
	return r, ok
}

// fill makes the first item of dst of the request that was pulled last. If that is
// invalid, the feed is at its end. The caller holds turn.
func (f *seqFeed) fill(dst []item, r *Request) bool {
	it, err := f.known.item(r)
	if err != nil {
		f.done, f.err = true, fmt.Errorf("request %d of the sequence: %w", f.count-1, err)
		return false
	}
	it.number = f.count - 1
	dst[0] = it
	return true
}

func (f *seqFeed) want(int64)                 {}
func (f *seqFeed) at(_ int64, dst []item) int { return f.claim(dst, 1) }

func (f *seqFeed) size() int64            { return -1 }
func (f *seqFeed) planned() time.Duration { return 0 }

func (f *seqFeed) giveBack([]item) {} // it hands out one at a time

func (f *seqFeed) fault() error {
	f.turn.Lock()
	defer f.turn.Unlock()
	return f.err
}

func (f *seqFeed) close() {
	f.turn.Lock()
	defer f.turn.Unlock()
	f.done = true
	f.stop()
}

// lifoMutex is a mutex for which who has waited the shortest time is next. Workers
// that wait for the source by it go on in that order: so as few of them work, and
// keep a connection open, as have something to do at once. The zero value is
// unlocked.
//
// As with a sync.Mutex, one that comes by may be quicker than one that is woken,
// and no more than one is woken at a time: a quick source costs no switch between
// goroutines for each request.
type lifoMutex struct {
	mu      sync.Mutex
	held    bool
	woken   bool            // one that was woken has not come yet
	waiting []chan struct{} // the latest at the end
}

// fewYields is how often a worker tries again before it waits: a source that only
// computes is done by then.
const fewYields = 4

// Lock locks m.
func (m *lifoMutex) Lock() {
	for range fewYields {
		if m.tryLock(nil) {
			return
		}
		runtime.Gosched()
	}
	wake := make(chan struct{}, 1)
	for !m.tryLock(wake) {
		<-wake
		m.mu.Lock()
		m.woken = false
		m.mu.Unlock()
	}
}

// tryLock says whether it has locked m. If not, wake will tell when to try again.
func (m *lifoMutex) tryLock(wake chan struct{}) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.held {
		m.held = true
		return true
	}
	if wake != nil {
		m.waiting = append(m.waiting, wake)
	}
	return false
}

// Unlock unlocks m, and wakes who has waited the shortest time.
func (m *lifoMutex) Unlock() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = false
	last := len(m.waiting) - 1
	if last < 0 || m.woken {
		return
	}
	wake := m.waiting[last]
	m.waiting[last] = nil
	m.waiting = m.waiting[:last]
	m.woken = true
	wake <- struct{}{}
}
