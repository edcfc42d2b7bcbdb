// Benchpeers does the same closed-loop work with brunt's engines, plain loops and
// other load generators, and prints what each costs.
//
//	go run ./cmd/benchpeers [-rounds 6] [-connections 10,100,200] [-tools DIR] [-md FILE]
//
// Each contestant runs in a process of its own. In the mode "outside" they drive one
// server in a process of its own, which has the first CPU they may use, and they the
// second; where processes cannot be bound to a CPU, or there is only one, it says so
// and measures all the same. In the mode "inside" each has a net/http server in its
// own process, and all CPUs. See the package documentation of
// example.com/brunt/peers for what is equal among the contestants and what is not.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"time"

	"example.com/brunt/peers"
	"example.com/brunt/peers/internal/proc"
	"example.com/brunt/peers/target"
)

func main() {
	target.ServeIfChild()
	peers.RunIfChild()
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "benchpeers:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout, progress io.Writer) error {
	o, err := parse(flag.NewFlagSet("benchpeers", flag.ContinueOnError), args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if o.seed == 0 {
		o.seed = rand.Uint64N(1_000_000)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := allowConnections(slices.Max(o.connections)); err != nil {
		return err
	}
	all, err := sections(o)
	if err != nil {
		return err
	}
	refused, err := peers.Install(ctx, contestants(all), o.tools)
	if err != nil {
		return err
	}
	for _, why := range refused {
		fmt.Fprintln(progress, why)
	}
	takes, err := announce(all, o, progress)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*takes+5*time.Minute)
	defer cancel()
	report, met, err := measure(ctx, o, all, refused, progress)
	if report != "" {
		_, writeErr := io.WriteString(stdout, report)
		err = errors.Join(err, writeErr)
	}
	if err == nil && o.markdown != "" {
		err = os.WriteFile(o.markdown, []byte(report), 0o644)
	}
	if err == nil && o.check && !met {
		err = errors.New("a bound is not met")
	}
	return err
}

// allowConnections makes room for n connections on either side, in this process
// and so in those it starts.
func allowConnections(n int) error {
	const besides = 100 // listeners, pollers, pipes, and what tools may open
	err := proc.AllowFiles(uint64(n + besides))
	if errors.Is(err, proc.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%d connections: %w", n, err)
	}
	return nil
}
