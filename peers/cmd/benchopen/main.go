// Benchopen asks load generators to send at a rate, and the server whether they did.
//
//	go run ./cmd/benchopen [-experiment pace,stall] [-rates 1000,10000] [-duration 10s] [-rounds 3]
//
// The experiment "pace" tells how long after it was due each request came to the
// server, and "stall" what latency is reported of a server that was frozen for a while,
// beside what users who keep coming would have had. Both are computed from the server's
// own log of when it answered. It runs in a process of its own, as each contestant
// does, on the first CPU, and they on the others; see cmd/benchpeers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/brunt/peers"
	"example.com/brunt/peers/target"
)

func main() {
	target.ServeIfChild()
	peers.RunIfChild()
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "benchopen:", err)
		os.Exit(1)
	}
}

// The experiments.
const (
	pacing = "pace"
	stall  = "stall"
)

type options struct {
	experiments []string
	rates       []int
	duration    time.Duration
	freeze      time.Duration
	connections int
	rounds      int
	seed        uint64
	bind        bool
	contestants []peers.Contestant
	tools       string
	markdown    string
}

func parse(flags *flag.FlagSet, args []string) (options, error) {
	var o options
	var experiments, rates, only string
	flags.StringVar(&experiments, "experiment", pacing+","+stall, "pace, stall, or both")
	flags.StringVar(&rates, "rates", "1000,10000", "requests a second, in the experiment pace; stall takes the first")
	flags.DurationVar(&o.duration, "duration", 10*time.Second, "how long a contestant sends; some round it up to seconds")
	flags.DurationVar(&o.freeze, "freeze", time.Second, "how long the server is frozen, after 40 % of the duration")
	flags.IntVar(&o.connections, "connections", 100, "connections, or workers, of contestants that need to be told")
	flags.IntVar(&o.rounds, "rounds", 3, "rounds; in each every contestant comes once, in shuffled order, and the tables show medians")
	flags.Uint64Var(&o.seed, "seed", 1, "seed of the order")
	flags.BoolVar(&o.bind, "bind", true, "bind the server to the first CPU and contestants to the others")
	flags.StringVar(&only, "only", "", "contestants to run, separated by commas; all if empty")
	flags.StringVar(&o.tools, "tools", "../out/tools", "directory for the programs of contestants, where those in Go are built as needed; if empty only the PATH is searched")
	flags.StringVar(&o.markdown, "md", "", "write the report to this file as well")
	if err := flags.Parse(args); err != nil {
		return o, fmt.Errorf("read the flags: %w", err)
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("read the flags: %q is not one", flags.Arg(0))
	}
	if o.duration <= 0 || o.freeze <= 0 || o.freeze > o.duration/2 || o.connections < 1 || o.rounds < 1 {
		return o, errors.New("read the flags: -duration, -freeze, -connections and -rounds must be positive, and -freeze at most half of -duration")
	}
	o.experiments = strings.Split(experiments, ",")
	for _, e := range o.experiments {
		if e != pacing && e != stall {
			return o, fmt.Errorf("read the flags: there is no experiment %q", e)
		}
	}
	for field := range strings.SplitSeq(rates, ",") {
		n, err := strconv.Atoi(field)
		if err != nil || n < 1 {
			return o, fmt.Errorf("read the flags: the rate %q is no number above 0", field)
		}
		o.rates = append(o.rates, n)
	}
	o.contestants = peers.Open()
	if only != "" {
		names := strings.Split(only, ",")
		for _, name := range names {
			if !slices.ContainsFunc(o.contestants, func(c peers.Contestant) bool { return c.Name == name }) {
				return o, fmt.Errorf("read the flags: there is no contestant %q", name)
			}
		}
		o.contestants = slices.DeleteFunc(o.contestants, func(c peers.Contestant) bool { return !slices.Contains(names, c.Name) })
	}
	return o, nil
}

func run(args []string, stdout, progress io.Writer) error {
	o, err := parse(flag.NewFlagSet("benchopen", flag.ContinueOnError), args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	refused, err := peers.Install(ctx, o.contestants, o.tools)
	if err != nil {
		return err
	}
	for _, why := range refused {
		fmt.Fprintln(progress, why)
	}
	report, err := measure(ctx, o, progress)
	if err != nil {
		return err
	}
	_, err = io.WriteString(stdout, report)
	if err == nil && o.markdown != "" {
		err = os.WriteFile(o.markdown, []byte(report), 0o644)
	}
	return err
}
