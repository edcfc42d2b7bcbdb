package loadtest

import (
	"iter"
	"sync"
)

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
	total int64          // -1: no limit
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
	if f.total >= 0 && f.count >= f.total {
		return 0
	}
	r, ok := f.pull()
	if !ok || !f.fill(dst, r) {
		return 0
	}
	return 1
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
		if !f.fill(dst, r) {
			return 0
		}
		if number == i {
			return 1
		}
		f.early[number] = dst[0]
	}
	return 0
}

func (f *recordedFeed) size() int64 { return f.total }
