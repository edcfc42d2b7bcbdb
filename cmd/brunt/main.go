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
	"fmt"
	"io"
	"os"
	"os/signal"
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
	switch args[0] {
	case "compare":
		return compare(ctx, args[1:], stdout, stderr)
	case "job":
		return printJob(args[1:], stdout, stderr, time.Now())
	case "merge":
		return merge(args[1:], stdout, stderr)
	case "live":
		return showLive(ctx, args[1:], stdout, stderr)
	case "-h", "-help", "--help", "help":
		fmt.Fprint(stdout, usage)
		return 0
	}
	fmt.Fprintf(stderr, "brunt: unknown command %q\n\n%s", args[0], usage)
	return 2
}
