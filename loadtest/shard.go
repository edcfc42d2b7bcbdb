package loadtest

import (
	"fmt"
	"os"

	"example.com/brunt/internal/scheduler"
)

// Shard is which of Count processes this is, that make one run together: see
// [Source.Shard], and package shards, which does the rest.
type Shard struct {
	Index int // from 0
	Count int
}

// Validate reports whether 0 ≤ Index < Count; the error matches [ErrConfig].
func (s Shard) Validate() error {
	if s.Index < 0 || s.Index >= s.Count {
		return fault("shard %d of %d: the index must be from 0 to one less than the count", s.Index, s.Count)
	}
	return nil
}

// String returns the shard as in "0/4".
func (s Shard) String() string { return fmt.Sprintf("%d/%d", s.Index, s.Count) }

// ShardFromEnv returns which shard this process is by its environment, and 0/1 if nothing
// says so. The scheduler that started it does:
//
//	Open MPI     OMPI_COMM_WORLD_RANK and OMPI_COMM_WORLD_SIZE
//	PMIx         PMIX_RANK
//	Slurm array  SLURM_ARRAY_TASK_ID, and its _MIN, _MAX, _STEP and _COUNT
//	Slurm tasks  SLURM_PROCID and SLURM_STEP_NUM_TASKS, which srun sets
//	AWS Batch    AWS_BATCH_JOB_ARRAY_INDEX and AWS_BATCH_JOB_ARRAY_SIZE
//	Nomad        NOMAD_ALLOC_INDEX
//	Kubernetes   JOB_COMPLETION_INDEX, of an Indexed Job
//
// Of several the first in this list is believed. Where it does not tell the count,
// BRUNT_SHARDS must. BRUNT_SHARD=0/4 says it without a scheduler. What contradicts each
// other is an error that matches [ErrConfig], and so is a Slurm job of several tasks whose
// batch script runs without srun, once.
func ShardFromEnv() (Shard, error) {
	p, ok, err := scheduler.Find(os.LookupEnv)
	switch {
	case err != nil:
		return Shard{}, fault("%w", err)
	case !ok:
		return Shard{0, 1}, nil
	}
	return Shard{p.Index, p.Count}, nil
}
