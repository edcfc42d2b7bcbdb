package loadtest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/brunt/loadtest/internal/hist"
	"example.com/brunt/loadtest/internal/text"
)

// details holds what requests are asked for besides their latencies: what the server
// says, and their phases. It is not safe for concurrent use.
type details struct {
	server *hist.Histogram                // nil: no response said
	unsaid int64                          // responses that did not say, though asked
	phases [PhaseBody + 1]*hist.Histogram // nil: no request was in it
}

// recordServer adds what the response to a request says; ok is false if that is nothing.
func (d *details) recordServer(took time.Duration, ok bool) {
	if ok {
		hist.Made(&d.server).Record(took)
	} else {
		d.unsaid++
	}
}

// recordPhases adds the phases of a request.
func (d *details) recordPhases(spent *phaseTimes) {
	for p, took := range spent.spent {
		if spent.been[p] {
			hist.Made(&d.phases[p]).Record(took)
		}
	}
}

// merge adds from, which is not changed.
func (d *details) merge(from *details) {
	hist.MergeInto(&d.server, from.server)
	d.unsaid += from.unsaid
	for p, h := range from.phases {
		hist.MergeInto(&d.phases[p], h)
	}
}

// reset forgets everything but keeps the memory.
func (d *details) reset() {
	d.server.Reset()
	d.unsaid = 0
	for _, h := range d.phases {
		h.Reset()
	}
}

// phasesJSON returns the phases by their keys; nil if there are none.
func (d *details) phasesJSON() (out map[string]phaseJSON) {
	for p, h := range d.phases {
		if h.Count() == 0 {
			continue
		}
		if out == nil {
			out = make(map[string]phaseJSON)
		}
		out[phaseKeys[p]] = phaseJSON{
			Requests: h.Count(), P50: millis(h.Quantile(0.50)), P99: millis(h.Quantile(0.99)), Max: millis(h.Quantile(1)), Histogram: h,
		}
	}
	return out
}

// readPhases sets the phases to those of j.
func (d *details) readPhases(j *statsJSON) error {
	for name, row := range j.Phases {
		p := slices.Index(phaseKeys[:], name)
		if p <= int(PhaseUnknown) {
			return fmt.Errorf("loadtest: result has a phase %q: must be one of %q", name, phaseKeys[1:])
		}
		d.phases[p] = row.Histogram
		if n := row.Histogram.Count(); n != row.Requests || n > j.Requests {
			return fmt.Errorf("loadtest: result does not add up: %d requests, %d of them in phase %s, and %d times", j.Requests, row.Requests, name, n)
		}
	}
	return nil
}

// write appends lines for people to b.
func (d *details) write(b *strings.Builder) {
	if line := d.serverLine(); line != "" {
		fmt.Fprintf(b, "  server    %s\n", line)
	}
	for p, h := range d.phases {
		if h.Count() > 0 {
			fmt.Fprintf(b, "  phase     %-7s  %s, %s requests\n", phaseKeys[p], latencyLine(h.Quantile), text.Count(h.Count()))
		}
	}
}

// serverLine returns what servers said; empty if nobody asked.
func (d *details) serverLine() string {
	switch {
	case d.server.Count() == 0 && d.unsaid == 0:
		return ""
	case d.server.Count() == 0:
		return fmt.Sprintf("no time in %s responses", text.Count(d.unsaid))
	case d.unsaid == 0:
		return latencyLine(d.server.Quantile)
	}
	return fmt.Sprintf("%s, no time in %s responses", latencyLine(d.server.Quantile), text.Count(d.unsaid))
}

// ServerQuantile returns the time at rank ceil(q·n) among the n that servers reported
// for requests with a ServerTime, that of the last attempt of each. It is 0 if there
// were none.
func (s *Stats) ServerQuantile(q float64) time.Duration { return s.server.Quantile(q) }

// ServerTimes returns how many responses to requests with a ServerTime reported one, and
// how many did not, or none that could be read or told from others. Requests without a
// response are in neither.
func (s *Stats) ServerTimes() (reported, missing int64) {
	return s.server.Count(), s.unsaid
}

// PhaseQuantile returns the time at rank ceil(q·n) that the n requests which were in
// phase p spent in it, all attempts and redirects of a request together. It is 0 if
// there were none, as without ConnectionConfig.Phases.
func (s *Stats) PhaseQuantile(p Phase, q float64) time.Duration {
	if s.PhaseCount(p) == 0 {
		return 0
	}
	return s.phases[p].Quantile(q)
}

// PhaseCount returns how many requests were in phase p: over a connection that was kept,
// for instance, none is in PhaseConnect. It is 0 without ConnectionConfig.Phases.
func (s *Stats) PhaseCount(p Phase) int64 {
	if int(p) >= len(s.phases) {
		return 0
	}
	return s.phases[p].Count()
}

// record adds the details of a request.
func (s *shard) record(endpoint int8, req *Request, out *outcome, phases *phaseTimes) {
	ask := req.ServerTime != nil && req.Func == nil && out.resp.StatusCode != 0
	var took time.Duration
	var said bool
	if ask {
		took, said = req.ServerTime.read(out.resp.Header)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	add := func(d *details) {
		if ask {
			d.recordServer(took, said)
		}
		if phases != nil {
			d.recordPhases(phases)
		}
	}
	add(&s.interval.details)
	if endpoint != noEndpoint {
		e := &s.named[endpoint]
		e.mu.Lock()
		add(&e.get().details)
		e.mu.Unlock()
	}
	if phases != nil {
		*phases = phaseTimes{}
	}
}
