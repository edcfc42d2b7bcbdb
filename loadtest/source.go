package loadtest

import (
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"
)

// ErrEmptySource is returned by Run for a source that has nothing to send.
var ErrEmptySource = errors.New("loadtest: nothing to send")

// Source says what a run sends and when there is no more. Make one with [URLs],
// [Times], [For] or [Seq], and limit it in time with [Until]; the zero Source is
// empty. A Source may be used by
// many runs, except that one made with [Seq] is only as repeatable as its
// iterator.
type Source struct {
	// open numbers the names of requests, and validates each before it is sent.
	open func(names *endpoints, validate func(*Request) error) (feed, error)
}

// feed is one run's hold on a source. claim is safe for concurrent use; close
// is called once, after the last claim.
type feed interface {
	// claim fills dst with the next requests, at most len(dst), and returns how
	// many; 0 means that there are no more. share is the number of workers that
	// claim from this feed.
	claim(dst []item, share int) int
	// size is how many requests the feed holds, or -1 when that is not known.
	size() int64
	// planned is the time since the run began from which on no request is to begin,
	// or 0.
	planned() time.Duration
	// giveBack returns claimed requests that were not sent, for others to claim.
	giveBack(rest []item)
	// fault is why the feed ended early, if it did.
	fault() error
	close()
}

// item is a request as a worker gets it.
type item struct {
	req      *Request
	endpoint int32
}

func (s Source) start(names *endpoints, validate func(*Request) error) (feed, error) {
	if s.open == nil {
		return nil, ErrEmptySource
	}
	return s.open(names, validate)
}

// URLs sends a GET request to each of urls, once, in order.
func URLs(urls ...string) Source {
	return Source{open: func(names *endpoints, validate func(*Request) error) (feed, error) {
		reqs := make([]*Request, len(urls))
		for i, u := range urls {
			reqs[i] = Get(u)
		}
		return newListFeed(reqs, int64(len(reqs)), names, validate)
	}}
}

// Times sends n requests, cycling through reqs. Without reqs it sends empty
// ones, which only a [Func] client takes.
func Times(n int, reqs ...*Request) Source {
	return Source{open: func(names *endpoints, validate func(*Request) error) (feed, error) {
		if n < 0 {
			return nil, fmt.Errorf("loadtest: Times(%d): negative count", n)
		}
		return newListFeed(reqs, int64(n), names, validate)
	}}
}

// For sends requests, cycling through reqs, until d has passed since the run
// began; requests in flight then are finished. Without reqs it sends empty
// ones, which only a [Func] client takes.
func For(d time.Duration, reqs ...*Request) Source {
	return Source{open: func(names *endpoints, validate func(*Request) error) (feed, error) {
		if d <= 0 {
			return nil, fmt.Errorf("loadtest: For(%v): the duration must be above 0", d)
		}
		f, err := newListFeed(reqs, -1, names, validate)
		return untilFeed{f, d}, err
	}}
}

// Until ends src once d has passed since the run began, unless it has ended by
// itself: no request begins after that, and those in flight are finished, not
// cancelled. The run ends without an error, and nothing counts as unsent. A [Seq]
// that blocks is waited for, and what it yields too late is not sent.
func Until(d time.Duration, src Source) Source {
	if src.open == nil {
		return Source{}
	}
	return Source{open: func(names *endpoints, validate func(*Request) error) (feed, error) {
		if d <= 0 {
			return nil, fmt.Errorf("loadtest: Until(%v): the duration must be above 0", d)
		}
		f, err := src.open(names, validate)
		return untilFeed{f, d}, err
	}}
}

// untilFeed is a feed with a limit in time, which the workers keep: a feed has no
// clock. How much is sent before it is not known.
type untilFeed struct {
	feed
	limit time.Duration
}

func (f untilFeed) size() int64 { return -1 }

func (f untilFeed) planned() time.Duration {
	if inner := f.feed.planned(); inner > 0 {
		return min(inner, f.limit)
	}
	return f.limit
}

