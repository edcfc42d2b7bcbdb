package loadtest

import (
	"fmt"
	"iter"
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
	if r, ok := f.pull(); ok {
		return f.fill(dst, r)
	}
	return 0
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

// fill makes the first item of dst of the request that was pulled last, and returns 1. If
// that is invalid, the feed is at its end, and it returns 0. The caller holds turn.
func (f *seqFeed) fill(dst []item, r *Request) int {
	it, err := f.known.item(r)
	if err != nil {
		f.done, f.err = true, fmt.Errorf("request %d of the sequence: %w", f.count-1, err)
		return 0
	}
	it.number = f.count - 1
	dst[0] = it
	return 1
}

func (f *seqFeed) want(int64)                 {}
func (f *seqFeed) at(_ int64, dst []item) int { return f.claim(dst, 1) }

func (f *seqFeed) size() int64            { return -1 }
func (f *seqFeed) part() part             { return part{} }
func (f *seqFeed) planned() time.Duration { return 0 }

func (f *seqFeed) unclaim([]item) {} // it hands out one at a time

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

// Recorded sends what seq yields, each request once, in order: what has been recorded, such
// as the lines of a log. The workers take turns as with [Seq], and an error that seq yields
// ends the run with it.
//
// Each request has a number, which is how many seq has yielded before it, so that an
// [ArrivalEngine] keeps to a recording: arrival number i of the schedule sends request
// number i. One that no arrival sends, because its arrival was missed, dropped or is of
// another shard, is passed over. The requests of a run are not kept: memory does not grow
// with their number.
func Recorded(seq iter.Seq2[*Request, error]) Source {
	if seq == nil {
		return Source{}
	}
	return Source{open: func(names *endpoints, validate func(*Request) error) (feed, error) {
		next, stop := iter.Pull2(seq)
		f := &recordedFeed{total: -1, wanted: make(map[int64]struct{}), early: make(map[int64]item)}
		f.known, f.stop = knownRequests{names: names, validate: validate}, stop
		f.next = func() (*Request, bool) {
			r, err, ok := next()
			if ok && err != nil {
				f.err = err
				return nil, false
			}
			if r != nil {
				once := *r // the user's may be read by others
				once.once = true
				r = &once
			}
			return r, ok
		}
		return f, nil
	}}
}

// recordedFeed is a seqFeed whose requests have numbers.
type recordedFeed struct {
	seqFeed
	total int64          // of the numbers, which end before it; -1: no limit
	of    part           // what claim hands out of them
	early map[int64]item // pulled on the way to one with a higher number; guarded by turn

	mu     sync.Mutex // never held while the iterator runs
	wanted map[int64]struct{}
}

func (f *recordedFeed) want(i int64) {
	f.mu.Lock()
	f.wanted[i] = struct{}{}
	f.mu.Unlock()
}

// take reports whether request number i is wanted, which it is once.
func (f *recordedFeed) take(i int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.wanted[i]
	delete(f.wanted, i)
	return ok
}

func (f *recordedFeed) claim(dst []item, _ int) int {
	f.turn.Lock()
	defer f.turn.Unlock()
	for f.total < 0 || f.count < f.total {
		r, ok := f.pull()
		if !ok {
			return 0
		}
		if f.of.has(f.count - 1) {
			return f.fill(dst, r)
		}
	}
	return 0
}

func (f *recordedFeed) at(i int64, dst []item) int {
	f.turn.Lock()
	defer f.turn.Unlock()
	if it, ok := f.early[i]; ok {
		delete(f.early, i)
		dst[0] = it
		return 1
	}
	for f.count <= i && (f.total < 0 || i < f.total) {
		r, ok := f.pull()
		if !ok {
			return 0
		}
		number := f.count - 1
		if !f.take(number) {
			continue
		}
		if n := f.fill(dst, r); n == 0 || number == i {
			return n
		}
		f.early[number] = dst[0]
	}
	return 0
}

func (f *recordedFeed) size() int64 { return f.of.size(f.total) }
func (f *recordedFeed) part() part  { return f.of }
