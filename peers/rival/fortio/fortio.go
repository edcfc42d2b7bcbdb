// Package fortio drives the library of the load generator of that name.
package fortio

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"fortio.org/fortio/fhttp"
	"fortio.org/fortio/periodic"
	"fortio.org/log"

	"example.com/brunt/peers"
)

// Contestants are its two clients.
func Contestants() []peers.Contestant {
	return []peers.Contestant{
		{Name: peers.FortioStandard, Run: runStandard, Loose: true},
		{Name: peers.FortioFast, Run: runFast, Loose: true},
	}
}

func runStandard(ctx context.Context, w peers.Work) (peers.Outcome, error) {
	return run(ctx, fhttp.HTTPOptions{URL: w.URL, DisableFastClient: true}, w)
}

func runFast(ctx context.Context, w peers.Work) (peers.Outcome, error) {
	return run(ctx, fhttp.HTTPOptions{URL: w.URL}, w)
}

// quiet keeps fortio's log, which is global, to errors.
var quiet = sync.OnceFunc(func() { log.SetLogLevelQuiet(log.Error) })

// run runs at full speed (a negative rate), if the work has no rate. It sends a request on each
// connection beforehand that it does not count. An Aborter of our own keeps fortio
// from installing a signal handler, and an Out of our own from printing to
// standard output.
func run(ctx context.Context, http1 fhttp.HTTPOptions, w peers.Work) (peers.Outcome, error) {
	quiet()
	aborter := periodic.NewAborter()
	defer context.AfterFunc(ctx, func() { aborter.Abort(false) })()
	http1.HTTPReqTimeOut = peers.Limit
	qps := -1.0
	if w.Rate > 0 {
		qps = float64(w.Rate)
	}
	r, err := fhttp.RunHTTPTest(&fhttp.HTTPRunnerOptions{
		RunnerOptions: periodic.RunnerOptions{
			QPS:         qps,
			NumThreads:  w.Connections,
			Resolution:  1e-4, // seconds; its default is 1e-3, which is more than a response takes
			Percentiles: []float64{50, 90, 99, 99.9},
			Duration:    w.Duration,
			Out:         io.Discard,
			Stop:        aborter,
		},
		HTTPOptions: http1,
	})
	if err != nil {
		return peers.Outcome{}, fmt.Errorf("peers: run fortio: %w", err)
	}
	out := peers.Outcome{Succeeded: int(r.RetCodes[http.StatusOK]), Elapsed: r.ActualDuration}
	if w.Rate > 0 {
		at := func(i int) time.Duration {
			return time.Duration(r.DurationHistogram.Percentiles[i].Value * float64(time.Second))
		}
		out.Latency = peers.Latency{
			P50: at(0), P90: at(1), P99: at(2), P999: at(3), Max: time.Duration(r.DurationHistogram.Max * float64(time.Second)),
		}
	}
	for code, n := range r.RetCodes {
		if code != http.StatusOK {
			out.Failed += int(n)
		}
	}
	return out, context.Cause(ctx)
}
