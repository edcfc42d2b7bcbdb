package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/brunt/internal/benchgate"
)

const help = `usage: brunt compare [flags] [packages]     (default ./...)
       brunt compare [flags] OLD NEW

Compares benchmarks of a base and a head, and fails only if a metric got worse:
in the direction that its unit declares, by its threshold or more, and with a p
that stays below alpha after correction for the number of metrics looked at.

The base is the commit at which the head left -base; it is built in a temporary
git worktree. The head is your tree as it is, uncommitted changes included;
neither tree nor index is touched. What leads out of the repository, such as
replace => ../lib, leads to the same from the worktree; submodules are checked out
from your clones of them. Files that git ignores and your build reads, which are
generated as a rule, are lent to the base and named in the report; with -prepare
none is, and each side makes its own. Every measurement is a process of its own, in
the package's own directory. Base and head alternate in random order and do the
same number of iterations, so a machine that slows down slows both.

With two files it compares results that were recorded before (plain output of
go test -bench), with two test binaries (go test -c) it runs them in -dir.

Other modules keep it in go.mod: go get -tool example.com/brunt/cmd/brunt@latest, then
go tool brunt compare. go run would do as well but for the exit codes: it makes 1 of
each that is not 0.

examples
  brunt compare -base origin/main                     what this branch changes
  brunt compare -base HEAD~1 -bench 'Parse|Encode' ./codec
  brunt compare -threshold sec/op=10 -threshold 'p99-ns=off' -md report.md
  brunt compare -prepare 'go generate ./...'          with code that is not committed
  brunt compare -baseline testdata/baseline.txt .     this tree against a recorded run
  brunt compare old.txt new.txt
  brunt compare -dir ./codec old.test new.test

verdicts
  worse, better  a change by the threshold or more is confirmed
  unchanged      a change for the worse by the threshold is ruled out: the intervals
                 of the medians leave no room for it
  not shown      neither: there may be such a change, and these runs could not see it
  noted          a metric for information only changed; if it did not, as far as can
                 be said, it is not gated
  The metrics of one benchmark that got worse are counted as one.

exit codes
  0  nothing got worse, as far as could be seen; -require-power asks for more
  1  a regression is confirmed (even if something else could not be judged)
  2  it could not judge: bad input, a package that does not build or a benchmark
     that failed, vanished or could not be read (the others are judged), too few
     samples, a metric moved of which no one says which way it is better, or, with
     -require-power, one is not shown

thresholds
  metric=percent[@regexp] or metric=off[@regexp]. The metric is the unit as
  benchmarks print it (ns/op, req/s, p99-ns) or as benchstat shows it (sec/op,
  p99-sec); * stands for anything but a slash, or alone for everything. The
  regular expression is matched against package.Benchmark. Of several that match
  the last one counts, flags after the -config file. off makes a metric
  informational, readable or not. Without a threshold: allocs/op 1 %, B/op 2 %,
  anything else 5 %.
  A unit is better lower or higher as its line "Unit rows/s better=higher" in the
  output says, on both sides, or "better" in the -config file; those of package
  testing and of loadtest need none. A unit without a direction is never worse; one
  that moved beyond its threshold is counted next to what is, and ends in 2.

output around results
  Byte order marks, UTF-16, carriage returns, colors, what benchmarks log: all of
  it is understood. A line that hides a part of a result is an error that names it.
  The benchmark is left out, and the others are judged. -skip leaves one out that
  is known to be like that.

configuration file (JSON; every key may be left out)
  {"alpha": 0.05, "thresholds": ["req/s=10", "p99-ns=off"],
   "better": {"widgets/s": "higher"}, "ignore": ["commit"],
   "removed_ok": "regexp of benchmarks that may be missing at the head",
   "require_power": true, "prepare": "go generate ./..."}

flags
`

// options are the parsed command line.
type options struct {
	base, bench, skip, config, baseline, dir string
	md, json, save, profile                  string
	benchtime                                string
	count, limit, aa, cpu                    int
	timeout                                  time.Duration
	seed                                     uint64
	alpha                                    float64
	ignore, removed, prepare                 string
	quiet, requirePower                      bool
	thresholds                               []benchgate.Threshold
	iterations                               int
	time                                     time.Duration
	args                                     []string
	given                                    map[string]bool
}

