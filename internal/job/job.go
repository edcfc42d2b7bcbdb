// Package job writes what is submitted to a scheduler so that one test binary runs as
// many shards: a Job for Kubernetes, a script for Slurm, one for mpirun.
//
// Nothing is run or looked up here: a [Job] and the time make a text.
package job

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"example.com/brunt/internal/scheduler"
)

// Job is a test binary to be run as shards.
type Job struct {
	// Args are the binary and what it is given, such as ./load.test -test.run TestLoad.
	Args []string
	// Shards is how many processes share the load.
	Shards int
	// Run names the run. It is a part of the names of its results.
	Run string
	// Results is the directory, the same for all shards, to which each writes its result.
	Results string
	// StartIn is how long after the submission all begin, in whole seconds, or, where one
	// process starts them all, after that; or StartAt says when.
	StartIn time.Duration
	StartAt time.Time
	// Timeout is after how long the scheduler ends what has not ended.
	Timeout time.Duration
	// CPUs is how many of them each shard has. 0 leaves it to the scheduler; mpirun
	// binds no shard to any.
	CPUs int
	// Env are more variables for the shards, NAME=VALUE each.
	Env []string
	// Before and After, unless they are empty, are regular expressions of tests in the
	// binary that run once, before the first shard and after the last. Not for Kubernetes.
	Before, After string
	// Options are more options for sbatch or mpirun, a word each. Not for Kubernetes.
	Options []string
	// Array asks Slurm for an array, whose tasks are started one by one as there is room.
	// Otherwise they are the tasks of one job, and started together.
	Array bool
	// Pod is what only Kubernetes has to know.
	Pod Pod
}

// Pod is the surroundings of a shard in Kubernetes.
type Pod struct {
	Image string
	// Claim is a PersistentVolumeClaim for the results; or Volume is another kind of
	// volume, as a JSON object: {"nfs": {"server": "10.0.0.9", "path": "/results"}}.
	Claim, Volume string
	// Memory is a quantity, such as 512Mi: what a shard is given, and may not exceed.
	Memory string
}

// Kind is a kind of scheduler.
type Kind string

// The kinds of schedulers.
const (
	Kubernetes Kind = "kubernetes"
	Slurm      Kind = "slurm"
	MPI        Kind = "mpi"
)

// Text returns what is submitted to a scheduler of that kind, now. It is an error that
// names every fault if the job cannot be one for that kind.
func (j *Job) Text(kind Kind, now time.Time) (string, error) {
	if err := j.validate(kind, now); err != nil {
		return "", err
	}
	switch {
	case kind == Kubernetes:
		return j.manifest(now)
	case kind == MPI:
		return j.mpirun(), nil
	case j.Array:
		return j.array(), nil
	}
	return j.tasks(), nil
}

var (
	variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	ours     = []string{scheduler.Shard, scheduler.Count, scheduler.Run, scheduler.Start, scheduler.Results}
)

func (j *Job) validate(kind Kind, now time.Time) error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	if len(j.Args) == 0 {
		fault(true, "no test binary: name it and its flags after --, as in -- ./load.test -test.run TestLoad")
	} else {
		fault(!strings.Contains(j.Args[0], "/"), "the test binary is %q, want a path such as ./load.test", j.Args[0])
	}
	fault(j.Shards < 1, "-shards is %d, want how many processes share the load", j.Shards)
	fault(!scheduler.RunName.MatchString(j.Run), "-run is %q, want at most 100 letters, digits, ., _ and -, no dot first", j.Run)
	fault(j.Results == "" || strings.ContainsAny(j.Results, "\r\n"), "-results is %q, want a directory that all shards share", j.Results)
	fault(j.StartAt.IsZero() && j.StartIn < time.Second, "-start is %v, want 1s or more, the time in which all shards are ready", j.StartIn)
	fault(!j.StartAt.IsZero() && j.StartAt.Before(now), "-start is %s, and now it is %s", j.StartAt.Format(time.RFC3339), now.Format(time.RFC3339))
	fault(j.Timeout < time.Second, "-timeout is %v, want more than set-up, load and tear-down take", j.Timeout)
	fault(j.CPUs < 0, "-cpus is %d, want 1 or more, or 0 to leave it to the scheduler", j.CPUs)
	var names []string
	for _, env := range j.Env {
		name, _, ok := strings.Cut(env, "=")
		fault(!ok || !variable.MatchString(name), "-env is %q, want NAME=VALUE", env)
		fault(slices.Contains(ours, name), "-env %s: brunt job sets it", name)
		fault(slices.Contains(names, name), "-env %s is given twice", name)
		names = append(names, name)
	}
	for _, phase := range []struct{ flag, expr string }{{"-before", j.Before}, {"-after", j.After}} {
		_, err := regexp.Compile(phase.expr)
		fault(err != nil, "%s is %q, want a regular expression as for -test.run: %v", phase.flag, phase.expr, err)
		_, restricted := only(j.Args, phase.expr)
		fault(phase.expr != "" && kind != Kubernetes && !restricted,
			"%s needs a -test.run after the binary: without one each shard runs all its tests", phase.flag)
	}
	for _, option := range j.Options {
		fault(kind == Slurm && !directive.MatchString(option),
			"-option is %q, want one such as --partition=load; what has spaces or quotes goes to sbatch itself", option)
		fault(kind == MPI && option == "", "-option is empty, want an option of mpirun, one word at a time")
	}
	if kind == Kubernetes {
		j.validatePod(fault)
	}
	return errors.Join(faults...)
}

// seconds is d in whole seconds, no less than d.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// start is the value of scheduler.Start in a shell.
func (j *Job) start() string {
	if !j.StartAt.IsZero() {
		return j.StartAt.Format(time.RFC3339Nano)
	}
	return fmt.Sprintf("$(($(date +%%s) + %d))", seconds(j.StartIn))
}

// env returns the variables of each shard, of set-up and of tear-down.
func (j *Job) env() []string {
	return append([]string{scheduler.Run + "=" + j.Run, scheduler.Results + "=" + j.Results}, j.Env...)
}

// only returns the arguments of a test binary with tests that match expr in place of those
// that it would run, and whether there was a -test.run to replace.
func only(args []string, expr string) (out []string, found bool) {
	out = slices.Clone(args)
	for i := 1; i < len(out); i++ {
		flag, _, joined := strings.Cut(out[i], "=")
		value := expr
		switch "-" + strings.TrimLeft(flag, "-") {
		case "-test.run":
			found = true
		case "-test.bench":
			value = "^$"
		default:
			continue
		}
		if joined {
			out[i] = flag + "=" + value
		} else if i++; i < len(out) {
			out[i] = value
		}
	}
	return out, found
}
