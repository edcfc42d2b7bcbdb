package benchrun

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/perf/benchfmt"

	"example.com/brunt/internal/benchgate"
	"example.com/brunt/internal/procgroup"
)

// leaf is one benchmark that reports results, by the name it prints, without the
// GOMAXPROCS that testing adds.
type leaf struct{ pkg, name string }

func (l leaf) String() string { return l.pkg + "." + l.name }

// pattern matches exactly the leaf: each element of the name on its own, as
// testing wants it.
func (l leaf) pattern() string {
	parts := strings.Split("Benchmark"+l.name, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return strings.Join(parts, "/")
}

// process runs a benchmark binary once, as go test -bench -benchmem does, with
// GOMAXPROCS pinned. It returns the results, and the benchmarks that failed or could
// not be read. The error is for what nothing can be made of: no start, the context's end.
func (o *Outcome) process(ctx context.Context, pkg Package, side benchgate.Side, pattern, benchtime string, extra ...string) ([]*benchfmt.Result, []benchgate.Fault, error) {
	failed := func(format string, args ...any) []benchgate.Fault {
		return []benchgate.Fault{{Kind: benchgate.Failed, Side: side.String(), Pkg: pkg.Path, Text: fmt.Sprintf(format, args...)}}
	}
	if why := pkg.Broken[side]; why != "" {
		return nil, failed("%s", why), nil
	}
	args := append([]string{
		"-test.run=^$", "-test.bench=" + pattern, "-test.benchmem", "-test.benchtime=" + benchtime,
		"-test.cpu=" + strconv.Itoa(o.cfg.CPU), "-test.paniconexit0", "-test.skip=" + o.cfg.Skip,
	}, extra...)
	// -test.timeout would not do: package testing stops its clock for benchmarks.
	limited, cancel := context.WithTimeout(ctx, o.cfg.Timeout)
	defer cancel()
	bin := pkg.Binaries[side]
	cmd := exec.CommandContext(limited, bin.Path, args...)
	cmd.Dir = bin.Dir
	// A process that is killed leaves its temporary files: let them be ours.
	// What a benchmark would tell GitHub Actions in each of its many runs, the report tells once.
	cmd.Env = append(os.Environ(), "GITHUB_STEP_SUMMARY=", "PWD="+bin.Dir, "TMPDIR="+o.cfg.TempDir, "TMP="+o.cfg.TempDir, "TEMP="+o.cfg.TempDir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	// Killed at once: a benchmark that sleeps through an interrupt would be waited for.
	err := procgroup.Run(cmd, os.Kill)
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	if limited.Err() != nil {
		return nil, failed("it did not end within %v; -timeout allows more", o.cfg.Timeout), nil
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, nil, fmt.Errorf("%s at %s: %w", pkg.Path, side, err)
	}
	results, faults, parseErr := o.Set.Parse(side, fmt.Sprintf("output of %s at %s", pkg.Path, side), stdout.Bytes())
	if parseErr != nil {
		return nil, nil, parseErr
	}
	for i := range faults {
		faults[i].Pkg = pkg.Path
		if !ofMetric(faults[i]) {
			faults[i].Bench = o.cfg.strip(faults[i].Bench)
		}
	}
	if err != nil && len(faults) == 0 {
		faults = failed("%v: %s", err, tail(stderr.String()+stdout.String()))
	}
	return results, faults, nil
}

// strip takes off the -N that testing adds to a name.
func (c *Config) strip(name string) string {
	if c.CPU == 1 {
		return name
	}
	return strings.TrimSuffix(name, "-"+strconv.Itoa(c.CPU))
}

func (c *Config) leaf(r *benchfmt.Result) leaf {
	return leaf{r.GetConfig("pkg"), c.strip(r.Name.String())}
}

// tail returns the last lines of what a process said, or the first of how it crashed.
func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return strings.Join(lines[i:min(len(lines), i+20)], "\n")
		}
	}
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// iterations returns how many of a calibration result's iterations take as long as want.
func iterations(r *benchfmt.Result, want time.Duration) int {
	n := float64(r.Iters) * float64(want) / float64(calibration)
	if sec, ok := r.Value("sec/op"); ok && sec > 0 {
		n = want.Seconds() / sec
	}
	return int(max(1, min(math.Round(n), 1e9)))
}
