package otelsink

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"example.com/brunt/loadtest"
)

// SpansConfig configures [Spans]. The zero value is ready to use.
type SpansConfig struct {
	// Resource is that of the spans; nil means resource.Default(). Give it
	// [Exporter.Attributes].
	Resource *resource.Resource
	// Keep reports whether a request gets its span, such as only one that failed or took
	// long: by then it has ended. Nil keeps all. It is called by one goroutine at a time,
	// that of the sink.
	Keep func(loadtest.RequestResult) bool
}

// Spans is a [loadtest.BatchWriter] that exports a span for each request with a
// [loadtest.Tracing] TraceContext, which is one of the request's own trace. The spans of
// a server that takes the traceparent header up are its children.
//
//	sink, err := loadtest.NewSink(otelsink.NewSpans(exporter, otelsink.SpansConfig{}), loadtest.SinkConfig{DropOnFull: true})
//	…
//	result, err := loadtest.Record(ctx, engine, src, sink)
//	…
//	err = sink.Close(ctx)
//
// The span is of kind client, has the attributes of the semantic conventions for HTTP and,
// where they say something, loadtest.lag (seconds), loadtest.scenario, loadtest.user and
// loadtest.request.id. It begins when the request was sent and ends with it: the attempts
// of a request that was repeated share one, whose id is that of the last.
//
// Spans that the exporter refuses do not stop a run: Close says how many were lost.
type Spans struct {
	exporter sdktrace.SpanExporter
	cfg      SpansConfig

	lost int64
	err  error // the exporter's latest
}

var _ loadtest.BatchWriter = (*Spans)(nil)

// NewSpans returns a writer for [loadtest.NewSink] that exports with exporter, such as
// that of otlptracehttp, and shuts it down when the sink is closed.
func NewSpans(exporter sdktrace.SpanExporter, cfg SpansConfig) *Spans {
	if cfg.Resource == nil {
		cfg.Resource = resource.Default()
	}
	return &Spans{exporter: exporter, cfg: cfg}
}

// WriteBatch implements [loadtest.BatchWriter].
func (s *Spans) WriteBatch(ctx context.Context, batch []loadtest.RequestResult) error {
	var spans tracetest.SpanStubs // the SDK's way to make a span that has ended
	for i := range batch {
		if s.cfg.Keep != nil && !s.cfg.Keep(batch[i]) {
			continue
		}
		if span, ok := s.span(&batch[i]); ok {
			spans = append(spans, span)
		}
	}
	if len(spans) == 0 {
		return nil
	}
	if err := s.exporter.ExportSpans(ctx, spans.Snapshots()); err != nil {
		s.lost += int64(len(spans))
		s.err = err
	}
	return context.Cause(ctx)
}

// closeGrace is how long the exporter has for shutting down.
const closeGrace = 5 * time.Second

// Close shuts the exporter down. Its error says how many spans were lost.
func (s *Spans) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	if err := s.exporter.Shutdown(ctx); err != nil {
		return fmt.Errorf("otelsink: shutting the exporter of spans down: %w", err)
	}
	if s.lost > 0 {
		return fmt.Errorf("otelsink: %d spans were not exported: %w", s.lost, s.err)
	}
	return nil
}

// span returns the span of r, if it has a trace.
func (s *Spans) span(r *loadtest.RequestResult) (tracetest.SpanStub, bool) {
	traceID, err := trace.TraceIDFromHex(r.TraceID)
	if err != nil {
		return tracetest.SpanStub{}, false
	}
	spanID, err := trace.SpanIDFromHex(r.SpanID)
	if err != nil {
		return tracetest.SpanStub{}, false // nothing was sent
	}
	span := tracetest.SpanStub{
		Name: spanName(r), SpanKind: trace.SpanKindClient,
		SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: spanID, TraceFlags: trace.FlagsSampled}),
		StartTime:   r.Timestamp, EndTime: r.Ended(), Attributes: spanAttributes(r),
		Resource: s.cfg.Resource, InstrumentationScope: instrumentation.Scope{Name: scopeName},
	}
	if r.Class != loadtest.ClassNone {
		span.Status = sdktrace.Status{Code: codes.Error, Description: r.Err.Error()}
	}
	return span, true
}

// spanName returns a name of which there are few: the request's own, or its method.
func spanName(r *loadtest.RequestResult) string {
	switch {
	case r.Name != "" && r.Method != "":
		return r.Method + " " + r.Name
	case r.Name != "":
		return r.Name
	case r.Method != "":
		return r.Method
	}
	return "request"
}

func spanAttributes(r *loadtest.RequestResult) (out []attribute.KeyValue) {
	if r.Method != "" {
		out = append(out, attribute.String("http.request.method", r.Method))
	}
	if u, err := url.Parse(r.URL); err == nil && u.Host != "" {
		out = append(out, attribute.String("url.full", r.URL), attribute.String("server.address", u.Hostname()))
		if port, ok := portOf(u); ok {
			out = append(out, attribute.Int("server.port", port))
		}
	}
	if r.StatusCode > 0 {
		out = append(out, statusKey.Int(r.StatusCode), attribute.Int64("http.response.body.size", r.Bytes))
	}
	if r.Attempt > 1 {
		out = append(out, attribute.Int("http.request.resend_count", r.Attempt-1))
	}
	if r.Class != loadtest.ClassNone {
		out = append(out, errorKey.String(errorType(r)))
	}
	if r.Lag > 0 {
		out = append(out, attribute.Float64("loadtest.lag", r.Lag.Seconds()))
	}
	if r.Scenario != "" {
		out = append(out, scenarioKey.String(r.Scenario), attribute.Int64("loadtest.user", r.User))
	}
	if r.RequestID != "" {
		out = append(out, attribute.String("loadtest.request.id", r.RequestID))
	}
	return out
}

// errorType returns the class of the error, or as the semantic conventions want it of a
// response, its status.
func errorType(r *loadtest.RequestResult) string {
	if r.Class == loadtest.ClassStatus {
		return strconv.Itoa(r.StatusCode)
	}
	return r.Class.String()
}

func portOf(u *url.URL) (int, bool) {
	if port, err := strconv.Atoi(u.Port()); err == nil {
		return port, true
	}
	port, ok := map[string]int{"http": 80, "https": 443}[u.Scheme]
	return port, ok
}
