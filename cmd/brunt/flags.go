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
	"example.com/brunt/internal/benchrun"
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

within GitHub Actions
  The report is appended to the summary of the step, and what got worse or could not be
  judged is annotated, where the head declares the benchmark. The annotations are on
  standard error.

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
	benchrun.Config
	base, config, baseline, dir string
	md, json, save, profile     string
	quiet                       bool
	args                        []string // packages, or two files
	given                       map[string]bool
}

// parse reads the command line. The error flag.ErrHelp means that help was given.
func parse(args []string, stdout io.Writer) (*options, error) {
	o := &options{given: make(map[string]bool)}
	fs := flag.NewFlagSet("brunt compare", flag.ContinueOnError)
	fs.StringVar(&o.base, "base", "", "compare with the commit at which the head left `ref` (default: the first of origin/HEAD, origin/main, origin/master, main, master)")
	fs.StringVar(&o.Bench, "bench", ".", "run the benchmarks that match `regexp`, as for go test")
	fs.StringVar(&o.Skip, "skip", "", "leave out the benchmarks that match `regexp`, as for go test; of files, too")
	fs.IntVar(&o.Count, "count", 10, "judge after every `n` pairs of runs")
	fs.IntVar(&o.Max, "max", 0, "stop at `n` pairs where a verdict is not settled before (default 3 times -count)")
	benchtime := fs.String("benchtime", "100ms", "what one run is to take: `d`, from which the iterations of each benchmark are derived, or a fixed number, as 1000x")
	fs.Func("threshold", "the smallest change that matters, `metric=percent`; may be repeated", func(text string) error {
		t, err := benchgate.ParseThreshold(text)
		o.Rules.Thresholds = append(o.Rules.Thresholds, t)
		return err
	})
	fs.Float64Var(&o.Rules.Alpha, "alpha", 0.05, "the chance of any false alarm in the whole comparison")
	fs.StringVar(&o.config, "config", "", "read thresholds and more from a JSON `file`")
	fs.Func("ignore", "comma-separated configuration `keys` in which the results may differ", func(text string) error {
		o.Rules.Ignore = append(o.Rules.Ignore, strings.Split(text, ",")...)
		return nil
	})
	fs.Func("removed-ok", "benchmarks that match `regexp` may be missing at the head", func(text string) (err error) {
		if text != "" { // which would match them all
			o.Rules.RemovedOK, err = regexp.Compile(text)
		}
		return err
	})
	fs.BoolVar(&o.Rules.RequirePower, "require-power", false, "exit with 2 if a metric is not shown to be unchanged, better or worse")
	fs.StringVar(&o.Rules.Prepare, "prepare", "", "run a `command` line in the base's worktree and in your tree before they are built, to make what is not committed")
	fs.StringVar(&o.baseline, "baseline", "", "compare with the results in `file` instead of a base; without alternation that is less sure")
	fs.StringVar(&o.dir, "dir", ".", "the `directory` to run two test binaries in")
	fs.IntVar(&o.AA, "aa", 5, "first compare the base with itself in `n` pairs, to learn what could be seen; 0 for not")
	fs.IntVar(&o.CPU, "cpu", runtime.GOMAXPROCS(0), "GOMAXPROCS of every run")
	fs.DurationVar(&o.Timeout, "timeout", 10*time.Minute, "end a run that takes longer")
	fs.Uint64Var(&o.Seed, "seed", 0, "order the runs by this `number` (default: random, and reported)")
	fs.StringVar(&o.md, "md", "", "write a Markdown report to `file`; - for standard output in place of the table")
	fs.StringVar(&o.json, "json", "", "write everything as JSON to `file`; - for standard output in place of the table")
	fs.StringVar(&o.save, "save", "", "keep base.txt, head.txt and noise.txt for benchstat, table.txt, report.md and report.json in `directory`")
	fs.StringVar(&o.profile, "profile", "", "for each regression, keep CPU and allocation profiles of both sides and what differs in `directory`")
	fs.BoolVar(&o.quiet, "q", false, "say nothing about the progress")
	err := parseFlags(fs, args, stdout, help)
	if err != nil {
		return nil, err
	}
	if o.config != "" {
		rules, err := benchgate.LoadRules(o.config)
		if err != nil {
			return nil, err
		}
		o.Rules = *rules
		_ = fs.Parse(args) // again, over what the file says
	}
	fs.Visit(func(f *flag.Flag) { o.given[f.Name] = true })
	o.args = fs.Args()
	if !o.given["seed"] {
		o.Seed = rand.Uint64() >> 32 // short enough to be typed again
	}
	err = o.check(*benchtime)
	if len(o.args) == 0 {
		o.args = []string{"./..."}
	}
	return o, err
}

// check takes the benchtime, and reports every fault that a flag has on its own or
// with another.
func (o *options) check(benchtime string) error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	for _, arg := range o.args {
		if strings.HasPrefix(arg, "-") && arg != "-" {
			fault("flag %s after the packages: flags go first", arg)
		}
	}
	var err error
	if text, ok := strings.CutSuffix(benchtime, "x"); ok {
		if o.Iterations, err = strconv.Atoi(text); err != nil || o.Iterations < 1 {
			fault("-benchtime is %s, want a number of iterations such as 1000x", benchtime)
		}
	} else if o.Time, err = time.ParseDuration(benchtime); err != nil || o.Time <= 0 {
		fault("-benchtime is %s, want a duration such as 100ms or iterations such as 1000x", benchtime)
	}
	if o.Rules.Alpha == 0 {
		fault("-alpha is 0, want more than 0 and less than 1")
	}
	if o.md == "-" && o.json == "-" {
		fault("-md - and -json -: only one of them can have standard output")
	}
	if o.baseline != "" && o.given["base"] {
		fault("-baseline and -base: want one of them")
	}
	if o.baseline != "" && o.profile != "" {
		fault("-profile needs a base to run, not a recorded one")
	}
	if o.given["prepare"] && o.files() {
		fault("-prepare needs trees to run in, not %s", strings.Join(o.args, " and "))
	}
	return errors.Join(append(faults, o.Validate())...)
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
