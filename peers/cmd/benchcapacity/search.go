package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"example.com/brunt/fixtures"
	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/capacity"
	"example.com/brunt/loadtest/pace"
)

// found is what a search has come to.
type found struct {
	rate   float64 // what it says the capacity is
	lo, hi float64 // the highest rate that passed and the lowest that failed, by its own judgment
	trials int
	took   time.Duration
	fault  error // why there is no rate
}

// search is a way to look for the capacity at url.
type search struct {
	name  string
	trial func(options) time.Duration // how long one is: the truth depends on it
	find  func(ctx context.Context, o options, url string) (found, error)
}

var searches = []search{
	{"search", func(o options) time.Duration { return o.trial }, searcher},
	{"bisection", func(o options) time.Duration { return o.probe }, bisection},
}

// deadline is of one search; what ends by it is a fault.
const deadline = 2 * time.Minute

// searcher is the search of loadtest/capacity.
func searcher(ctx context.Context, o options, url string) (found, error) {
	n := 0
	r, err := capacity.Search(ctx, capacity.Options{
		SLO:      loadtest.SLO{P99: o.objective.Limit},
		Arrivals: func(rate float64) pace.Schedule { n++; return o.schedule(rate, n) },
		Width:    o.width, TrialDuration: o.trial, DurationSum: 7 * o.trial, Budget: o.budget,
	}, loadtest.Get(url))
	f := found{rate: r.Capacity, lo: r.Lower, hi: r.Upper, trials: len(r.Trials), fault: r.Err()}
	if r.End != nil {
		err = nil // it is in f
	}
	return f, err
}

// schedule is that of trial number n, without its end.
func (o options) schedule(rate float64, n int) pace.Schedule {
	if o.objective.Arrivals == fixtures.PoissonArrivals {
		return pace.Poisson(rate, o.seed+uint64(n))
	}
	return pace.Constant(rate)
}

// firstRate is far below what is looked for.
const firstRate = 50

// bisection is the other one, to 1 %.
func bisection(ctx context.Context, o options, url string) (found, error) {
	p := newProber(o, url)
	defer p.close()
	lo, hi, err := bisect(func(rate float64) (bool, error) {
		lost, err := p.probe(ctx, rate, o.probe)
		return lost <= 1-o.objective.Quantile, err
	})
	if errors.Is(err, errNone) {
		return found{trials: p.trials, fault: err}, nil
	}
	return found{rate: lo, lo: lo, hi: hi, trials: p.trials}, err
}

var errNone = errors.New("every rate fails, or none")

// bisect doubles the rate from firstRate until it fails, or halves it until it passes, and
// then halves what is between, until that is at most 1 % of the higher. It believes
// each answer.
func bisect(passes func(rate float64) (bool, error)) (lo, hi float64, err error) {
	for rate := float64(firstRate); lo == 0 || hi == 0; {
		if rate < firstRate/1000.0 || rate > firstRate*1e5 {
			return lo, hi, errNone
		}
		ok, err := passes(rate)
		if err != nil {
			return lo, hi, err
		}
		if ok {
			lo, rate = rate, 2*rate
		} else {
			hi, rate = rate, rate/2
		}
	}
	for hi-lo > 0.01*hi {
		mid := (lo + hi) / 2
		ok, err := passes(mid)
		if err != nil {
			return lo, hi, err
		}
		if ok {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo, hi, nil
}

// prober tries rates on a service.
type prober struct {
	options
	url    string
	client loadtest.Client
	trials int
}

func newProber(o options, url string) *prober {
	return &prober{options: o, url: url, client: loadtest.NetHTTP(loadtest.ConnectionConfig{MaxConnections: 1000, MaxKeepaliveConnections: 1000})}
}

func (p *prober) close() { p.client.Close() }

// shared is a client that outlives the engines that use it.
type shared struct{ loadtest.Client }

func (shared) Close() error { return nil }

// probe sends requests at a rate for d, waits for all answers, and returns the share of
// what was due that was not answered well within the limit.
func (p *prober) probe(ctx context.Context, rate float64, d time.Duration) (lost float64, err error) {
	p.trials++
	due := slices.Collect(p.schedule(rate, p.trials).Until(d).All())
	if len(due) == 0 { // there may be none, at random
		return 0, nil
	}
	engine, err := loadtest.ArrivalConfig{Schedule: pace.Recorded(due...), Client: shared{p.client}, Timeout: 5 * time.Second, MaxInFlight: 1000}.New()
	if err != nil {
		return 0, err
	}
	good := 0
	_, err = engine.RunStreaming(ctx, loadtest.Times(len(due), loadtest.Get(p.url)), func(r loadtest.RequestResult) error {
		if r.Err == nil && r.ResponseTime() <= p.objective.Limit {
			good++
		}
		return nil
	})
	if err = errors.Join(err, engine.Close(context.WithoutCancel(ctx))); err != nil {
		return 0, fmt.Errorf("try %v/s: %w", rate, err)
	}
	return 1 - float64(good)/float64(len(due)), nil
}
