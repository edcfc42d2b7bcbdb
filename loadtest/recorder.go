package loadtest

import (
	"maps"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"example.com/brunt/loadtest/internal/hist"
	"example.com/brunt/loadtest/internal/label"
	"example.com/brunt/loadtest/internal/servertiming"
)

// Classes of samples beside those of errors.
const (
	classExpected     = numClasses + iota // no error, and a status that the request's Expect names
	classUserFinished                     // a user, not a request: bytes is how many it sent
	classUserFailed
	classUserCanceled
)

// sample is one request as the recorder keeps it.
type sample struct {
	latency  time.Duration // service time
	lag      time.Duration // 0 in a closed loop
	bytes    int64
	retries  uint16
	status   uint16
	endpoint int8
	class    ErrorClass
	byUser   bool // a user has sent it
	excluded bool // it is not counted
}

// isUser reports whether x is a user that has ended.
func (x *sample) isUser() bool { return x.class > classExpected }

const (
	// ringSize is how many requests a worker can end before it has to drain them, which
	// takes a lock; quickRingSize is that of a worker whose requests take microseconds.
	// Both are powers of two. With 16 for all, a request that does nothing takes 80 ns
	// instead of 77; with 32, a waiting worker has 3.1 KB of heap instead of 2.7.
	ringSize      = 16
	quickRingSize = 128
	// maxShards bounds the memory of the histograms on machines with many cores.
	maxShards = 8
)

// recorder counts what the workers of one run did. Each worker writes to its own ring,
// without a lock. A worker drains its ring when it is full; the collector drains all of
// them at the end of an interval. Both do so under the lock of the worker's shard, into
// the shard's tally of the interval. harvest merges those of all shards. Names have one
// tally each for all shards: there may be 64, and a shard's are not used much.
type recorder struct {
	shards []*shard
	named  [maxEndpoints]endpointTally // of the whole run
	free   []*tally
	mu     sync.Mutex      // of total, which soFar reads
	total  *tally          // of the intervals that are over; nil before the first
	both   *hist.Histogram // scratch
	recent hist.Block      // the latencies of the last interval

	buffers  int                               // how many there are
	arrivals func() (counted, excluded Counts) // what became of an open loop's since the last call; nil in a closed one
	window   label.Window                      // of the latest interval of an open loop
}

// newRecorder returns a recorder for up to so many workers.
func newRecorder(workers int) *recorder {
	r := &recorder{shards: make([]*shard, min(workers, runtime.GOMAXPROCS(0), maxShards))}
	for i := range r.shards {
		// Made at once, so that the memory of a run does not depend on which
		// workers happen to get most of the work.
		r.shards[i] = &shard{named: &r.named, interval: newTally()}
	}
	return r
}

// buffer is the part of the recorder that one worker owns: a ring with one
// producer. Its length is a power of two.
type buffer struct {
	shard   *shard
	samples []sample
	next    uint64        // the worker's own copy of head
	free    uint64        // next may reach this without reading tail
	head    atomic.Uint64 // samples before it are complete
	tail    uint64        // samples before it have been taken; guarded by shard.mu
	_       [64]byte      // keeps other workers off these cache lines
}

// buffer returns the buffer of a further worker. It is called by one goroutine at a time.
func (r *recorder) buffer() *buffer {
	s := r.shards[r.buffers%len(r.shards)]
	r.buffers++
	b := &buffer{shard: s, samples: make([]sample, ringSize), free: ringSize}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buffers = append(s.buffers, b)
	return b
}

// add records one sample and reports whether it had to drain the ring.
func (b *buffer) add(s sample) (emptied bool) {
	if b.next == b.free {
		b.empty()
		emptied = true
	}
	b.samples[b.next&uint64(len(b.samples)-1)] = s
	b.next++
	b.head.Store(b.next)
	return emptied
}

// empty is called by the worker that fills the ring.
func (b *buffer) empty() {
	b.shard.mu.Lock()
	defer b.shard.mu.Unlock()
	b.shard.take(b)
	b.free = b.tail + uint64(len(b.samples))
}

// widen gives the ring room for quickRingSize requests. Its worker calls it.
func (b *buffer) widen() {
	b.shard.mu.Lock()
	defer b.shard.mu.Unlock()
	b.shard.take(b)
	b.samples = make([]sample, quickRingSize)
	b.free = b.tail + quickRingSize
}

