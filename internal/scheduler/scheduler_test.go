package scheduler

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// env reads variables as in "A=1 B=2".
func env(text string) func(string) (string, bool) {
	vars := make(map[string]string)
	for _, field := range strings.Fields(text) {
		name, value, _ := strings.Cut(field, "=")
		vars[name] = value
	}
	return func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}
}

const (
	openMPI = "OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=3 PMIX_RANK=1 OMPI_UNIVERSE_SIZE=2"
	srun    = "SLURM_PROCID=2 SLURM_NTASKS=4 SLURM_NPROCS=4 SLURM_STEP_NUM_TASKS=4 SLURM_STEP_ID=0 SLURM_JOB_ID=7"
	array   = "SLURM_ARRAY_TASK_ID=4 SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_MAX=7 SLURM_ARRAY_TASK_STEP=3 SLURM_PROCID=0 SLURM_NTASKS=1"
	batch   = "SLURM_PROCID=0 SLURM_NTASKS=4 SLURM_NPROCS=4 SLURM_JOB_ID=7"
)

// The environments are those that the schedulers gave when they were tried.
func TestFind(t *testing.T) {
	for name, tt := range map[string]struct {
		env  string
		want Place
	}{
		"outright":                     {"BRUNT_SHARD=0/4", Place{0, 4, "BRUNT_SHARD"}},
		"outright, and the count":      {"BRUNT_SHARD=3/4 BRUNT_SHARDS=4", Place{3, 4, "BRUNT_SHARD"}},
		"outright, as srun":            {"BRUNT_SHARD=2/4 " + srun, Place{2, 4, "BRUNT_SHARD"}},
		"outright, as Kubernetes":      {"BRUNT_SHARD=2/4 JOB_COMPLETION_INDEX=2", Place{2, 4, "BRUNT_SHARD"}},
		"outright, in a batch script":  {"BRUNT_SHARD=2/4 " + batch, Place{2, 4, "BRUNT_SHARD"}},
		"an empty variable is not set": {"BRUNT_SHARD= " + srun, Place{2, 4, "Slurm"}},
		"Open MPI":                     {openMPI, Place{1, 3, "Open MPI"}},
		"Open MPI in a Slurm job":      {openMPI + " SLURM_PROCID=0 SLURM_NTASKS=2 SLURM_STEP_NUM_TASKS=2", Place{1, 3, "Open MPI"}},
		"Open MPI in Kubernetes":       {openMPI + " JOB_COMPLETION_INDEX=0", Place{1, 3, "Open MPI"}},
		"PMIx":                         {"PMIX_RANK=1 BRUNT_SHARDS=2", Place{1, 2, "PMIx"}},
		"srun":                         {srun, Place{2, 4, "Slurm"}},
		"srun, one task":               {"SLURM_PROCID=0 SLURM_NTASKS=1 SLURM_STEP_NUM_TASKS=1", Place{0, 1, "Slurm"}},
		"a Slurm array":                {array, Place{1, 3, "a Slurm array"}},
		"a Slurm array with srun":      {array + " SLURM_STEP_NUM_TASKS=1", Place{1, 3, "a Slurm array"}},
		"a Slurm array of one":         {"SLURM_ARRAY_TASK_ID=0 SLURM_ARRAY_TASK_COUNT=1 SLURM_ARRAY_TASK_MIN=0 SLURM_ARRAY_TASK_MAX=0", Place{0, 1, "a Slurm array"}},
		"AWS Batch":                    {"AWS_BATCH_JOB_ARRAY_INDEX=9 AWS_BATCH_JOB_ARRAY_SIZE=10", Place{9, 10, "AWS Batch"}},
		"AWS Batch, older":             {"AWS_BATCH_JOB_ARRAY_INDEX=9 BRUNT_SHARDS=10", Place{9, 10, "AWS Batch"}},
		"Nomad":                        {"NOMAD_ALLOC_INDEX=1 BRUNT_SHARDS=2", Place{1, 2, "Nomad"}},
		"Kubernetes":                   {"JOB_COMPLETION_INDEX=0 BRUNT_SHARDS=2", Place{0, 2, "Kubernetes"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok, err := Find(env(tt.env))
			require.NoError(t, err)
			require.True(t, ok)
			require.Equal(t, tt.want, got)
		})
	}
	for name, vars := range map[string]string{"nothing": "", "a batch script of one": "SLURM_PROCID=0 SLURM_NTASKS=1", "a job's shell": "SLURM_JOB_ID=7 SLURM_NTASKS=4"} {
		_, ok, err := Find(env(vars))
		require.NoError(t, err, name)
		require.False(t, ok, name)
	}
}

