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
	// What the requests came to so far.
	Counts
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

// reporter calls OnProgress. A report that comes while one is being delivered
// replaces another that waits.
type reporter struct {
	report func(Progress)
	crash  func(any)     // is told of a call that does not return
	next   chan Progress // has room for one; closed after the last
}

func (p *reporter) put(report Progress) {
	for {
		select {
		case p.next <- report:
			return
		default:
		}
		select {
		case <-p.next:
		default:
		}
	}
}

// run calls OnProgress until next is closed or a call does not return.
func (p *reporter) run() {
	returned := false
	defer func() {
		if !returned {
			p.crash(recover())
		}
	}()
	for report := range p.next {
		p.report(report)
	}
	returned = true
}