// Seq sends what seq yields. The workers take turns: seq is never run by two of
// them at once, and it is asked for a request only when a worker is free to send
// it. Of several that are free the one goes next that was busy last, so that no more
// connections are open than are needed at once. Run waits for a seq that blocks, so it should end by itself or when the
// context does that its author gave it. A nil or invalid request ends the run
// with an error.
func Seq(seq iter.Seq[*Request]) Source {
	if seq == nil {
		return Source{}
	}
	return Source{open: func(names *endpoints, validate func(*Request) error) (feed, error) {
		f := &seqFeed{names: names, validate: validate}
		f.next, f.stop = iter.Pull(seq)
		return f, nil
	}}
}

// listFeed cycles through a fixed list until a count is reached.
type listFeed struct {
	items []item
	total int64    // -1: no limit
	_     [64]byte // next is written by every worker: keep it off the line they read
	next  atomic.Int64
	_     [64]byte

	hasBack atomic.Bool // len(back) > 0
	mu      sync.Mutex
	back    []item // given back
}

func newListFeed(reqs []*Request, total int64, names *endpoints, validate func(*Request) error) (*listFeed, error) {
	if total == 0 {
		return nil, ErrEmptySource
	}
	if len(reqs) == 0 {
		reqs = []*Request{{}}
	}
	var faults []error
	f := &listFeed{total: total, items: make([]item, len(reqs))}
	for i, r := range reqs {
		if err := validate(r); err != nil {
			faults = append(faults, fmt.Errorf("request %d: %w", i, err))
			continue
		}
		f.items[i] = item{req: r, endpoint: names.id(r.Name)}
	}
	return f, errors.Join(faults...)
}

func (f *listFeed) claim(dst []item, share int) int {
	if f.hasBack.Load() {
		if n := f.reclaim(dst, share); n > 0 {
			return n
		}
	}
	first, want := f.take(int64(len(dst)), int64(share))
	if len(f.items) == 1 {
		for i := range want {
			dst[i] = f.items[0]
		}
		return int(want)
	}
	k := int(first % int64(len(f.items)))
	for i := range want {
		dst[i] = f.items[k]
		if k++; k == len(f.items) {
			k = 0
		}
	}
	return int(want)
}

// take reserves at most most requests, and returns the first and how many. Near
// the end the claims shrink (guided self-scheduling), so that no worker sits on
// a batch while the others have nothing left.
func (f *listFeed) take(most, share int64) (first, n int64) {
	if f.total < 0 {
		return f.next.Add(most) - most, most
	}
	for {
		first = f.next.Load()
		left := f.total - first
		if left <= 0 {
			return first, 0
		}
		n = min(most, max(1, left/(2*share)))
		if f.next.CompareAndSwap(first, first+n) {
			return first, n
		}
	}
}

func (f *listFeed) size() int64            { return f.total }
func (f *listFeed) planned() time.Duration { return 0 }

func (f *listFeed) giveBack(rest []item) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.back = append(f.back, rest...)
	f.hasBack.Store(true)
}

func (f *listFeed) reclaim(dst []item, share int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := min(len(dst), len(f.back), max(1, len(f.back)/(2*share)))
	copy(dst, f.back[len(f.back)-n:])
	f.back = f.back[:len(f.back)-n]
	f.hasBack.Store(len(f.back) > 0)
	return n
}

func (f *listFeed) fault() error { return nil }
func (f *listFeed) close()       {}

// seqFeed pulls from the user's iterator, one request a claim: a request waits
// for no other, however slowly the iterator yields.
type seqFeed struct {
	names    *endpoints
	validate func(*Request) error

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
	if err := f.validate(r); err != nil {
		f.err = fmt.Errorf("request %d of the sequence: %w", f.count, err)
		return 0
	}
	f.done = false
	f.count++
	dst[0] = item{req: r, endpoint: f.names.id(r.Name)}
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
