package peers

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Contestant is one way to do the work.
type Contestant struct {
	// Name is unique among the contestants of a plan.
	Name string
	// About says in a few words what it is.
	About string
	// Run sends exactly requests GET requests to url, at most concurrency at a
	// time, each worker waiting for a response before it sends again. It returns
	// after its last goroutine has ended and its last connection is closed. It
	// need not stop before the end when ctx is done, but it should.
	Run func(ctx context.Context, url string, concurrency, requests int) (Outcome, error)
}

// Outcome is what a contestant says it has done.
type Outcome struct {
	// Succeeded is how many requests got a response with a status of 2xx.
	Succeeded int
}

// The names that bounds and ratios refer to.
const (
	BruntThreaded  = "brunt-threaded"
	BruntAsync     = "brunt-async"
	PlainRoundTrip = "plain-roundtrip"
	PlainAgain     = "plain-roundtrip-again"
	PlainDo        = "plain-do"
	Vegeta         = "vegeta"
	VegetaBare     = "vegeta-bare"
	FortioStandard = "fortio-standard"
	FortioFast     = "fortio-fast"
)

// All is every contestant there is.
func All() []Contestant {
	return []Contestant{
		{BruntThreaded, "ThreadedEngine, a transport per worker; 30 s limit, phases, histogram", runThreaded},
		{BruntAsync, "AsyncEngine, one shared transport; 30 s limit, phases, histogram", runAsync},
		{PlainRoundTrip, "Transport.RoundTrip in a loop, one request per worker sent again and again", runRoundTrip},
		{PlainAgain, "the same once more: what differs from it is noise", runRoundTrip},
		{PlainDo, "Client.Do in a loop, a new request each time", runDo},
		{Vegeta, "Attacker, 30 s limit, Metrics", runVegeta},
		{VegetaBare, "Attacker, no time limit, results counted only", runVegetaBare},
		{FortioStandard, "RunHTTPTest, net/http client; 30 s limit, histogram", runFortioStandard},
		{FortioFast, "RunHTTPTest, own HTTP/1.1 client; 30 s limit, histogram", runFortioFast},
	}
}

// limit is the time limit of a request, for those that have one. It is brunt's
// default.
const limit = 30 * time.Second

// Tuned is the transport for contestants that take one: it keeps a connection
// for each worker.
func Tuned(concurrency int) *http.Transport {
	return &http.Transport{MaxIdleConnsPerHost: concurrency, DisableCompression: true}
}

// closedLoop has concurrency workers share requests calls of what worker makes,
// and returns when the last has ended. The first error stops it.
func closedLoop(ctx context.Context, concurrency, requests int, worker func() (func() error, error)) (Outcome, error) {
	var (
		claimed, succeeded atomic.Int64
		stopped            atomic.Bool
		once               sync.Once
		first              error
		wg                 sync.WaitGroup
	)
	stop := func(err error) {
		once.Do(func() { first = err })
		stopped.Store(true)
	}
	// A flag, because the plain loops have no context of their own to look at:
	// a context that can end would cost them time in every round trip.
	defer context.AfterFunc(ctx, func() { stop(context.Cause(ctx)) })()
	for range concurrency {
		// A worker ends when all requests are claimed, or with the first error.
		wg.Go(func() {
			do, err := worker()
			if err != nil {
				stop(err)
				return
			}
			var done int64
			for !stopped.Load() && claimed.Add(1) <= int64(requests) {
				if err := do(); err != nil {
					stop(err)
					break
				}
				done++
			}
			succeeded.Add(done)
		})
	}
	wg.Wait()
	if stopped.Load() {
		once.Do(func() {}) // waits for a stop that has begun to have set first
		return Outcome{Succeeded: int(succeeded.Load())}, first
	}
	return Outcome{Succeeded: int(succeeded.Load())}, nil
}
