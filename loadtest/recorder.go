package loadtest

import (
	"runtime"
	"sync"
	"time"
)

// sample is one request as the recorder keeps it.
type sample struct {
	latency  time.Duration
	endpoint int32
	status   uint16
	class    ErrorClass
}

const (
	// samplesPerFlush is how many requests a worker keeps to itself before it
	// takes a shard's lock: often enough to bound memory, rarely enough that the
	// lock costs nothing.
	samplesPerFlush = 128
	// maxShards bounds the memory of the histograms on machines with many
	// cores: a shard's two take 0.5 MB.
	maxShards = 8
)

// recorder collects what the workers of one run saw. Each worker fills a buffer
// of its own and empties it into one of a few shards; they are merged once, when
// the run has ended.
type recorder struct {
	shards []*shard
}

func newRecorder(workers int) *recorder {
	r := &recorder{shards: make([]*shard, min(workers, runtime.GOMAXPROCS(0), maxShards))}
	for i := range r.shards {
		// Made at once, so that the memory of a run does not depend on which
		// workers happen to get most of the work.
		r.shards[i] = &shard{total: tally{good: newHistogram()}}
	}
	return r
}

// buffer is the part of the recorder that one worker owns.
type buffer struct {
	shard   *shard
	n       int
	bytes   int64
	retries int64
	samples [samplesPerFlush]sample
}

func (r *recorder) buffer(worker int) *buffer {
	return &buffer{shard: r.shards[worker%len(r.shards)]}
}

// add keeps one sample and reports whether that took the time to empty the buffer.
func (b *buffer) add(s sample) (flushed bool) {
	b.samples[b.n] = s
	b.n++
	if b.n < len(b.samples) {
		return false
	}
	b.flush()
	return true
}

func (b *buffer) flush() {
	b.shard.mu.Lock()
	defer b.shard.mu.Unlock()
	for i := range b.samples[:b.n] {
		b.shard.add(&b.samples[i])
	}
	b.shard.bytes += b.bytes
	b.shard.retries += b.retries
	b.n, b.bytes, b.retries = 0, 0, 0
}

// example keeps the first error of each class, for reports. Errors are rare
// enough, or the run is broken enough, for a lock.
func (b *buffer) example(class ErrorClass, err error) {
	b.shard.mu.Lock()
	defer b.shard.mu.Unlock()
	if b.shard.examples == nil {
		b.shard.examples = make(map[ErrorClass]string)
	}
	if _, ok := b.shard.examples[class]; !ok {
		b.shard.examples[class] = err.Error()
	}
}

// shard is what some of the workers have recorded.
type shard struct {
	mu        sync.Mutex
	total     tally
	endpoints []*tally
	bytes     int64
	retries   int64
	examples  map[ErrorClass]string
}

func (s *shard) add(x *sample) {
	s.total.add(x)
	if x.endpoint == noEndpoint {
		return
	}
	for int(x.endpoint) >= len(s.endpoints) {
		s.endpoints = append(s.endpoints, nil)
	}
	if s.endpoints[x.endpoint] == nil {
		s.endpoints[x.endpoint] = new(tally)
	}
	s.endpoints[x.endpoint].add(x)
}

// The statuses that HTTP defines are counted in an array, all others in a map.
const (
	minStatus = 100
	maxStatus = 599
)

type tally struct {
	success, failed, other, rejected int64
	classes                          [numClasses]int64
	statuses                         [maxStatus - minStatus + 1]int64
	oddStatuses                      map[int]int64
	good, bad                        *histogram
}

func (t *tally) add(x *sample) {
	h := &t.good
	switch {
	case x.class == ClassRejected:
		t.rejected++
		return // no latency: nothing was sent
	case x.class != ClassNone:
		t.failed++
		t.classes[x.class]++
		h = &t.bad
	case x.status == 0 || x.status/100 == 2:
		t.success++
	default:
		t.other++
	}
	if *h == nil {
		*h = newHistogram()
	}
	(*h).record(x.latency)
	switch {
	case x.status == 0:
	case x.status >= minStatus && x.status <= maxStatus:
		t.statuses[x.status-minStatus]++
	default:
		t.oddStatuses = addCounts(t.oddStatuses, map[int]int64{int(x.status): 1})
	}
}

func (t *tally) stats() *Stats {
	s := &Stats{
		Requests:      t.success + t.failed + t.other,
		SuccessCount:  t.success,
		ErrorCount:    t.failed,
		OtherCount:    t.other,
		RejectedCount: t.rejected,
		StatusCodes:   addCounts(nil, t.oddStatuses),
		good:          t.good,
		bad:           t.bad,
	}
	for class, n := range t.classes {
		if n > 0 {
			s.Errors = addCounts(s.Errors, map[ErrorClass]int64{ErrorClass(class): n})
		}
	}
	for i, n := range t.statuses {
		if n > 0 {
			s.StatusCodes = addCounts(s.StatusCodes, map[int]int64{minStatus + i: n})
		}
	}
	return s
}

// result merges the shards; the workers must have ended.
func (r *recorder) result(names []string) *EngineResult {
	res := &EngineResult{}
	for _, s := range r.shards {
		res.merge(s.total.stats())
		res.BytesRead += s.bytes
		res.Retries += s.retries
		for id, t := range s.endpoints {
			if t == nil {
				continue
			}
			if res.Endpoints == nil {
				res.Endpoints = make(map[string]*Stats)
			}
			ep := res.Endpoints[names[id]]
			if ep == nil {
				ep = new(Stats)
				res.Endpoints[names[id]] = ep
			}
			ep.merge(t.stats())
		}
		for class, text := range s.examples {
			if res.ErrorExamples == nil {
				res.ErrorExamples = make(map[ErrorClass]string)
			}
			res.ErrorExamples[class] = text
		}
	}
	return res
}
