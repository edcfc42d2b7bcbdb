// Benchcapacity asks searches for the capacity of a service of which it is known.
//
//	go run ./cmd/benchcapacity [-runs 10] [-limit 24ms] [-arrivals constant] [-only search,bisection]
//
// The service is a [fixtures.Service] in a process of its own: workers, a distribution
// of service times and a queue, of which the highest rate that meets the objective
// follows. Two searches look for it over the network, with the same trials: that of
// loadtest/capacity, and what is usual elsewhere, which doubles the rate until a probe
// fails and then bisects, with one probe a step. Each does so as often with a neighbor
// as without one: a process that keeps every CPU busy, now and then.
//
// It takes 2 × runs × searches × some 30 s, at most four times that, and no more than
// -most. Nothing else should run meanwhile.
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
	"strings"
	"time"

	"example.com/brunt/fixtures"
)

func main() {
	playRole()
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "benchcapacity:", err)
		os.Exit(1)
	}
}

type options struct {
	service   serviceRole
	neighbor  neighborRole
	objective fixtures.Objective
	trial     time.Duration
	width     float64
	budget    time.Duration
	probe     time.Duration
	runs      int
	most      time.Duration
	seed      uint64
	searches  []search
	places    []string
	markdown  string
}

func parse(flags *flag.FlagSet, args []string) (options, error) {
	o := options{objective: fixtures.Objective{Quantile: 0.99}}
	var mean time.Duration
	var distribution, arrivals, only, places string
	flags.IntVar(&o.service.Workers, "workers", 4, "workers of the service")
	flags.DurationVar(&mean, "time", 8*time.Millisecond, "mean service time of a worker")
	flags.StringVar(&distribution, "distribution", constant, "of service times: constant or exponential")
	flags.IntVar(&o.service.Queue, "queue", 200, "how many requests may wait for a worker")
	flags.StringVar(&arrivals, "arrivals", constant, "of requests: constant or poisson")
	flags.DurationVar(&o.objective.Limit, "limit", 24*time.Millisecond, "what the 99th percentile of the response time must stay within")
	flags.DurationVar(&o.trial, "trial", time.Second, "how long a trial of the search of loadtest/capacity is")
	flags.Float64Var(&o.width, "width", 0.02, "how close its bounds must come, as a part of the upper")
	flags.DurationVar(&o.budget, "budget", 40*time.Second, "how long that search may take")
	flags.DurationVar(&o.probe, "probe", 3*time.Second, "how long a probe of the bisection is")
	flags.Float64Var(&o.neighbor.Duty, "duty", 0.3, "share of the time for which the neighbor is busy, above 0 and below 1")
	flags.DurationVar(&o.neighbor.Busy, "busy", time.Second, "how long the neighbor is busy at a time, on average")
	flags.IntVar(&o.runs, "runs", 10, "how often each search runs in each place, in shuffled order")
	flags.DurationVar(&o.most, "most", 2*time.Hour, "when to stop, and report what there is")
	flags.Uint64Var(&o.seed, "seed", 1, "seed of the order, the service times, the arrivals and the neighbor")
	flags.StringVar(&only, "only", "search,bisection", "searches to run")
	flags.StringVar(&places, "places", alone+","+beside, "alone, neighbor, or both")
	flags.StringVar(&o.markdown, "md", "", "write the report to this file as well")
	if err := flags.Parse(args); err != nil {
		return o, fmt.Errorf("read the flags: %w", err)
	}
	var faults []error
	want := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("read the flags: "+format, args...))
		}
	}
	want(flags.NArg() == 0, "%q are none", flags.Args())
	want(distribution == constant || distribution == exponential, "there is no distribution %q", distribution)
	want(arrivals == constant || arrivals == poisson, "there are no arrivals %q", arrivals)
	want(o.trial > 0 && o.budget > 0 && o.probe > 0 && o.most > 0 && o.neighbor.Busy > 0, "-trial, -budget, -probe, -busy and -most must be above 0")
	want(o.runs >= 1 && o.runs <= 100, "-runs is %d, want 1 to 100", o.runs)
	want(o.neighbor.Duty > 0 && o.neighbor.Duty < 1, "-duty is %v, want a number between 0 and 1", o.neighbor.Duty)
	o.service.Mean, o.service.Exponential = mean, distribution == exponential
	o.service.Seed, o.neighbor.Seed = o.seed, o.seed
	if arrivals == poisson {
		o.objective.Arrivals = fixtures.PoissonArrivals
	}
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(searches, func(s search) bool { return s.name == name })
		if want(i >= 0, "there is no search %q", name); i >= 0 {
			o.searches = append(o.searches, searches[i])
		}
	}
	for place := range strings.SplitSeq(places, ",") {
		want(place == alone || place == beside, "there is no place %q", place)
		o.places = append(o.places, place)
	}
	return o, errors.Join(append(faults, o.service.config().Validate(), o.objective.Validate())...)
}

// The names that flags know.
const (
	constant    = "constant"
	exponential = "exponential"
	poisson     = "poisson"
	alone       = "alone"
	beside      = "neighbor"
)

func run(args []string, stdout, progress io.Writer) error {
	o, err := parse(flag.NewFlagSet("benchcapacity", flag.ContinueOnError), args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
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
