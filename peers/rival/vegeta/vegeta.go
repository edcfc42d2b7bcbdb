// Package vegeta drives the library of the load generator of that name.
package vegeta

import (
	"context"
	"fmt"
	"net/http"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"example.com/brunt/peers"
)

// Contestants are what there is of it.
func Contestants() []peers.Contestant {
	return []peers.Contestant{
		{Name: peers.Vegeta, Run: func(ctx context.Context, w peers.Work) (peers.Outcome, error) {
			return run(ctx, w, false)
		}},
		{Name: peers.VegetaBare, Run: runBare},
		{Name: peers.VegetaBounded, Run: func(ctx context.Context, w peers.Work) (peers.Outcome, error) {
			return run(ctx, w, true)
		}},
	}
}

// run attacks as vegeta's README shows for a library: results go into
// Metrics. Its own client would have a limit of 30 s too.
//
// At a rate it has, unless bounded, as many workers as it wants, which is its default,
// and keeps as many connections as it does by default.
func run(ctx context.Context, w peers.Work, bounded bool) (peers.Outcome, error) {
	unbounded, idle := w.Rate > 0 && !bounded, w.Connections
	if unbounded {
		idle = vegeta.DefaultConnections
	}
	transport := peers.Tuned(idle)
	defer transport.CloseIdleConnections()
	var m vegeta.Metrics
	start := time.Now()
	attack(ctx, &http.Client{Transport: transport, Timeout: peers.Limit}, w, unbounded, m.Add)
	m.Close()
	succeeded := m.StatusCodes["200"]
	out := peers.Outcome{Succeeded: succeeded, Failed: int(m.Requests) - succeeded, Elapsed: time.Since(start)}
	if w.Rate > 0 {
		l := &m.Latencies
		out.Latency = peers.Latency{P50: l.P50, P90: l.P90, P99: l.P99, P999: l.Quantile(0.999), Max: l.Max}
	}
	if len(m.Errors) > 0 {
		return out, fmt.Errorf("peers: vegeta: %s", m.Errors[0])
	}
	return out, context.Cause(ctx)
}

// runBare takes off vegeta what can be taken off: the time limit, which
// costs a timer and a context in every request, and the metrics.
func runBare(ctx context.Context, w peers.Work) (peers.Outcome, error) {
	transport := peers.Tuned(w.Connections)
	defer transport.CloseIdleConnections()
	var out peers.Outcome
	var failure string
	start := time.Now()
	attack(ctx, &http.Client{Transport: transport}, w, false, func(r *vegeta.Result) {
		if r.Code == http.StatusOK && r.Error == "" {
			out.Succeeded++
			return
		}
		out.Failed++
		failure = r.Error
	})
	out.Elapsed = time.Since(start)
	if failure != "" {
		return out, fmt.Errorf("peers: vegeta: %s", failure)
	}
	return out, context.Cause(ctx)
}

// attack is an attack at full speed, if the work has no rate: a pacer that never waits
// makes a closed loop of as many workers as there may be. It brings its own client, because vegeta
// gives no way to close the connections of the one it makes.
func attack(ctx context.Context, client *http.Client, w peers.Work, unbounded bool, consume func(*vegeta.Result)) {
	workers := uint64(w.Connections)
	options := []func(*vegeta.Attacker){vegeta.Client(client), vegeta.Workers(workers), vegeta.MaxWorkers(workers)}
	if unbounded {
		options = options[:1]
	}
	var pacer vegeta.Pacer = fullSpeed{}
	if w.Rate > 0 {
		pacer = vegeta.Rate{Freq: w.Rate, Per: time.Second}
	}
	attacker := vegeta.NewAttacker(options...)
	defer context.AfterFunc(ctx, func() { attacker.Stop() })()
	targets := vegeta.NewStaticTargeter(vegeta.Target{Method: http.MethodGet, URL: w.URL})
	for r := range attacker.Attack(targets, pacer, w.Duration, "") {
		consume(r)
	}
}

// fullSpeed is a pacer that never waits.
type fullSpeed struct{}

// Pace says how long to wait before the next hit.
func (fullSpeed) Pace(time.Duration, uint64) (wait time.Duration, stop bool) { return 0, false }

// Rate is the rate that is meant; vegeta asks for it in plots only.
func (fullSpeed) Rate(time.Duration) float64 { return 0 }
