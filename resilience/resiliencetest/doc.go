// Package resiliencetest holds conformance suites for circuit breakers,
// concurrency limiters, retriers and HTTP clients, in the manner of testing/fstest and
// testing/slogtest: bring any implementation behind a small adapter, and learn
// which properties it has.
//
//   - [TestBreaker], [TestLimiter] and [TestRetrier] run one subtest for each
//     property and fail those that are violated, with the reason it matters.
//   - [CheckBreaker], [CheckLimiter] and [CheckRetrier] fail nothing and return
//     a [Report], for instance to put several implementations side by side.
//   - [TestTransport] and [CheckTransport] put an HTTP client through the fault matrix, and
//     [SweepTransport] fails every I/O event once.
//
// An adapter is a few lines:
//
//	func TestConforms(t *testing.T) {
//		resiliencetest.TestLimiter(t, func(spec resiliencetest.LimiterSpec) (resiliencetest.Limiter, error) {
//			return mine.NewLimiter(spec.MaxConcurrent, spec.AcquireTimeout)
//		})
//	}
//
// Each property was found broken in some widely used library. An implementation
// need not have them all: what it documents otherwise is a choice. Say so, and why,
// and the rest is still checked:
//
//	resiliencetest.TestBreaker(t, build,
//		resiliencetest.Deviation{Property: "open-ends-exactly", Reason: "probes 1ns later, as documented"},
//		resiliencetest.Deviation{Property: "probe-hung", Reason: "all our calls have a timeout"},
//	)
//
// Such a property is skipped with its reason. Once it holds, its subtest fails until
// the entry is taken off the list.
//
// Every property is checked in a testing/synctest bubble of its own, in virtual
// time. The factory is called inside the bubble, and must build everything
// there. A property that panics is reported as [Panicked]; one that is stuck,
// in virtual time or on a mutex, as [Hung]. What cannot be contained is a panic
// on a goroutine that the implementation started itself. A hung check leaves
// its goroutines behind.
package resiliencetest
