package resilience

import (
	"sync"
	"sync/atomic"
)

const (
	// windowBuckets is the resolution of a window: it moves in steps of a tenth
	// of its duration.
	windowBuckets = 10

	// windowSlots is how many bucket marks are kept. More than windowBuckets,
	// so that a reader has several buckets' time before the marks it walks are
	// written over.
	windowSlots = 16

	// windowSealed is set in the counters of a window that takes no more
	// events. An addition returns the bit with the sum, so counting an event
	// and learning that it came too late are one step.
	windowSealed = uint64(1) << 63
)

// window counts the successes and failures of the last windowBuckets buckets of
// width nanoseconds each. It owns no clock: now is nanoseconds since an origin
// that its user chooses, never negative.
//
// An event recorded at e counts at t if, and only if, fewer than windowBuckets
// buckets lie between them:
//
//	t/width - e/width < windowBuckets        (integer division)
//
// so for at least nine tenths of windowBuckets*width, and never for all of it.
//
// The counters only ever grow; a bucket is the reading they had when it began.
// A sum is therefore the difference of the counters and the mark of the oldest
// bucket that counts. That needs no clearing, so idle time costs nothing and
// cannot leave stale counts behind; bucket numbers and counts are whole 64-bit
// words, so none is ever truncated; and a writer holding an old clock reading
// finds a bucket begun since and counts there, at the instant it really
// records, because marks are written only forward.
//
// A window is safe for concurrent use by multiple goroutines. Recording a success is
// one addition.
type window struct {
	width  uint64
	latest atomic.Uint64 // the last bucket begun
	failed atomic.Uint64 // 1 + the bucket of the last failure; 0 without one
	streak atomic.Uint64 // failures in a row, as the owner counts them; a success ends it
	_      [32]byte      // read by every call; what follows is written by every call

	successes atomic.Uint64
	_         [56]byte

	failures atomic.Uint64
	slow     atomic.Uint64 // failures that were slow calls

	mu    sync.Mutex // held to begin a bucket
	marks [windowSlots]windowMark
}

// windowMark holds the counters as they were when a bucket began. Writers hold
// window.mu; a reader checks bucket before and after, which suffices because a
// slot never holds the same bucket twice.
type windowMark struct {
	bucket                    atomic.Uint64 // 1 + the bucket; 0 while being written
	successes, failures, slow atomic.Uint64
}

// windowCounts are the events of one window at one instant. Slow ones are among
// the failures. streak is not bound to the window, and zero where no failure has
// just been added to it.
type windowCounts struct{ successes, failures, slow, streak uint64 }

// open prepares a zero window at the instant now.
func (w *window) open(width, now uint64) {
	w.width = width
	w.latest.Store(now / width)
	w.marks[now/width%windowSlots].bucket.Store(now/width + 1)
}

// outside reports whether now lies before or after bucket. The multiplication
// decides exactly what a division would, for a fraction of its price.
func (w *window) outside(bucket, now uint64) bool { return now-bucket*w.width >= w.width }

// begin begins the bucket of now unless it or a later one has begun, and returns
// the bucket an event recorded now belongs to.
func (w *window) begin(now uint64) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	bucket := now / w.width
	if latest := w.latest.Load(); bucket <= latest {
		return latest
	}
	m := &w.marks[bucket%windowSlots]
	m.bucket.Store(0)
	m.successes.Store(w.successes.Load() &^ windowSealed)
	m.failures.Store(w.failures.Load() &^ windowSealed)
	m.slow.Store(w.slow.Load())
	m.bucket.Store(bucket + 1)
	w.latest.Store(bucket)
	return bucket
}

// success records a success at now. It reports whether the event was counted
// (it is not once the window is sealed), and whether a failure is recent enough
// to count with it.
func (w *window) success(now uint64) (counted, withFailures bool) {
	bucket := w.latest.Load()
	if w.outside(bucket, now) {
		bucket = w.begin(now)
	}
	if w.successes.Add(1)&windowSealed != 0 {
		return false, false
	}
	if w.streak.Load() != 0 {
		w.streak.Store(0) // of failures that came in between, this success is the later
	}
	failed := w.failed.Load()
	return true, failed != 0 && failed+windowBuckets > bucket+1
}

// failure records a failure at now and reports whether it was counted.
func (w *window) failure(now uint64, slow bool) bool {
	bucket := w.latest.Load()
	if w.outside(bucket, now) {
		bucket = w.begin(now)
	}
	if slow {
		w.slow.Add(1) // first: whoever sees the failure sees that it was slow
	}
	if w.failures.Add(1)&windowSealed != 0 {
		return false
	}
	// Noted after it was counted. A success recorded meanwhile may miss the
	// note, but then this failure's own sum includes that success.
	for {
		failed := w.failed.Load()
		if failed > bucket || w.failed.CompareAndSwap(failed, bucket+1) {
			return true
		}
	}
}

// sum returns the counts of the window that ends at now.
func (w *window) sum(now uint64) windowCounts {
	for {
		latest := w.latest.Load()
		last := max(now/w.width, latest) // a clock reading may have been overtaken
		first := last - min(last, windowBuckets-1)
		if latest < first {
			return windowCounts{} // everything recorded is too old
		}
		for b := first; b <= latest; b++ {
			m := &w.marks[b%windowSlots]
			if m.bucket.Load() != b+1 {
				continue // nothing happened in b
			}
			base := windowCounts{successes: m.successes.Load(), failures: m.failures.Load(), slow: m.slow.Load()}
			if m.bucket.Load() != b+1 {
				break // written over meanwhile: look again
			}
			return windowCounts{
				successes: w.successes.Load()&^windowSealed - base.successes,
				failures:  w.failures.Load()&^windowSealed - base.failures,
				slow:      w.slow.Load() - base.slow,
			}
		}
	}
}

// seal ends the window and returns all it has ever counted. What is recorded
// afterwards is told that it came too late.
func (w *window) seal() (successes, failures uint64) {
	return w.successes.Or(windowSealed), w.failures.Or(windowSealed)
}

// ever returns all the window has counted, if it has not been sealed.
func (w *window) ever() (successes, failures uint64) {
	return w.successes.Load(), w.failures.Load()
}
