// Benchpeers does the same closed-loop work with brunt's engines, plain loops and
// other load generators, against one server, and prints what each costs.
//
//	go run ./cmd/benchpeers [-rounds 6] [-requests 20000] [-c 10,100] [-md FILE]
//
// It is two processes besides itself: the server on the first CPU it may use, and
// the client, in which all contestants run, on the second. Where processes cannot
// be bound to a CPU, or there is only one, it says so and measures all the same.
// See the package documentation of example.com/brunt/peers for what is equal
// among the contestants and what is not.
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
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/brunt/peers"
	"example.com/brunt/peers/internal/machine"
	"example.com/brunt/peers/internal/proc"
	"example.com/brunt/peers/target"
)

// What one process tells the other.
const (
	urlVariable     = "BRUNT_PEERS_URL"     // makes this process the client
	bindingVariable = "BRUNT_PEERS_BINDING" // says how the processes were bound
)

type options struct {
	rounds, requests int
	concurrencies    []int
	only             []string
	seed             uint64
	kind             target.Kind
	pin, check       bool
	markdown         string
	timeout          time.Duration
	profile          string
}

func main() {
	target.ServeIfChild()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "benchpeers:", err)
		os.Exit(1)
	}
}

func run() error {
	o, err := parse(flag.NewFlagSet("benchpeers", flag.ContinueOnError), os.Args[1:])
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
	if url := os.Getenv(urlVariable); url != "" {
		return client(ctx, o, url)
	}
	return parent(ctx, o)
}

func parse(flags *flag.FlagSet, args []string) (options, error) {
	var o options
	var list, only string
	flags.IntVar(&o.rounds, "rounds", 6, "rounds; in each every contestant comes once")
	flags.IntVar(&o.requests, "requests", 20_000, "requests a contestant sends in each round at each concurrency")
	flags.StringVar(&list, "c", "10,100", "concurrencies")
	flags.StringVar(&only, "only", "", "contestants to run, separated by commas; all if empty")
	flags.Uint64Var(&o.seed, "seed", 0, "seed of the order within the rounds; 0 draws one")
	flags.StringVar((*string)(&o.kind), "server", string(target.Fast), "server: fast or nethttp")
	flags.BoolVar(&o.pin, "pin", true, "bind the server and the client to a CPU each")
	flags.BoolVar(&o.check, "check", false, "exit with status 1 if a bound is not met")
	flags.StringVar(&o.markdown, "md", "", "write the report to this file as well")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Minute, "give up after this long")
	flags.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile of the measured rounds to this file")
	if err := flags.Parse(args); err != nil {
		return o, fmt.Errorf("read the flags: %w", err)
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("read the flags: %q is not one", flags.Arg(0))
	}
	for _, field := range strings.Split(list, ",") {
		c, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil {
			return o, fmt.Errorf("read the concurrencies: %w", err)
		}
		o.concurrencies = append(o.concurrencies, c)
	}
	if only != "" {
		o.only = strings.Split(only, ",")
	}
	return o, nil
}

// parent starts the server and the client and waits for the client. Both end
// with ctx, and the server with this process.
func parent(ctx context.Context, o options) error {
	serverCPU, clientCPU, binding := placement(o.pin)
	server, err := target.Spawn(ctx, o.kind, serverCPU)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return errors.Join(fmt.Errorf("find this program: %w", err), server.Close())
	}
	seed := o.seed
	if seed == 0 {
		seed = rand.Uint64N(1_000_000)
	}
	cmd := exec.CommandContext(ctx, self, append(slices.Clone(os.Args[1:]), "-seed", fmt.Sprint(seed))...)
	cmd.Env = append(os.Environ(), urlVariable+"="+server.URL, bindingVariable+"="+binding)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if clientCPU == target.Anywhere {
		err = cmd.Start()
	} else {
		err = proc.StartOn(cmd, clientCPU)
	}
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		err = fmt.Errorf("run the client: %w", err)
	}
	return errors.Join(err, server.Close())
}

// placement chooses the CPUs.
func placement(pin bool) (server, client int, binding string) {
	if !pin {
		return target.Anywhere, target.Anywhere, "not bound to CPUs, as asked"
	}
	cpus, err := proc.CPUs()
	switch {
	case err != nil:
		return target.Anywhere, target.Anywhere, "not bound to CPUs: " + err.Error()
	case len(cpus) < 2:
		return target.Anywhere, target.Anywhere, "not bound to CPUs: there is only one"
	}
	return cpus[0], cpus[1], fmt.Sprintf("server bound to CPU %d, client to CPU %d", cpus[0], cpus[1])
}

// client measures and reports.
func client(ctx context.Context, o options, url string) (err error) {
	contestants, err := choose(o.only)
	if err != nil {
		return err
	}
	plan := peers.Plan{
		Contestants:   contestants,
		Concurrencies: o.concurrencies,
		Requests:      o.requests,
		Rounds:        o.rounds,
		Seed:          o.seed,
		Progress:      os.Stderr,
	}
	if err := plan.Validate(); err != nil {
		return err
	}
	stop, err := profile(o.profile)
	if err != nil {
		return err
	}
	began, loadBefore := time.Now(), machine.Load()
	results, err := plan.Run(ctx, url)
	if err := errors.Join(err, stop()); err != nil {
		return err
	}
	var report strings.Builder
	head(&report, o, environment{
		binding:    os.Getenv(bindingVariable),
		loadBefore: loadBefore,
		loadAfter:  machine.Load(),
		took:       time.Since(began).Round(time.Second),
	})
	met, err := body(&report, results, o.concurrencies)
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

func choose(names []string) ([]peers.Contestant, error) {
	all := peers.All()
	if names == nil {
		return all, nil
	}
	var out []peers.Contestant
	for _, name := range names {
		i := slices.IndexFunc(all, func(c peers.Contestant) bool { return c.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("choose the contestants: there is no %q", name)
		}
		out = append(out, all[i])
	}
	return out, nil
}

// body is the report below its head.
func body(w io.Writer, r *peers.Results, concurrencies []int) (met bool, err error) {
	if err := r.WriteNoise(w); err != nil {
		return false, err
	}
	fmt.Fprintln(w)
	if err := r.WriteTables(w); err != nil {
		return false, err
	}
	fmt.Fprintf(w, "\nBounds, held against the median of the rounds' ratios:\n\n")
	bounds := peers.Bounds(concurrencies)
	if met, err = r.WriteVerdicts(w, bounds); err != nil {
		return false, err
	}
	fmt.Fprintf(w, "\nThe bounds on req/s again, in the client's CPU time, which other programs disturb less:\n\n")
	_, err = r.WriteVerdicts(w, peers.InCPUTime(bounds))
	return met, err
}
