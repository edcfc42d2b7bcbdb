// Package fortio drives the library of the load generator of that name.
package fortio

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"

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

// run runs at full speed (a negative rate). It sends a request on each
// connection beforehand that it does not count. An Aborter of our own keeps fortio
// from installing a signal handler, and an Out of our own from printing to
// standard output.
func run(ctx context.Context, http1 fhttp.HTTPOptions, w peers.Work) (peers.Outcome, error) {
	quiet()
	aborter := periodic.NewAborter()
	defer context.AfterFunc(ctx, func() { aborter.Abort(false) })()
	http1.HTTPReqTimeOut = peers.Limit
	r, err := fhttp.RunHTTPTest(&fhttp.HTTPRunnerOptions{
		RunnerOptions: periodic.RunnerOptions{
			QPS:        -1,
			NumThreads: w.Connections,
			Duration:   w.Duration,
			Out:        io.Discard,
			Stop:       aborter,
		},
		HTTPOptions: http1,
	})
	if err != nil {
		return peers.Outcome{}, fmt.Errorf("peers: run fortio: %w", err)
	}
	out := peers.Outcome{Succeeded: int(r.RetCodes[http.StatusOK]), Elapsed: r.ActualDuration}
	for code, n := range r.RetCodes {
		if code != http.StatusOK {
			out.Failed += int(n)
		}
	}
	return out, context.Cause(ctx)
}
