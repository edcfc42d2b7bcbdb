package otelsink

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"example.com/brunt/loadtest"
	"example.com/brunt/resilience"
)

// exported is a span exporter that keeps what it is given, or fails.
type exported struct {
	spans    []sdktrace.ReadOnlySpan
	err      error
	closed   int
	closeErr error
}

func (e *exported) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	if e.err == nil {
		e.spans = append(e.spans, spans...)
	}
	return e.err
}

func (e *exported) Shutdown(context.Context) error { e.closed++; return e.closeErr }

// get returns an attribute of span.
func get(span sdktrace.ReadOnlySpan, key attribute.Key) attribute.Value {
	set := attribute.NewSet(span.Attributes()...)
	v, _ := set.Value(key)
	return v
}

// Each span is what a server was told of its request: it can be the parent of the
// server's own.
func TestSpansAreThoseThatTheServerWasTold(t *testing.T) {
	var mu sync.Mutex
	told := make(map[string][]string) // traceparents by path
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		told[r.URL.Path] = append(told[r.URL.Path], r.Header.Get("Traceparent"))
		switch {
		case r.URL.Path == "/retried" && len(told[r.URL.Path]) == 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.URL.Path == "/missing":
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write([]byte("body"))
	}))
	defer srv.Close()
	retry, err := resilience.NewRetryPolicy(resilience.RetryConfig{BaseDelay: time.Millisecond})
	require.NoError(t, err)
	e := start(t, loadtest.AsyncConfig{Retry: retry, Tracing: loadtest.Tracing{TraceContext: true, RequestID: "X-Request-Id"}})
	res := resource.NewSchemaless(attribute.String("service.name", "test"))
	exporter := new(exported)
	sink, err := loadtest.NewSink(NewSpans(exporter, SpansConfig{Resource: res}), loadtest.SinkConfig{})
	require.NoError(t, err)

	item := loadtest.Get(srv.URL + "/item")
	item.Name = "item"
	own := loadtest.Get(srv.URL + "/own")
	own.Header.Set("Traceparent", "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")
	r, err := loadtest.Record(t.Context(), e, loadtest.Times(5, item, loadtest.Get(srv.URL+"/retried"), loadtest.Get(srv.URL+"/missing"), own,
		loadtest.Walk("buy", func(_ context.Context, u *loadtest.User) error {
			_, err := u.Do(loadtest.Get(srv.URL + "/user"))
			return err
		})), sink)
	require.NoError(t, err)
	require.NoError(t, sink.Close(t.Context()))
	require.Equal(t, 1, exporter.closed)
	require.EqualValues(t, 5, r.Requests)
	require.Len(t, exporter.spans, 4, "a trace of its own is not ours")

	port, err := strconv.ParseInt(srv.URL[strings.LastIndexByte(srv.URL, ':')+1:], 10, 64)
	require.NoError(t, err)
	for _, span := range exporter.spans {
		u, err := url.Parse(get(span, "url.full").AsString())
		require.NoError(t, err)
		ids := span.SpanContext()
		require.True(t, ids.IsValid())
		require.True(t, ids.IsSampled())
		attempts := told[u.Path]
		require.Equal(t, "00-"+ids.TraceID().String()+"-"+ids.SpanID().String()+"-01", attempts[len(attempts)-1], u.Path)
		require.False(t, span.Parent().IsValid())
		require.Equal(t, trace.SpanKindClient, span.SpanKind())
		require.Equal(t, res, span.Resource())
		require.Equal(t, scopeName, span.InstrumentationScope().Name)
		require.False(t, span.EndTime().Before(span.StartTime()))
		require.Equal(t, "GET", get(span, "http.request.method").AsString())
		require.Equal(t, "127.0.0.1", get(span, "server.address").AsString())
		require.Equal(t, port, get(span, "server.port").AsInt64())
		require.NotEmpty(t, get(span, "loadtest.request.id").AsString())
		switch u.Path {
		case "/item":
			require.Equal(t, "GET item", span.Name())
			require.Equal(t, codes.Unset, span.Status().Code)
			require.EqualValues(t, 200, get(span, statusKey).AsInt64())
			require.EqualValues(t, 4, get(span, "http.response.body.size").AsInt64())
		case "/retried":
			require.Equal(t, "GET", span.Name())
			require.EqualValues(t, 1, get(span, "http.request.resend_count").AsInt64())
		case "/missing":
			require.Equal(t, codes.Error, span.Status().Code)
			require.Equal(t, "404", get(span, errorKey).AsString())
			require.NotEmpty(t, span.Status().Description)
		case "/user":
			require.Equal(t, "buy", get(span, scenarioKey).AsString())
			require.Equal(t, attribute.Int64Value(4), get(span, "loadtest.user"))
		default:
			require.Fail(t, u.Path)
		}
	}
}

