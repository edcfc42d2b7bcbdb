package brunt_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/brunt/fixtures"
	"example.com/brunt/loadtest"
)

// The benchmarks take their settings from the environment, which make sets:
//
//	BRUNT_LATENCY  what the server adds to each request, such as 10ms (default 1ms)
//	BRUNT_TARGET   the URL of a server to drive in place of brunt's own
func setting(b *testing.B, name string, def time.Duration) time.Duration {
	b.Helper()
	text := os.Getenv(name)
	if text == "" {
		return def
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		b.Fatalf("%s=%q: want a duration such as 10ms", name, text)
	}
	return d
}

// target is the request to send, to the user's server or to one of our own.
func target(b *testing.B) *loadtest.Request {
	b.Helper()
	if url := os.Getenv("BRUNT_TARGET"); url != "" {
		return loadtest.Get(url)
	}
	latency := fixtures.Constant(setting(b, "BRUNT_LATENCY", time.Millisecond))
	return loadtest.Get(fixtures.NewServer(b, fixtures.WithLatency(latency)).URL + "/get")
}

// strategies are the engines at their default concurrency.
var strategies = []struct {
	name        string
	concurrency int
	config      func(loadtest.Client) loadtest.EngineConfig
}{
	{"sync", 1, func(c loadtest.Client) loadtest.EngineConfig { return loadtest.SyncConfig{Client: c} }},
	{"threaded", 10, func(c loadtest.Client) loadtest.EngineConfig { return loadtest.ThreadedConfig{Client: c} }},
	{"async", 100, func(c loadtest.Client) loadtest.EngineConfig { return loadtest.AsyncConfig{Client: c} }},
}

var clients = []struct {
	name string
	open func(loadtest.ConnectionConfig) loadtest.Client
}{
	{"nethttp", loadtest.NetHTTP},
	{"wire", loadtest.Wire},
}

// warm opens the connections that the measured run is to find open.
func warm(b *testing.B, e loadtest.Engine, concurrency int, req *loadtest.Request) {
	b.Helper()
	if _, err := e.Run(b.Context(), loadtest.Times(2*concurrency, req)); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkEngines compares engines, pooling strategies and clients against a
// real server.
func BenchmarkEngines(b *testing.B) {
	for _, s := range strategies {
		for _, pooling := range []loadtest.Pooling{loadtest.PoolNaive, loadtest.PoolOptimized} {
			for _, c := range clients {
				b.Run(fmt.Sprintf("engine=%s/pool=%s/client=%s", s.name, pooling, c.name), func(b *testing.B) {
					fixtures.NoLeaks(b)
					req := target(b)
					e := loadtest.Start(b, s.config(c.open(loadtest.ConnectionConfig{Pooling: pooling})))
					warm(b, e, s.concurrency, req)
					loadtest.Bench(b, e, req)
				})
			}
		}
	}
}

// BenchmarkLimit shows how near to the physical limit the engines come against
// a server in the same process that takes 10 ms: %limit is the share of
// concurrency ÷ mean time in the server's handler. loop=plain is what a careful
// hand-written loop reaches: a goroutine per connection, a tuned Transport, a
// reused request, no bookkeeping at all.
func BenchmarkLimit(b *testing.B) {
	server := func(b *testing.B) *fixtures.Server {
		b.Helper()
		return fixtures.NewServer(b, fixtures.WithLatency(fixtures.Constant(10*time.Millisecond)))
	}
	limitShare := func(b *testing.B, srv *fixtures.Server, concurrency int, rps float64) {
		b.Helper()
		limit := float64(concurrency) / srv.MeanHandlerTime().Seconds()
		b.ReportMetric(100*rps/limit, "%limit")
	}
	for _, s := range strategies {
		for _, c := range clients {
			b.Run(fmt.Sprintf("concurrency=%d/loop=%s/client=%s", s.concurrency, s.name, c.name), func(b *testing.B) {
				fixtures.NoLeaks(b)
				srv := server(b)
				req := loadtest.Get(srv.URL + "/get")
				e := loadtest.Start(b, s.config(c.open(loadtest.ConnectionConfig{})))
				warm(b, e, s.concurrency, req)
				srv.ResetCounters()
				r := loadtest.Bench(b, e, req)
				if r.ErrorCount > 0 {
					b.Fatal(r)
				}
				limitShare(b, srv, s.concurrency, r.RPS())
			})
		}
		b.Run(fmt.Sprintf("concurrency=%d/loop=plain/client=nethttp", s.concurrency), func(b *testing.B) {
			fixtures.NoLeaks(b)
			srv := server(b)
			t := &http.Transport{MaxIdleConnsPerHost: s.concurrency}
			b.Cleanup(t.CloseIdleConnections)
			plainLoop(b, t, srv.URL+"/get", s.concurrency, 2*s.concurrency)
			srv.ResetCounters()
			b.ResetTimer()
			start := time.Now()
			plainLoop(b, t, srv.URL+"/get", s.concurrency, b.N)
			rps := float64(b.N) / time.Since(start).Seconds()
			b.StopTimer()
			b.ReportMetric(rps, "req/s")
			limitShare(b, srv, s.concurrency, rps)
		})
	}
}

// plainLoop sends n requests from as many goroutines as concurrency says.
func plainLoop(b *testing.B, t *http.Transport, url string, concurrency, n int) {
	b.Helper()
	var (
		wg   sync.WaitGroup
		next atomic.Int64
	)
	for range concurrency {
		wg.Go(func() { // ends when n requests are claimed, or at an error
			req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
			if err != nil {
				b.Error(err)
				return
			}
			for next.Add(1) <= int64(n) {
				resp, err := t.RoundTrip(req)
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
	wg.Wait()
}