func TestFindRefuses(t *testing.T) {
	for vars, want := range map[string]string{
		"BRUNT_SHARD=4/4":                               `BRUNT_SHARD is "4/4": must be an index, from 0, and a count, as in 0/4`,
		"BRUNT_SHARD=1":                                 `BRUNT_SHARD is "1"`,
		"BRUNT_SHARD=-1/4":                              `BRUNT_SHARD is "-1/4"`,
		"BRUNT_SHARD=0/0":                               `BRUNT_SHARD is "0/0"`,
		"BRUNT_SHARDS=0":                                "BRUNT_SHARDS is 0: must be at least 1",
		"BRUNT_SHARDS=four":                             `BRUNT_SHARDS is "four": must be a number from 0 on`,
		"BRUNT_SHARDS=4":                                "nothing says which of them this is: set BRUNT_SHARD, as in 0/4",
		"BRUNT_SHARD=0/4 BRUNT_SHARDS=5":                "BRUNT_SHARDS is 5, but this is process 0 of 4 by BRUNT_SHARD",
		"BRUNT_SHARD=1/4 " + srun:                       "BRUNT_SHARD is 1/4, but this is process 2 of 4 by Slurm: unset it",
		"BRUNT_SHARD=2/5 " + srun:                       "BRUNT_SHARD is 2/5, but",
		"BRUNT_SHARD=1/4 JOB_COMPLETION_INDEX=2":        "BRUNT_SHARD is 1/4, but",
		"BRUNT_SHARDS=5 " + srun:                        "BRUNT_SHARDS is 5, but this is process 2 of 4 by Slurm",
		"JOB_COMPLETION_INDEX=2":                        "this is process 2 by Kubernetes, which does not say of how many: set BRUNT_SHARDS",
		"JOB_COMPLETION_INDEX=2 BRUNT_SHARDS=2":         "this is process 2 of 2 by Kubernetes, counted from 0",
		"NOMAD_ALLOC_INDEX=x BRUNT_SHARDS=2":            `NOMAD_ALLOC_INDEX is "x"`,
		"PMIX_RANK=0":                                   "set BRUNT_SHARDS",
		"OMPI_COMM_WORLD_RANK=0":                        "set BRUNT_SHARDS",
		"OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=0": "OMPI_COMM_WORLD_SIZE is 0",
		batch:                             "the batch script of a Slurm job of 4 tasks runs once: start the tasks with srun",
		array + " SLURM_STEP_NUM_TASKS=2": "this is one of 2 tasks in a task of an array: set BRUNT_SHARD",
		"SLURM_ARRAY_TASK_ID=5 SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_MAX=6 SLURM_ARRAY_TASK_STEP=1": "submit it with a range, as in --array=0-3",
		"SLURM_ARRAY_TASK_ID=5":                 "the Slurm array has 0 tasks",
		"SLURM_ARRAY_TASK_ID=x":                 `SLURM_ARRAY_TASK_ID is "x"`,
		"SLURM_PROCID=x":                        `SLURM_PROCID is "x"`,
		"SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=x": `SLURM_STEP_NUM_TASKS is "x"`,
		"SLURM_PROCID=0 SLURM_NTASKS=x":         `SLURM_NTASKS is "x"`,
	} {
		_, ok, err := Find(env(vars))
		require.ErrorContains(t, err, want, vars)
		require.False(t, ok, vars)
	}
}

// The places that a scheduler gives are each given once, whatever the numbers of an array.
func TestPlacesOfAnArrayAreEachGivenOnce(t *testing.T) {
	for first := range 3 {
		for step := 1; step <= 3; step++ {
			for n := 1; n <= 4; n++ {
				last := first + (n-1)*step
				places := make(map[int]bool)
				for id := first; id <= last; id += step {
					vars := map[string]string{
						"SLURM_ARRAY_TASK_ID": strconv.Itoa(id), "SLURM_ARRAY_TASK_COUNT": strconv.Itoa(n), "SLURM_ARRAY_TASK_MIN": strconv.Itoa(first),
						"SLURM_ARRAY_TASK_MAX": strconv.Itoa(last), "SLURM_ARRAY_TASK_STEP": strconv.Itoa(step),
					}
					p, ok, err := Find(func(name string) (string, bool) { v, ok := vars[name]; return v, ok })
					require.NoError(t, err)
					require.True(t, ok)
					require.Equal(t, n, p.Count)
					places[p.Index] = true
				}
				for i := range n {
					require.True(t, places[i], "%d of %v", i, places)
				}
			}
		}
	}
}
