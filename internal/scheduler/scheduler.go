// Package scheduler reads from the environment which of how many processes this is: what
// Open MPI, Slurm, AWS Batch, Nomad and Kubernetes tell those that they start together. It
// has the names of all variables for shards.
package scheduler

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// The variables that say it outright: the index and the count, as in 0/4, or the count alone
// for a scheduler that does not tell it.
const (
	Shard = "BRUNT_SHARD"
	Count = "BRUNT_SHARDS"
)

// The variables that are the same for all shards.
const (
	Run     = "BRUNT_RUN"
	Start   = "BRUNT_START"
	Results = "BRUNT_RESULTS"
)

// RunName matches the names that a run may have, of which those of its files begin.
var RunName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$`)

// Place is which process this is, from 0, of how many. Count is 0 where only the index is
// known.
type Place struct {
	Index, Count int
	By           string // whose variables say so
}

func (p Place) String() string { return fmt.Sprintf("%d of %d by %s", p.Index, p.Count, p.By) }

// schedulers are asked in this order, and the first that has an index is believed. Several
// are there at once where one starts another: Slurm starts the launcher of Open MPI, whose
// processes see the launcher's variables, and each task of an array is a batch job of one
// process.
var schedulers = []struct {
	by   string
	read func(environ) (Place, bool, error)
}{
	{"Open MPI", pair("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE")},
	{"PMIx", pair("PMIX_RANK", "")},
	{"a Slurm array", slurmArray},
	{"Slurm", slurmTask},
	{"AWS Batch", pair("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE")},
	{"Nomad", pair("NOMAD_ALLOC_INDEX", "")},
	{"Kubernetes", pair("JOB_COMPLETION_INDEX", "")},
}

// Find returns what the environment says, which lookup reads as os.LookupEnv does; false if
// it says nothing. Its error says what to set.
func Find(lookup func(string) (string, bool)) (Place, bool, error) {
	env := environ(lookup)
	count, counted, err := env.number(Count)
	if err == nil && counted && count == 0 {
		err = fmt.Errorf("%s is 0: must be at least 1", Count)
	}
	if err != nil {
		return Place{}, false, err
	}
	place, found, err := env.scheduled()
	if text, said := env.get(Shard); said {
		own, ownErr := parse(text)
		if ownErr != nil {
			return Place{}, false, ownErr
		}
		if err == nil && found && (own.Index != place.Index || place.Count > 0 && own.Count != place.Count) {
			return Place{}, false, fmt.Errorf("%s is %s, but this is process %v: unset it, or the variables of the scheduler", Shard, text, place)
		}
		place, found, err = own, true, nil
	}
	switch {
	case err != nil:
		return Place{}, false, err
	case !found && counted:
		return Place{}, false, fmt.Errorf("%s is %d, but nothing says which of them this is: set %s, as in 0/%d", Count, count, Shard, count)
	case !found:
		return Place{}, false, nil
	case place.Count == 0 && !counted:
		return Place{}, false, fmt.Errorf("this is process %d by %s, which does not say of how many: set %s", place.Index, place.By, Count)
	case counted && place.Count > 0 && place.Count != count:
		return Place{}, false, fmt.Errorf("%s is %d, but this is process %v", Count, count, place)
	case place.Count == 0:
		place.Count = count
	}
	if place.Index >= place.Count {
		return Place{}, false, fmt.Errorf("this is process %v, counted from 0: the index must be below the count", place)
	}
	return place, true, nil
}

func parse(text string) (Place, error) {
	i, n, ok := strings.Cut(text, "/")
	index, err1 := strconv.Atoi(i)
	count, err2 := strconv.Atoi(n)
	if !ok || err1 != nil || err2 != nil || index < 0 || index >= count {
		return Place{}, fmt.Errorf("%s is %q: must be an index, from 0, and a count, as in 0/4", Shard, text)
	}
	return Place{index, count, Shard}, nil
}

// environ reads variables; one that is empty is not there.
type environ func(string) (string, bool)

func (e environ) get(name string) (string, bool) {
	v, ok := e(name)
	return v, ok && v != ""
}

func (e environ) number(name string) (n int, ok bool, err error) {
	text, ok := e.get(name)
	if !ok {
		return 0, false, nil
	}
	if n, err = strconv.Atoi(text); err != nil || n < 0 {
		return 0, false, fmt.Errorf("%s is %q: must be a number from 0 on", name, text)
	}
	return n, true, nil
}

// scheduled returns what the first scheduler says that says something.
func (e environ) scheduled() (Place, bool, error) {
	for _, s := range schedulers {
		if p, ok, err := s.read(e); ok || err != nil {
			p.By = s.by
			return p, ok, err
		}
	}
	return Place{}, false, nil
}

// pair reads an index and a count, which may not be there.
func pair(index, count string) func(environ) (Place, bool, error) {
	return func(e environ) (Place, bool, error) {
		i, ok, err := e.number(index)
		n, counted, err2 := e.number(count)
		if ok && counted && n == 0 {
			err2 = fmt.Errorf("%s is 0: must be at least 1", count)
		}
		return Place{Index: i, Count: n}, ok, errors.Join(err, err2)
	}
}

// slurmArray reads which task of an array this is: their numbers need not begin with 0,
// nor be dense.
func slurmArray(e environ) (Place, bool, error) {
	id, ok, err := e.number("SLURM_ARRAY_TASK_ID")
	if !ok || err != nil {
		return Place{}, false, err
	}
	var n, first, last, tasks int
	step := 1
	for name, to := range map[string]*int{
		"SLURM_ARRAY_TASK_COUNT": &n, "SLURM_ARRAY_TASK_MIN": &first, "SLURM_ARRAY_TASK_MAX": &last,
		"SLURM_ARRAY_TASK_STEP": &step, "SLURM_STEP_NUM_TASKS": &tasks,
	} {
		v, ok, err := e.number(name)
		if err != nil {
			return Place{}, false, err
		}
		if ok {
			*to = v
		}
	}
	switch {
	case tasks > 1:
		return Place{}, false, fmt.Errorf("this is one of %d tasks in a task of an array: set %s to the place among all", tasks, Shard)
	case step < 1 || n < 1 || id < first || (id-first)%step != 0 || (last-first)/step+1 != n:
		return Place{}, false, fmt.Errorf("the Slurm array has %d tasks from %d to %d by %d, and this is %d: submit it with a range, as in --array=0-3, or set %s", n, first, last, step, id, Shard)
	}
	return Place{Index: (id - first) / step, Count: n}, true, nil
}

// slurmTask reads which task of a step this is. A batch script, which runs once, has the
// number of the first of its tasks, too.
func slurmTask(e environ) (Place, bool, error) {
	index, ok, err := e.number("SLURM_PROCID")
	if !ok || err != nil {
		return Place{}, false, err
	}
	count, under, err := e.number("SLURM_STEP_NUM_TASKS")
	if under || err != nil {
		return Place{Index: index, Count: max(count, 1)}, err == nil, err
	}
	tasks, _, err := e.number("SLURM_NTASKS")
	if err == nil && tasks > 1 {
		err = fmt.Errorf("the batch script of a Slurm job of %d tasks runs once: start the tasks with srun", tasks)
	}
	return Place{}, false, err
}
