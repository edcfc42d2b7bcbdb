package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/brunt/peers"
	"example.com/brunt/peers/internal/machine"
	"example.com/brunt/peers/internal/proc"
	"example.com/brunt/peers/target"
)

// trial is one contestant's turn.
type trial struct {
	peers.Measurement
	answered int           // requests, by the server's log
	over     time.Duration // from the first to the last of them
	distance peers.Latency // how long after it was due each was answered
	freeze   peers.Latency // how long users would have waited for the freeze alone
	truth    peers.Latency // distance, if all requests were answered and each was sent when due; else freeze
}

// results are the trials of an experiment by contestant, and why one has none.
type results struct {
	trials map[string][]trial
	faults map[string]error
}

func measure(ctx context.Context, o options, progress io.Writer) (string, error) {
	began, before := time.Now(), machine.Load()
	var tables strings.Builder
	for _, e := range o.experiments {
		rates := o.rates
		if e == stall {
			rates = rates[:1]
		}
		for _, rate := range rates {
			fmt.Fprintf(progress, "%s at %d/s\n", e, rate)
			r, err := o.experiment(ctx, e, rate, progress)
			if err != nil {
				return "", err
			}
			if err := o.write(&tables, e, rate, r); err != nil {
				return "", err
			}
		}
	}
	return o.head(ctx, before, time.Since(began)) + tables.String(), nil
}

// experiment lets every contestant take its turn in every round.
func (o options) experiment(ctx context.Context, what string, rate int, progress io.Writer) (results, error) {
	r := results{trials: make(map[string][]trial), faults: make(map[string]error)}
	order := rand.New(rand.NewPCG(o.seed, uint64(rate)))
	for range o.rounds {
		for _, i := range order.Perm(len(o.contestants)) {
			c := o.contestants[i]
			t, err := o.trial(ctx, c, what, rate)
			switch {
			case ctx.Err() != nil:
				return r, context.Cause(ctx)
			case err != nil:
				r.faults[c.Name] = err
			default:
				r.trials[c.Name] = append(r.trials[c.Name], t)
			}
			if err != nil && !errors.Is(err, peers.ErrNotInstalled) {
				fmt.Fprintln(progress, err)
			}
		}
	}
	return r, nil
}

// trial runs c against a server of its own, which is frozen meanwhile in a stall.
func (o options) trial(ctx context.Context, c peers.Contestant, what string, rate int) (t trial, err error) {
	dir, err := os.MkdirTemp("", "benchopen")
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, "log")
	server, client := o.place()
	p, err := target.SpawnLogged(ctx, target.Fast, file, server...)
	if err != nil {
		return t, err
	}
	var freezing sync.WaitGroup
	var frozen time.Duration
	var freezeErr error
	if what == stall {
		freezing.Go(func() { // ends after the freeze, which is in the middle of what follows
			time.Sleep(o.duration * 2 / 5)
			frozen, freezeErr = p.Freeze(o.freeze)
		})
	}
	bench := peers.Bench{URL: p.URL, Rate: rate, Duration: o.duration, Tools: o.tools, CPUs: client, Threads: max(1, len(client))}
	t.Measurement, err = bench.Measure(ctx, c, o.connections)
	freezing.Wait()
	if err = errors.Join(err, freezeErr, p.Close()); err != nil {
		return t, err
	}
	log, err := target.ReadLog(file)
	if err != nil {
		return t, err
	}
	if c.WarmsUp {
		log = log[min(len(log), o.connections):]
	}
	if len(log) < 2 {
		return t, fmt.Errorf("%s: the server has answered %d requests", c.Name, len(log))
	}
	t.answered, t.over = len(log), log[len(log)-1]-log[0]
	t.distance = peers.LatencyOf(peers.Distances(log, rate))
	t.freeze = peers.LatencyOf(peers.Frozen(log, rate, o.due(rate), frozen))
	t.truth = t.freeze
	if len(log) == o.due(rate) && !c.Bursts {
		t.truth = t.distance
	}
	return t, nil
}

// due is how many requests a schedule has.
func (o options) due(rate int) int { return int(float64(rate) * o.duration.Seconds()) }

// place is the CPUs of the server and of a contestant; none are any.
func (o options) place() (server, client []int) {
	cpus, err := proc.CPUs()
	if !o.bind || err != nil || len(cpus) < 2 {
		return nil, nil
	}
	return cpus[:1], cpus[1:]
}

// median is the one of f over trials, for the lower of two.
func median(trials []trial, f func(trial) float64) float64 {
	var all []float64
	for _, t := range trials {
		all = append(all, f(t))
	}
	slices.Sort(all)
	return all[(len(all)-1)/2]
}
