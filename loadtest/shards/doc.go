// Package shards makes one load test out of many processes: the same test binary runs N
// times, on as many machines as it takes, each does its part, and brunt merge makes of their
// results the one that a single process would have measured.
//
//	func TestCheckout(t *testing.T) {
//		shards.Run(t,
//			loadtest.ArrivalConfig{Schedule: pace.Poisson(20_000, 1).Until(time.Minute)},
//			loadtest.Cycle(loadtest.Get("http://shop.test/checkout")),
//			loadtest.SLO{P99: 50 * time.Millisecond})
//	}
//
// The shards do not talk to each other. Who starts them says which of how many each is, see
// [loadtest.ShardFromEnv], and the environment the rest, the same for all:
//
//	BRUNT_RUN      a name for this run of the test, of letters, digits, ".", "_" and "-"
//	BRUNT_START    when the load begins: RFC 3339, or Unix seconds
//	BRUNT_RESULTS  the directory for the results, made if there is none
//
// Without any of them, Run is an ordinary load test in one process. brunt job prints what to
// submit to Kubernetes, Slurm or Open MPI.
//
// # Start
//
// Each shard begins at BRUNT_START by the clock of its machine. Most schedulers start what
// fits and the rest later, so that there is no waiting for each other: a shard that is not
// ready by then is late, which makes the run INVALID; leave more time. Clocks that disagree
// show in the series of the merged result as what they are, and bias no latency: each
// request is timed by one clock.
//
// What must be done once, such as to fill a database, is either done by shard 0 before Run,
// while the others wait for BRUNT_START, or by a test of its own that is run before or after
// the shards.
//
// # Results
//
// A shard writes one file, BRUNT_RESULTS/RUN.TEST.I-of-N.json, whole or not at all, and never
// over another. [Merge] refuses what is not the whole run: a shard that is missing, there
// twice, late, cut short, of another run, binary or schedule, or itself the limit. The
// schedulers do not see to that: srun and sbatch end with success when a node was lost.
//
// # Searching for a capacity
//
// With capacity.Options.Sharded the shards make each trial of a search together: shard 0
// decides what is tried next, by what all have measured, and reports. They tell each other
// by files in BRUNT_RESULTS, through an [Exchange]; it must be one directory for all.
package shards
