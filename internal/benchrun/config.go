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

// ErrConfig is what every fault of a Config is.
var ErrConfig = errors.New("bad configuration")

// ErrNothing means that there is no benchmark to compare.
var ErrNothing = errors.New("no benchmark to compare")

var errProfile = errors.New("profile")

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
	// Bench selects benchmarks as go test -bench does. Default ".".
	Bench string
	// Skip leaves out benchmarks as go test -skip does; empty for none.
	Skip string
	// Count is how many pairs each benchmark gets before the first look, and between
	// two looks. Default 10, from 6 up.
	Count int
	// Max is the most pairs a benchmark gets. Default 3 times Count; Count or more.
	Max int
	// Iterations is a fixed -benchtime=Nx; 0 derives it for each benchmark from
	// Time and a calibration run of the base.
	Iterations int
	// Time is how long a benchmark should take in one process. Default 100 ms.
	Time time.Duration
	// AA is how many pairs of the base with itself come first, to measure the noise.
	// 0 means none.
	AA int
	// CPU is the GOMAXPROCS of every process, from 1 up.
	CPU int
	// Seed decides the order.
	Seed uint64
	// Timeout ends a process that takes longer. Default 10 minutes.
	Timeout time.Duration
	// TempDir is where the processes keep their temporary files.
	TempDir string
	// Rules judge at each look. Looks is set by Run.
	Rules benchgate.Rules
	// Progress is told what happens, one line a call; nil for silence.
	Progress func(format string, args ...any)
}

// Validate reports every fault.
func (c *Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("%w: "+format, append([]any{ErrConfig}, args...)...))
	}
	if _, err := regexp.Compile(c.Bench); err != nil {
		fault("Bench is %q, want a regular expression: %v", c.Bench, err)
	}
	if _, err := regexp.Compile(c.Skip); err != nil {
		fault("Skip is %q, want a regular expression: %v", c.Skip, err)
	}
	if c.Count != 0 && c.Count < benchgate.MinSamples {
		fault("Count is %d, want %d or more, which a verdict needs", c.Count, benchgate.MinSamples)
	}
	if c.Max != 0 && c.Max < c.count() {
		fault("Max is %d, want Count (%d) or more", c.Max, c.count())
	}
	if c.Iterations < 0 {
		fault("Iterations is %d, want 1 or more, or 0 to derive them from Time", c.Iterations)
	}
	if c.Time < 0 {
		fault("Time is %v, want a positive duration", c.Time)
	}
	if c.Timeout < 0 {
		fault("Timeout is %v, want a positive duration", c.Timeout)
	}
	if c.AA < 0 {
		fault("AA is %d, want 1 or more, or 0 for none", c.AA)
	}
	if c.CPU < 1 {
		fault("CPU is %d, want 1 or more", c.CPU)
	}
	if len(c.Packages) == 0 {
		fault("Packages is empty, want one or more")
	}
	return errors.Join(errors.Join(faults...), c.Rules.Validate())
}

func (c *Config) count() int { return cmp.Or(c.Count, 10) }

func (c *Config) limit() int { return cmp.Or(c.Max, 3*c.count()) }

// looks returns the most sample sizes at which the results are judged.
func (c *Config) looks() int { return (c.limit() + c.count() - 1) / c.count() }

func (c *Config) time() time.Duration { return cmp.Or(c.Time, 100*time.Millisecond) }

func (c *Config) timeout() time.Duration { return cmp.Or(c.Timeout, 10*time.Minute) }

func (c *Config) say(format string, args ...any) {
	if c.Progress != nil {
		c.Progress(format, args...)
	}
}
