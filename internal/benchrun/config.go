// Package benchrun runs the benchmarks of two sets of test binaries in shuffled
// pairs, until every verdict is settled or a limit is reached.
//
// A pair is a process of the base and one of the head, one directly after the
// other in random order, both doing the same number of iterations of one
// benchmark. A round is one pair of every benchmark, in random order. So whatever
// slows the machine for a while slows both sides alike.
package benchrun

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"time"

	"example.com/brunt/internal/benchgate"
)

// ErrConfig means that a baseline was not recorded as this run would measure.
var ErrConfig = errors.New("bad configuration")

// ErrNothing means that there is no benchmark to compare.
var ErrNothing = errors.New("no benchmark to compare")

// Binary is a test binary and the directory to run it in. The zero value is none.
type Binary struct{ Path, Dir string }

// Package is the test binaries of one package.
type Package struct {
	Path     string // import path
	Binaries [2]Binary
	Broken   [2]string // why a side has no binary, if it should have one
}

// Config says what to run. Times are per process.
type Config struct {
	Packages []Package
	// Baseline holds results of the base that were recorded before, with the iterations
	// that the head is then to do; it runs alone, Count times, and Max and AA do not
	// count. The sides do not alternate, so a machine that has changed since looks like
	// code that has. Default nil: the base runs.
	Baseline *benchgate.Set
	// Bench selects benchmarks as go test -bench does; "." for all.
	Bench string
	// Skip leaves out benchmarks as go test -skip does; empty for none.
	Skip string
	// Count is how many pairs each benchmark gets before the first look, and between
	// two looks, from 6 up.
	Count int
	// Max is the most pairs a benchmark gets. Default 3 times Count; Count or more.
	Max int
	// Iterations is a fixed -benchtime=Nx; 0 derives it for each benchmark from
	// Time and a calibration run of the base.
	Iterations int
	// Time is how long a benchmark should take in one process.
	Time time.Duration
	// AA is how many pairs of the base with itself come first, to measure the noise.
	// 0 means none.
	AA int
	// CPU is the GOMAXPROCS of every process, from 1 up.
	CPU int
	// Seed decides the order.
	Seed uint64
	// Timeout ends a process that takes longer.
	Timeout time.Duration
	// TempDir is where the processes keep their temporary files.
	TempDir string
	// Rules judge at each look. Looks is set by Run.
	Rules benchgate.Rules
	// Progress is told what happens, one line a call; nil for silence.
	Progress func(format string, args ...any)
}

// Validate reports every fault, by the flag that sets it.
func (c *Config) Validate() error {
	var faults []error
	want := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	_, err := regexp.Compile(c.Bench)
	want(err == nil, "-bench is %s, want a regular expression: %v", c.Bench, err)
	_, err = regexp.Compile(c.Skip)
	want(err == nil, "-skip is %s, want a regular expression: %v", c.Skip, err)
	want(c.Count >= benchgate.MinSamples, "-count is %d, want %d or more, which a verdict needs", c.Count, benchgate.MinSamples)
	want(c.limit() >= c.Count, "-max is %d, want -count (%d) or more", c.Max, c.Count)
	want(c.AA >= 0, "-aa is %d, want 0 or more", c.AA)
	want(c.CPU >= 1, "-cpu is %d, want 1 or more", c.CPU)
	want(c.Timeout > 0, "-timeout is %v, want a positive duration", c.Timeout)
	return errors.Join(errors.Join(faults...), c.Rules.Validate())
}

func (c *Config) limit() int { return cmp.Or(c.Max, 3*c.Count) }

// looks returns the most sample sizes at which the results are judged.
func (c *Config) looks() int { return (c.limit() + c.Count - 1) / c.Count }

func (c *Config) say(format string, args ...any) {
	if c.Progress != nil {
		c.Progress(format, args...)
	}
}
