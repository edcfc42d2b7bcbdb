package http1

import (
	"sync"
	"time"
)

// PhaseClock measures how long a request is in each phase. The phases follow each
// other, so that together they are as long as the request. A nil clock measures
// nothing. It is safe for concurrent use: hooks of dialing goroutines come at any time.
type PhaseClock struct {
	mu    sync.Mutex
	going bool      // a request is
	now   Phase     // PhaseUnknown: the first has not begun
	since time.Time // it did
	spent [PhaseBody + 1]time.Duration
	been  [PhaseBody + 1]bool
}

// Begin begins a request. Its first phase is the next that it enters.
func (c *PhaseClock) Begin() {
	if c != nil { // apart, so that it costs nothing
		c.begin()
	}
}

func (c *PhaseClock) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.going, c.now, c.since = true, PhaseUnknown, time.Now()
	c.spent, c.been = [PhaseBody + 1]time.Duration{}, [PhaseBody + 1]bool{}
}

// Enter ends the phase that the request is in, and begins p. A request may be in a
// phase several times.
func (c *PhaseClock) Enter(p Phase) {
	if c != nil {
		c.enter(p, PhaseBody)
	}
}

// Dialing is Enter for the hooks of a dial. It may have been begun for an earlier
// request, or go on for one that has got another connection meanwhile.
func (c *PhaseClock) Dialing(p Phase) {
	if c != nil {
		c.enter(p, PhaseTLS)
	}
}

// enter begins p if the request is in no phase later than last.
func (c *PhaseClock) enter(p, last Phase) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.going || c.now > last || c.now == p:
	case c.now == PhaseUnknown:
		c.now = p
	default:
		c.account()
		c.now = p
	}
}

// account adds what has passed to the phase that the request is in. The caller holds
// mu.
func (c *PhaseClock) account() {
	now := time.Now()
	c.spent[c.now] += now.Sub(c.since)
	c.been[c.now] = true
	c.since = now
}

// Responded has a request that nobody has said got a connection wait for the headers
// since: its transport does not tell.
func (c *PhaseClock) Responded() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now < PhaseHeaders {
		c.now = PhaseHeaders
	}
}

// End ends the request, and calls count for each phase that it was in, in their order.
func (c *PhaseClock) End(count func(Phase, time.Duration)) {
	c.mu.Lock()
	if c.now != PhaseUnknown {
		c.account()
	}
	c.going = false
	spent, been := c.spent, c.been
	c.mu.Unlock()
	for p, ok := range been {
		if ok {
			count(Phase(p), spent[p])
		}
	}
}
