package readback

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/otelsink"
)

// The snippets of docs/telemetry.md, letter for letter: a test of the module's root holds
// this file to the page.

// newTelemetry returns what exports a run over OTLP. Shutting the provider down exports
// the end of the run.
func newTelemetry(ctx context.Context, cfg otelsink.Config) (*otelsink.Exporter, *metric.MeterProvider, error) {
	telemetry, err := otelsink.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	exporter, err := otlpmetrichttp.New(ctx)
	if err != nil {
		return nil, nil, err
	}
	res, err := resource.New(ctx, resource.WithFromEnv(), resource.WithAttributes(telemetry.Attributes()...))
	if err != nil {
		return nil, nil, err
	}
	reader := metric.NewPeriodicReader(exporter, metric.WithInterval(5*time.Second), metric.WithProducer(telemetry))
	return telemetry, metric.NewMeterProvider(metric.WithResource(res), metric.WithReader(reader)), nil
}

// recordSlow runs src and exports the spans of the requests that failed or were slow.
func recordSlow(ctx context.Context, engine loadtest.Engine, src loadtest.Source) (*loadtest.EngineResult, error) {
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, err
	}
	sink, err := loadtest.NewSink(otelsink.NewSpans(exporter, otelsink.SpansConfig{
		Keep: func(r loadtest.RequestResult) bool { return r.Err != nil || r.ResponseTime() > time.Second },
	}), loadtest.SinkConfig{DropOnFull: true})
	if err != nil {
		return nil, err
	}
	result, err := loadtest.Record(ctx, engine, src, sink)
	return result, errors.Join(err, sink.Close(ctx)) // which says if spans were lost
}

var (
	inDoc  = regexp.MustCompile(`(?m)^//\t(loadtest\.[a-z_.]+) +(s|By|{\w+})? `)
	inPage = regexp.MustCompile("(?m)^\\| (`loadtest[^|]+`) \\| (s|By|{\\w+})? ?\\| ")
	names  = regexp.MustCompile(`loadtest\.[a-z_.]+`)
)

// What is documented, in the package and on the page, is what is exported, with its units.
func TestDocumentedMetricsAreThoseExported(t *testing.T) {
	run := runShard(t, 0, 1)
	exported := make(map[string]string) // units
	for _, m := range run.collected[len(run.collected)-1].ScopeMetrics[0].Metrics {
		exported[m.Name] = m.Unit
	}
	for file, lines := range map[string]*regexp.Regexp{"../doc.go": inDoc, "../../../docs/telemetry.md": inPage} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		documented := make(map[string]string)
		for _, line := range lines.FindAllStringSubmatch(string(text), -1) {
			for _, name := range names.FindAllString(line[1], -1) {
				documented[name] = line[2]
			}
		}
		require.Equal(t, exported, documented, file)
	}
}

// As a user has it, over real sockets: the SDK's periodic reader and its exporter, which
// know from the environment where to.
func TestDocsMetrics(t *testing.T) {
	p := newPrometheus(t)
	t.Setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", p.endpoint)
	t.Setenv("OTEL_SERVICE_NAME", "shop")
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	ctx, url := t.Context(), srv.URL

	telemetry, provider, err := newTelemetry(ctx, otelsink.Config{Run: "checkout"})
	if err != nil {
		t.Fatal(err)
	}
	engine := loadtest.Start(t, loadtest.AsyncConfig{OnProgress: telemetry.Follow()})
	result, err := engine.Run(ctx, loadtest.Times(1000, loadtest.Get(url)))
	if err := errors.Join(err, provider.Shutdown(ctx)); err != nil {
		t.Fatal(err)
	}

	now := time.Now()
	const of = `{job="shop", instance="checkout/0"}`
	require.EqualValues(t, 1000, result.ErrorCount)
	require.InDelta(t, 1000, p.value(now, `loadtest_requests_total{job="shop", instance="checkout/0", loadtest_outcome="error"}`), 0)
	require.InDelta(t, 1000, p.value(now, `loadtest_responses_total{http_response_status_code="404"}`), 0)
	require.InDelta(t, 1000, p.value(now, "histogram_count(loadtest_response_duration_seconds"+of+")"), 0)
	for _, q := range []float64{0.5, 0.9, 0.99} {
		p.isQuantile(now, q, "loadtest_response_duration_seconds"+of, result.Histogram())
	}
}

// The spans that a collector is sent are those that the server was told of.
func TestDocsTraces(t *testing.T) {
	var mu sync.Mutex
	told, received := make(map[string]bool), make(map[string]bool)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/bad" {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		told[r.Header.Get("Traceparent")] = true
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer srv.Close()
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		request := ptraceotlp.NewExportRequest()
		if err = errors.Join(err, request.UnmarshalProto(body)); err != nil {
			panic(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, resources := range request.Traces().ResourceSpans().All() {
			for _, scopes := range resources.ScopeSpans().All() {
				for _, span := range scopes.Spans().All() {
					received["00-"+span.TraceID().String()+"-"+span.SpanID().String()+"-01"] = true
				}
			}
		}
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.URL+"/v1/traces")

	engine := loadtest.Start(t, loadtest.AsyncConfig{Tracing: loadtest.Tracing{TraceContext: true}})
	result, err := recordSlow(t.Context(), engine, loadtest.Times(100, loadtest.Get(srv.URL+"/good"), loadtest.Get(srv.URL+"/bad")))
	require.NoError(t, err)
	require.EqualValues(t, 50, result.ErrorCount)
	require.Len(t, told, 50)
	require.Equal(t, told, received)
}
