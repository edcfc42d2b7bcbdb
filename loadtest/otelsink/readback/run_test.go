package readback

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/otelsink"
	"example.com/brunt/loadtest/pace"
	"example.com/brunt/resilience"
)

// pipes is a network of one listener, in memory.
type pipes struct {
	dialed chan net.Conn
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.dialed:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.IPAddr{} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.dialed <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// shop takes a while, a long while now and then, and fails now and then.
func shop() http.Handler {
	var n atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := n.Add(1)
		took := time.Duration(2+n*7%50) * time.Millisecond
		if n%100 == 0 {
			took = 400 * time.Millisecond
		}
		time.Sleep(took)
		w.Header().Set("Server-Timing", fmt.Sprintf("total;dur=%d", took.Milliseconds()))
		if n%13 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = w.Write([]byte("a response"))
	})
}

// run is a shard of a run that has everything to export: an open loop in virtual time, with
// named requests, users, phases, server times, retries, lag, errors and dropped arrivals.
type run struct {
	result    *loadtest.EngineResult
	collected []*metricdata.ResourceMetrics // before the run, at each report, and at the end
}

func runShard(t *testing.T, shard, shards int) (out run) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Duration(shard) * time.Second) // shards need not begin at once
		network := newPipes()
		srv := &http.Server{Handler: shop()}
		served := make(chan error)
		go func() { served <- srv.Serve(network) }() // ends with Close
		defer func() {
			require.NoError(t, srv.Close())
			require.ErrorIs(t, <-served, http.ErrServerClosed)
		}()

		telemetry, err := otelsink.New(otelsink.Config{Run: "virtual", Shard: loadtest.Shard{Index: shard, Count: shards}})
		require.NoError(t, err)
		reader := metric.NewManualReader(metric.WithProducer(telemetry))
		provider := metric.NewMeterProvider(metric.WithReader(reader), metric.WithResource(
			resource.NewSchemaless(append(telemetry.Attributes(), attribute.String("service.name", "shop"))...)))
		defer func() { require.NoError(t, provider.Shutdown(context.Background())) }()
		collect := func() {
			rm := new(metricdata.ResourceMetrics)
			require.NoError(t, reader.Collect(t.Context(), rm))
			out.collected = append(out.collected, rm)
		}
		follow := telemetry.Follow()
		e, err := loadtest.ArrivalConfig{
			Schedule: pace.Constant(100).Until(20 * time.Second), MaxInFlight: 3, Retry: newRetry(t),
			Client: loadtest.NetHTTP(loadtest.ConnectionConfig{DialContext: network.dial, Phases: true}),
			OnProgress: func(p loadtest.Progress) {
				follow(p)
				collect()
			},
		}.New()
		require.NoError(t, err)
		defer func() { require.NoError(t, e.Close(context.Background())) }()
		collect()
		item, list := loadtest.Get("http://shop/item"), loadtest.Get("http://shop/list")
		item.Name, item.ServerTime, list.Name = "item", &loadtest.ServerTime{}, "list"
		users := 0
		reqs := []*loadtest.Request{item, list, loadtest.Walk("buy", func(_ context.Context, u *loadtest.User) error {
			users++
			if users%10 == 0 {
				return errors.New("no money")
			}
			_, err := u.Do(loadtest.Get("http://shop/buy"))
			return err
		})}
		out.result, err = e.Run(t.Context(), loadtest.Seq(func(yield func(*loadtest.Request) bool) {
			for i := 0; yield(reqs[i%len(reqs)]); i++ {
				if i%70 == 0 {
					time.Sleep(25 * time.Millisecond) // what is due then is late
				}
			}
		}))
		require.NoError(t, err)
	})
	return out
}

func newRetry(t *testing.T) *resilience.RetryPolicy {
	t.Helper()
	retry, err := resilience.NewRetryPolicy(resilience.RetryConfig{MaxAttempts: 2, BaseDelay: time.Millisecond, RetryBudget: 20})
	require.NoError(t, err)
	return retry
}
