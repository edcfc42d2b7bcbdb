package resilience

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/brunt/fixtures"
	"example.com/brunt/resilience/resiliencetest"
)

// A finding is what a client fails in the matrix, as small as can be: a server with faults, and
// what one call says of it.
type finding struct {
	name   string
	client func(http.RoundTripper) http.RoundTripper
	faults []fixtures.Fault
	method string
	cancel time.Duration // after which the caller cancels; 0 is never
	shows  func(t *testing.T, s seen)
}

// seen is what became of the call.
type seen struct {
	err        error
	took       time.Duration
	executions int64
	open       int64 // connections, when the call is over and idle ones are closed
	unclosed   int64 // bodies of the request
	hits       int64
}

var findings = []finding{
	{"go-retryablehttp repeats a POST that was executed", retryables, []fixtures.Fault{fixtures.Close(fixtures.Executed).First(1)}, http.MethodPost, 0, executedTwice},
	{"failsafehttp repeats a POST that was executed", failsafes, []fixtures.Fault{fixtures.Close(fixtures.Executed).First(1)}, http.MethodPost, 0, executedTwice},
	{"go-retryablehttp does not close the body of a request", retryables, nil, http.MethodPut, 0, leavesBody},
	{"failsafehttp does not close the body of a request", failsafes, nil, http.MethodPut, 0, leavesBody},
	{"failsafehttp leaves the connection of an answer that it retries", failsafes, []fixtures.Fault{fixtures.Status(503).First(2)}, http.MethodGet, 0, func(t *testing.T, s seen) {
		t.Helper()
		if s.open != 2 {
			t.Errorf("%d connections are open, want 2", s.open)
		}
	}},
	{"go-retryablehttp does not say what the status was", retryables, []fixtures.Fault{fixtures.Status(503)}, http.MethodGet, 0, func(t *testing.T, s seen) {
		t.Helper()
		if s.err == nil || strings.Contains(s.err.Error(), "503") {
			t.Errorf("got %v, want an error without the status", s.err)
		}
	}},
	{"go-retryablehttp goes by its own clock", retryables, []fixtures.Fault{fixtures.RetryAfterDate(503, 5*time.Second, -time.Hour).First(1)}, http.MethodGet, 0, tooEarly(5 * time.Second)},
	{"go-retryablehttp overflows", retryables, []fixtures.Fault{fixtures.RetryAfter(429, "99999999999999999999").First(1)}, http.MethodGet, 0, tooEarly(time.Minute)},
	{"failsafehttp overflows", failsafes, []fixtures.Fault{fixtures.RetryAfter(429, "99999999999999999999").First(1)}, http.MethodGet, 0, tooEarly(time.Minute)},
	{"failsafehttp does not read a date", failsafes, []fixtures.Fault{fixtures.RetryAfterDate(503, 5*time.Second, 0).First(1)}, http.MethodGet, 0, tooEarly(5 * time.Second)},
	{"rehttp does not read Retry-After", rehttps, []fixtures.Fault{fixtures.RetryAfter(429, "30").First(1)}, http.MethodGet, 0, tooEarly(30 * time.Second)},
	{"rehttp does not say context.Canceled", rehttps, []fixtures.Fault{fixtures.Status(503)}, http.MethodGet, 500 * time.Millisecond, func(t *testing.T, s seen) {
		t.Helper()
		if s.err == nil || errors.Is(s.err, context.Canceled) {
			t.Errorf("got %v, want an error that is not context.Canceled", s.err)
		}
	}},
}

func executedTwice(t *testing.T, s seen) {
	t.Helper()
	if s.executions != 2 {
		t.Errorf("%d executions, want 2", s.executions)
	}
}

func leavesBody(t *testing.T, s seen) {
	t.Helper()
	if s.unclosed == 0 {
		t.Error("every body was closed")
	}
}

func tooEarly(asked time.Duration) func(t *testing.T, s seen) {
	return func(t *testing.T, s seen) {
		t.Helper()
		if s.hits != 2 || s.took >= asked {
			t.Errorf("%d requests in %v, want 2 in less than the %v that the server asked for", s.hits, s.took, asked)
		}
	}
}

// TestFindings shows what the peers fail in the matrix. One that has mended its ways fails here:
// take it off, and renew the table.
func TestFindings(t *testing.T) {
	for _, f := range findings {
		t.Run(f.name, func(t *testing.T) {
			var got seen
			fixtures.Virtual(t, func(t *testing.T, n *fixtures.Network) { got = f.see(t, n) })
			f.shows(t, got)
		})
	}
}

// An outage that is over goes on: the retries of calls that have failed keep the service as
// busy as the outage did. Retries with a budget let it recover.
func TestRetriesKeepAnOutageAlive(t *testing.T) {
	for name, client := range map[string]func(http.RoundTripper) http.RoundTripper{
		"go-retryablehttp": retryables, "failsafehttp": failsafes, "rehttp": rehttps,
	} {
		for _, c := range resiliencetest.CheckTransport(t, client, resiliencetest.Faults("metastable")).Cells {
			if c.Verdict != resiliencetest.Fail || !strings.Contains(strings.Join(c.Reasons, "\n"), "its cause has long gone") {
				t.Errorf("%s: %v: %v", name, c.Verdict, c.Reasons)
			}
		}
	}
}

func (f finding) see(t *testing.T, n *fixtures.Network) seen {
	t.Helper()
	l, err := n.Listen("api.test:80")
	if err != nil {
		t.Fatal(err)
	}
	s := fixtures.NewServer(t, fixtures.WithListener(l, n.DialContext), fixtures.WithFaults(f.faults...))
	client := &http.Client{Transport: f.client(n.Transport())}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel) // not before: it would tidy up behind the client
	req, err := http.NewRequestWithContext(ctx, f.method, s.URL+"/get", nil)
	if err != nil {
		t.Fatal(err)
	}
	var unclosed atomic.Int64
	if f.method != http.MethodGet {
		req.GetBody = func() (io.ReadCloser, error) {
			unclosed.Add(1)
			return &ownBody{strings.NewReader("order"), &unclosed, false}, nil
		}
		req.Body, _ = req.GetBody()
		req.ContentLength = int64(len("order"))
	}
	if f.cancel > 0 {
		time.AfterFunc(f.cancel, cancel)
	}
	var got seen
	began := time.Now()
	resp, err := client.Do(req)
	got.err, got.took = err, time.Since(began)
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	time.Sleep(time.Second)
	n.CloseIdleConnections()
	time.Sleep(time.Second)
	got.open, got.executions, got.hits, got.unclosed = s.OpenConnections(), s.Executed(), s.Hits(), unclosed.Load()
	return got
}

// ownBody is the body of a request, which whoever gets it must close.
type ownBody struct {
	io.Reader
	unclosed *atomic.Int64
	closed   bool
}

func (b *ownBody) Close() error {
	if !b.closed {
		b.closed = true
		b.unclosed.Add(-1)
	}
	return nil
}
