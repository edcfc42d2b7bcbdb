package otelsink

import (
	"context"
	"errors"
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
	"example.com/brunt/loadtest/pace"
)

var errTest = errors.New("test")

// collected is what a reader of the SDK has collected.
type collected struct {
	t        *testing.T
	resource *resource.Resource
	byName   map[string]metricdata.Metrics
}

// collect reads x through the SDK.
func collect(t *testing.T, reader metric.Reader) collected {
	t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &rm))
	require.Len(t, rm.ScopeMetrics, 1)
	require.Equal(t, scopeName, rm.ScopeMetrics[0].Scope.Name)
	c := collected{t, rm.Resource, make(map[string]metricdata.Metrics)}
	for _, m := range rm.ScopeMetrics[0].Metrics {
		require.NotContains(t, c.byName, m.Name)
		require.NotEmpty(t, m.Description)
		c.byName[m.Name] = m
	}
	return c
}

// read returns a reader of x.
func read(t *testing.T, x *Exporter) metric.Reader {
	t.Helper()
	reader := metric.NewManualReader(metric.WithProducer(x))
	provider := metric.NewMeterProvider(metric.WithReader(reader), metric.WithResource(resource.NewSchemaless(x.Attributes()...)))
	t.Cleanup(func() { require.NoError(t, provider.Shutdown(context.Background())) })
	return reader
}

// sum returns the value of the point with those attributes; -1 if there is none.
func (c collected) sum(name string, of ...attribute.KeyValue) int64 {
	c.t.Helper()
	data, ok := c.byName[name].Data.(metricdata.Sum[int64])
	require.True(c.t, ok, "%s", name)
	require.Equal(c.t, metricdata.CumulativeTemporality, data.Temporality)
	require.Equal(c.t, name != "loadtest.in_flight", data.IsMonotonic)
	set := attribute.NewSet(of...)
	for _, p := range data.DataPoints {
		if p.Attributes.Equals(&set) {
			return p.Value
		}
	}
	return -1
}

func (c collected) gauge(name string) float64 {
	c.t.Helper()
	data, ok := c.byName[name].Data.(metricdata.Gauge[float64])
	require.True(c.t, ok, "%s", name)
	return data.DataPoints[0].Value
}

// histogram returns the point with those attributes; an empty one if there is none.
func (c collected) histogram(name string, of ...attribute.KeyValue) (p metricdata.ExponentialHistogramDataPoint[float64]) {
	c.t.Helper()
	if _, ok := c.byName[name]; !ok {
		return p
	}
	require.Equal(c.t, "s", c.byName[name].Unit)
	data, ok := c.byName[name].Data.(metricdata.ExponentialHistogram[float64])
	require.True(c.t, ok, "%s", name)
	set := attribute.NewSet(of...)
	for _, p := range data.DataPoints {
		if p.Attributes.Equals(&set) {
			return p
		}
	}
	return p
}

// totals holds what is exported to r, which is what has been run.
func (c collected) totals(r *loadtest.EngineResult) {
	t := c.t
	t.Helper()
	require.Equal(t, r.SuccessCount, c.sum("loadtest.requests", outcomeKey.String("success")))
	require.Equal(t, r.ErrorCount, c.sum("loadtest.requests", outcomeKey.String("error")))
	require.Equal(t, r.OtherCount, c.sum("loadtest.requests", outcomeKey.String("other")))
	for class, n := range r.Errors {
		require.Equal(t, n, c.sum("loadtest.errors", errorKey.String(class.String())))
	}
	for status, n := range r.StatusCodes {
		require.Equal(t, n, c.sum("loadtest.responses", statusKey.Int(status)))
	}
	for reason, n := range map[string]int64{"rejected": r.RejectedCount, "missed": r.Missed, "dropped": r.Dropped, "canceled": r.Canceled} {
		require.Equal(t, n, c.sum("loadtest.unsent", reasonKey.String(reason)), reason)
	}
	require.Equal(t, r.Scheduled, c.sum("loadtest.scheduled"))
	require.Equal(t, r.Retries, c.sum("loadtest.retries"))
	require.Equal(t, r.BytesRead, c.sum("loadtest.received"))
	require.Equal(t, r.ConnectionsOpened, c.sum("loadtest.connections"))
	same := func(h loadtest.Histogram, name string, of ...attribute.KeyValue) {
		p := c.histogram(name, of...)
		require.EqualValues(t, h.Count(), p.Count, name)
		require.InDelta(t, h.Sum(), p.Sum, 1e-9*h.Sum(), name)
		if h.Count() > 0 {
			for _, q := range []float64{0.5, 0.95, 0.99, 0.999} {
				want := h.Quantile(q).Seconds()
				require.InDelta(t, want, upper(p, q), 0.0231*want, "%s q=%v", name, q)
			}
		}
	}
	same(r.SuccessHistogram(), "loadtest.response.duration", outcomeKey.String("success"))
	same(r.ErrorHistogram(), "loadtest.response.duration", outcomeKey.String("error"))
	same(r.ServiceHistogram(), "loadtest.service.duration")
	same(r.LagHistogram(), "loadtest.lag.duration")
	for name, e := range r.Endpoints {
		same(e.SuccessHistogram(), "loadtest.endpoint.duration", endpointKey.String(name), outcomeKey.String("success"))
		same(e.ErrorHistogram(), "loadtest.endpoint.duration", endpointKey.String(name), outcomeKey.String("error"))
	}
	for name, s := range r.Scenarios {
		same(s.Histogram(), "loadtest.scenario.duration", scenarioKey.String(name))
		for outcome, n := range map[string]int64{"finished": s.Finished, "failed": s.Failed, "canceled": s.Canceled} {
			require.Equal(t, n, c.sum("loadtest.users", scenarioKey.String(name), outcomeKey.String(outcome)))
		}
	}
}

