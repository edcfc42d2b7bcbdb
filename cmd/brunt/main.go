// Command brunt compares the benchmarks of two states of a Go repository, and
// fails only when something truly got worse. It also merges what the shards of a load
// test have measured on many machines.
//
//	go get -tool example.com/brunt/cmd/brunt@latest
//	go tool brunt compare -base origin/main
//
// brunt compare -h is a page about it, and brunt merge -h one about shards.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `brunt compares benchmarks, and merges the results of load tests.

  brunt compare [flags] [packages]   base against head, run here in shuffled pairs
  brunt compare [flags] OLD NEW      two result files, or two test binaries
  brunt merge [flags] DIR            the results of the shards of a load test

brunt compare -h and brunt merge -h say more.
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
	case "merge":
		return merge(args[1:], stdout, stderr)
	case "-h", "-help", "--help", "help":
		fmt.Fprint(stdout, usage)
		return 0
	}
	fmt.Fprintf(stderr, "brunt: unknown command %q\n\n%s", args[0], usage)
	return 2
}