// example keeps the first error of each class, for reports. Errors are rare
// enough, or the run is broken enough, for a lock.
func (b *buffer) example(class ErrorClass, err error) {
	text := err.Error() // the user's code: not under the lock that others wait for
	b.shard.mu.Lock()
	defer b.shard.mu.Unlock()
	if b.shard.examples == nil {
		b.shard.examples = make(map[ErrorClass]string)
	}
	if _, ok := b.shard.examples[class]; !ok {
		b.shard.examples[class] = text
	}
}

// userExample keeps the first error of a user's of each scenario.
func (b *buffer) userExample(endpoint int32, err error) {
	if endpoint == noEndpoint {
		return
	}
	e := &b.shard.named[endpoint]
	e.mu.Lock()
	known := e.example != ""
	e.mu.Unlock()
	if known {
		return
	}
	text := err.Error() // the user's code: not under the lock
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.example == "" {
		e.example = text
	}
}

// shard is what some of the workers have recorded.
type shard struct {
	named *[maxEndpoints]endpointTally

	mu       sync.Mutex
	buffers  []*buffer // more may come, none goes
	interval *tally    // of the interval that is going on
	excluded *tally    // likewise, what is not counted; nil before the first
	examples map[ErrorClass]string
	checks   failedChecks
}

// endpointTally counts the requests, or the users, of one name.
type endpointTally struct {
	mu      sync.Mutex // taken after a shard's
	tally   *tally     // nil: none yet
	example string     // error of a user
}