// parse reads the command line. The error flag.ErrHelp means that help was given.
func parse(args []string, stdout io.Writer) (*options, error) {
	o := &options{given: make(map[string]bool)}
	fs := flag.NewFlagSet("brunt compare", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.base, "base", "", "compare with the commit at which the head left `ref` (default: the first of origin/HEAD, origin/main, origin/master, main, master)")
	fs.StringVar(&o.bench, "bench", ".", "run the benchmarks that match `regexp`, as for go test")
	fs.StringVar(&o.skip, "skip", "", "leave out the benchmarks that match `regexp`, as for go test; of files, too")
	fs.IntVar(&o.count, "count", 10, "judge after every `n` pairs of runs")
	fs.IntVar(&o.limit, "max", 0, "stop at `n` pairs where a verdict is not settled before (default 3 times -count)")
	fs.StringVar(&o.benchtime, "benchtime", "100ms", "what one run is to take: `d`, from which the iterations of each benchmark are derived, or a fixed number, as 1000x")
	fs.Func("threshold", "the smallest change that matters, `metric=percent`; may be repeated", func(text string) error {
		t, err := benchgate.ParseThreshold(text)
		o.thresholds = append(o.thresholds, t)
		return err
	})
	fs.Float64Var(&o.alpha, "alpha", 0.05, "the chance of any false alarm in the whole comparison")
	fs.StringVar(&o.config, "config", "", "read thresholds and more from a JSON `file`")
	fs.StringVar(&o.ignore, "ignore", "", "comma-separated configuration `keys` in which the results may differ")
	fs.StringVar(&o.removed, "removed-ok", "", "benchmarks that match `regexp` may be missing at the head")
	fs.BoolVar(&o.requirePower, "require-power", false, "exit with 2 if a metric is not shown to be unchanged, better or worse")
	fs.StringVar(&o.prepare, "prepare", "", "run a `command` line in the base's worktree and in your tree before they are built, to make what is not committed")
	fs.StringVar(&o.baseline, "baseline", "", "compare with the results in `file` instead of a base; without alternation that is less sure")
	fs.StringVar(&o.dir, "dir", ".", "the `directory` to run two test binaries in")
	fs.IntVar(&o.aa, "aa", 5, "first compare the base with itself in `n` pairs, to learn what could be seen; 0 for not")
	fs.IntVar(&o.cpu, "cpu", runtime.GOMAXPROCS(0), "GOMAXPROCS of every run")
	fs.DurationVar(&o.timeout, "timeout", 10*time.Minute, "end a run that takes longer")
	fs.Uint64Var(&o.seed, "seed", 0, "order the runs by this `number` (default: random, and reported)")
	fs.StringVar(&o.md, "md", "", "write a Markdown report to `file`; - for standard output in place of the table")
	fs.StringVar(&o.json, "json", "", "write everything as JSON to `file`; - for standard output in place of the table")
	fs.StringVar(&o.save, "save", "", "keep base.txt, head.txt and noise.txt for benchstat, table.txt, report.md and report.json in `directory`")
	fs.StringVar(&o.profile, "profile", "", "for each regression, keep CPU and allocation profiles of both sides and what differs in `directory`")
	fs.BoolVar(&o.quiet, "q", false, "say nothing about the progress")
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, help)
		fs.SetOutput(stdout)
		fs.PrintDefaults()
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w (brunt compare -h lists the flags)", err)
	}
	fs.Visit(func(f *flag.Flag) { o.given[f.Name] = true })
	o.args = fs.Args()
	return o, o.check()
}

// check reports every fault that a flag has on its own or with another.
func (o *options) check() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	for _, arg := range o.args {
		if strings.HasPrefix(arg, "-") && arg != "-" {
			fault("flag %s after the packages: flags go first", arg)
		}
	}
	if text, ok := strings.CutSuffix(o.benchtime, "x"); ok {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			fault("-benchtime is %s, want a number of iterations such as 1000x", o.benchtime)
		}
		o.iterations = n
	} else {
		d, err := time.ParseDuration(o.benchtime)
		if err != nil || d <= 0 {
			fault("-benchtime is %s, want a duration such as 100ms or iterations such as 1000x", o.benchtime)
		}
		o.time = d
	}
	if _, err := regexp.Compile(o.removed); err != nil {
		fault("-removed-ok is %s, want a regular expression: %v", o.removed, err)
	}
	if _, err := regexp.Compile(o.skip); err != nil {
		fault("-skip is %s, want a regular expression: %v", o.skip, err)
	}
	if o.alpha <= 0 || o.alpha >= 1 {
		fault("-alpha is %v, want more than 0 and less than 1", o.alpha)
	}
	if o.count < benchgate.MinSamples {
		fault("-count is %d, want %d or more, which a verdict needs", o.count, benchgate.MinSamples)
	}
	if o.limit == 0 {
		o.limit = 3 * o.count
	} else if o.limit < o.count {
		fault("-max is %d, want -count (%d) or more", o.limit, o.count)
	}
	if o.aa < 0 {
		fault("-aa is %d, want 0 or more", o.aa)
	}
	if o.cpu < 1 {
		fault("-cpu is %d, want 1 or more", o.cpu)
	}
	if o.timeout <= 0 {
		fault("-timeout is %v, want a positive duration", o.timeout)
	}
	if o.md == "-" && o.json == "-" {
		fault("-md - and -json -: only one of them can have standard output")
	}
	if o.baseline != "" && o.given["base"] {
		fault("-baseline and -base: want one of them")
	}
	if o.prepare != "" && o.files() {
		fault("-prepare needs trees to run in, not %s", strings.Join(o.args, " and "))
	}
	if !o.given["seed"] {
		o.seed = rand.Uint64() >> 32 // short enough to be typed again
	}
	return errors.Join(faults...)
}

// files reports whether the two arguments are files to compare, not packages.
// One that is missing is still a file if it looks like one.
func (o *options) files() bool {
	if len(o.args) != 2 || o.baseline != "" {
		return false
	}
	return slices.ContainsFunc(o.args, func(arg string) bool {
		if strings.HasSuffix(arg, "...") {
			return false
		}
		switch filepath.Ext(arg) {
		case ".txt", ".bench", ".test", ".out", ".exe", ".log":
			return true
		}
		return isFile(arg)
	})
}

// rules returns the rules of the file with the flags over them.
func (o *options) rules() (*benchgate.Rules, error) {
	r := new(benchgate.Rules)
	if o.config != "" {
		loaded, err := benchgate.LoadRules(o.config)
		if err != nil {
			return nil, err
		}
		r = loaded
	}
	r.Thresholds = append(r.Thresholds, o.thresholds...)
	if o.given["alpha"] || r.Alpha == 0 {
		r.Alpha = o.alpha
	}
	if o.ignore != "" {
		r.Ignore = append(r.Ignore, strings.Split(o.ignore, ",")...)
	}
	if o.removed != "" {
		re, err := regexp.Compile(o.removed)
		if err != nil {
			return nil, err
		}
		r.RemovedOK = re
	}
	if o.given["require-power"] {
		r.RequirePower = o.requirePower
	}
	if o.given["prepare"] {
		r.Prepare = o.prepare
	}
	return r, nil
}
