package loadtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/brunt/loadtest/internal/http1"
	"example.com/brunt/loadtest/internal/text"
)

// details holds what requests are asked for besides their latencies: what the server
// says, and their phases. A nil one is empty. It is not safe for concurrent use.
type details struct {
	server *histogram                // nil: nobody asked
	unsaid int64                     // responses that did not say
	phases [PhaseBody + 1]*histogram // nil: no request was in it
}

// recordServer adds what the response to a request says; ok is false if that is nothing.
func (d *details) recordServer(took time.Duration, ok bool) {
	if d.server == nil {
		d.server = newHistogram()
	}
	if ok {
		d.server.record(took)
	} else {
		d.unsaid++
	}
}

// recordPhases adds the phases of a request.
func (d *details) recordPhases(spent *phaseTimes) {
	for p, took := range spent.spent {
		if !spent.been[p] {
			continue
		}
		if d.phases[p] == nil {
			d.phases[p] = newHistogram()
		}
		d.phases[p].record(took)
	}
}

// mergeDetails adds src to dst, which may be nil; src is not changed.
func mergeDetails(dst, src *details) *details {
	if src == nil {
		return dst
	}
	if dst == nil {
		dst = new(details)
	}
	if src.server != nil && dst.server == nil {
		dst.server = newHistogram()
	}
	dst.server = mergeHistograms(dst.server, src.server)
	dst.unsaid += src.unsaid
	for p, h := range src.phases {
		dst.phases[p] = mergeHistograms(dst.phases[p], h)
	}
	return dst
}

// toJSON writes d to j.
func (d *details) toJSON(j *statsJSON) (err error) {
	if d == nil {
		return nil
	}
	j.NoServer, j.P50Server, j.P99Server = d.unsaid, millis(d.server.quantile(0.50)), millis(d.server.quantile(0.99))
	if j.Server, err = d.server.encode(); err != nil {
		return err
	}
	for p, h := range d.phases {
		if h.count() == 0 {
			continue
		}
		row := phaseJSON{Requests: h.count(), P50: millis(h.quantile(0.50)), P99: millis(h.quantile(0.99)), Max: millis(h.quantile(1))}
		if row.Histogram, err = h.encode(); err != nil {
			return err
		}
		if j.Phases == nil {
			j.Phases = make(map[string]phaseJSON)
		}
		j.Phases[phaseKeys[p]] = row
	}
	return nil
}

// details returns what toJSON wrote.
func (j *statsJSON) details() (*details, error) {
	if j.Server == nil && j.NoServer == 0 && len(j.Phases) == 0 {
		return nil, nil
	}
	d := &details{unsaid: j.NoServer}
	var err error
	if j.Server != nil || j.NoServer > 0 {
		if d.server, err = j.Server.decode(); err != nil {
			return nil, err
		}
	}
	if n := d.server.count(); j.NoServer < 0 || n+j.NoServer > j.Requests {
		return nil, fmt.Errorf("loadtest: result does not add up: %d requests, %d server times and %d without", j.Requests, n, j.NoServer)
	}
	for name, row := range j.Phases {
		p := slices.Index(phaseKeys[:], name)
		if p <= int(PhaseUnknown) {
			return nil, fmt.Errorf("loadtest: result has a phase %q: must be one of %q", name, phaseKeys[1:])
		}
		if d.phases[p], err = row.Histogram.decode(); err != nil {
			return nil, err
		}
		if n := d.phases[p].count(); n != row.Requests || n > j.Requests {
			return nil, fmt.Errorf("loadtest: result does not add up: %d requests, %d of them in phase %s, and %d times", j.Requests, row.Requests, name, n)
		}
	}
	return d, nil
}

// write appends lines for people to b.
func (d *details) write(b *strings.Builder) {
	if d == nil {
		return
	}
	if line := d.serverLine(); line != "" {
		fmt.Fprintf(b, "  server    %s\n", line)
	}
	for p, h := range d.phases {
		if h.count() > 0 {
			fmt.Fprintf(b, "  phase     %-7s  %s, %s requests\n", phaseKeys[p], latencyLine(h.quantile), text.Count(h.count()))
		}
	}
}

