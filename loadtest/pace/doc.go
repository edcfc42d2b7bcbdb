// Package pace says when the arrivals of a load test are due. A [Schedule] is a value:
// offsets from the start that never decrease. It has no clock and does nothing by
// itself; range over [Schedule.All], or walk with a [Cursor].
//
//	schedule := pace.Constant(1000).Until(10 * time.Second)
//
// # Shape and process
//
// A shape is a rate that changes with time, λ(t): [Constant], [Ramp], [Stages] and [Sine],
// one after another by Then and cut by Until. Its integral Λ(t) counts the arrivals
// until t, and arrival n is due where Λ is n: computed anew for each, with twice the
// digits of a float64, and so exact to the nanosecond after any number of them.
//
// A process says how arrivals fall along a shape. They are evenly spaced, unless
// [Schedule.Poisson] puts them at random and independent of each other, as users
// who do not know of each other arrive, or [Schedule.Exactly] does that for a number
// that is known. [Poisson] and [Exactly] are the short forms for a constant rate.
// [Burst] and [Recorded] have no shape: many at once, and what was seen once. For a
// recording that is larger than memory there is [RecordedFunc].
//
// # Combinations
//
// Then, Merge, Take, Until and Scale make one schedule of others. Shard deals arrivals
// out to machines: the shards together are the whole, each arrival keeps its number
// ([Cursor.Index]), and those of evenly spaced arrivals cost no more than the whole.
//
// # Text
//
// [Parse] reads a schedule, and String writes it. Items stand between commas; each
// follows the one before it, or changes all before it:
//
//	100/s for 10s, ramp to 500/s over 30s, poisson
//
//	100/s, 6/m, 6/h                    a rate; all but the last item need a length: for 10s
//	ramp [from 5/s] to 500/s over 30s  a ramp, from where the rate is
//	sine 100/s by 50/s every 1m        a sine: mean, amplitude and period
//	burst 50 every 1s                  many at once
//	at 0s 1ms 5ms                      what was recorded
//	none                               nothing
//	(...)                              a schedule, whose changes are its own
//
//	poisson [seed 7]                   at random; without a seed, of seed 1
//	exactly 1000 [seed 7]              that many at random
//	take 1000, until 1m, scale 1.5     the beginning; the rate, times 1.5
//	merge (...)                        with another schedule at once
//	shard 0 of 4                       one of four shards
package pace
