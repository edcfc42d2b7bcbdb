// Benchresilience measures brunt's breaker, limiter and retry policy beside those
// of other libraries, and holds the results against the bounds brunt has set
// itself.
//
//	go run ./cmd/benchresilience [-rounds 16] [-benchtime 20ms] [-md FILE]
//
// It builds the benchmarks of example.com/brunt/peers/resilience and runs every
// one of them once in each round, in a process of its own. A round takes one
// pattern after the other, and within a pattern the libraries, both in shuffled
// order: what is compared is as close in time as it can be. Differences and ratios
// are taken within a round, then the median over the rounds.
//
// C is the time of one call of time.Since, which on most machines is more than
// half of what a breaker costs, and differs from machine to machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"example.com/brunt/peers/internal/machine"
)

type options struct {
	rounds    int
	benchtime string
	bench     string
	seed      uint64
	markdown  string
	check     bool
	timeout   time.Duration
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "benchresilience:", err)
		os.Exit(1)
	}
}

func parse(flags *flag.FlagSet, args []string) (options, error) {
	var o options
	flags.IntVar(&o.rounds, "rounds", 16, "rounds; in each every benchmark comes once")
	flags.StringVar(&o.benchtime, "benchtime", "20ms", "how long each benchmark runs in a round, or how often (1000x)")
	flags.StringVar(&o.bench, "bench", ".", "regular expression of the patterns to measure, as in BreakerOpen|Retry")
	flags.Uint64Var(&o.seed, "seed", 0, "seed of the order within the rounds; 0 draws one")
	flags.StringVar(&o.markdown, "md", "", "write the report to this file as well")
	flags.BoolVar(&o.check, "check", false, "exit with status 1 if a bound is not met")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Minute, "give up after this long")
	if err := flags.Parse(args); err != nil {
		return o, fmt.Errorf("read the flags: %w", err)
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("read the flags: %q is not one", flags.Arg(0))
	case o.rounds < 1:
		return o, fmt.Errorf("read the flags: %d rounds", o.rounds)
	case strings.Contains(o.bench, "/"):
		return o, fmt.Errorf("read the flags: -bench %s: a pattern has no slash in its name", o.bench)
	}
	if o.seed == 0 {
		o.seed = 1 + rand.Uint64N(999_999)
	}
	return o, nil
}

func run() (err error) {
	o, err := parse(flag.NewFlagSet("benchresilience", flag.ContinueOnError), os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	dir, err := os.MkdirTemp("", "benchresilience")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	binary, err := build(ctx, dir)
	if err != nil {
		return err
	}
	built, err := versions(ctx)
	if err != nil {
		return err
	}
	began, before := time.Now(), machine.Load()
	r, err := measure(ctx, binary, o, os.Stderr)
	if err != nil {
		return err
	}
	took := time.Since(began).Round(time.Second)
	var report strings.Builder
	head(&report, o, built, before, took)
	met, err := body(&report, r, o)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(os.Stdout, report.String()); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	if o.markdown != "" {
		if err := os.WriteFile(o.markdown, []byte(report.String()), 0o644); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	if o.check && !met {
		return errors.New("a bound is not met")
	}
	return nil
}

// benchmarks is the package that holds them.
const benchmarks = "example.com/brunt/peers/resilience"

// build makes a program of the benchmarks, so that the rounds need not compile.
func build(ctx context.Context, dir string) (binary string, err error) {
	binary = filepath.Join(dir, "resilience.test")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	fmt.Fprintln(os.Stderr, "building the benchmarks")
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, benchmarks)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the benchmarks: %w\n%s", err, out)
	}
	return binary, nil
}

// versions are those of Go and of the libraries measured. A test binary does not
// carry them, so they are asked of the module it was built in.
func versions(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Path}} {{.Version}}",
		"github.com/sony/gobreaker/v2", "github.com/failsafe-go/failsafe-go", "github.com/cenkalti/backoff/v5",
		"github.com/avast/retry-go/v5", "golang.org/x/sync").Output()
	if err != nil {
		return "", fmt.Errorf("read the versions: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(append([]string{runtime.Version()}, lines...), ", "), nil
}

// start runs those benchmarks of the binary that match pattern.
func start(ctx context.Context, binary, pattern, benchtime string) (string, error) {
	cmd := exec.CommandContext(ctx, binary, "-test.run", "^$", "-test.bench", pattern, "-test.benchtime", benchtime)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return "", fmt.Errorf("run the benchmarks: %w", ctx.Err())
	}
	if err != nil {
		return "", fmt.Errorf("run the benchmarks: %w\n%s", err, out)
	}
	return string(out), nil
}

