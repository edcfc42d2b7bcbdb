package peers

import (
	"context"
	"fmt"
	"net/http"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// runVegeta attacks as vegeta's README shows for a library: results go into
// Metrics. Its own client would have a limit of 30 s too.
func runVegeta(ctx context.Context, url string, concurrency, requests int) (Outcome, error) {
	transport := Tuned(concurrency)
	defer transport.CloseIdleConnections()
	var m vegeta.Metrics
	attack(ctx, &http.Client{Transport: transport, Timeout: limit}, url, concurrency, requests, m.Add)
	m.Close()
	succeeded := m.StatusCodes["200"]
	if len(m.Errors) > 0 {
		return Outcome{Succeeded: succeeded}, fmt.Errorf("peers: vegeta: %s", m.Errors[0])
	}
	return Outcome{Succeeded: succeeded}, context.Cause(ctx)
}

// runVegetaBare takes off vegeta what can be taken off: the time limit, which
// costs a timer and a context in every request, and the metrics.
func runVegetaBare(ctx context.Context, url string, concurrency, requests int) (Outcome, error) {
	transport := Tuned(concurrency)
	defer transport.CloseIdleConnections()
	var out Outcome
	var failure string
	attack(ctx, &http.Client{Transport: transport}, url, concurrency, requests, func(r *vegeta.Result) {
		if r.Code == http.StatusOK && r.Error == "" {
			out.Succeeded++
		} else if failure == "" {
			failure = r.Error
		}
	})
	if failure != "" {
		return out, fmt.Errorf("peers: vegeta: %s", failure)
	}
	return out, context.Cause(ctx)
}

// attack is an attack at full speed: a pacer that never waits makes a closed loop
// of as many workers as there may be. It brings its own client, because vegeta
// gives no way to close the connections of the one it makes.
func attack(ctx context.Context, client *http.Client, url string, concurrency, requests int, consume func(*vegeta.Result)) {
	workers := uint64(concurrency)
	attacker := vegeta.NewAttacker(vegeta.Client(client), vegeta.Workers(workers), vegeta.MaxWorkers(workers))
	defer context.AfterFunc(ctx, func() { attacker.Stop() })()
	targets := vegeta.NewStaticTargeter(vegeta.Target{Method: http.MethodGet, URL: url})
	for r := range attacker.Attack(targets, fullSpeed(requests), 0, "") {
		consume(r)
	}
}

// fullSpeed is a pacer that never waits, and stops after so many hits.
type fullSpeed uint64

// Pace says how long to wait before the next hit.
func (n fullSpeed) Pace(_ time.Duration, hits uint64) (wait time.Duration, stop bool) {
	return 0, hits >= uint64(n)
}

// Rate is the rate that is meant; vegeta asks for it in plots only.
func (fullSpeed) Rate(time.Duration) float64 { return 0 }
