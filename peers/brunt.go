package peers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/pace"
)

// brunt is the engines on each of their wires.
func brunt() []Contestant {
	var out []Contestant
	for _, client := range []struct {
		threaded, async string
		about           string
		make            func() loadtest.Client
	}{
		{BruntThreaded, BruntAsync, "net/http, its codec over own connections", func() loadtest.Client { return nil }},
		{WireThreaded, WireAsync, "own HTTP/1.1 client", wire},
		{WirePortableThreaded, WirePortableAsync, "own HTTP/1.1 client over net.Conn and nothing else", portableWire},
	} {
		out = append(
			out,
			Contestant{
				Name: client.threaded, About: "ThreadedEngine, " + client.about + "; 30 s limit, phases, histogram",
				Run: engine(func(w Work) loadtest.EngineConfig {
					return loadtest.ThreadedConfig{MaxWorkers: w.Connections, Timeout: Limit, Client: client.make()}
				}),
			},
			Contestant{
				Name: client.async, About: "AsyncEngine, " + client.about + "; 30 s limit, phases, histogram",
				Run: engine(func(w Work) loadtest.EngineConfig {
					return loadtest.AsyncConfig{MaxConcurrent: w.Connections, Timeout: Limit, Client: client.make()}
				}),
			},
		)
	}
	return out
}

// arrivals is the open-loop engine on the two wires.
func arrivals() []Contestant {
	var out []Contestant
	for _, client := range []struct {
		name, about string
		make        func() loadtest.Client
	}{
		{BruntArrival, "net/http, its codec over own connections", func() loadtest.Client { return nil }},
		{WireArrival, "own HTTP/1.1 client", wire},
	} {
		out = append(out, Contestant{
			Name: client.name, About: "ArrivalEngine, " + client.about,
			Run: engine(func(w Work) loadtest.EngineConfig {
				return loadtest.ArrivalConfig{
					Schedule: pace.Constant(float64(w.Rate)).Until(w.Duration), Timeout: Limit, Client: client.make(),
				}
			}),
		})
	}
	return out
}

// engine uses an engine as its documentation says, with no settings but its size
// and, if it is not net/http, its client.
func engine(config func(Work) loadtest.EngineConfig) func(context.Context, Work) (Outcome, error) {
	return func(ctx context.Context, w Work) (out Outcome, err error) {
		start := time.Now()
		e, err := config(w).New()
		if err != nil {
			return Outcome{}, fmt.Errorf("peers: make an engine: %w", err)
		}
		defer func() {
			err = errors.Join(err, e.Close(ctx))
			out.Elapsed = time.Since(start)
		}()
		source := loadtest.For(w.Duration, loadtest.Get(w.URL))
		if w.Rate > 0 {
			source = loadtest.Cycle(loadtest.Get(w.URL)) // the schedule ends it
		}
		r, err := e.Run(ctx, source)
		if r != nil {
			out = Outcome{Succeeded: int(r.SuccessCount), Failed: int(r.ErrorCount), Unsent: int(r.Missed + r.Dropped + r.Canceled)}
			if w.Rate > 0 {
				out.Latency = Latency{r.P50(), r.Quantile(0.9), r.P99(), r.Quantile(0.999), r.Quantile(1)}
			}
		}
		if err != nil {
			return out, fmt.Errorf("peers: run an engine: %w", err)
		}
		return out, nil
	}
}
