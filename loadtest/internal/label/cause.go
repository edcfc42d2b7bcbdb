// Package label says, second by second, what kept an open loop from being what its
// schedule asked for, or how the service changed meanwhile. It has no clock.
package label

import (
	"fmt"
	"slices"
	"time"

	"example.com/brunt/loadtest/internal/text"
)

// Cause is what a second shows. Empty stands for nothing.
type Cause string

// The causes, of which the words are those that users see.
const (
	Connections Cause = "connections"
	InFlight    Cause = "in flight"
	CPU         Cause = "cpu"
	LocalLimits Cause = "local limits"
	Slower      Cause = "service slower"
	Faster      Cause = "service faster"
)

// causes are in the order in which they are looked for: one that brings about another
// comes first, and the service's last.
var causes = []Cause{LocalLimits, CPU, Connections, InFlight, Slower, Faster}

// Generator reports whether the cause is the generator's or its machine's, and not the
// service's.
func (c Cause) Generator() bool { return slices.Contains(causes[:4], c) }

// Worse returns the cause that counts where intervals are joined.
func Worse(a, b Cause) Cause {
	for _, c := range causes {
		if a == c || b == c {
			return c
		}
	}
	return ""
}

// Finding sums up what showed a cause. Windows of Of windows showed it, and for Latched it
// held: three in a row begin it, and three in a row without it end it.
type Finding struct {
	Cause                Cause
	Windows, Latched, Of int
	Lost                 int64 // arrivals that were not delivered because of it
	Text                 string
}

const (
	// invalidShare is the part of a run for which a cause of the generator's may hold.
	invalidShare = 0.1
	// latchAfter is how many windows in a row make a cause, and unmake it.
	latchAfter = 3
)

// Limiting reports whether the cause lasted long enough to make the run INVALID. The
// CPU of a busy machine is short for a second now and then: of that cause only what
// was latched counts, unless there was more of it than not. The other causes are of
// limits, which do not come by chance.
func (f Finding) Limiting() bool {
	lasted := f.Latched
	if f.Windows >= latchAfter && (f.Cause != CPU || 2*f.Windows > f.Of) {
		lasted = max(lasted, f.Windows)
	}
	return f.Cause.Generator() && lasted > 0 && float64(lasted) >= invalidShare*float64(f.Of)
}

// What helps against a shortage of this machine's.
const (
	AdviceCPU   = "raise GOMAXPROCS if the machine has more processors, or run the server in another process or on another machine"
	AdviceLocal = "reuse connections, or raise the limit (ulimit -n, ephemeral ports)"
)

// text says what was seen and what to change.
func (e *evidence) text(c Cause, healthy band, maxInFlight int) string {
	need := fmt.Sprintf("%s/s that take %v each are %s or more in flight at once",
		text.Rate(e.worst.rate()), text.Duration(e.worst.busy()), text.Count(int64(e.worst.needed()+0.5)))
	beyond := e.worst.needed() > float64(maxInFlight)
	switch c {
	case LocalLimits:
		return text.Count(e.lost) + " requests failed for a limit of this machine and did not reach the service; " + AdviceLocal
	case CPU:
		line := fmt.Sprintf("in the worst second a tenth of the requests began %v or more after they were due", text.Duration(e.lag))
		if e.lost > 0 {
			line += fmt.Sprintf(", and %s arrivals were never sent", text.Count(e.lost))
		}
		return line + "; send fewer per second, make the functions of the source quicker if it has any, " + AdviceCPU
	case Connections:
		line := fmt.Sprintf("%s of the requests waited for a connection or a stream, %v on average: %s; ", text.Share(e.waited, e.ended),
			text.Duration(e.wait/time.Duration(max(e.waited, 1))), need)
		if beyond {
			line += fmt.Sprintf("raise MaxInFlight, which is %s, and ", text.Count(int64(maxInFlight)))
		}
		return line + "raise the limit on connections (Conn.MaxConnections, Conn.MaxKeepaliveConnections, or that of your Transport), or with HTTP/2 the server's on streams"
	case InFlight:
		if !beyond {
			need = "the service stalled, or many arrivals came at once"
		}
		return fmt.Sprintf("MaxInFlight %s was reached, and %s arrivals were dropped: %s; raise MaxInFlight", text.Count(int64(maxInFlight)), text.Count(e.lost), need)
	case Slower:
		line := fmt.Sprintf("its median service time was up to %v; at the beginning of the run it was %v", text.Duration(e.high), text.Duration(healthy.high))
		if e.stalled {
			line = "next to no request ended at times; " + line
		}
		return line
	case Faster:
		return fmt.Sprintf("its median service time was down to %v; at the beginning of the run it was %v", text.Duration(e.low), text.Duration(healthy.low))
	}
	return ""
}
