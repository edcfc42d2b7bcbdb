package main

import (
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/brunt/peers"
	"example.com/brunt/peers/internal/proc"
	"example.com/brunt/peers/target"
)

// The modes, by where the server is.
const (
	outside = "outside"
	inside  = "inside"
)

type options struct {
	modes       []string
	rounds      int
	duration    time.Duration
	connections []int
	only        []string
	seed        uint64
	kind        target.Kind
	pin, check  bool
	procs       string
	place       placement
	tools       string
	markdown    string
	most        time.Duration
	profiles    string
}

func parse(flags *flag.FlagSet, args []string) (options, error) {
	var o options
	var list, only, modes string
	flags.StringVar(&modes, "mode", outside+","+inside, "where the server is: outside, inside the contestant's process, or both")
	flags.IntVar(&o.rounds, "rounds", 6, "rounds; in each every contestant comes once")
	flags.DurationVar(&o.duration, "duration", time.Second, "how long a contestant sends in each round; wrk and bombardier round it up to seconds")
	flags.StringVar(&list, "connections", "10,100,200", fmt.Sprintf("numbers of connections; from %d on they are compared with %d for their memory", peers.Scale, peers.Base))
	flags.StringVar(&only, "only", "", "contestants to run, separated by commas; all if empty")
	flags.Uint64Var(&o.seed, "seed", 0, "seed of the order within the rounds; 0 draws one")
	flags.StringVar((*string)(&o.kind), "server", string(target.Fast), "server of the mode outside: fast, which is the first of uring, epoll and plain that there is, or one of these, or nethttp")
	flags.BoolVar(&o.pin, "pin", true, "bind the server and the client to CPUs of their own, in the mode outside")
	flags.StringVar(&o.procs, "procs", "", "GOMAXPROCS, and threads, of a contestant: a number or all; if empty as many as the CPUs it is bound to")
	flags.StringVar(&o.tools, "tools", "../out/tools", "directory for the programs of contestants, where those in Go are built as needed; if empty only the PATH is searched")
	flags.BoolVar(&o.check, "check", false, "exit with status 1 if a bound is not met")
	flags.StringVar(&o.markdown, "md", "", "write the report to this file as well")
	flags.DurationVar(&o.most, "most", 30*time.Minute, "refuse a run that would take longer")
	flags.StringVar(&o.profiles, "cpuprofile", "", "directory for a CPU profile of each contestant that is not a tool")
	if err := flags.Parse(args); err != nil {
		return o, fmt.Errorf("read the flags: %w", err)
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("read the flags: %q is not one", flags.Arg(0))
	}
	if o.duration <= 0 {
		return o, fmt.Errorf("read the flags: a duration of %v", o.duration)
	}
	for field := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || n < 1 {
			return o, fmt.Errorf("read the connections: %q is no number above 0", field)
		}
		o.connections = append(o.connections, n)
	}
	if slices.Max(o.connections) >= peers.Scale && !slices.Contains(o.connections, peers.Base) {
		o.connections = append([]int{peers.Base}, o.connections...)
	}
	o.modes = strings.Split(modes, ",")
	for _, m := range o.modes {
		if m != outside && m != inside {
			return o, fmt.Errorf("read the modes: there is no %q", m)
		}
	}
	if only != "" {
		o.only = strings.Split(only, ",")
	}
	for _, name := range o.only {
		if !slices.ContainsFunc(peers.All(), func(c peers.Contestant) bool { return c.Name == name }) {
			return o, fmt.Errorf("choose the contestants: there is no %q", name)
		}
	}
	var err error
	o.place, err = place(o.pin, o.procs, proc.CPUs)
	return o, err
}

// placement is what runs where; no CPUs are any.
type placement struct {
	server, client []int
	threads        int // of a client
	all            int // CPUs there are
	text           string
}

// place gives the server the first CPU and the client as many of the others as it
// is to have threads.
func place(pin bool, procs string, cpus func() ([]int, error)) (placement, error) {
	p := placement{all: runtime.NumCPU()}
	switch procs {
	case "":
	case "all":
		p.threads = p.all
	default:
		n, err := strconv.Atoi(procs)
		if err != nil || n < 1 {
			return p, fmt.Errorf("read the flags: -procs %q is neither a number above 0 nor all", procs)
		}
		p.threads = n
	}
	list, err := cpus()
	switch {
	case !pin:
		p.text = "nothing bound to CPUs, as asked"
	case err != nil:
		p.text = "nothing bound to CPUs: " + err.Error()
	case len(list) < 2:
		p.text = "nothing bound to CPUs: there is only one"
	case p.threads > len(list)-1:
		p.server = list[:1]
		p.text = fmt.Sprintf("server bound to CPU %d, clients not bound: they have more threads than there are CPUs besides", list[0])
	default:
		p.threads = max(p.threads, 1)
		p.server, p.client = list[:1], list[1:1+p.threads]
		p.text = fmt.Sprintf("server bound to CPU %d, clients to %s", list[0], words("CPU", p.client))
	}
	if p.threads == 0 {
		p.threads = p.all
	}
	p.text += fmt.Sprintf("; GOMAXPROCS %d in the clients", p.threads)
	return p, nil
}

// words is "CPU 1" or "CPUs 1 2".
func words(noun string, numbers []int) string {
	if len(numbers) > 1 {
		noun += "s"
	}
	return noun + " " + strings.Trim(fmt.Sprint(numbers), "[]")
}
