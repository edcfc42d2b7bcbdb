package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"
	"time"
)

// environment is what the numbers depend on besides the code.
type environment struct {
	binding               string
	loadBefore, loadAfter string
	took                  time.Duration
}

// head says what was measured where, so that the report can stand alone.
func head(w io.Writer, o options, e environment) {
	fmt.Fprintf(w, "- machine: %s, %s/%s, GOMAXPROCS %d in the client\n", processor(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
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
	out := []string{runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return out[0]
	}
	compared := []string{"github.com/tsenart/vegeta/v12", "fortio.org/fortio"}
	for _, m := range info.Deps {
		if slices.Contains(compared, m.Path) {
			out = append(out, m.Path+" "+m.Version)
		}
	}
	return strings.Join(out, ", ")
}

// processor is the CPU's name, where the system has it in the usual file.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

// load is the load average over the last minute, or empty where there is none.
// It tells a reader whether the machine had other things to do.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
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
