package loadtest

import "time"

// Progress is the state of a run in progress, for OnProgress of an engine's
// configuration.
type Progress struct {
	// Engine names the scheduling: "sync", "threaded", "async" or "arrival".
	Engine string
	// Elapsed is the time since the run began, and Planned the time limit of its source,
	// or the length of the schedule of an ArrivalEngine if that is less; 0 without one. A
	// run exceeds it by the requests in flight at its end.
	Elapsed, Planned time.Duration
	// Counts are of the requests so far, and of the arrivals of an ArrivalEngine; without
	// those that Exclude leaves out, of which Last may be.
	Counts
	// Size is how many requests the source holds, or the schedule of an ArrivalEngine if
	// those are fewer; -1 if that is not known.
	Size int64
	// RPS is the number of requests sent per second of Elapsed, without a WarmUp.
	RPS float64
	// Last is the interval that ended just now; of an ArrivalEngine, its Scheduled over
	// its length is the rate that was intended, and its Lag the lag now. When Done, it is the last of
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
