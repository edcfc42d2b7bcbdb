package loadtest

import (
	"fmt"
	"slices"

	"example.com/brunt/loadtest/internal/hist"
	"example.com/brunt/loadtest/internal/label"
	"example.com/brunt/loadtest/internal/text"
)

// Cause is what kept a second of an open-loop run from being what its schedule asked
// for, or what changed in the service meanwhile. Empty stands for neither.
type Cause string

// The causes. The first four are the generator's or its machine's: they make a run
// INVALID if they last.
const (
	CauseConnections Cause = "connections"    // requests waited for a connection, or for a stream of one
	CauseInFlight    Cause = "in flight"      // MaxInFlight was reached: arrivals were dropped
	CauseCPU         Cause = "cpu"            // the generator did not get to run when arrivals were due
	CauseLocalLimits Cause = "local limits"   // ports or file descriptors of this machine ran out
	CauseSlower      Cause = "service slower" // the service took longer than at the beginning of the run
	CauseFaster      Cause = "service faster" // it was quicker
)

// Generator reports whether the cause is the generator's or its machine's, and not the
// service's.
func (c Cause) Generator() bool { return label.Cause(c).Generator() }

// CauseFinding sums up what showed a cause during a run.
type CauseFinding struct {
	Cause Cause `json:"cause"`
	// Windows of Of windows, seconds as a rule, in which arrivals were due showed the
	// cause. It held for Latched windows: three in a row begin it, and three in a row
	// without it end it.
	Windows int `json:"windows"`
	Latched int `json:"latched"`
	Of      int `json:"of"`
	// Lost is how many arrivals were not delivered because of it.
	Lost int64 `json:"lost,omitempty"`
	// Text says what was seen and, of a cause of the generator's, what to change.
	Text string `json:"text"`
}

// String returns one line.
func (f CauseFinding) String() string {
	if f.Windows == 0 {
		return fmt.Sprintf("%s: %s", f.Cause, f.Text)
	}
	return fmt.Sprintf("%s in %d of %d seconds: %s", f.Cause, f.Windows, f.Of, f.Text)
}

// limiting reports whether the cause lasted long enough to make the run INVALID.
func (f CauseFinding) limiting() bool {
	return label.Finding{Cause: label.Cause(f.Cause), Windows: f.Windows, Latched: f.Latched, Of: f.Of}.Limiting()
}

// windowOf returns what the tally of a window says. all are its latencies.
func windowOf(t *tally, all *hist.Histogram) label.Window {
	service := t.service
	if t.lag == nil { // every lag was 0
		service = all
	}
	return label.Window{
		Scheduled: t.Scheduled, Missed: t.Missed, Dropped: t.Dropped, Ended: t.Requests, Local: t.classes[ClassLocal],
		Lag: t.lag.Quantile(0.9), Response: all.Quantile(0.9), Service: service.Quantile(0.5), Mean: service.Mean(),
		Users: t.Users, Walked: t.walked,
	}
}

// causeFindings returns what l has found in a run whose sink took that part of the
// workers' time.
func causeFindings(l *label.Labeler, maxInFlight int, sinkShare float64) (out []CauseFinding) {
	for _, f := range l.Findings(maxInFlight) {
		if f.Cause == label.InFlight && sinkShare >= 0.1 {
			f.Text += fmt.Sprintf("; the sink took %s of the workers' time, so make it faster first", text.Percent(sinkShare))
		}
		out = append(out, CauseFinding{Cause(f.Cause), f.Windows, f.Latched, f.Of, f.Lost, f.Text})
	}
	return out
}

// mergeFindings adds those of another run.
func mergeFindings(a, b []CauseFinding) []CauseFinding {
	out := slices.Clone(a)
	for _, f := range b {
		i := slices.IndexFunc(out, func(g CauseFinding) bool { return g.Cause == f.Cause })
		if i < 0 {
			out = append(out, f)
			continue
		}
		mine := &out[i]
		if f.Windows > mine.Windows {
			mine.Text = f.Text
		}
		mine.Windows += f.Windows
		mine.Latched += f.Latched
		mine.Of += f.Of
		mine.Lost += f.Lost
	}
	return out
}
