// Package benchgate decides whether benchmark results got worse. It is pure:
// samples and rules in, verdicts out; it starts nothing and writes nothing.
//
// A metric fails the comparison if and only if
//
//   - the change is for the worse in the direction that the unit declares
//     ("Unit rows/s better=higher"; those of package testing and of loadtest are
//     known),
//   - the medians differ by at least the metric's threshold, and
//   - the two-sided Mann-Whitney p, adjusted after Holm over every gated metric
//     of the comparison and multiplied by the number of looks, is below alpha.
//
// A metric of which no one says which way it is better cannot fail like that. If it
// changed by its threshold or more, it has moved: it may have got worse, and that is
// not the same as that nothing did.
//
// # What is read
//
// Nothing that stands around a result may hide it. What terminals, shells and
// editors make of a stream is undone, what benchmarks log is left out, and every
// other line that has a part of a result, a unit or a failure is a fault that names
// it: of its benchmark, if that is known, which is then left out on both sides.
//
// # Why the looks multiply
//
// A runner that looks at the samples more than once, and stops where a verdict is
// settled, tests each metric at a sample size that the data chose. With m gated
// metrics, m0 of them unchanged, and L planned looks, a false alarm needs one of
// the m0 to have p ≤ alpha/(L·m0) at one of the L looks (Holm's own argument:
// S. Holm, Scand. J. Statist. 6 (1979) 65-70), and the union bound over m0·L
// such events is alpha. So multiplying by L keeps the family-wise error at alpha
// whatever the rule for stopping: it is alpha spending with equal parts
// (K. K. G. Lan and D. L. DeMets, Biometrika 70 (1983) 659-663, discuss better
// ones). Stopping early because nothing changed costs nothing: it only loses
// chances to reject.
//
// # What is not counted
//
// A metric whose values are all the same on both sides cannot be rejected at any
// level, so it does not count toward m (R. E. Tarone, Biometrics 46 (1990)
// 515-522). Most allocs/op are like that.
package benchgate
