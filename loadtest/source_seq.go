package loadtest

import (
	"fmt"
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
	if f.done {
		return 0
	}
	// Until next returns, the feed counts as done: a panic or Goexit in the
	// iterator must not let another worker call it again.
	f.done = true
	r, ok := f.next()
	if !ok {
		return 0
	}
	it, err := f.known.item(r)
	if err != nil {
		f.err = fmt.Errorf("request %d of the sequence: %w", f.count, err)
		return 0
	}
	f.done = false
	f.count++
	dst[0] = it
	return 1
}

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
