package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"example.com/brunt/peers/internal/machine"
)

// environment is what the numbers depend on besides the code.
type environment struct {
	tools                 []string
	loadBefore, loadAfter string
	took                  time.Duration
}

// head says what was measured where, so that the report can stand alone.
func head(w io.Writer, o options, e environment) {
	fmt.Fprintf(w, "- machine: %s, %d CPUs, %s/%s\n", machine.Processor(), o.place.all, runtime.GOOS, runtime.GOARCH)
	if e.loadBefore != "" {
		fmt.Fprintf(w, "- load average over a minute: %s before, %s after; the run took %v\n", e.loadBefore, e.loadAfter, e.took)
	}
	fmt.Fprintf(w, "- versions: %s\n", strings.Join(append([]string{runtime.Version()}, e.tools...), ", "))
	fmt.Fprintf(w, "- command: %s\n\n", command(o))
}

// command is this run as it would be given again, without files.
func command(o options) string {
	var b strings.Builder
	fmt.Fprintf(&b, "go run ./cmd/benchpeers -mode %s -rounds %d -duration %v -connections %s -server %s -pin=%t -seed %d",
		strings.Join(o.modes, ","), o.rounds, o.duration,
		strings.Join(strings.Fields(strings.Trim(fmt.Sprint(o.connections), "[]")), ","), o.kind, o.pin, o.seed)
	if o.procs != "" {
		fmt.Fprintf(&b, " -procs %s", o.procs)
	}
	if o.only != nil {
		fmt.Fprintf(&b, " -only %s", strings.Join(o.only, ","))
	}
	return b.String()
}