// uneven takes longer now and then, and fails now and then.
func uneven() loadtest.Client {
	var calls atomic.Int64
	return loadtest.Func(func(context.Context) error {
		n := calls.Add(1)
		time.Sleep(time.Duration(1+n%37)*time.Millisecond + 137*time.Microsecond) // never ends when an interval does
		if n%11 == 0 {
			return errTest
		}
		return nil
	})
}

// late cycles through reqs, and takes its time now and then: what is due then is late.
func late(reqs ...*loadtest.Request) loadtest.Source {
	return loadtest.Seq(func(yield func(*loadtest.Request) bool) {
		for i := 0; yield(reqs[i%len(reqs)]); i++ {
			if i%50 == 0 {
				time.Sleep(30 * time.Millisecond)
			}
		}
	})
}

func start(t *testing.T, cfg loadtest.EngineConfig) loadtest.Engine {
	t.Helper()
	e, err := cfg.New()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close(context.Background())) })
	return e
}

// An open loop that drops arrivals, with named requests and users: what is exported at its
// end is its result, and before never more, nor less than before that.
func TestExportedTotalsAreThoseOfTheResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, err := New(Config{Run: "r1", Shard: loadtest.Shard{Index: 1, Count: 4}})
		require.NoError(t, err)
		reader := read(t, x)
		begin := time.Now()
		follow, reports := x.Follow(), 0
		var requests, responses int64
		e := start(t, loadtest.ArrivalConfig{
			Schedule: pace.Constant(200).Until(4500 * time.Millisecond), MaxInFlight: 3, Client: uneven(),
			OnProgress: func(p loadtest.Progress) {
				follow(p)
				c := collect(t, reader)
				now := c.sum("loadtest.requests", outcomeKey.String("success"))
				require.GreaterOrEqual(t, now, requests)
				require.Equal(t, p.SuccessCount, now)
				h := c.histogram("loadtest.response.duration", outcomeKey.String("success"))
				require.EqualValues(t, now, h.Count)
				require.Equal(t, begin, h.StartTime)
				require.Equal(t, time.Now(), h.Time, "of the report")
				require.EqualValues(t, p.InFlight, c.sum("loadtest.in_flight"))
				require.InDelta(t, p.Elapsed.Seconds(), c.gauge("loadtest.elapsed"), 0)
				require.InDelta(t, 4.5, c.gauge("loadtest.planned"), 0)
				if !p.Done {
					require.InDelta(t, float64(p.HeapBytes), c.gauge("loadtest.heap"), 0)
					require.Positive(t, c.gauge("loadtest.heap"))
				}
				requests, reports = now, reports+1
				responses = now
			},
		})
		before := collect(t, reader)
		require.Zero(t, before.sum("loadtest.requests", outcomeKey.String("error")), "a rate begins at zero")
		require.NotContains(t, before.byName, "loadtest.response.duration")

		r, err := e.Run(t.Context(), late(&loadtest.Request{Name: "list"}, &loadtest.Request{Name: "item"}, &loadtest.Request{},
			loadtest.Walk("buy", func(_ context.Context, u *loadtest.User) error {
				_, err := u.Do(&loadtest.Request{})
				return err
			})))
		require.NoError(t, err)
		require.Equal(t, 5, reports)
		require.Equal(t, r.SuccessCount, responses)
		require.Positive(t, r.Dropped)
		require.Positive(t, r.ErrorCount)
		require.Positive(t, r.LagHistogram().Count())
		require.Len(t, r.Endpoints, 2)
		c := collect(t, reader)
		c.totals(r)
		require.Zero(t, c.sum("loadtest.in_flight"))

		attributes := c.resource.Set()
		for key, want := range map[attribute.Key]attribute.Value{
			"service.instance.id":  attribute.StringValue("r1/1"),
			"loadtest.run.name":    attribute.StringValue("r1"),
			"loadtest.shard.index": attribute.IntValue(1),
			"loadtest.shard.count": attribute.IntValue(4),
		} {
			got, ok := attributes.Value(key)
			require.True(t, ok, key)
			require.Equal(t, want, got)
		}
	})
}

