package loadtest

import (
	"fmt"
	"slices"
	"time"

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

// causes are in the order in which they are looked for: one that brings about another
// comes first.
var causes = []Cause{CauseLocalLimits, CauseCPU, CauseConnections, CauseInFlight, CauseSlower, CauseFaster}

// Generator reports whether the cause is the generator's or its machine's, and not the
// service's.
func (c Cause) Generator() bool {
	switch c {
	case CauseConnections, CauseInFlight, CauseCPU, CauseLocalLimits:
		return true
	}
	return false
}

// worse returns the cause that counts where intervals are joined.
func worse(a, b Cause) Cause {
	for _, c := range causes {
		if a == c || b == c {
			return c
		}
	}
	return ""
}

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

const (
	// invalidShare is the part of a run for which a cause of the generator's may hold.
	invalidShare = 0.1
	// latchAfter is how many windows in a row make a cause, and unmake it.
	latchAfter = 3
)

// limiting reports whether the cause lasted long enough to make the run INVALID. The
// CPU of a busy machine is short for a second now and then: of that cause only what
// was latched counts, unless there was more of it than not. The other causes are of
// limits, which do not come by chance.
func (f CauseFinding) limiting() bool {
	lasted := f.Latched
	if f.Windows >= latchAfter && (f.Cause != CauseCPU || 2*f.Windows > f.Of) {
		lasted = max(lasted, f.Windows)
	}
	return f.Cause.Generator() && lasted > 0 && float64(lasted) >= invalidShare*float64(f.Of)
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

// What helps against a shortage of this machine's.
const (
	adviceCPU   = "raise GOMAXPROCS if the machine has more processors, or run the server in another process or on another machine"
	adviceLocal = "reuse connections, or raise the limit (ulimit -n, ephemeral ports)"
)

// text says what was seen and what to change.
func (e *evidence) text(c Cause, healthy band, maxInFlight int) string {
	need := fmt.Sprintf("%s/s that take %v each are %s or more in flight at once",
		text.Rate(e.worst.rate()), text.Duration(e.worst.busy()), text.Count(int64(e.worst.needed()+0.5)))
	beyond := e.worst.needed() > float64(maxInFlight)
	switch c {
	case CauseLocalLimits:
		return text.Count(e.lost) + " requests failed for a limit of this machine and did not reach the service; " + adviceLocal
	case CauseCPU:
		line := fmt.Sprintf("in the worst second a tenth of the requests began %v or more after they were due", text.Duration(e.lag))
		if e.lost > 0 {
			line += fmt.Sprintf(", and %s arrivals were never sent", text.Count(e.lost))
		}
		return line + "; send fewer per second, make the functions of the source quicker if it has any, " + adviceCPU
	case CauseConnections:
		line := fmt.Sprintf("%s of the requests waited for a connection or a stream, %v on average: %s; ", text.Share(e.waited, e.ended),
			text.Duration(e.wait/time.Duration(max(e.waited, 1))), need)
		if beyond {
			line += fmt.Sprintf("raise MaxInFlight, which is %s, and ", text.Count(int64(maxInFlight)))
		}
		return line + "raise the limit on connections (Conn.MaxConnections, Conn.MaxKeepaliveConnections, or that of your Transport), or with HTTP/2 the server's on streams"
	case CauseInFlight:
		if !beyond {
			need = "the service stalled, or many arrivals came at once"
		}
		return fmt.Sprintf("MaxInFlight %s was reached, and %s arrivals were dropped: %s; raise MaxInFlight", text.Count(int64(maxInFlight)), text.Count(e.lost), need)
	case CauseSlower:
		line := fmt.Sprintf("its median service time was up to %v; at the beginning of the run it was %v", text.Duration(e.high), text.Duration(healthy.high))
		if e.stalled {
			line = "next to no request ended at times; " + line
		}
		return line
	case CauseFaster:
		return fmt.Sprintf("its median service time was down to %v; at the beginning of the run it was %v", text.Duration(e.low), text.Duration(healthy.low))
	}
	return ""
}
