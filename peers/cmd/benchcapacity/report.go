package main

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"time"

	"example.com/brunt/peers/internal/machine"
	"example.com/brunt/peers/internal/markdown"
	"example.com/brunt/peers/internal/stats"
)

// report is what the numbers depend on, a table of contestants and one of all that they
// have found.
func (o options) report(capacity, endless float64, contestants []*contestant, load string, took time.Duration) (string, error) {
	service := o.service.config()
	var b strings.Builder
	fmt.Fprintf(&b, "- machine: %s, %d CPUs, %s/%s, %s\n", machine.Processor(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	fmt.Fprintf(&b, "- load average over a minute: %s before, %s after; the run took %v\n", load, machine.Load(), took.Round(time.Second))
	fmt.Fprintf(&b, "- service: %d workers, service time %v, queue %d: capacity %.1f/s\n", service.Workers, service.ServiceTime, service.Queue, capacity)
	fmt.Fprintf(&b, "- objective: %v of the requests within %v: up to %.1f/s without end; the truth below is for as long as a trial\n", o.objective.Quantile, o.objective.Limit, endless)
	fmt.Fprintf(&b, "- search: loadtest/capacity, trials of %v, bounds within %v %%; bisection: one probe of %v a step, to 1 %%\n", o.trial, 100*o.width, o.probe)
	fmt.Fprintf(&b, "- neighbor: every CPU busy for %v at a time, %v of the time\n\n", o.neighbor.Busy, o.neighbor.Duty)

	summary := markdown.Table{
		Head: []string{"search", "place", "runs", "truth", "median", "median error", "worst error", "within 5 %", "spread", "next within 3 %", "median time", "longest"}, Left: 2,
	}
	var each strings.Builder
	for _, c := range contestants {
		s := sumUp(c.truth, c.all)
		row := []string{c.name, c.place, fmt.Sprintf("%d of %d", s.found, len(c.all)), fmt.Sprintf("%.1f/s", c.truth)}
		if s.found > 0 {
			row = append(
				row, fmt.Sprintf("%.1f/s", s.median), percent(s.median/c.truth-1), percent(s.worst),
				fmt.Sprintf("%d of %d", s.near, len(c.all)), fmt.Sprintf("%.1f %%", 100*s.spread), fmt.Sprintf("%d of %d", s.alike, max(0, len(c.all)-1)),
				s.time.Round(100*time.Millisecond).String(), s.longest.Round(100*time.Millisecond).String(),
			)
		}
		for len(row) < len(summary.Head) {
			row = append(row, "–")
		}
		summary.Rows = append(summary.Rows, row)
		fmt.Fprintf(&each, "\n%s, %s:", c.name, c.place)
		for _, f := range c.all {
			if f.fault != nil {
				fmt.Fprintf(&each, " none (%v)", f.fault)
				continue
			}
			fmt.Fprintf(&each, " %.1f [%.1f, %.1f]", f.rate, f.lo, f.hi)
		}
		each.WriteString("\n")
	}
	if err := summary.Write(&b); err != nil {
		return "", err
	}
	return b.String() + each.String(), nil
}

// summary is of all that a contestant has found.
type summary struct {
	found         int     // runs with a rate
	median        float64 // of those
	worst         float64 // error, as a part of the truth
	near          int     // within 5 % of it
	spread        float64 // of the highest over the lowest, as a part of the truth
	alike         int     // runs within 3 % of the one before
	time, longest time.Duration
}

func sumUp(truth float64, all []found) (s summary) {
	var rates, times []float64
	for i, f := range all {
		times = append(times, f.took.Seconds())
		if f.fault != nil {
			continue
		}
		rates = append(rates, f.rate)
		off := f.rate/truth - 1
		if math.Abs(off) > math.Abs(s.worst) {
			s.worst = off
		}
		if math.Abs(off) <= 0.05 {
			s.near++
		}
		if i > 0 && all[i-1].fault == nil && math.Abs(f.rate/all[i-1].rate-1) <= 0.03 {
			s.alike++
		}
	}
	r, t := stats.Of(rates), stats.Of(times)
	s.found, s.median, s.spread = len(rates), r.Median, (r.Max-r.Min)/truth
	s.time, s.longest = time.Duration(t.Median*float64(time.Second)), time.Duration(t.Max*float64(time.Second))
	return s
}

func percent(share float64) string { return fmt.Sprintf("%+.1f %%", 100*share) }
