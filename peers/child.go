package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"slices"

	"example.com/brunt/peers/target"
)

// orderVariable tells a process that it is to be a contestant, and what to do.
const orderVariable = "BRUNT_PEERS_CONTESTANT"

// order is what a contestant's process is told.
type order struct {
	Contestant string
	// Work has no URL if the process is to have the server inside.
	Work Work
	// Profile is the file for a CPU profile, if not empty.
	Profile string
}

// account is what it answers.
type account struct {
	Outcome
	// Allocs is how many objects were allocated, and Memory the most that heap and
	// stacks were seen to take up, in bytes.
	Allocs, Memory uint64
	// Hits is what the server inside has counted, and Open how many connections it
	// had at once.
	Hits, Open int64
}

// RunIfChild turns this process into a contestant, of this package or of more, if a
// [Bench] started it for that, and then does not return. A program that measures
// calls it first.
func RunIfChild(more ...Contestant) {
	text := os.Getenv(orderVariable)
	if text == "" {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := runChild(ctx, slices.Concat(All(), Open(), more), text, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func runChild(ctx context.Context, all []Contestant, text string, w io.Writer) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return fmt.Errorf("peers: read the order: %w", err)
	}
	i := slices.IndexFunc(all, func(c Contestant) bool { return c.Name == o.Contestant && c.Run != nil })
	if i < 0 {
		return fmt.Errorf("peers: there is no contestant %q to run", o.Contestant)
	}
	stop, err := profile(o.Profile)
	if err != nil {
		return err
	}
	a, err := carryOut(ctx, all[i], o.Work)
	if err := errors.Join(err, stop()); err != nil {
		return err
	}
	if err := json.NewEncoder(w).Encode(a); err != nil {
		return fmt.Errorf("peers: write the account: %w", err)
	}
	return nil
}

// carryOut runs c, beside a server of its own if the work names none.
func carryOut(ctx context.Context, c Contestant, w Work) (a account, err error) {
	if w.URL == "" {
		s, err := target.Start(target.NetHTTP)
		if err != nil {
			return a, err
		}
		w.URL = s.URL
		defer func() {
			a.Hits, a.Open = s.Hits(), s.Open()
			err = errors.Join(err, s.Close())
		}()
	}
	runtime.GC() // what the start of the process has left behind
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	allocs, peak := memory.Mallocs, watchMemory()
	a.Outcome, err = c.Run(ctx, w)
	a.Memory = peak()
	runtime.ReadMemStats(&memory)
	a.Allocs = memory.Mallocs - allocs
	return a, err
}

// profile starts a CPU profile, unless path is empty, and returns what ends it.
func profile(path string) (stop func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("peers: make the profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("peers: start the profile: %w", err)
	}
	return func() error {
		pprof.StopCPUProfile()
		if err := f.Close(); err != nil {
			return fmt.Errorf("peers: write the profile: %w", err)
		}
		return nil
	}, nil
}