// Runs add up, one after the other and side by side.
func TestRunsAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, err := New(Config{})
		require.NoError(t, err)
		reader := read(t, x)
		total := new(loadtest.EngineResult)
		first := start(t, loadtest.SyncConfig{Client: uneven(), OnProgress: x.Follow()})
		for range 2 {
			r, err := first.Run(t.Context(), loadtest.For(1500*time.Millisecond, &loadtest.Request{}))
			require.NoError(t, err)
			total.Merge(r)
			collect(t, reader).totals(total)
		}
		others := make(chan *loadtest.EngineResult)
		for range 2 {
			e := start(t, loadtest.SyncConfig{Client: uneven(), OnProgress: x.Follow()})
			go func() { // ends with its run
				r, err := e.Run(t.Context(), loadtest.For(3500*time.Millisecond, &loadtest.Request{}))
				if err != nil {
					panic(err)
				}
				others <- r
			}()
		}
		r, err := first.Run(t.Context(), loadtest.For(2500*time.Millisecond, &loadtest.Request{}))
		require.NoError(t, err)
		total.Merge(r)
		c := collect(t, reader)
		require.EqualValues(t, 2, c.sum("loadtest.in_flight"), "of the others")
		require.Greater(t, c.sum("loadtest.requests", outcomeKey.String("success")), total.SuccessCount)
		total.Merge(<-others)
		total.Merge(<-others)
		collect(t, reader).totals(total)
	})
}

// A cause is told while it holds, and told to be over.
func TestCausesComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, err := New(Config{})
		require.NoError(t, err)
		reader, follow := read(t, x), x.Follow()
		var shown []int64
		e := start(t, loadtest.ArrivalConfig{
			Schedule: pace.Constant(100).Until(12 * time.Second), MaxInFlight: 5,
			Client: loadtest.Func(func(context.Context) error {
				if at := time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)); at < 6*time.Second {
					time.Sleep(time.Second)
				}
				return nil
			}),
			OnProgress: func(p loadtest.Progress) {
				follow(p)
				data, _ := collect(t, reader).byName["loadtest.cause"].Data.(metricdata.Gauge[int64])
				value := int64(-1)
				for _, d := range data.DataPoints {
					if got, _ := d.Attributes.Value(causeKey); got.AsString() == string(loadtest.CauseInFlight) {
						value = d.Value
					}
				}
				shown = append(shown, value)
			},
		})
		_, err = e.Run(t.Context(), loadtest.For(time.Hour, &loadtest.Request{}))
		require.NoError(t, err)
		require.Contains(t, shown, int64(1))
		require.EqualValues(t, -1, shown[0], "not before it has been seen")
		require.EqualValues(t, 0, shown[len(shown)-1], "over: %v", shown)
	})
}

// A progress that no engine has made says nothing.
func TestFollowIgnoresWhatNoEngineHasMade(t *testing.T) {
	x, err := New(Config{})
	require.NoError(t, err)
	x.Follow()(loadtest.Progress{Counts: loadtest.Counts{Requests: 1, SuccessCount: 1}})
	require.Zero(t, collect(t, read(t, x)).sum("loadtest.requests", outcomeKey.String("success")))
}

func TestConfigIsValidated(t *testing.T) {
	for _, tt := range []struct {
		cfg   Config
		wants []string
	}{
		{Config{}, nil},
		{Config{Run: "a.b_c-1", Shard: loadtest.Shard{Index: 3, Count: 4}}, nil},
		{Config{Run: "a b"}, []string{`Run is "a b": must be of letters`}},
		{Config{Run: "/", Shard: loadtest.Shard{Index: 2, Count: 2}}, []string{`Run is "/"`, "shard 2 of 2: the index must be"}},
		{Config{Shard: loadtest.Shard{Index: 1}}, []string{"shard 1 of 0"}},
	} {
		_, err := New(tt.cfg)
		if len(tt.wants) == 0 {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, loadtest.ErrConfig)
		for _, want := range tt.wants {
			require.ErrorContains(t, err, want)
		}
	}
}
