package loadtest

import (
	"time"

	"example.com/brunt/loadtest/pace"
)

// arrivals decides what becomes of each arrival of an open loop. It has no clock and
// no lock.
type arrivals struct {
	cursor  *pace.Cursor
	length  time.Duration // of the schedule; 0 if that is not known
	until   time.Duration // no arrival is due from then on; 0: the schedule alone says
	total   int64         // no arrival has this number, nor a higher one; -1: the schedule alone says
	catchUp time.Duration // an arrival that is later is missed
	most    int           // how many requests may be open

	coming arrival // the next one, if there are more
	more   bool
	end    time.Duration // when the run ends at the earliest, once there are no more
	open   int           // requests that were handed out and have not ended
	peak   int           // the most that were open, of the run
	Counts               // what became of arrivals that were not sent, and Scheduled
}

// arrival is one arrival of a schedule.
type arrival struct {
	number int64         // which request of the source it sends
	due    time.Duration // since the run's base
}

func newArrivals(s pace.Schedule, until time.Duration, total int64, catchUp time.Duration, most int) *arrivals {
	a := &arrivals{cursor: s.Cursor(), length: s.Duration(), until: until, total: total, catchUp: catchUp, most: most}
	a.advance()
	return a
}

func (a *arrivals) advance() {
	due, ok := a.cursor.Next()
	number := a.cursor.Index()
	switch {
	case !ok:
		a.more, a.end = false, a.length
	case a.until > 0 && due >= a.until:
		a.more, a.end = false, a.until
	case a.total >= 0 && number >= a.total:
		a.more = false
	default:
		a.coming, a.more = arrival{number, due}, true
	}
}

// isDue reports whether an arrival is due at now.
func (a *arrivals) isDue(now time.Duration) bool { return a.more && a.coming.due <= now }

// take returns the next arrival that is to be sent at now, if one is due, and counts
// those before it that are not to be sent.
func (a *arrivals) take(now time.Duration) (arrival, bool) {
	for a.isDue(now) {
		it := a.coming
		a.advance()
		a.Scheduled++
		switch {
		case now-it.due > a.catchUp:
			a.Missed++
		case a.open >= a.most:
			a.Dropped++
		default:
			a.open++
			a.peak = max(a.peak, a.open)
			return it, true
		}
	}
	return arrival{}, false
}

// cancel ends the schedule at now: what is due then is not sent any more.
func (a *arrivals) cancel(now time.Duration) {
	for a.isDue(now) {
		a.advance()
		a.Scheduled++
		a.Canceled++
	}
	a.more = false
}

// ended takes back an arrival that has been sent, or will not be because the run is
// over.
func (a *arrivals) ended(sent bool) {
	a.open--
	if !sent {
		a.Canceled++
	}
}

// exhausted takes back an arrival for which the source had no request: it was none, and
// there are no more.
func (a *arrivals) exhausted() {
	a.open--
	a.Scheduled--
	a.more, a.end = false, 0
}

// counted returns what was counted since the last call.
func (a *arrivals) counted() Counts {
	c := a.Counts
	a.Counts = Counts{}
	return c
}
