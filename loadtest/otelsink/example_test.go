package otelsink_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/otelsink"
)

// A run whose metrics any reader of the OpenTelemetry SDK can take: here one that is read
// by hand, elsewhere a PeriodicReader with an OTLP exporter, or that of Prometheus.
func Example() {
	ctx := context.Background()
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()

	telemetry, err := otelsink.New(otelsink.Config{Run: "checkout", Shard: loadtest.Shard{Index: 0, Count: 2}})
	if err != nil {
		fmt.Println(err)
		return
	}
	reader := metric.NewManualReader(metric.WithProducer(telemetry))
	provider := metric.NewMeterProvider(metric.WithReader(reader), metric.WithResource(resource.NewSchemaless(telemetry.Attributes()...)))
	defer func() { _ = provider.Shutdown(ctx) }()

	engine, _ := loadtest.NewThreadedEngine(loadtest.ThreadedConfig{OnProgress: telemetry.Follow()})
	defer engine.Close(ctx)
	if _, err := engine.Run(ctx, loadtest.Times(100, loadtest.Get(srv.URL))); err != nil {
		fmt.Println(err)
		return
	}

	var metrics metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &metrics); err != nil {
		fmt.Println(err)
		return
	}
	instance, _ := metrics.Resource.Set().Value("service.instance.id")
	fmt.Println(instance.AsString())
	for _, m := range metrics.ScopeMetrics[0].Metrics {
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			if m.Name == "loadtest.requests" {
				for _, p := range data.DataPoints {
					outcome, _ := p.Attributes.Value("loadtest.outcome")
					fmt.Println(m.Name, outcome.AsString(), p.Value)
				}
			}
		case metricdata.ExponentialHistogram[float64]:
			if m.Name == "loadtest.response.duration" {
				fmt.Println(m.Name, "of", data.DataPoints[0].Count, "in", m.Unit)
			}
		}
	}

	// Output:
	// checkout/0
	// loadtest.requests success 0
	// loadtest.requests error 100
	// loadtest.requests other 0
	// loadtest.response.duration of 100 in s
}

// Spans of the requests that failed, in the traces that the server was told of.
func ExampleNewSpans() {
	ctx := context.Background()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bad" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer srv.Close()

	exporter := keep{tracetest.NewInMemoryExporter()} // otlptracehttp.New(ctx)
	sink, _ := loadtest.NewSink(otelsink.NewSpans(exporter, otelsink.SpansConfig{
		Keep: func(r loadtest.RequestResult) bool { return r.Class != loadtest.ClassNone },
	}), loadtest.SinkConfig{})
	engine, _ := loadtest.NewAsyncEngine(loadtest.AsyncConfig{Tracing: loadtest.Tracing{TraceContext: true}})
	defer engine.Close(ctx)
	if _, err := loadtest.Record(ctx, engine, loadtest.URLs(srv.URL+"/good", srv.URL+"/bad"), sink); err != nil {
		fmt.Println(err)
	}
	if err := sink.Close(ctx); err != nil {
		fmt.Println(err)
	}

	for _, span := range exporter.GetSpans() {
		fmt.Println(span.Name, span.SpanContext.IsValid(), span.Status.Code)
	}

	// Output: GET true Error
}

// keep is an exporter that forgets nothing when it is shut down.
type keep struct{ *tracetest.InMemoryExporter }

func (keep) Shutdown(context.Context) error { return nil }
