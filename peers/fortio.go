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

func runFortioStandard(ctx context.Context, url string, concurrency, requests int) (Outcome, error) {
	return runFortio(ctx, fhttp.HTTPOptions{URL: url, DisableFastClient: true}, concurrency, requests)
}

func runFortioFast(ctx context.Context, url string, concurrency, requests int) (Outcome, error) {
	return runFortio(ctx, fhttp.HTTPOptions{URL: url}, concurrency, requests)
}

// quietFortio keeps fortio's log, which is global, to errors.
var quietFortio = sync.OnceFunc(func() { log.SetLogLevelQuiet(log.Error) })

// runFortio runs at full speed (a negative rate) for an exact count. An Aborter
// of our own keeps fortio from installing a signal handler, and an Out of our
// own from printing to standard output.
func runFortio(ctx context.Context, http1 fhttp.HTTPOptions, concurrency, requests int) (Outcome, error) {
	quietFortio()
	aborter := periodic.NewAborter()
	defer context.AfterFunc(ctx, func() { aborter.Abort(false) })()
	http1.HTTPReqTimeOut = limit
	r, err := fhttp.RunHTTPTest(&fhttp.HTTPRunnerOptions{
		RunnerOptions: periodic.RunnerOptions{
			QPS:        -1,
			NumThreads: concurrency,
			Exactly:    int64(requests),
			Out:        io.Discard,
			Stop:       aborter,
		},
		HTTPOptions: http1,
	})
	if err != nil {
		return Outcome{}, fmt.Errorf("peers: run fortio: %w", err)
	}
	return Outcome{Succeeded: int(r.RetCodes[http.StatusOK])}, context.Cause(ctx)
}
