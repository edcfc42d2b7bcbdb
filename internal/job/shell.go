package job

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"example.com/brunt/internal/scheduler"
)

// directive is an option that sbatch reads from its script as it stands.
var directive = regexp.MustCompile(`^-[A-Za-z0-9_@%+=:,./-]+$`)

// tasks is a batch script for sbatch. srun starts the tasks together once there is room
// for all, so that the start is reckoned from then, not from the submission.
func (j *Job) tasks() string {
	options := append(j.sbatch(), "--ntasks="+strconv.Itoa(j.Shards), "--spread-job")
	srun := func(n int, option string, args []string) string {
		words := []string{"srun", "--ntasks=" + strconv.Itoa(n), option}
		return Shell(append(append(words, j.cpus()...), args...)...)
	}
	return j.script("Submit this with sbatch. When the job has ended", append(options, j.Options...),
		// One that fails is not to take the others with it: what they have measured says more.
		srun(j.Shards, "--kill-on-bad-exit=0", j.Args),
		func(args []string) string { return srun(1, "--nodes=1", args) })
}

// array is a script that submits an array and waits for it. Its tasks are jobs of their
// own, and need not start together.
func (j *Job) array() string {
	sbatch := func(option string, args []string) string {
		words := append([]string{"sbatch", "--wait", "--export=ALL"}, j.sbatch()...)
		words = append(append(words, option), j.Options...)
		return Shell(append(words, "--wrap=exec "+Shell(args...))...)
	}
	return j.script("Run this where sbatch is. When the array has ended, so does this, and then", nil,
		sbatch(fmt.Sprintf("--array=0-%d", j.Shards-1), j.Args),
		func(args []string) string { return sbatch("--ntasks=1", args) })
}

// mpirun is a script that runs the shards and waits for them.
func (j *Job) mpirun() string {
	limit := seconds(j.Timeout)
	// A daemon that is cut off leaves mpirun hanging, deaf to its own limit and to SIGTERM.
	words := []string{
		"timeout", "--foreground", "--kill-after=10", strconv.FormatInt(limit+10, 10),
		"mpirun", "-n", strconv.Itoa(j.Shards), "--map-by", "node", "--bind-to", "none", "--timeout", strconv.FormatInt(limit, 10),
		"-x", scheduler.Count, "-x", scheduler.Start,
	}
	for _, e := range j.env() {
		name, _, _ := strings.Cut(e, "=")
		words = append(words, "-x", name)
	}
	return j.script("Run this where mpirun is. When it has ended", nil,
		Shell(append(append(words, j.Options...), j.Args...)...),
		func(args []string) string { return Shell(args...) })
}

// script is a shell script that ends with the code of its load, or of what could not be
// set up before or torn down after it.
func (j *Job) script(use string, directives []string, load string, phase func(args []string) string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("#!/bin/sh")
	for _, option := range directives {
		line("#SBATCH %s", option)
	}
	line("# %s: brunt merge %s", use, Shell(j.Results))
	for _, e := range j.env() {
		name, value, _ := strings.Cut(e, "=")
		line("export %s=%s", name, Shell(value))
	}
	if j.Before != "" {
		args, _ := only(j.Args, j.Before)
		line("%s || exit", phase(args))
	}
	line("export %s=%d %s=%s", scheduler.Count, j.Shards, scheduler.Start, j.start())
	line("%s", load)
	if j.After != "" {
		args, _ := only(j.Args, j.After)
		line("code=$?")
		line("unset %s %s", scheduler.Count, scheduler.Start)
		line("%s || { after=$?; exit $((code ? code : after)); }", phase(args))
		line("exit $code")
	}
	return b.String()
}

// sbatch are the options of every job for Slurm. A shard that is run again comes when the
// others have ended.
func (j *Job) sbatch() []string {
	limit := seconds(j.Timeout)
	at := fmt.Sprintf("--time=%d:%02d:%02d", limit/3600, limit/60%60, limit%60)
	return append([]string{"--job-name=" + j.Run, "--no-requeue", at}, j.cpus()...)
}

// cpus is for sbatch and again for srun, which no longer takes it from there.
func (j *Job) cpus() []string {
	if j.CPUs == 0 {
		return nil
	}
	return []string{"--cpus-per-task=" + strconv.Itoa(j.CPUs)}
}