// record adds the details of a request.
func (s *shard) record(endpoint int8, req *Request, out *outcome, phases *phaseTimes) {
	ask := req.ServerTime != nil && req.Func == nil && out.resp.StatusCode != 0
	var took time.Duration
	var said bool
	if ask {
		took, said = servertiming.Source(*req.ServerTime).Read(out.resp.Header)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	add := func(d *details) {
		if ask {
			d.recordServer(took, said)
		}
		if phases != nil {
			d.recordPhases(phases)
		}
	}
	add(&s.interval.details)
	if endpoint != noEndpoint {
		e := &s.named[endpoint]
		e.mu.Lock()
		add(&e.get().details)
		e.mu.Unlock()
	}
	if phases != nil {
		*phases = phaseTimes{}
	}
}

// take moves the samples of b to the tallies. The caller holds mu.
func (s *shard) take(b *buffer) {
	mask, head := uint64(len(b.samples)-1), b.head.Load()
	for i := b.tail; i != head; i++ {
		x := &b.samples[i&mask]
		t := s.interval
		if x.excluded {
			if s.excluded == nil {
				s.excluded = newTally()
			}
			t, x.endpoint = s.excluded, noEndpoint
		}
		if x.isUser() {
			t.countUser(x)
		} else {
			t.count(x)
		}
	}
	// One name after the other, so that its tally is locked once; and first those that no
	// other shard holds.
	b.takeNamed(head, (*sync.Mutex).TryLock)
	b.takeNamed(head, func(mu *sync.Mutex) bool { mu.Lock(); return true })
	b.tail = head
}

// takeNamed moves the samples before head to the tallies of their names, as far as lock
// succeeds. The caller holds the lock of the shard.
func (b *buffer) takeNamed(head uint64, lock func(*sync.Mutex) bool) {
	mask := uint64(len(b.samples) - 1)
	for i := b.tail; i != head; i++ {
		endpoint := b.samples[i&mask].endpoint
		if endpoint == noEndpoint {
			continue
		}
		e := &b.shard.named[endpoint]
		if !lock(&e.mu) {
			continue
		}
		t := e.get()
		for j := i; j != head; j++ {
			x := &b.samples[j&mask]
			switch {
			case x.endpoint != endpoint:
				continue
			case x.isUser():
				t.countWalk(x)
			default:
				t.count(x)
			}
			x.endpoint = noEndpoint
		}
		e.mu.Unlock()
	}
}

// get returns the tally. The caller holds mu.
func (e *endpointTally) get() *tally {
	if e.tally == nil {
		e.tally = new(tally)
	}
	return e.tally
}

// collect drains all rings and returns the tally of the interval, which next replaces, and
// that of what is not counted, or nil.
// The lock is released between rings: there may be thousands, and workers may wait for
// it.
func (s *shard) collect(next *tally) (got, excluded *tally) {
	s.mu.Lock()
	buffers := s.buffers
	s.mu.Unlock()
	for _, b := range buffers {
		s.mu.Lock()
		s.take(b)
		s.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	got, excluded = s.interval, s.excluded
	s.interval, s.excluded = next, nil
	return got, excluded
}

// harvest ends an interval: it returns what was recorded since the one before, and
// adds it to the total; and apart from that what is not counted. It is called by one goroutine at a time. After the last
// call, when no worker is left, the shards hold no tallies any more.
func (r *recorder) harvest(last bool) (row, excluded Interval) {
	var sum, apart *tally
	for _, s := range r.shards {
		var next *tally
		if !last {
			next = r.getTally()
		}
		got, not := s.collect(next)
		switch {
		case not == nil:
		case apart == nil:
			apart = not
		default:
			apart.merge(not)
			r.putTally(not)
		}
		if sum == nil {
			sum = got
			continue
		}
		sum.merge(got)
		r.putTally(got)
	}
	if r.arrivals != nil {
		counted, not := r.arrivals()
		sum.add(counted)
		if not != (Counts{}) && apart == nil {
			apart = r.getTally()
		}
		if apart != nil {
			apart.add(not)
		}
	}
	if apart != nil {
		excluded = apart.row(&r.both)
		r.putTally(apart)
	}
	row = sum.row(&r.both)
	all := sum.latencies(&r.both)
	r.recent = hist.NewBlock(all)
	if r.arrivals != nil {
		r.window = windowOf(sum, all)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.total == nil {
		r.total = sum
	} else {
		r.total.merge(sum)
		r.putTally(sum)
	}
	return row, excluded
}

// soFar returns a copy of what has been counted: in all until the end of the latest
// interval, and by names until now. It may be called while harvest is.
func (r *recorder) soFar(names []endpointName) *EngineResult {
	total, named := new(tally), make([]*tally, len(names))
	r.mu.Lock()
	if r.total != nil {
		total.merge(r.total)
	}
	r.mu.Unlock()
	for id := range names {
		e := &r.named[id]
		e.mu.Lock()
		if e.tally != nil {
			named[id] = new(tally)
			named[id].merge(e.tally)
		}
		e.mu.Unlock()
	}
	return newResult(total, names, named, nil)
}

func (r *recorder) getTally() *tally {
	n := len(r.free)
	if n == 0 {
		return newTally()
	}
	t := r.free[n-1]
	r.free = r.free[:n-1]
	return t
}

func (r *recorder) putTally(t *tally) {
	t.reset()
	r.free = append(r.free, t)
}

// result returns the total, after the last harvest.
func (r *recorder) result(names []endpointName) *EngineResult {
	named := make([]*tally, len(names))
	for id := range names {
		named[id] = r.named[id].tally
	}
	examples := make(map[ErrorClass]string)
	var checks failedChecks
	for _, s := range r.shards {
		maps.Copy(examples, s.examples)
		checks.merge(s.checks)
	}
	res := newResult(r.total, names, named, examples)
	res.FailedChecks = checks
	for id, n := range names {
		if s := res.Scenarios[n.name]; s != nil && n.scenario {
			s.Error = r.named[id].example
		}
	}
	return res
}

// newResult returns the result of total, and of named by names.
func newResult(total *tally, names []endpointName, named []*tally, examples map[ErrorClass]string) *EngineResult {
	res := &EngineResult{Stats: *total.stats()}
	if len(examples) > 0 {
		res.ErrorExamples = examples
	}
	for id, t := range named {
		if t == nil {
			continue
		}
		switch name := names[id]; {
		case name.scenario:
			if res.Scenarios == nil {
				res.Scenarios = make(map[string]*ScenarioStats)
			}
			res.Scenarios[name.name] = t.scenarioStats()
		default:
			if res.Endpoints == nil {
				res.Endpoints = make(map[string]*Stats)
			}
			res.Endpoints[name.name] = t.stats()
		}
	}
	return res
}
