package peers

import (
	"context"
	"errors"
	"fmt"

	"example.com/brunt/loadtest"
)

func runThreaded(ctx context.Context, url string, concurrency, requests int) (Outcome, error) {
	return runEngine(ctx, loadtest.ThreadedConfig{MaxWorkers: concurrency, Timeout: limit}, url, requests)
}

func runAsync(ctx context.Context, url string, concurrency, requests int) (Outcome, error) {
	return runEngine(ctx, loadtest.AsyncConfig{MaxConcurrent: concurrency, Timeout: limit}, url, requests)
}

// runEngine uses an engine as its documentation says, with no settings but its
// size.
func runEngine(ctx context.Context, cfg loadtest.EngineConfig, url string, requests int) (out Outcome, err error) {
	engine, err := cfg.New()
	if err != nil {
		return Outcome{}, fmt.Errorf("peers: make an engine: %w", err)
	}
	defer func() { err = errors.Join(err, engine.Close(ctx)) }()
	r, err := engine.Run(ctx, loadtest.Times(requests, loadtest.Get(url)))
	if err != nil {
		return Outcome{}, fmt.Errorf("peers: run an engine: %w", err)
	}
	return Outcome{Succeeded: int(r.SuccessCount)}, nil
}
