package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"example.com/brunt/internal/job"
)

const jobHelp = `usage: brunt job kubernetes [flags] -- BINARY [ARGS...]
       brunt job slurm [flags] -- BINARY [ARGS...]
       brunt job mpi [flags] -- BINARY [ARGS...]

Prints what to submit so that a test binary (go test -c) runs as so many shards, each
of which sends its part of the load and writes what it has measured to a directory that
all share; brunt merge makes one report of it. The tests use the package loadtest/shards.
Nothing is submitted, and nothing is asked of a cluster: look at it, and change it.

  kubernetes  an Indexed Job without privileges, for kubectl create. All shards begin at
              a time that is fixed when it is printed: -start after that.
  slurm       a batch script, for sbatch: one job of so many tasks, which begin together,
              -start after there is room for all. With -array a script, for sh, that
              submits an array, of which what has no room in time is late.
  mpi         a script, for sh, around mpirun. -start is reckoned from when that is called.

A shard that is not ready when the others begin fails, and brunt merge names it: let
-start be longer than it takes to start them all. None is run a second time.

examples
  go test -c -o load.test ./shop
  brunt job slurm -shards 4 -- ./load.test -test.run TestLoad > load.sh
  sbatch --wait load.sh; brunt merge results
  brunt job mpi -shards 8 -option=--hostfile -option=hosts -- ./load.test -test.run TestLoad | sh
  brunt job slurm -shards 4 -before '^TestSetUp$' -after '^TestTearDown$' \
      -- ./load.test -test.run '^TestLoad$' > load.sh
  brunt job kubernetes -shards 4 -image registry.example.com/load:1 -claim results \
      -start 2m -- /load.test -test.run TestLoad | kubectl create -f -

exit codes
  0  it is printed
  2  the flags do not make a job; what is wrong with each is said

`

// printJob prints a job.
func printJob(args []string, stdout io.Writer, now time.Time) error {
	var kind job.Kind
	if len(args) > 0 {
		kind, args = job.Kind(args[0]), args[1:]
	}
	switch kind {
	case job.Kubernetes, job.Slurm, job.MPI:
	case "-h", "-help", "--help":
		fmt.Fprint(stdout, jobHelp, "brunt job KIND -h lists the flags of each kind.\n")
		return flag.ErrHelp
	default:
		return fmt.Errorf("brunt job %q: want kubernetes, slurm or mpi (brunt job -h says more)", string(kind))
	}
	var j job.Job
	fs := jobFlags(kind, &j)
	if err := parseFlags(fs, args, stdout, jobHelp+"flags of "+fs.Name()+"\n"); err != nil {
		return err
	}
	j.Args = fs.Args()
	text, err := j.Text(kind, now)
	if err == nil {
		_, err = io.WriteString(stdout, text)
	}
	return err
}

// jobFlags are the flags of jobs of that kind.
func jobFlags(kind job.Kind, j *job.Job) *flag.FlagSet {
	fs := flag.NewFlagSet("brunt job "+string(kind), flag.ContinueOnError)
	results := "results"
	if kind == job.Kubernetes {
		results = "/results"
		fs.StringVar(&j.Pod.Image, "image", "", "the image that holds the test binary, by its `name`")
		fs.StringVar(&j.Pod.Claim, "claim", "", "keep results in the volume of the PersistentVolumeClaim of this `name`")
		fs.StringVar(&j.Pod.Volume, "volume", "", `keep results in another volume: a JSON `+"`object`"+`, as {"nfs": {"server": "10.0.0.9", "path": "/results"}}`)
		fs.StringVar(&j.Pod.Memory, "memory", "512Mi", "each shard is given this `quantity`, and may not have more")
	} else {
		list(fs, &j.Options, "option", "hand this `word` to "+map[job.Kind]string{job.Slurm: "sbatch", job.MPI: "mpirun"}[kind]+", too; may be repeated")
	}
	if kind == job.Slurm {
		fs.BoolVar(&j.Array, "array", false, "an array, of which each task is a job of its own")
	}
	if kind != job.MPI {
		fs.IntVar(&j.CPUs, "cpus", 1, "each shard has `n` CPUs")
	}
	fs.IntVar(&j.Shards, "shards", 0, "`n` processes share the load")
	fs.StringVar(&j.Run, "run", "run", "the `name` of the run, of which the results' names begin")
	fs.StringVar(&j.Results, "results", results, "the `directory` for results; all shards and brunt merge see the same")
	j.StartIn = 30 * time.Second
	fs.Func("start", "all begin after this `time`, in which they get ready: a duration, or an RFC 3339 time (default 30s)", func(text string) (err error) {
		if j.StartIn, err = time.ParseDuration(text); err == nil {
			j.StartAt = time.Time{}
			return nil
		}
		if j.StartAt, err = time.Parse(time.RFC3339, text); err != nil {
			return errors.New("want a duration such as 30s, or a time such as 2006-01-02T15:04:05Z")
		}
		return nil
	})
	fs.DurationVar(&j.Timeout, "timeout", time.Hour, "the scheduler ends what takes longer, waiting for the start included")
	list(fs, &j.Env, "env", "each shard's environment has `NAME=VALUE`, too; may be repeated")
	fs.StringVar(&j.Before, "before", "", "the tests that match `regexp` run once, in a process of its own, before the shards")
	fs.StringVar(&j.After, "after", "", "the tests that match `regexp` run once, in a process of its own, after the shards")
	return fs
}

// list is a flag that may be repeated.
func list(fs *flag.FlagSet, into *[]string, name, usage string) {
	fs.Func(name, usage, func(text string) error {
		*into = append(*into, text)
		return nil
	})
}
