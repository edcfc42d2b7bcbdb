package loadtest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"example.com/brunt/loadtest/internal/hist"
	"example.com/brunt/loadtest/internal/text"
)

// signals are what the generator knows of one window.
//
// Arrivals that find no free worker are dropped and do not wait. So lag has no other
// origin than the generator: it is late at waking, at its bookkeeping or at starting
// workers, which all comes down to CPU time. A slow service cannot delay what begins,
// but only use up MaxInFlight; and requests that wait for a connection have begun, so
// that their wait is a part of their service time, told apart here.
type signals struct {
	length                     time.Duration
	scheduled, missed, dropped int64         // arrivals that were due
	ended, local               int64         // requests that ended; of these, for a limit of this machine
	waited                     int64         // of them, for a connection
	wait                       time.Duration // of all that waited
	lag                        time.Duration // p90
	response, service          time.Duration // p90 and p50
	mean                       time.Duration // service time
}

// signalsOf returns what the tally of a window says. all are its latencies.
func signalsOf(t *tally, all *hist.Histogram) signals {
	service := t.service
	if t.lag == nil { // every lag was 0
		service = all
	}
	return signals{
		scheduled: t.Scheduled, missed: t.Missed, dropped: t.Dropped, ended: t.Requests, local: t.classes[ClassLocal],
		lag: t.lag.Quantile(0.9), response: all.Quantile(0.9), service: service.Quantile(0.5), mean: service.Mean(),
	}
}

func (s signals) rate() float64 { return text.PerSecond(s.scheduled, s.length) }

// busy returns the mean service time without the wait for a connection.
func (s signals) busy() time.Duration {
	if s.ended == 0 {
		return 0
	}
	return max(s.mean-s.wait/time.Duration(s.ended), 0)
}

// needed returns how many requests are in flight at the rate of the window, without
// those that wait for a connection: Little's law.
func (s signals) needed() float64 { return s.rate() * s.busy().Seconds() }

// stalled reports whether next to no request ended while some were due.
func (s signals) stalled() bool {
	return s.scheduled >= fewArrivals && float64(s.ended) < stallShare*float64(s.scheduled)
}

const (
	// fewArrivals is how many a window must have for its quantiles to say something.
	fewArrivals = 20
	// lostShare of the arrivals of a window must be lost for it to have a cause.
	lostShare = 0.01
	// waitedShare of the requests must wait for a connection: with too few of them nearly
	// all do, and with enough none. waitedTime is what a wait takes on average, at least,
	// and matterShare the part of what was measured that must be the generator's own.
	waitedShare = 0.25
	waitedTime  = time.Millisecond
	matterShare = 0.1
	// A tenth of the requests must begin lateness after they were due, at least; more, up
	// to three times that, where the healthy windows had more than a third of it. A timer
	// is 50 µs late on an idle machine and some hundreds on a busy one, and a goroutine
	// that waits for its turn among others that do not yield waits 10 ms.
	lateness = 2 * time.Millisecond
	// Requests that begin tooLate are not next to nothing, however long they take: where
	// the CPU is short, what they take is so for that reason too. And a fiftieth of a
	// second moves a fiftieth of its arrivals into the next.
	tooLate = 20 * time.Millisecond
	// The service has become slower or faster when its median is twice or half what it
	// was, and by changed at least.
	changed = time.Millisecond
)

// band is what some windows looked like.
type band struct {
	windows   int
	lag       time.Duration // the largest p90
	low, high time.Duration // median service time
}

func (b *band) add(s signals) {
	if b.windows == 0 {
		b.low = s.service
	}
	b.windows++
	b.lag = max(b.lag, s.lag)
	if s.ended >= fewArrivals {
		b.low, b.high = min(b.low, s.service), max(b.high, s.service)
	}
}

// judge returns the cause that a window shows by itself, where healthy ones are like b.
func (b *band) judge(s signals) Cause {
	share := func(part, whole int64, least float64) bool {
		return part > 0 && float64(part) >= least*float64(whole)
	}
	if max(s.scheduled, s.ended) < fewArrivals {
		return ""
	}
	late := min(max(3*b.lag, lateness), 3*lateness)
	switch {
	case share(s.local, s.ended, lostShare):
		return CauseLocalLimits
	case share(s.missed, s.scheduled, lostShare),
		s.lag >= late && (s.lag >= tooLate || float64(s.lag) >= matterShare*float64(s.response)):
		return CauseCPU
	case share(s.waited, s.ended, waitedShare) && s.wait >= time.Duration(s.waited)*waitedTime &&
		float64(s.wait) >= matterShare*float64(s.mean)*float64(s.ended):
		return CauseConnections
	case share(s.dropped, s.scheduled, lostShare):
		return CauseInFlight
	case b.windows < latchAfter:
		return ""
	case s.stalled(), s.ended >= fewArrivals && s.service > 2*b.high && s.service-b.high >= changed:
		return CauseSlower
	case s.ended >= fewArrivals && s.service < b.low/2 && b.low-s.service >= changed:
		return CauseFaster
	}
	return ""
}

