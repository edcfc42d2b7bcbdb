package benchrun

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"example.com/brunt/internal/benchgate"
	"example.com/brunt/internal/procgroup"
)

// Profile is where the profiles of a regression are, and what differs the most.
type Profile struct {
	Bench string    `json:"bench"`
	Kind  string    `json:"kind"`  // cpu or alloc
	Files [2]string `json:"files"` // base, head
	Top   string    `json:"top"`   // go tool pprof -top -diff_base
}

var unsafeName = regexp.MustCompile(`[^A-Za-z0-9._=-]+`)

// Profiles runs each benchmark that got worse once more on both sides, with a CPU
// profile and, where its allocations changed, with a profile of every one, and
// keeps all files in dir. The profiled runs are not part of the comparison.
func (o *Outcome) Profiles(ctx context.Context, dir string) ([]Profile, error) {
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	worse, allocates := make(map[string]bool), make(map[string]bool)
	for _, row := range o.Report.Rows {
		name := row.Pkg + "." + o.cfg.strip(row.Bench)
		worse[name] = worse[name] || row.Verdict == benchgate.Worse
		allocates[name] = allocates[name] || row.Changed() && (row.Unit == "allocs/op" || row.Unit == "B/op")
	}
	var profiles []Profile
	for _, j := range o.jobs {
		if !worse[j.String()] {
			continue
		}
		kinds := []string{"cpu"}
		if allocates[j.String()] {
			kinds = append(kinds, "alloc")
		}
		for _, kind := range kinds {
			o.cfg.say("%s profile of %s", kind, j.leaf)
			p, err := o.profile(ctx, j, kind, dir)
			if err != nil {
				return profiles, err
			}
			profiles = append(profiles, p)
		}
	}
	return profiles, nil
}

func (o *Outcome) profile(ctx context.Context, j *job, kind, dir string) (Profile, error) {
	prof := Profile{Bench: j.String(), Kind: kind}
	stem := filepath.Join(dir, unsafeName.ReplaceAllString(j.String(), "_")+"."+kind)
	n := j.iterations
	if kind == "cpu" && o.cfg.Iterations == 0 {
		// A profiler samples 100 times a second: the same work as measured, but for long enough.
		n = min(1_000_000_000, n*max(1, int(2*time.Second/o.cfg.Time)))
	}
	for side := range prof.Files {
		file := stem + "." + benchgate.Side(side).String() + ".pprof"
		prof.Files[side] = file
		extra := []string{"-test.cpuprofile=" + file}
		if kind == "alloc" {
			extra = []string{"-test.memprofile=" + file, "-test.memprofilerate=1"}
		}
		_, faults, err := o.process(ctx, j.pkg, benchgate.Side(side), j.pattern(), strconv.Itoa(n)+"x", extra...)
		if err == nil && len(faults) > 0 {
			err = fmt.Errorf("profile: %s", faults[0])
		}
		if err != nil {
			return prof, err
		}
	}
	args := []string{"tool", "pprof", "-top", "-nodecount=15", "-diff_base=" + prof.Files[benchgate.Base]}
	if kind == "alloc" {
		args = append(args, "-sample_index=alloc_objects")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, prof.Files[benchgate.Head])...)
	cmd.Env = append(os.Environ(), "PPROF_TMPDIR="+o.cfg.TempDir)
	var top, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &top, &stderr
	if err := procgroup.Run(cmd, os.Kill); err != nil {
		return prof, fmt.Errorf("profile: %w: %s", err, stderr.String())
	}
	prof.Top = top.String()
	return prof, os.WriteFile(stem+".diff.txt", top.Bytes(), 0o644)
}
