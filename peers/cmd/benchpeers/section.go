package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"example.com/brunt/peers"
	"example.com/brunt/peers/internal/machine"
	"example.com/brunt/peers/target"
)

// section is a run in one mode.
type section struct {
	title  string
	place  string // what follows in the report, once there is a server
	inside bool
	plan   peers.Plan
	bench  peers.Bench
	view   peers.View
	bounds []peers.Bound
}

func contestants(all []section) []peers.Contestant {
	var out []peers.Contestant
	for _, s := range all {
		out = append(out, s.plan.Contestants...)
	}
	return out
}

// sections are the runs that o asks for, without a server yet.
func sections(o options) ([]section, error) {
	var out []section
	for _, mode := range o.modes {
		s := section{
			inside: mode == inside,
			plan:   peers.Plan{Connections: o.connections, Rounds: o.rounds, Seed: o.seed},
			bench: peers.Bench{
				Threads: o.place.threads, CPUs: o.place.client, Duration: o.duration, Tools: o.tools, Profiles: o.profiles,
			},
		}
		var from []peers.Contestant
		if s.inside {
			s.title = "## The server in the same process"
			s.place = fmt.Sprintf("nethttp server; no process bound to a CPU, GOMAXPROCS %d. CPU and allocations are those of client and server together.", o.place.all)
			s.view, s.bounds, from = peers.InOne, peers.InsideBounds(o.connections), peers.Inside()
			s.bench.CPUs, s.bench.Threads = nil, o.place.all
		} else {
			s.title = "## The server in another process"
			s.view, s.bounds, from = peers.Outside, peers.Bounds(o.connections), peers.All()
		}
		for _, c := range from {
			if o.only == nil || slices.Contains(o.only, c.Name) {
				s.plan.Contestants = append(s.plan.Contestants, c)
			}
		}
		s.bounds = peers.Among(s.bounds, s.plan.Contestants)
		if len(s.plan.Contestants) > 0 {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no contestant in any mode")
	}
	return out, nil
}

// announce says how long it will take, and refuses what would take too long.
func announce(all []section, o options, progress io.Writer) (takes time.Duration, err error) {
	for _, s := range all {
		takes += s.plan.Takes(s.bench.Takes)
	}
	takes = takes.Round(time.Second)
	fmt.Fprintf(progress, "%d rounds will take about %v\n", o.rounds, takes)
	if takes > o.most {
		return takes, fmt.Errorf("that is more than -most %v: ask for fewer -rounds or -connections, or -only some contestants", o.most)
	}
	return takes, nil
}

// measure runs the sections and reports on them.
func measure(ctx context.Context, o options, all []section, refused map[string]error, progress io.Writer) (report string, met bool, err error) {
	began, loadBefore := time.Now(), machine.Load()
	var sections strings.Builder
	var failed error
	met = true
	for _, s := range all {
		r, err := s.run(ctx, o, refused, progress)
		if err != nil {
			return "", false, err
		}
		failed = errors.Join(failed, r.Failed())
		ok, err := s.report(&sections, r)
		if err != nil {
			return "", false, err
		}
		met = met && ok
	}
	var out strings.Builder
	head(&out, o, environment{
		tools:      peers.Versions(ctx, contestants(all), o.tools),
		loadBefore: loadBefore,
		loadAfter:  machine.Load(),
		took:       time.Since(began).Round(time.Second),
	})
	out.WriteString(sections.String())
	return out.String(), met, failed
}

// run measures, with a server of its own unless the contestants bring theirs.
func (s *section) run(ctx context.Context, o options, refused map[string]error, progress io.Writer) (r *peers.Results, err error) {
	if !s.inside {
		server, err := target.Spawn(ctx, o.kind, o.place.server...)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, server.Close()) }()
		s.bench.URL = server.URL
		s.place = fmt.Sprintf("%s server over %s; %s.", o.kind, server.Over, o.place.text)
	}
	s.plan.Progress = progress
	s.plan.Measure = func(ctx context.Context, c peers.Contestant, n int) (peers.Measurement, error) {
		m, err := s.bench.Measure(ctx, c, n)
		if c.Tool != nil && errors.Is(err, peers.ErrNotInstalled) && refused[c.Tool.Program] != nil {
			err = refused[c.Tool.Program] // says more
		}
		return m, err
	}
	return s.plan.Run(ctx)
}

// report is what s has found.
func (s section) report(w io.Writer, r *peers.Results) (met bool, err error) {
	fmt.Fprintf(w, "%s\n\n%s\n\n", s.title, s.place)
	if err := r.WriteNoise(w); err != nil {
		return false, err
	}
	if err := r.WriteTables(w, s.view); err != nil {
		return false, err
	}
	if err := r.WriteMemory(w); err != nil {
		return false, err
	}
	if len(s.bounds) == 0 {
		return true, nil
	}
	fmt.Fprintf(w, "Bounds, held against the median of the rounds:\n\n")
	if met, err = r.WriteVerdicts(w, s.bounds); err != nil {
		return false, err
	}
	fmt.Fprintln(w)
	if again := peers.InCPUTime(s.bounds); len(again) > 0 {
		fmt.Fprintf(w, "Those on req/s again, in CPU time, which other programs disturb less:\n\n")
		_, err = r.WriteVerdicts(w, again)
		fmt.Fprintln(w)
	}
	return met, err
}
