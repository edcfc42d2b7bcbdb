// Package resiliencetest holds conformance suites for circuit breakers,
// concurrency limiters and retriers, in the manner of testing/fstest and
// testing/slogtest: bring any implementation behind a small adapter, and learn
// which properties it has.
//
//   - [TestBreaker], [TestLimiter] and [TestRetrier] run one subtest for each
//     property and fail those that are violated, with the reason it matters.
//   - [CheckBreaker], [CheckLimiter] and [CheckRetrier] fail nothing and return
//     a [Report], for instance to put several implementations side by side.
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
// need not have them all: what it documents otherwise is a choice, and a report
// shows it.
//
// Every property is checked in a testing/synctest bubble of its own, in virtual
// time. The factory is called inside the bubble, and must build everything
// there. A property that panics is reported as [Panicked]; one that is stuck,
// in virtual time or on a mutex, as [Hung]. What cannot be contained is a panic
// on a goroutine that the implementation started itself. A hung check leaves
// its goroutines behind.
package resiliencetest
