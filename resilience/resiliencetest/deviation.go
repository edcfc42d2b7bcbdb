package resiliencetest

import (
	"slices"
	"strings"
	"testing"
)

// Deviation is a property that an implementation is known not to have, with the
// reason that this is accepted; for [TestTransport] it is a cell. [TestBreaker],
// [TestLimiter], [TestRetrier] and [TestTransport] skip its subtest, with the reason and
// what was seen, instead of failing it. They fail one whose property holds after all,
// or is unsupported, so that the list of deviations stays true.
type Deviation struct {
	Property string // its name, as in a [Result]
	Reason   string // why it is accepted; required
}

// acceptedReasons returns the reason of each accepted property, and reports to tb
// what is wrong with the list.
func acceptedReasons(tb testing.TB, properties []string, accepted []Deviation) map[string]string {
	tb.Helper()
	reasons := make(map[string]string)
	for _, d := range accepted {
		_, twice := reasons[d.Property]
		switch {
		case !slices.Contains(properties, d.Property):
			tb.Errorf("resiliencetest: accepted deviation %q is no property of this suite; these are:\n%s", d.Property, strings.Join(properties, "\n"))
		case twice:
			tb.Errorf("resiliencetest: deviation %q is accepted twice", d.Property)
		case strings.TrimSpace(d.Reason) == "":
			tb.Errorf("resiliencetest: deviation %q is accepted without a reason", d.Property)
		}
		reasons[d.Property] = d.Reason
	}
	return reasons
}

// judge reports res to tb. accepted says that the property is expected not to hold,
// for a reason.
func judge(tb testing.TB, res Result, accepted bool, reason string) {
	tb.Helper()
	switch {
	case accepted && res.Status == Holds:
		tb.Errorf("%s holds: take it off the accepted deviations, where its reason is %q", res.Property, reason)
	case accepted && res.Status == Unsupported:
		tb.Errorf("%s is unsupported (%s), which is no deviation: take it off the accepted ones", res.Property, res.Details)
	case accepted:
		tb.Skipf("accepted deviation: %s\n%s: %s: %s", reason, res.Property, res.Status, res.Details)
	case res.Status == Unsupported:
		tb.Skip(res.Details)
	case !res.Status.OK():
		tb.Errorf("%s: %s: %s\nwhy it matters: %s\nto accept it: resiliencetest.Deviation{Property: %q, Reason: \"…\"}",
			res.Property, res.Status, res.Details, res.Explanation, res.Property)
	}
}
