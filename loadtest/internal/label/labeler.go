package label

import (
	"cmp"
	"slices"
	"time"

	"example.com/brunt/loadtest/internal/text"
)

// Window is what the generator knows of a window, which is a second long as a rule.
//
// Arrivals that find no free worker are dropped and do not wait. So lag has no other
// origin than the generator: it is late at waking, at its bookkeeping or at starting
// workers, which all comes down to CPU time. A slow service cannot delay what begins,
// but only use up what may be in flight; and requests that wait for a connection have
// begun, so that their wait is a part of their service time, told apart here.
type Window struct {
	Length                     time.Duration
	Scheduled, Missed, Dropped int64         // arrivals that were due
	Ended, Local               int64         // requests that ended; of these, for a limit of this machine
	Waited                     int64         // of them, for a connection
	Wait                       time.Duration // of all that waited
	Lag                        time.Duration // p90
	Response, Service          time.Duration // p90 and p50
	Mean                       time.Duration // service time
	Users                      int64         // that ended
	Walked                     time.Duration // by them
}

func (w Window) rate() float64 { return text.PerSecond(w.Scheduled, w.Length) }

// busy returns the mean time that what arrives is in flight, without the wait for a
// connection: a request's service time, or how long a user walks through a scenario.
func (w Window) busy() time.Duration {
	switch {
	case w.Users > 0:
		return w.Walked / time.Duration(w.Users)
	case w.Ended == 0:
		return 0
	}
	return max(w.Mean-w.Wait/time.Duration(w.Ended), 0)
}

// needed returns how many requests are in flight at the rate of the window, without
// those that wait for a connection: Little's law.
func (w Window) needed() float64 { return w.rate() * w.busy().Seconds() }

// stalled reports whether next to no request ended while some were due.
func (w Window) stalled() bool {
	return w.Scheduled >= FewArrivals && float64(w.Ended) < stalledShare*float64(w.Scheduled)
}

const (
	// FewArrivals is how many a window must have for its quantiles to say something.
	FewArrivals = 20
	// minLength is how long a window must be to say something.
	minLength = time.Second / 2
	// A window in which less than stalledShare of what was due ended is stalled.
	stalledShare = 0.1
	// lostShare of the arrivals of a window must be lost for it to have a cause.
	lostShare = 0.01
	// waitedShare of the requests must wait for a connection: with too few of them nearly
	// all do, and with enough none. MinWait is what a wait takes on average, at least,
	// and matterShare the part of what was measured that must be the generator's own.
	waitedShare = 0.25
	MinWait     = time.Millisecond
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

func (b *band) add(w Window) {
	if b.windows == 0 {
		b.low = w.Service
	}
	b.windows++
	b.lag = max(b.lag, w.Lag)
	if w.Ended >= FewArrivals {
		b.low, b.high = min(b.low, w.Service), max(b.high, w.Service)
	}
}

// judge returns the cause that a window shows by itself, where healthy ones are like b.
func (b *band) judge(w Window) Cause {
	share := func(part, whole int64, least float64) bool {
		return part > 0 && float64(part) >= least*float64(whole)
	}
	if max(w.Scheduled, w.Ended) < FewArrivals {
		return ""
	}
	late := min(max(3*b.lag, lateness), 3*lateness)
	switch {
	case share(w.Local, w.Ended, lostShare):
		return LocalLimits
	case share(w.Missed, w.Scheduled, lostShare),
		w.Lag >= late && (w.Lag >= tooLate || float64(w.Lag) >= matterShare*float64(w.Response)):
		return CPU
	case share(w.Waited, w.Ended, waitedShare) && w.Wait >= time.Duration(w.Waited)*MinWait &&
		float64(w.Wait) >= matterShare*float64(w.Mean)*float64(w.Ended):
		return Connections
	case share(w.Dropped, w.Scheduled, lostShare):
		return InFlight
	case b.windows < latchAfter:
		return ""
	case w.stalled(), w.Ended >= FewArrivals && w.Service > 2*b.high && w.Service-b.high >= changed:
		return Slower
	case w.Ended >= FewArrivals && w.Service < b.low/2 && b.low-w.Service >= changed:
		return Faster
	}
	return ""
}

// Labeler labels the windows of a run, one after the other. Its zero value is ready.
type Labeler struct {
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
	worst         Window // the window that needed the most in flight
	stalled       bool   // in one of them next to nothing ended
}

func (e *evidence) add(w Window) {
	e.band.add(w)
	e.ended += w.Ended
	e.waited += w.Waited
	e.wait += w.Wait
	if w.needed() >= e.worst.needed() {
		e.worst = w
	}
	e.stalled = e.stalled || w.stalled()
}

func (l *Labeler) evidence(c Cause) *evidence {
	if l.seen == nil {
		l.seen = make(map[Cause]*evidence)
	}
	if l.seen[c] == nil {
		l.seen[c] = new(evidence)
	}
	return l.seen[c]
}

// Add takes the next window and returns its label. The back windows before it get the
// same one: three in a row that show a cause begin it, and one alone does not. Likewise
// one without does not end it. One in which nothing was due, as after the last arrival,
// says nothing of whether arrivals were delivered: it is skipped, and has the label of
// the one before it.
func (l *Labeler) Add(w Window) (label Cause, back int) {
	l.all++
	cause := l.healthy.judge(w)
	l.evidence(CPU).lost += w.Missed
	l.evidence(LocalLimits).lost += w.Local
	if cause == CPU || cause == Connections {
		l.evidence(cause).lost += w.Dropped
	} else {
		l.evidence(InFlight).lost += w.Dropped
	}
	if w.Scheduled == 0 || l.windows > 0 && w.Length < minLength {
		return l.latched, 0 // a short one is the end of the run, or follows on a late one
	}
	l.windows++
	l.scheduled += w.Scheduled
	l.evidence(cause).add(w)
	if !cause.Generator() && l.healthy.windows < latchAfter && w.Ended >= FewArrivals {
		l.healthy.add(w)
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

// Finish ends the run. One of fewer windows than make a cause has one if all of them
// show it: label is then that of the last back windows, all there are.
func (l *Labeler) Finish() (label Cause, back int) {
	if l.windows == 0 || l.windows >= latchAfter {
		return l.latched, 0
	}
	if next, ok := agreed(l.recent[latchAfter-l.windows:], true); ok {
		l.evidence(next).held = l.windows
		l.latched, back = next, l.all
	}
	return l.latched, back
}

// Findings returns what made a difference: causes that were latched, that lost
// arrivals, or that are limits and were met again and again. Those of the generator
// come first, and of them those that held longest.
func (l *Labeler) Findings(maxInFlight int) []Finding {
	var out []Finding
	for _, c := range causes {
		e := l.seen[c]
		if e == nil {
			continue
		}
		f := Finding{Cause: c, Windows: e.windows, Latched: e.held, Of: l.windows, Lost: e.lost}
		if f.Latched > 0 || f.Limiting() || float64(f.Lost) > lostShare/10*float64(l.scheduled) {
			f.Text = e.text(c, l.healthy, maxInFlight)
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b Finding) int {
		if a.Cause.Generator() != b.Cause.Generator() {
			return 0 // they are apart already
		}
		return cmp.Or(cmp.Compare(b.Latched, a.Latched), cmp.Compare(b.Lost, a.Lost))
	})
	return out
}
