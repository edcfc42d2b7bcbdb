package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"time"

	"example.com/brunt/peers/internal/machine"
)

// environment is what the numbers depend on besides the code.
type environment struct {
	binding               string
	loadBefore, loadAfter string
	took                  time.Duration
}

// head says what was measured where, so that the report can stand alone.
func head(w io.Writer, o options, e environment) {
	fmt.Fprintf(w, "- machine: %s, %s/%s, GOMAXPROCS %d in the client\n", machine.Processor(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
	fmt.Fprintf(w, "- processes: %s; %s server\n", e.binding, o.kind)
	if e.loadBefore != "" {
		fmt.Fprintf(w, "- load average over a minute: %s before, %s after; the run took %v\n", e.loadBefore, e.loadAfter, e.took)
	}
	fmt.Fprintf(w, "- versions: %s\n", versions())
	fmt.Fprintf(w, "- command: %s\n\n", command(o))
}

// command is this run as it would be given again, without files.
func command(o options) string {
	var b strings.Builder
	fmt.Fprintf(&b, "go run ./cmd/benchpeers -rounds %d -requests %d -c %s -server %s -pin=%t -seed %d",
		o.rounds, o.requests, strings.Join(strings.Fields(strings.Trim(fmt.Sprint(o.concurrencies), "[]")), ","), o.kind, o.pin, o.seed)
	if o.only != nil {
		fmt.Fprintf(&b, " -only %s", strings.Join(o.only, ","))
	}
	return b.String()
}

// versions are those of Go and of the peers' modules.
func versions() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return runtime.Version()
	}
	return machine.Versions(info, "github.com/tsenart/vegeta/v12", "fortio.org/fortio")
}

// profile starts a CPU profile, unless path is empty, and returns what ends it.
func profile(path string) (stop func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("make the profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("start the profile: %w", err)
	}
	return func() error {
		pprof.StopCPUProfile()
		if err := f.Close(); err != nil {
			return fmt.Errorf("write the profile: %w", err)
		}
		return nil
	}, nil
}