// labeler labels the windows of a run, one after the other. Its zero value is ready.
type labeler struct {
	healthy   band // the first latchAfter windows without a cause of the generator's
	windows   int  // that were judged
	all       int  // windows, those that say nothing too
	scheduled int64
	latched   Cause
	recent    [latchAfter]Cause // what the latest windows judged showed by themselves; the latest last
	at        [latchAfter]int   // which of all they are
	seen      map[Cause]*evidence
}

// evidence sums up the windows that showed a cause by themselves.
type evidence struct {
	band
	held          int // windows that have the label
	ended, waited int64
	lost          int64 // arrivals
	wait          time.Duration
	worst         signals // the window that needed the most in flight
	stalled       bool    // in one of them next to nothing ended
}

func (e *evidence) add(s signals) {
	e.band.add(s)
	e.ended += s.ended
	e.waited += s.waited
	e.wait += s.wait
	if s.needed() >= e.worst.needed() {
		e.worst = s
	}
	e.stalled = e.stalled || s.stalled()
}

func (l *labeler) evidence(c Cause) *evidence {
	if l.seen == nil {
		l.seen = make(map[Cause]*evidence)
	}
	if l.seen[c] == nil {
		l.seen[c] = new(evidence)
	}
	return l.seen[c]
}

// add takes the next window and returns its label. The back windows before it get the
// same one: three in a row that show a cause begin it, and one alone does not. Likewise
// one without does not end it. One in which nothing was due, as after the last arrival,
// says nothing of whether arrivals were delivered: it is skipped, and has the label of
// the one before it.
func (l *labeler) add(s signals) (label Cause, back int) {
	l.all++
	cause := l.healthy.judge(s)
	l.evidence(CauseCPU).lost += s.missed
	l.evidence(CauseLocalLimits).lost += s.local
	if cause == CauseCPU || cause == CauseConnections {
		l.evidence(cause).lost += s.dropped
	} else {
		l.evidence(CauseInFlight).lost += s.dropped
	}
	if s.scheduled == 0 || l.windows > 0 && s.length < harvestEvery/2 {
		return l.latched, 0 // a short one is the end of the run, or follows on a late one
	}
	l.windows++
	l.scheduled += s.scheduled
	l.evidence(cause).add(s)
	if !cause.Generator() && l.healthy.windows < latchAfter && s.ended >= fewArrivals {
		l.healthy.add(s)
	}
	copy(l.recent[:], l.recent[1:])
	copy(l.at[:], l.at[1:])
	l.recent[latchAfter-1], l.at[latchAfter-1] = cause, l.all
	if l.windows >= latchAfter {
		if next, ok := agreed(l.recent[:], !l.latched.Generator()); ok && next != l.latched {
			l.evidence(l.latched).held -= latchAfter - 1
			l.evidence(next).held += latchAfter - 1
			l.latched, back = next, l.all-l.at[0]
		}
	}
	l.evidence(l.latched).held++
	return l.latched, back
}

// agreed returns what windows in a row amount to. Mixed ones need not show the same
// cause if all are the generator's: one that is short of CPU also runs into limits. Then
// the most frequent one counts, and of equals that which may have brought about the
// others.
func agreed(recent []Cause, mixed bool) (Cause, bool) {
	if !slices.ContainsFunc(recent, func(c Cause) bool { return c != recent[0] }) {
		return recent[0], true
	}
	if !mixed {
		return "", false
	}
	var most Cause
	count := make(map[Cause]int)
	for _, c := range recent {
		if !c.Generator() {
			return "", false
		}
		count[c]++
	}
	for _, c := range causes {
		if count[c] > count[most] {
			most = c
		}
	}
	return most, true
}

// finish ends the run. One of fewer windows than make a cause has one if all of them
// show it: label is then that of the last back windows, all there are.
func (l *labeler) finish() (label Cause, back int) {
	if l.windows == 0 || l.windows >= latchAfter {
		return l.latched, 0
	}
	if next, ok := agreed(l.recent[latchAfter-l.windows:], true); ok {
		l.evidence(l.latched).held -= l.windows
		l.evidence(next).held += l.windows
		l.latched, back = next, l.all
	}
	return l.latched, back
}

// findings returns what made a difference: causes that were latched, that lost
// arrivals, or that are limits and were met again and again. Those of the generator
// come first, and of them those that held longest.
func (l *labeler) findings(maxInFlight int, sinkShare float64) []CauseFinding {
	var out []CauseFinding
	for _, c := range causes {
		e := l.seen[c]
		if e == nil {
			continue
		}
		f := CauseFinding{Cause: c, Windows: e.windows, Latched: e.held, Of: l.windows, Lost: e.lost}
		if f.Latched > 0 || f.limiting() || float64(f.Lost) > lostShare/10*float64(l.scheduled) {
			f.Text = e.text(c, l.healthy, maxInFlight)
			if c == CauseInFlight && sinkShare >= matterShare {
				f.Text += fmt.Sprintf("; the sink took %s of the workers' time, so make it faster first", text.Percent(sinkShare))
			}
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b CauseFinding) int {
		if a.Cause.Generator() != b.Cause.Generator() {
			return 0 // they are apart already
		}
		return cmp.Or(cmp.Compare(b.Latched, a.Latched), cmp.Compare(b.Lost, a.Lost))
	})
	return out
}