// measure finds the benchmarks, running each once, and then does the rounds.
func measure(ctx context.Context, binary string, o options, progress io.Writer) (*results, error) {
	out, err := start(ctx, binary, o.bench, "1x")
	if err != nil {
		return nil, err
	}
	_, order, err := parseOutput(out)
	if err != nil {
		return nil, err
	}
	if len(order) == 0 {
		return nil, fmt.Errorf("find the benchmarks: none matches %q", o.bench)
	}
	r := &results{order: order, samples: make(map[variant][]sample)}
	shuffle := rand.New(rand.NewPCG(o.seed, 0))
	groups := r.groups()
	for round := range o.rounds {
		fmt.Fprintf(progress, "round %d of %d, %d benchmarks; load %s\n", round+1, o.rounds, len(order), machine.Load())
		shuffle.Shuffle(len(groups), func(i, j int) { groups[i], groups[j] = groups[j], groups[i] })
		for _, g := range groups {
			members := slices.DeleteFunc(slices.Clone(order), func(v variant) bool { return v.group != g.group || v.by != g.by })
			shuffle.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
			for _, v := range members {
				s, err := once(ctx, binary, v, o.benchtime)
				if err != nil {
					return nil, fmt.Errorf("round %d: %w", round+1, err)
				}
				r.samples[v] = append(r.samples[v], s)
			}
		}
	}
	return r, nil
}

func once(ctx context.Context, binary string, v variant, benchtime string) (sample, error) {
	out, err := start(ctx, binary, v.pattern(), benchtime)
	if err != nil {
		return sample{}, err
	}
	samples, order, err := parseOutput(out)
	if err != nil {
		return sample{}, err
	}
	if len(order) != 1 || order[0] != v {
		return sample{}, fmt.Errorf("run %s: got results of %v", v.pattern(), order)
	}
	return samples[v], nil
}

// pattern matches v and nothing else.
func (v variant) pattern() string {
	return fmt.Sprintf("^Benchmark%s$/^impl=%s$/^by=%s$", v.group, regexp.QuoteMeta(v.impl), v.by)
}

// head says what was measured where, so that the report can stand alone.
func head(w io.Writer, o options, versions, before string, took time.Duration) {
	fmt.Fprintf(w, "- machine: %s, %s/%s, %d CPUs\n", machine.Processor(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	if before != "" {
		fmt.Fprintf(w, "- load average over a minute: %s before, %s after; the run took %v\n", before, machine.Load(), took)
	}
	fmt.Fprintf(w, "- versions: %s\n", versions)
	fmt.Fprintf(w, "- command: go run ./cmd/benchresilience -rounds %d -benchtime %s -bench '%s' -seed %d\n\n", o.rounds, o.benchtime, o.bench, o.seed)
}

// body is the report below its head.
func body(w io.Writer, r *results, o options) (met bool, err error) {
	if err := r.writeNoise(w); err != nil {
		return false, err
	}
	fmt.Fprintf(w, "\nBounds, held against the median over the rounds. C is one time.Since in the same round. Net is without the\n"+
		"benchmark's loop and bare call (impl=direct) in the same round: what the pattern itself costs. The interval and\n"+
		"the verdict are of the net figure; raw is the whole.\n\n")
	if met, err = r.writeVerdicts(w); err != nil {
		return false, err
	}
	fmt.Fprintf(w, "\nThe floor is the bare call, as many atomic additions as brunt makes, and, for breakers, C:\n\n")
	if err := r.writeFloors(w); err != nil {
		return false, err
	}
	fmt.Fprintf(w, "\nMedians of %d rounds; − C, × C and × brunt are taken within a round. Names in .permits are compared with brunt.permits.\n", o.rounds)
	return met, r.writeTables(w)
}
