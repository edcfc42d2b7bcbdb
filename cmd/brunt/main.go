// Command brunt compares the benchmarks of two states of a Go repository, and
// fails only when something truly got worse. It also makes load tests of many machines:
// it writes what a scheduler is to be given, and shows and merges what the shards measure.
//
//	go get -tool example.com/brunt/cmd/brunt@latest
//	go tool brunt compare -base origin/main
//	go tool brunt job slurm -shards 4 -- ./load.test -test.run TestLoad
//
// brunt compare -h, brunt job -h, brunt live -h and brunt merge -h are pages about them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const usage = `brunt compares benchmarks, and makes load tests of many machines.

  brunt compare [flags] [packages]   base against head, run here in shuffled pairs
  brunt compare [flags] OLD NEW      two result files, or two test binaries
  brunt job KIND [flags] -- BINARY   what to submit to kubernetes, slurm or mpi
  brunt live [flags] DIR             the shards of a load test in a browser, while they run
  brunt merge [flags] DIR            the results of the shards of a load test

brunt compare -h, brunt job -h, brunt live -h and brunt merge -h say more.
`

func main() {
	// A second signal is not to leave a worktree behind either: the first one ends
	// what runs, and the clean-up after it takes moments.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	var code int
	var err error
	switch args[0] {
	case "compare":
		code, err = compare(ctx, args[1:], stdout, stderr)
	case "job":
		err = printJob(args[1:], stdout, time.Now())
	case "merge":
		code, err = merge(args[1:], stdout, stderr)
	case "live":
		code = showLive(ctx, args[1:], stdout, stderr)
	case "-h", "-help", "--help", "help":
		fmt.Fprint(stdout, usage)
	default:
		fmt.Fprintf(stderr, "brunt: unknown command %q\n\n%s", args[0], usage)
		code = 2
	}
	return ended(code, err, stderr)
}

// ended returns the exit code of a command, and says with what error it has ended. The
// error flag.ErrHelp means that help was given.
func ended(code int, err error, stderr io.Writer) int {
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "brunt: %s\n", strings.ReplaceAll(err.Error(), "\n", "\n  "))
		return 2
	}
	return code
}

// parseFlags parses the flags of the command that fs is named for. The error flag.ErrHelp
// means that help was given: the page, and the flags.
func parseFlags(fs *flag.FlagSet, args []string, stdout io.Writer, page string) error {
	fs.SetOutput(io.Discard)
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, page)
		fs.SetOutput(stdout)
		fs.PrintDefaults()
	} else if err != nil {
		err = fmt.Errorf("%w (%s -h lists the flags)", err, fs.Name())
	}
	return err
}
