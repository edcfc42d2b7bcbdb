package loadtest

import "time"

// Progress is how a run stands while it goes on, for OnProgress of an engine's
// configuration.
type Progress struct {
	// Engine names the scheduling: "sync", "threaded" or "async".
	Engine string
	// Elapsed is the time since the run began, and Planned how long its source
	// means it to last; 0 if that is not known. A run made with For exceeds its
	// time by the requests in flight at the end.
	Elapsed, Planned time.Duration
	// Requests were sent so far, ErrorCount of them failed, and RejectedCount
	// more were refused by the engine's own Breaker.
	Requests, ErrorCount, RejectedCount int64
	// Size is how many requests the source holds; -1 if that is not known.
	Size int64
	// RPS is the number of requests sent per second of Elapsed.
	RPS float64
	// Last is the interval that ended just now. When Done, it is the last of
	// EngineResult.Intervals, which may contain one that was told of before.
	Last Interval
	// InFlight is how many requests are being attempted.
	InFlight int
	// HeapBytes is the largest heap seen in the last interval.
	HeapBytes uint64
	// Done says that the run has ended: this is its last report.
	Done bool
}
