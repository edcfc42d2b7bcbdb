package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"time"

	"example.com/brunt/peers"
	"example.com/brunt/peers/internal/machine"
	"example.com/brunt/peers/internal/markdown"
)

// head is what the numbers depend on.
func (o options) head(ctx context.Context, load string, took time.Duration) string {
	place := "nothing bound to CPUs"
	if server, client := o.place(); server != nil {
		place = fmt.Sprintf("server bound to CPU %d, contestants to %d", server[0], client)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "- machine: %s, %d CPUs, %s/%s; %s\n", machine.Processor(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, place)
	fmt.Fprintf(&b, "- load average over a minute: %s before, %s after; the run took %v\n", load, machine.Load(), took.Round(time.Second))
	fmt.Fprintf(&b, "- versions: %s\n", strings.Join(append([]string{runtime.Version()}, peers.Versions(ctx, o.contestants, o.tools)...), ", "))
	fmt.Fprintf(&b, "- %v in each of %d rounds, %d connections where they have to be told; medians\n\n", o.duration, o.rounds, o.connections)
	return b.String()
}

// write writes the table of an experiment, and after it why somebody is missing.
func (o options) write(w io.Writer, what string, rate int, r results) error {
	title, t, cells := o.pacing(rate)
	if what == stall {
		title, t, cells = o.stall(rate, r)
	}
	var reasons string
	for _, c := range o.contestants {
		row := []string{c.Name}
		trials := r.trials[c.Name]
		if len(trials) > 0 {
			row = append(row, cells(trials)...)
		}
		for len(row) < len(t.Head) {
			row = append(row, "–")
		}
		t.Rows = append(t.Rows, row)
		if err := r.faults[c.Name]; err != nil {
			reasons += fmt.Sprintf("- %s, in %d of %d rounds: %v\n", c.Name, o.rounds-len(trials), o.rounds, err)
		}
	}
	fmt.Fprintf(w, "#### %s\n\n%d requests are due.\n\n", title, o.due(rate))
	if err := t.Write(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", reasons)
	return err
}

// pacing is the table without its rows, and what a row has behind the name.
func (o options) pacing(rate int) (title string, t markdown.Table, cells func([]trial) []string) {
	t = markdown.Table{
		Head: []string{"contestant", "answered", "rate", "p50", "p90", "p99", "p99.9", "max", "says unsent", "connections", "CPU s"}, Left: 1,
	}
	return fmt.Sprintf("How long after it was due each request came, at %d/s", rate), t, func(trials []trial) []string {
		row := []string{
			whole(trials, func(t trial) float64 { return float64(t.answered) }),
			fmt.Sprintf("%.2f %%", 100*median(trials, func(t trial) float64 { return float64(t.answered-1) / t.over.Seconds() / float64(rate) })),
		}
		row = append(row, latencies(trials, func(t trial) peers.Latency { return t.distance })...)
		return append(
			row,
			whole(trials, func(t trial) float64 { return float64(t.Unsent) }),
			whole(trials, func(t trial) float64 { return float64(t.Open) }),
			fmt.Sprintf("%.2f", median(trials, func(t trial) float64 { return t.CPU.Seconds() })),
		)
	}
}

// stall is the same; its first row is the truth.
func (o options) stall(rate int, r results) (title string, t markdown.Table, cells func([]trial) []string) {
	t = markdown.Table{
		Head: []string{"contestant", "answered", "says unsent", "connections", "p50", "p90", "p99", "p99.9", "max", "p99 is off by", "p99.9", "max", "true p99"}, Left: 1,
	}
	var all []trial
	for _, trials := range r.trials {
		all = append(all, trials...)
	}
	if len(all) > 0 {
		row := append([]string{"*the freeze*", "", "", ""}, latencies(all, func(t trial) peers.Latency { return t.freeze })...)
		t.Rows = append(t.Rows, append(row, "", "", "", ""))
	}
	return fmt.Sprintf("Latency reported of a server that was frozen for %v, at %d/s", o.freeze, rate), t, func(trials []trial) []string {
		row := []string{
			whole(trials, func(t trial) float64 { return float64(t.answered) }),
			whole(trials, func(t trial) float64 { return float64(t.Unsent) }),
			whole(trials, func(t trial) float64 { return float64(t.Open) }),
		}
		row = append(row, latencies(trials, func(t trial) peers.Latency { return t.Latency })...)
		for _, p := range percentiles[2:] {
			off := "–"
			if median(trials, func(t trial) float64 { return float64(p(t.Latency)) }) > 0 {
				off = fmt.Sprintf("%+.1f %%", 100*median(trials, func(t trial) float64 { return float64(p(t.Latency))/float64(p(t.truth)) - 1 }))
			}
			row = append(row, off)
		}
		return append(row, text(median(trials, func(t trial) float64 { return float64(t.truth.P99) })))
	}
}

func whole(trials []trial, f func(trial) float64) string {
	return strconv.FormatFloat(median(trials, f), 'f', 0, 64)
}

func latencies(trials []trial, f func(trial) peers.Latency) (cells []string) {
	for _, p := range percentiles {
		cells = append(cells, text(median(trials, func(t trial) float64 { return float64(p(f(t))) })))
	}
	return cells
}

var percentiles = []func(peers.Latency) time.Duration{
	func(l peers.Latency) time.Duration { return l.P50 },
	func(l peers.Latency) time.Duration { return l.P90 },
	func(l peers.Latency) time.Duration { return l.P99 },
	func(l peers.Latency) time.Duration { return l.P999 },
	func(l peers.Latency) time.Duration { return l.Max },
}

// text has three digits; 0 is what is not reported.
func text(ns float64) string {
	d := time.Duration(ns)
	switch {
	case d >= time.Second:
		d = d.Round(10 * time.Millisecond)
	case d >= 100*time.Millisecond:
		d = d.Round(time.Millisecond)
	case d >= time.Millisecond:
		d = d.Round(10 * time.Microsecond)
	default:
		d = d.Round(time.Microsecond)
	}
	return cmp.Or(map[time.Duration]string{0: "–"}[time.Duration(ns)], d.String())
}
