package loadtest

import "time"

// Progress is the state of a run in progress, for OnProgress of an engine's
// configuration.
type Progress struct {
	// Engine names the scheduling: "sync", "threaded" or "async".
	Engine string
	// Elapsed is the time since the run began, and Planned the time limit of its source,
	// 0 without one. A run made with For exceeds it by the requests in flight at its
	// end.
	Elapsed, Planned time.Duration
	// Counts are of the requests so far.
	Counts
	// Size is how many requests the source holds; -1 if that is not known.
	Size int64
	// RPS is the number of requests sent per second of Elapsed.
	RPS float64
	// Last is the interval that ended just now. When Done, it is the last of
	// EngineResult.Intervals, which may contain one reported before.
	Last Interval
	// InFlight is how many requests are being attempted.
	InFlight int
	// HeapBytes is the largest heap seen in the last interval.
	HeapBytes uint64
	// Done reports whether the run has ended: this is its last report then.
	Done bool
}

// reporter calls OnProgress. A report that comes while one is being delivered
// replaces another that waits.
type reporter struct {
	report      func(Progress)
	recordPanic func(any)     // called with the value of a panic, nil for a Goexit, in report
	next        chan Progress // has room for one; closed after the last
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
			p.recordPanic(recover())
		}
	}()
	for report := range p.next {
		p.report(report)
	}
	returned = true
}
