package peers

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"

	"fortio.org/fortio/fhttp"
	"fortio.org/fortio/periodic"
	"fortio.org/log"
)

func runFortioStandard(ctx context.Context, w Work) (Outcome, error) {
	return runFortio(ctx, fhttp.HTTPOptions{URL: w.URL, DisableFastClient: true}, w)
}

func runFortioFast(ctx context.Context, w Work) (Outcome, error) {
	return runFortio(ctx, fhttp.HTTPOptions{URL: w.URL}, w)
}

// quietFortio keeps fortio's log, which is global, to errors.
var quietFortio = sync.OnceFunc(func() { log.SetLogLevelQuiet(log.Error) })

// runFortio runs at full speed (a negative rate). It sends a request on each
// connection beforehand that it does not count. An Aborter of our own keeps fortio
// from installing a signal handler, and an Out of our own from printing to
// standard output.
func runFortio(ctx context.Context, http1 fhttp.HTTPOptions, w Work) (Outcome, error) {
	quietFortio()
	aborter := periodic.NewAborter()
	defer context.AfterFunc(ctx, func() { aborter.Abort(false) })()
	http1.HTTPReqTimeOut = limit
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
		return Outcome{}, fmt.Errorf("peers: run fortio: %w", err)
	}
	out := Outcome{Succeeded: int(r.RetCodes[http.StatusOK]), Elapsed: r.ActualDuration}
	for code, n := range r.RetCodes {
		if code != http.StatusOK {
			out.Failed += int(n)
		}
	}
	return out, context.Cause(ctx)
}