// A record with a trace.
func traced(n byte) loadtest.RequestResult {
	hex := strings.Repeat(string('0'+n), 32)
	return loadtest.RequestResult{
		Method: "GET", URL: "https://host/a", StatusCode: 200, Attempt: 1, TraceID: hex, SpanID: hex[:16],
		Timestamp: time.Unix(100, 0), Latency: time.Second,
	}
}

func TestSpansOfRecords(t *testing.T) {
	exporter := new(exported)
	s := NewSpans(exporter, SpansConfig{Keep: func(r loadtest.RequestResult) bool { return r.Latency > 0 }})
	late, function, failed := traced(1), traced(2), traced(3)
	late.Lag = 250 * time.Millisecond
	function.Method, function.URL, function.StatusCode, function.Name = "", "", 0, "query"
	failed.StatusCode, failed.Class, failed.Err, failed.Name, failed.Method, failed.URL = 0, loadtest.ClassRefused, errTest, "", "", "::"
	quick, untraced, unsent := traced(4), traced(5), traced(6)
	quick.Latency, untraced.TraceID, unsent.SpanID = 0, "", ""
	require.NoError(t, s.WriteBatch(t.Context(), []loadtest.RequestResult{late, function, failed, quick, untraced, unsent}))
	require.NoError(t, s.WriteBatch(t.Context(), []loadtest.RequestResult{quick}))
	require.Len(t, exporter.spans, 3)

	got := exporter.spans[0]
	require.Equal(t, time.Unix(100, 0), got.StartTime(), "when it was sent")
	require.Equal(t, time.Unix(101, 0), got.EndTime())
	require.InDelta(t, 0.25, get(got, "loadtest.lag").AsFloat64(), 0)
	require.EqualValues(t, 443, get(got, "server.port").AsInt64())
	require.Equal(t, resource.Default(), got.Resource())

	require.Equal(t, "query", exporter.spans[1].Name())
	require.Empty(t, exporter.spans[1].Attributes())

	require.Equal(t, "request", exporter.spans[2].Name())
	require.Equal(t, sdktrace.Status{Code: codes.Error, Description: "test"}, exporter.spans[2].Status())
	require.Equal(t, []attribute.KeyValue{errorKey.String("refused")}, exporter.spans[2].Attributes())
	require.NoError(t, s.Close())
}

// An exporter that fails does not stop a run, and is not passed over either.
func TestLostSpansAreCounted(t *testing.T) {
	exporter := &exported{err: errTest}
	s := NewSpans(exporter, SpansConfig{})
	require.NoError(t, s.WriteBatch(t.Context(), []loadtest.RequestResult{traced(1), traced(2)}))
	exporter.err = nil
	require.NoError(t, s.WriteBatch(t.Context(), []loadtest.RequestResult{traced(3)}))
	err := s.Close()
	require.ErrorIs(t, err, errTest)
	require.EqualError(t, err, "otelsink: 2 spans were not exported: test")
	require.Len(t, exporter.spans, 1)

	s = NewSpans(&exported{closeErr: errTest}, SpansConfig{})
	require.EqualError(t, s.Close(), "otelsink: shutting the exporter of spans down: test")

	canceled, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	require.Equal(t, enough, NewSpans(new(exported), SpansConfig{}).WriteBatch(canceled, []loadtest.RequestResult{traced(1)}))
}
