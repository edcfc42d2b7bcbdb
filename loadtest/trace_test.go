package loadtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/brunt/resilience"
)

// tracedServer answers 503 to the first request of each path and keeps what it was sent.
type tracedServer struct {
	mu   sync.Mutex
	seen map[string][]http.Header // by path
}

func (s *tracedServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[r.URL.Path] = append(s.seen[r.URL.Path], r.Header); len(s.seen[r.URL.Path]) == 1 {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

var traceparentForm = regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-01$`)

// Whatever the client, each request has a trace and an identifier of its own, each attempt
// a span, and the records say which: those of plain requests and those of users. A header
// that a request has itself stands.
func TestTracing(t *testing.T) {
	for name, client := range scenarioClients() {
		t.Run(name, func(t *testing.T) {
			server := &tracedServer{seen: make(map[string][]http.Header)}
			srv := httptest.NewServer(server)
			defer srv.Close()
			retry, err := resilience.NewRetryPolicy(resilience.RetryConfig{MaxAttempts: 2, BaseDelay: 1, RetryBudget: 1000})
			require.NoError(t, err)
			e := newEngine(t, AsyncConfig{Client: client(), MaxConcurrent: 4, Retry: retry, Tracing: Tracing{TraceContext: true, RequestID: "x-request-id"}})
			defer closeEngine(t, e)
			own := Get(srv.URL + "/own")
			own.Header.Set("Traceparent", "mine")
			own.Header.Set("X-Request-Id", "mine too")
			results := make(map[string]RequestResult)
			r, err := e.RunStreaming(t.Context(), Times(60, own, Post(srv.URL+"/post", "text/plain", []byte("body")), Walk("walk", func(_ context.Context, u *User) error {
				_, err := u.Do(Get(fmt.Sprintf("%s/user/%d", srv.URL, u.Number())))
				return err
			})), func(r RequestResult) error {
				results[strings.TrimPrefix(r.URL, srv.URL)+r.RequestID] = r
				return nil
			})
			require.NoError(t, err)
			require.EqualValues(t, 60, r.SuccessCount)
			require.EqualValues(t, 22, r.Retries)
			spans, traces, run := make(map[string]bool), make(map[string]bool), ""
			for path, headers := range server.seen {
				for i, h := range headers {
					if path == "/own" {
						require.Equal(t, []string{"mine"}, h["Traceparent"])
						require.Equal(t, []string{"mine too"}, h["X-Request-Id"])
						continue
					}
					require.Len(t, h["Traceparent"], 1)
					require.Len(t, h["X-Request-Id"], 1)
					parts := traceparentForm.FindStringSubmatch(h["Traceparent"][0])
					require.NotNil(t, parts, h["Traceparent"])
					require.False(t, spans[parts[2]], "a span each")
					spans[parts[2]], traces[parts[1]] = true, true
					got := results[path+h["X-Request-Id"][0]]
					require.Equal(t, parts[1], got.TraceID)
					if i == len(headers)-1 {
						require.Equal(t, parts[2], got.SpanID, "of the last attempt")
					}
					require.Equal(t, h["X-Request-Id"][0], got.RequestID)
					if run == "" {
						run = got.TraceID[:16]
					}
					require.Equal(t, run, got.TraceID[:16], "of one run")
					require.Equal(t, run[:8], got.RequestID[:8])
					if path != "/post" {
						require.Equal(t, headers[0]["X-Request-Id"], h["X-Request-Id"], "attempt %d", i)
						require.Equal(t, "walk", got.Scenario)
						require.Equal(t, path, fmt.Sprint("/user/", got.User))
					}
				}
			}
			require.Len(t, spans, 20+20+21)
			require.Len(t, traces, 20+20, "one for each request")
			require.Len(t, results, 41)
		})
	}
}

// A function can pass on the trace that it is called in; without one there is none.
func TestTraceparentOfAFunction(t *testing.T) {
	var got []string
	client := Func(func(ctx context.Context) error {
		got = append(got, Traceparent(ctx))
		return nil
	})
	for _, on := range []bool{true, false} {
		e := newEngine(t, SyncConfig{Client: client, Tracing: Tracing{TraceContext: on}})
		_, err := e.Run(t.Context(), Times(2))
		require.NoError(t, err)
		closeEngine(t, e)
	}
	require.Regexp(t, traceparentForm, got[0])
	require.Regexp(t, traceparentForm, got[1])
	require.NotEqual(t, got[0], got[1])
	require.Equal(t, []string{"", ""}, got[2:])
	require.Empty(t, Traceparent(t.Context()))
}

func TestTracingIsValidated(t *testing.T) {
	for _, cfg := range []EngineConfig{
		SyncConfig{Tracing: Tracing{RequestID: "a b"}},
		ThreadedConfig{Tracing: Tracing{RequestID: "a b"}},
		AsyncConfig{Tracing: Tracing{RequestID: "a b"}},
		ArrivalConfig{Tracing: Tracing{RequestID: "a b"}},
	} {
		err := cfg.Validate()
		require.ErrorIs(t, err, ErrConfig)
		require.ErrorContains(t, err, `Tracing.RequestID is "a b"`)
	}
}

// Records keep what joins them with a server's logs.
func TestRecordsKeepTheTrace(t *testing.T) {
	want := RequestResult{URL: "http://h/", StatusCode: 200, Attempt: 1, Scenario: `s"`, User: 7, TraceID: "0123", SpanID: "45", RequestID: "r-1"}
	plain, err := json.Marshal(want)
	require.NoError(t, err)
	line, err := appendLine(nil, &want)
	require.NoError(t, err)
	require.JSONEq(t, string(plain), string(line))
	got, err := parseRecord(line, false)
	require.NoError(t, err)
	require.True(t, got.Timestamp.IsZero() || got.Timestamp.Unix() <= 0)
	got.Timestamp = want.Timestamp
	require.Equal(t, want, got)
}

// A header that a request has itself stands in whatever case its name is written.
func TestAHeaderOfItsOwnInAnyCase(t *testing.T) {
	for name, client := range scenarioClients() {
		t.Run(name, func(t *testing.T) {
			server := &tracedServer{seen: make(map[string][]http.Header)}
			srv := httptest.NewServer(server)
			defer srv.Close()
			e := newEngine(t, SyncConfig{Client: client(), Tracing: Tracing{TraceContext: true, RequestID: "x-request-id"}})
			defer closeEngine(t, e)
			req := Get(srv.URL + "/own")
			req.Header = http.Header{"traceparent": {"mine"}, "X-REQUEST-ID": {"mine too"}}
			var got RequestResult
			_, err := e.RunStreaming(t.Context(), Times(1, req), func(r RequestResult) error {
				got = r
				return nil
			})
			require.NoError(t, err)
			require.Len(t, server.seen["/own"], 1)
			require.Equal(t, []string{"mine"}, server.seen["/own"][0]["Traceparent"])
			require.Equal(t, []string{"mine too"}, server.seen["/own"][0]["X-Request-Id"])
			require.Empty(t, got.TraceID+got.SpanID+got.RequestID)
		})
	}
}
