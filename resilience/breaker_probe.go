package resilience

// breakerProbe is one of ProbeCount places in half-open.
type breakerProbe struct {
	ticket  uint64 // whose place; 0 = free
	expires int64  // from when on a newcomer may take it
}

// placeLocked finds a place for a probe: a free one, a new one, or the one
// whose lease ran out first.
func (c *breakerCore) placeLocked(now int64) *breakerProbe {
	var oldest *breakerProbe
	for i := range c.probes {
		p := &c.probes[i]
		if p.ticket == 0 {
			return p
		}
		if oldest == nil || p.expires < oldest.expires || p.expires == oldest.expires && p.ticket < oldest.ticket {
			oldest = p
		}
	}
	if len(c.probes) < c.rules.probes {
		c.probes = append(c.probes, breakerProbe{})
		return &c.probes[len(c.probes)-1]
	}
	if now < oldest.expires {
		return nil
	}
	c.expired++
	return oldest
}

// finishProbe is finish for the probe holding ticket. A second call for the
// same ticket changes nothing whatever.
func (c *breakerCore) finishProbe(e *breakerEra, ticket uint64, now int64, o breakerOutcome) (moved bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, first := c.outstanding[ticket]; !first {
		return false
	}
	delete(c.outstanding, ticket)
	if c.era.Load() != e || !c.vacateLocked(ticket) {
		c.late.Add(1)
		return false
	}
	switch o {
	case breakerIgnored:
		c.ignored.Add(1)
		return false
	case breakerSuccess:
		c.successes++
		if c.passed++; c.passed < c.rules.closeAfter {
			return false
		}
		c.move(StateClosed, now, ReasonProbesSucceeded, windowCounts{})
		return true
	}
	c.failures++
	c.lastFailure = max(c.lastFailure, now)
	reason := ReasonProbeFailed
	if o == breakerSlow {
		reason = ReasonProbeSlow
	}
	c.move(StateOpen, now, reason, windowCounts{})
	return true
}

// abandon takes back a ticket whose call never began.
func (c *breakerCore) abandon(ticket uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.outstanding, ticket)
	c.vacateLocked(ticket)
}

// vacateLocked frees the place of ticket, unless its lease was taken over.
func (c *breakerCore) vacateLocked(ticket uint64) bool {
	for i := range c.probes {
		if c.probes[i].ticket == ticket {
			c.probes[i] = breakerProbe{}
			return true
		}
	}
	return false
}
