// Package openloop decides what becomes of each arrival of a schedule: sent when it is
// due, missed, dropped or canceled. It has no clock and no lock.
package openloop

import (
	"time"

	"example.com/brunt/loadtest/pace"
)

// Arrivals decides what becomes of each arrival. It is not safe for concurrent use.
type Arrivals struct {
	cursor  *pace.Cursor
	length  time.Duration // of the schedule; 0 if that is not known
	until   time.Duration // this and the following are New's
	total   int64
	catchUp time.Duration
	most    int

	Coming Arrival       // the next one, if there are more
	More   bool          // whether there are
	End    time.Duration // when the load ends at the earliest, once there are no more
	Open   int           // arrivals that were taken and have not ended
	Peak   int           // the most that were ever open
	counts Counts
	apart  Counts // of arrivals that are excluded

	// Excludes reports whether an arrival is counted apart; nil for none.
	Excludes func(Arrival) bool
}

// Arrival is one arrival of a schedule.
type Arrival struct {
	Number int64         // which request it is for
	Due    time.Duration // since the schedule began
}

// Counts counts arrivals that came due, and of them those that were not sent.
type Counts struct {
	Scheduled int64
	Missed    int64 // for being looked at too late
	Dropped   int64 // for too many that were open
	Canceled  int64 // for the schedule or the request was canceled
}

// New returns the arrivals of s that are due before until (0: all) and whose number is below
// total (-1: all). One that is later than catchUp is missed, and most may be open.
func New(s pace.Schedule, until time.Duration, total int64, catchUp time.Duration, most int) *Arrivals {
	a := &Arrivals{cursor: s.Cursor(), length: s.Duration(), until: until, total: total, catchUp: catchUp, most: most}
	a.advance()
	return a
}

func (a *Arrivals) advance() {
	due, ok := a.cursor.Next()
	number := a.cursor.Index()
	switch {
	case !ok:
		a.More, a.End = false, a.length
	case a.until > 0 && due >= a.until:
		a.More, a.End = false, a.until
	case a.total >= 0 && number >= a.total:
		a.More = false
	default:
		a.Coming, a.More = Arrival{number, due}, true
	}
}

// IsDue reports whether an arrival is due at now.
func (a *Arrivals) IsDue(now time.Duration) bool { return a.More && a.Coming.Due <= now }

// Take returns the next arrival that is to be sent at now, if one is due, and counts
// those before it that are not to be sent.
func (a *Arrivals) Take(now time.Duration) (Arrival, bool) {
	for a.IsDue(now) {
		it, counts := a.next()
		switch {
		case now-it.Due > a.catchUp:
			counts.Missed++
		case a.Open >= a.most:
			counts.Dropped++
		default:
			a.Open++
			a.Peak = max(a.Peak, a.Open)
			return it, true
		}
	}
	return Arrival{}, false
}

// next takes the next arrival, and returns where it is counted.
func (a *Arrivals) next() (Arrival, *Counts) {
	it := a.Coming
	a.advance()
	counts := a.of(a.Excludes != nil && a.Excludes(it))
	counts.Scheduled++
	return it, counts
}

func (a *Arrivals) of(excluded bool) *Counts {
	if excluded {
		return &a.apart
	}
	return &a.counts
}

// Cancel ends the schedule at now: what is due then is not sent any more.
func (a *Arrivals) Cancel(now time.Duration) {
	for a.IsDue(now) {
		_, counts := a.next()
		counts.Canceled++
	}
	a.More, a.End = false, now
}

// Ended takes back an arrival that has been sent, or will not be because the run is
// over. excluded is what Excludes says of it.
func (a *Arrivals) Ended(sent, excluded bool) {
	a.Open--
	if !sent {
		a.of(excluded).Canceled++
	}
}

// Exhausted takes back an arrival for which the source had no request: it was none, and
// there are no more.
func (a *Arrivals) Exhausted(excluded bool) {
	a.Open--
	a.of(excluded).Scheduled--
	a.More, a.End = false, 0
}

// Counted returns what was counted since the last call, and what was counted apart.
func (a *Arrivals) Counted() (counted, excluded Counts) {
	counted, excluded = a.counts, a.apart
	a.counts, a.apart = Counts{}, Counts{}
	return counted, excluded
}