// serverLine returns what servers said; empty if nobody asked.
func (d *details) serverLine() string {
	switch {
	case d == nil || d.server.count() == 0 && d.unsaid == 0:
		return ""
	case d.server.count() == 0:
		return fmt.Sprintf("no time in %s responses", text.Count(d.unsaid))
	case d.unsaid == 0:
		return latencyLine(d.server.quantile)
	}
	return fmt.Sprintf("%s, no time in %s responses", latencyLine(d.server.quantile), text.Count(d.unsaid))
}

// ServerQuantile returns the time at rank ceil(q·n) among the n that servers reported
// for requests with a ServerTime, that of the last attempt of each. It is 0 if there
// were none.
func (s *Stats) ServerQuantile(q float64) time.Duration {
	if s.details == nil {
		return 0
	}
	return s.details.server.quantile(q)
}

// ServerTimes returns how many responses to requests with a ServerTime reported one, and
// how many did not, or none that could be read or told from others. Requests without a
// response are in neither.
func (s *Stats) ServerTimes() (reported, missing int64) {
	if s.details == nil {
		return 0, 0
	}
	return s.details.server.count(), s.details.unsaid
}

// PhaseQuantile returns the time at rank ceil(q·n) that the n requests which were in
// phase p spent in it, all attempts and redirects of a request together. It is 0 if
// there were none, as without ConnectionConfig.Phases.
func (s *Stats) PhaseQuantile(p Phase, q float64) time.Duration {
	if s.PhaseCount(p) == 0 {
		return 0
	}
	return s.details.phases[p].quantile(q)
}

// PhaseCount returns how many requests were in phase p: over a connection that was kept,
// for instance, none is in PhaseConnect. It is 0 without ConnectionConfig.Phases.
func (s *Stats) PhaseCount(p Phase) int64 {
	if s.details == nil || int(p) >= len(s.details.phases) {
		return 0
	}
	return s.details.phases[p].count()
}

// CountPhase counts that the request in hand spent d in phase p; if that is called
// several times, the sum counts. NetHTTP and Wire do so if ConnectionConfig.Phases is
// set, other clients and functions may. ctx is the context that [Session].Do or the
// function was given, or one derived from it; without such a run it does nothing. It is
// for the goroutine that was given ctx, before it returns. A phase that does not exist
// is not counted, nor is a negative d.
func CountPhase(ctx context.Context, p Phase, d time.Duration) {
	w, ok := ctx.Value(workerKey{}).(*worker)
	if !ok || p == PhaseUnknown || p > PhaseBody || d < 0 {
		return
	}
	if w.phases == nil {
		w.phases = new(phaseTimes)
	}
	w.phases.any, w.phases.been[p] = true, true
	w.phases.spent[p] += d
}

// countPhases counts what c has measured of the request in hand, and ends it.
func countPhases(ctx context.Context, c *http1.PhaseClock) {
	c.End(func(p http1.Phase, spent time.Duration) { CountPhase(ctx, Phase(p), spent) })
}

// workerContext is the context of its run, in which CountPhase finds the worker. It takes
// no memory, which a context with a value would.
type workerContext worker

// workerKey is the key under which it holds the *worker.
type workerKey struct{}

func (c *workerContext) Value(key any) any {
	if key == (workerKey{}) {
		return (*worker)(c)
	}
	return c.run.ctx.Value(key)
}

func (c *workerContext) Deadline() (time.Time, bool) { return c.run.ctx.Deadline() }
func (c *workerContext) Done() <-chan struct{}       { return c.run.ctx.Done() }
func (c *workerContext) Err() error                  { return c.run.ctx.Err() }

// phaseTimes are the phases of the request in hand.
type phaseTimes struct {
	spent [PhaseBody + 1]time.Duration
	been  [PhaseBody + 1]bool
	any   bool
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
	if s.details == nil {
		s.details = make(map[int8]*details)
	}
	d := s.details[endpoint]
	if d == nil {
		d = new(details)
		s.details[endpoint] = d
	}
	if ask {
		d.recordServer(took, said)
	}
	if phases != nil && phases.any {
		d.recordPhases(phases)
		*phases = phaseTimes{}
	}
}

// addDetails adds to res, whose requests have names, what the shards have recorded.
func (r *recorder) addDetails(res *EngineResult, names []string) {
	for _, s := range r.shards {
		for endpoint, d := range s.details {
			res.details = mergeDetails(res.details, d)
			if endpoint != noEndpoint {
				named := res.Endpoints[names[endpoint]]
				named.details = mergeDetails(named.details, d)
			}
		}
	}
}
