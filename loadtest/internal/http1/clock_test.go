package http1

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// The clock measures what a list of instants says, whatever is called in whatever order;
// and the phases of a request are as long as the request from its first one on.
func TestPhaseClockIsWhatItsInstantsSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c PhaseClock
		for seed := range uint64(500) {
			rng := rand.New(rand.NewPCG(seed, 7))
			want := make(map[Phase]time.Duration)
			now := PhaseUnknown // naively: what went on during each wait
			var before, sum time.Duration
			enter := func(p, last Phase) {
				if now <= last {
					if now == PhaseUnknown {
						want[p] += before
					}
					now = p
					want[p] += 0
				}
			}
			c.Enter(PhaseBody) // no request is going on
			c.Dialing(PhaseTLS)
			c.Begin()
			for range rng.IntN(12) {
				switch p := Phase(1 + rng.IntN(int(PhaseBody))); rng.IntN(4) {
				case 0:
					c.Enter(p)
					enter(p, PhaseBody)
				case 1:
					c.Dialing(p)
					enter(p, PhaseTLS)
				}
				d := time.Duration(rng.IntN(3))
				time.Sleep(d)
				sum += d
				if now == PhaseUnknown {
					before += d
				} else {
					want[now] += d
				}
			}
			got, last, total := make(map[Phase]time.Duration), PhaseUnknown, time.Duration(0)
			c.End(func(p Phase, spent time.Duration) {
				require.Greater(t, p, last, "in their order")
				last, got[p] = p, spent
				total += spent
			})
			require.Equal(t, want, got, "seed %d", seed)
			if now != PhaseUnknown {
				require.Equal(t, sum, total)
			}
			time.Sleep(time.Duration(rng.IntN(3))) // between two requests
		}
	})
}

// A transport that does not say when it has got a connection has none to wait for.
func TestPhaseClockWithoutHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for reason, tt := range map[string]struct {
			hooks func(*PhaseClock)
			want  map[Phase]time.Duration
		}{
			"no hook": {func(*PhaseClock) { time.Sleep(4 * time.Nanosecond) }, map[Phase]time.Duration{PhaseHeaders: 4, PhaseBody: 1}},
			"all of them": {func(c *PhaseClock) {
				time.Sleep(1 * time.Nanosecond)
				c.Enter(PhaseHeaders)
				time.Sleep(3 * time.Nanosecond)
			}, map[Phase]time.Duration{PhasePool: 1, PhaseHeaders: 3, PhaseBody: 1}},
			"of the dial": {func(c *PhaseClock) {
				time.Sleep(1 * time.Nanosecond)
				c.Dialing(PhaseConnect)
				time.Sleep(3 * time.Nanosecond)
			}, map[Phase]time.Duration{PhasePool: 1, PhaseHeaders: 3, PhaseBody: 1}},
		} {
			var c PhaseClock
			c.Begin()
			c.Enter(PhasePool)
			tt.hooks(&c)
			c.Responded()
			c.Enter(PhaseBody)
			time.Sleep(1 * time.Nanosecond)
			got := make(map[Phase]time.Duration)
			c.End(func(p Phase, spent time.Duration) { got[p] = spent })
			require.Equal(t, tt.want, got, reason)
		}
		var none *PhaseClock
		none.Enter(PhaseBody)
		none.Dialing(PhaseDNS)
		none.Responded()
	})
}
