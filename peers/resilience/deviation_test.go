package resilience

import (
	"testing"

	"example.com/brunt/resilience/resiliencetest"
)

// TestGobreakerConforms shows how a library that decides some things otherwise is
// kept to everything else: what it does not do is accepted, each with the reason.
func TestGobreakerConforms(t *testing.T) {
	if testing.Short() {
		t.Skip("a deadlock takes ten seconds to be called one")
	}
	resiliencetest.TestBreaker(t, gobreakers,
		resiliencetest.Deviation{Property: "rate-after-success", Reason: "ReadyToTrip is called after failures, as documented"},
		resiliencetest.Deviation{Property: "open-ends-exactly", Reason: "the next call is soon enough"},
		resiliencetest.Deviation{Property: "probe-hung", Reason: "every call has a timeout"},
		resiliencetest.Deviation{Property: "goexit-releases", Reason: "no call ends by Goexit outside of tests"},
		resiliencetest.Deviation{Property: "callback-reentrant", Reason: "the callback only logs what it is given"},
		resiliencetest.Deviation{Property: "counts-not-stale", Reason: "counts are read after calls only"},
	)
}
